"""Runs, frames and states for tests of the aggregator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, FrameHeader, RunId
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import FrameResult, Outcome, TileScore
from stripwatch.domain.strip import CameraEnd, RunStart, Shed
from stripwatch.ports import CameraState, RunState
from stripwatch.recipes import parse_recipe
from stripwatch.rpc.codec.frames import encode_end, encode_start
from stripwatch.rpc.codec.results import Pins, encode_pins
from stripwatch_aggregator.keep import what_to_keep
from stripwatch_aggregator.rules import Rules

RUN = RunId("line1", "strip7", "run1")
CLASSES = ("crazing", "healthy", "scratches")
MODELS = ("steel/1", "texture/1")
RECIPE = """
name: test
version: "1"
models: {classifier: steel, anomaly: texture}
required: [classifier]
healthy: [healthy]
classes: {scratches: {confidence: 0.8, reject_per_m2: 5, reject_size_mm: 300}}
other: {confidence: 0.8}
anomaly: {threshold: 1.5, min_tiles: 2}
merge_gap_mm: 1
"""
TILE_MM = 50.0
FRAME_MM2 = 100 * 200
"""A frame: 100 mm along, 200 mm across, 2 x 4 tiles."""


def start(
    run: RunId = RUN, cameras: Sequence[str] = ("c1",), live: bool = False, length_mm: float | None = None
) -> RunStart:
    return RunStart(
        run=run,
        cameras=tuple(Camera(name, Side.BOTTOM if name.startswith("b") else Side.TOP, 100, 200) for name in cameras),
        recipe="test",
        width_mm=200,
        length_mm=length_mm,
        started_at_ns=1_000,
        simulated=True,
        live=live,
    )


def pins(text: str = RECIPE) -> Pins:
    models = {role: f"{model}/1" for role, model in parse_recipe(text).models.items()}
    return Pins(text, parse_recipe(text).sha256, models, dict.fromkeys(models, "onnxruntime 1"))


def rules(text: str = RECIPE, run_start: RunStart | None = None) -> Rules:
    return Rules(run_start or start(), pins(text), parse_recipe(text))


def tile(
    x: float,
    y: float,
    label: str = "healthy",
    confidence: int = 9_000,
    anomaly: int | None = 2_000,
    size: float = TILE_MM,
) -> TileScore:
    other = "healthy" if label != "healthy" else "crazing"
    shares = {label: confidence, other: 10_000 - confidence}
    probabilities = tuple(shares.get(name, 0) for name in CLASSES)
    return TileScore(Box(x, y, size, size), probabilities, anomaly)


def result(
    index: int,
    special: Mapping[tuple[int, int], TileScore] | None = None,
    camera: str = "c1",
    run: RunId = RUN,
    models: tuple[str, ...] = MODELS,
) -> FrameResult:
    """A judged frame of 2 x 4 healthy tiles; `special` replaces those at (row, column)."""
    x = index * 100.0
    tiles = tuple(
        (special or {}).get((row, column), tile(x + row * TILE_MM, column * TILE_MM))
        for row in range(2)
        for column in range(4)
    )
    return FrameResult(header(index, camera, run), Outcome.JUDGED, tiles, CLASSES, models, FRAME_MM2, FRAME_MM2)


def failed(index: int, reason: str, camera: str = "c1", run: RunId = RUN) -> FrameResult:
    return FrameResult(header(index, camera, run), Outcome.FAILED, reason=reason)


def header(index: int, camera: str = "c1", run: RunId = RUN) -> FrameHeader:
    side = Side.BOTTOM if camera.startswith("b") else Side.TOP
    return FrameHeader(run, camera, side, index, index * 100.0, 0.0, 0.25, 5_000, 400, 800, Encoding.RAW)


def scratch(index: int, row: int = 0, column: int = 1, confidence: int = 9_500) -> dict[tuple[int, int], TileScore]:
    return {(row, column): tile(index * 100 + row * TILE_MM, column * TILE_MM, "scratches", confidence)}


def end(frames: int, camera: str = "c1", shed: tuple[Shed, ...] = (), run: RunId = RUN) -> CameraEnd:
    return CameraEnd(run, camera, frames, shed)


def bitmap(indices: Iterable[int]) -> bytes:
    frames = list(indices)
    bits = bytearray(max(frames, default=-1) // 8 + 1)
    for index in frames:
        bits[index // 8] |= 0x80 >> (index % 8)
    return bytes(bits)


def state(
    results: Sequence[FrameResult],
    ends: Sequence[CameraEnd],
    run_start: RunStart | None = None,
    recipe: str | None = RECIPE,
    live: bool = False,
    idle_ms: int = 0,
    busy: bool = False,
) -> RunState:
    """What the stream would hold after these results and ends, in this order."""
    begun = run_start or start(live=live)
    how = rules(recipe, begun) if recipe else None
    cameras: dict[str, CameraState] = {}
    judged: dict[tuple[str, int], FrameResult] = {}
    failures: dict[tuple[str, int], str] = {}
    for one in results:
        key = (one.header.camera, one.header.index)
        if one.outcome is Outcome.JUDGED:
            judged.setdefault(key, one)
            failures.pop(key, None)
        elif key not in judged:
            failures.setdefault(key, one.reason)
    declared = {camera.name for camera in begun.cameras}
    for name in declared:
        mine = [one for (camera, _), one in judged.items() if camera == name]
        cameras[name] = CameraState(
            end=next((encode_end(one) for one in ends if one.camera == name), b""),
            judged=bitmap([one.header.index for one in mine]),
            failed=bitmap([index for camera, index in failures if camera == name]),
            inspected_mm2=sum(one.inspected_mm2 for one in mine),
            strip_mm2=sum(one.strip_mm2 for one in mine),
        )
    kept = [what_to_keep(one, how) for (camera, _), one in judged.items() if camera in declared]
    return RunState(
        run=begun.run,
        revision=1,
        start=encode_start(begun),
        pins=encode_pins(pins(recipe)) if recipe else b"",
        live=begun.live,
        idle_ms=idle_ms,
        deadline_ms=1_000,
        busy=busy,
        cameras=cameras,
        flagged=tuple(body for body in kept if body),
        failures=failures,
        strays=tuple(sorted({name for name, _ in judged} - declared)),
    )


ROLES = frozenset({Role.CLASSIFIER, Role.ANOMALY})
