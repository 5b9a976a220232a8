"""One target under the coverage-guided fuzzer: `python -m fuzz.drive NAME CORPUS [libFuzzer's options]`."""

from __future__ import annotations

import logging
import sys
from random import Random

import atheris

# What is imported in here is instrumented: ours, and the pure Python that takes the bytes first.
with atheris.instrument_imports(
    include=[
        *("stripwatch", "stripwatch_ingest", "stripwatch_preprocess", "stripwatch_aggregator"),
        *("stripwatch_anomaly", "stripwatch_classifier", "mcap", "yaml"),
    ]
):
    from fuzz.target import Target
    from fuzz.targets import target


def main(arguments: list[str]) -> None:
    name, *options = arguments[1:]
    logging.disable(logging.CRITICAL)
    chosen = target(name)

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        return chosen.shape(atheris.Mutate(data, largest), Random(seed))[:largest]

    atheris.Setup([arguments[0], *options], chosen.one, custom_mutator=mutate)
    atheris.Fuzz()


__all__ = ["Target", "main"]

if __name__ == "__main__":
    main(sys.argv)
