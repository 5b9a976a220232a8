"""The fuzzer's targets over some thousand inputs that a seed makes; `make fuzz` is the long form, led by coverage."""

from __future__ import annotations

import logging
from random import Random

import pytest

from fuzz.target import Target, changed
from fuzz.targets import NAMES, target

INPUTS = {
    "messages": 8_000,
    "images": 3_000,
    "recordings": 3_000,
    "recipes": 600,
    "settings": 500,
    "manifests": 300,
    "entries": 10_000,
    "archives": 2_000,
    "fetched": 2_000,
}
"""A second or two each."""


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_a_readable_refusal_comes_out(name: str) -> None:
    found: Target = target(name)
    logging.disable(logging.CRITICAL)
    try:
        for data in inputs(found, INPUTS[name]):
            try:
                found.one(data)
            except Exception as error:
                pytest.fail(f"{name}: {type(error).__name__}: {error}: of {data!r}")
    finally:
        logging.disable(logging.NOTSET)


def inputs(found: Target, count: int) -> list[bytes]:
    random, seeds = Random(5), list(found.seeds())
    return [*seeds, *(found.shape(changed(random.choice(seeds), random), random) for _ in range(count))]
