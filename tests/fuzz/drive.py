"""One target under the coverage-guided fuzzer: `python -m fuzz.drive NAME CORPUS [libFuzzer's options]`."""

from __future__ import annotations

import logging
import sys
from random import Random
from typing import Any

import atheris

from fuzz.targets import target


def _instrumented() -> Any:
    """What is imported within is followed: ours, and the pure Python that takes the bytes first."""
    return atheris.instrument_imports(
        include=[
            *("stripwatch", "stripwatch_ingest", "stripwatch_preprocess", "stripwatch_aggregator"),
            *("stripwatch_anomaly", "stripwatch_classifier", "mcap", "yaml"),
        ]
    )


def main(arguments: list[str]) -> None:
    name, *options = arguments[1:]
    logging.disable(logging.CRITICAL)
    with _instrumented():
        chosen = target(name)

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        return chosen.shape(atheris.Mutate(data, largest), Random(seed))[:largest]

    atheris.Setup([arguments[0], *options], chosen.one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
