"""What a verdict costs by how much there is to decide: the pure decision in this process, no Redis, no gRPC."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from conditions import ROOT
from trend import exponent, interleaved, medians

from stripwatch.domain.result import FrameResult, Outcome, TileScore
from stripwatch.ports import CameraState, RunState
from stripwatch.rpc.codec.frames import encode_end, encode_start
from stripwatch.rpc.codec.results import encode_pins, encode_result
from stripwatch_aggregator.account import account
from stripwatch_aggregator.decide import decide
from stripwatch_aggregator.event import verdict_event

sys.path.append(str(ROOT / "tests"))
from aggregator_cases import CLASSES, FRAME_MM2, MODELS, TILE_MM, bitmap, end, header, pins, start, tile

SIZES = (10, 100, 1_000, 10_000, 100_000)
AT_LEAST_TILES = 2_000
"""A small verdict is decided again and again until so many tiles were, or its time could not be told."""
FITTED_FROM = 100
"""Below so many, what every verdict costs hides what a defect does."""
WIDTH_MM = 2_000

Layout = Callable[[int], list[TileScore]]


def apart(count: int) -> list[TileScore]:
    """Each a defect of its own, at one of four places across."""
    return [tile(at * 2 * TILE_MM, at % 4 * TILE_MM, "scratches") for at in range(count)]


def scattered(count: int) -> list[TileScore]:
    """Each a defect of its own, anywhere across in whole tenths of a mm: no two places alike."""
    rng = random.Random(5)
    return [tile(at * 2 * TILE_MM, rng.randrange(10 * WIDTH_MM) / 10, "scratches") for at in range(count)]


def touching(count: int) -> list[TileScore]:
    """All of them one defect, as of a strip that is scratched all over."""
    return [tile(at // 4 * TILE_MM, at % 4 * TILE_MM, "scratches") for at in range(count)]


def fringed(count: int) -> list[TileScore]:
    """Scratches, and as many unusual tiles around them that make no defect of their own."""
    spots = range(count // 2)
    scratches = [tile(at * 4 * TILE_MM, TILE_MM, "scratches") for at in spots]
    unusual = [tile(at * 4 * TILE_MM + TILE_MM, TILE_MM, anomaly=20_000) for at in spots]
    return [one for both in zip(scratches, unusual, strict=True) for one in both]


LAYOUTS: dict[str, Layout] = {"apart": apart, "scattered": scattered, "touching": touching, "fringed": fringed}


@dataclass(frozen=True, slots=True)
class Case:
    """So many flagged tiles, laid out like that."""

    layout: str
    tiles: int

    def __str__(self) -> str:
        return f"{self.layout} {self.tiles}"


def state(tiles: Iterable[TileScore]) -> RunState:
    """A whole run whose frames have one flagged tile each, as the stream holds it."""
    results = [
        FrameResult(header(index), Outcome.JUDGED, (one,), CLASSES, MODELS, FRAME_MM2, FRAME_MM2)
        for index, one in enumerate(tiles)
    ]
    area = FRAME_MM2 * len(results)
    camera = CameraState(encode_end(end(len(results))), bitmap(range(len(results))), b"", area, area)
    begun = replace(start(), width_mm=WIDTH_MM)
    return RunState(
        run=begun.run,
        revision=1,
        start=encode_start(begun),
        pins=encode_pins(pins()),
        live=False,
        idle_ms=0,
        deadline_ms=1_000,
        busy=False,
        cameras={"c1": camera},
        flagged=tuple(map(encode_result, results)),
    )


def cost(made: RunState) -> dict[str, float]:
    """CPU milliseconds of one verdict and of its event, the defects it found, and the bytes it was decided from."""
    times = max(1, AT_LEAST_TILES // len(made.flagged))
    began = time.process_time()
    for _ in range(times):
        verdict = decide(made, account(made), 1)
    decided = time.process_time()
    for _ in range(times):
        verdict_event(verdict)
    published = time.process_time()
    return {
        "decide_ms": round((decided - began) / times * 1e3, 4),
        "event_ms": round((published - decided) / times * 1e3, 4),
        "defects": verdict.found,
        "flagged_bytes": sum(map(len, made.flagged)),
    }


def verdict_costs(rounds: int, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """By layout: what so many tiles cost, the exponent of all from 100 on, and that of each step."""
    cases = [Case(name, size) for size in sizes for name in LAYOUTS]
    made = {case: state(LAYOUTS[case.layout](case.tiles)) for case in cases}
    found = interleaved(cases, rounds, lambda case: cost(made[case]))
    return {name: _of_layout(found, [case for case in cases if case.layout == name]) for name in LAYOUTS}


def _of_layout(found: dict[str, list[dict[str, float]]], cases: Sequence[Case]) -> dict[str, Any]:
    middle = {case.tiles: medians(found[str(case)]) for case in cases}
    fitted = [size for size in middle if size >= FITTED_FROM]
    costs = [middle[size]["decide_ms"] for size in fitted]
    return {
        "exponent": exponent(fitted, costs),
        "exponent_by_step": {
            f"{one} to {other}": exponent([one, other], [middle[one]["decide_ms"], middle[other]["decide_ms"]])
            for one, other in pairwise(middle)
        },
        "points": {
            str(case.tiles): {
                **middle[case.tiles],
                "us_a_tile": round(middle[case.tiles]["decide_ms"] / case.tiles * 1e3, 2),
                "rounds": [one["decide_ms"] for one in found[str(case)]],
            }
            for case in cases
        },
    }
