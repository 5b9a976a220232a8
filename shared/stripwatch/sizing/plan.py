"""What a line needs, each figure with the arithmetic that it comes from: from a demand and measured rates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from stripwatch.feed.rules import SHARE_OF_LIMIT
from stripwatch.ports import KEEPING
from stripwatch.sizing.demand import Demand, tiles_in
from stripwatch.sizing.rates import SERVICES, Rates

ALLOCATED = 1.25
"""What a frame of 10 kB or more takes of Redis' memory over its size, at most: jemalloc adds a quarter or less."""
MB = 1e6
_MODELS = ("classifier", "anomaly")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, its unit, and how to get it by hand."""

    part: str
    name: str
    value: float
    unit: str
    how: str


@dataclass(frozen=True, slots=True)
class Need:
    """What one service needs: cores busy, cores to give it so that they are busy by `load` only, and processes."""

    service: str
    busy: float
    cores: float
    replicas: int
    how: str


def figures(demand: Demand, rates: Rates, load: float, outage_s: float) -> list[Figure]:
    """The line and its bytes; `load` is the share of what was measured that is planned for."""
    return [
        *_line(demand),
        *_bandwidth(demand, rates),
        *_memory(demand, load, outage_s),
        *_machines(demand, rates, load),
    ]


def needs(demand: Demand, rates: Rates, load: float) -> list[Need]:
    """Every service, in the order of a tile's way."""
    return [_need(service, demand, rates, load) for service in SERVICES]


def _line(demand: Demand) -> Iterator[Figure]:
    columns = f"{demand.width_mm:g} mm / {demand.mm_per_px:g} mm / {demand.cameras}, rounded up"
    tiles = f"a frame of {demand.frame_px} x {demand.camera_px} px in squares of {demand.tile_px}"
    every = f", one every {demand.stride_px}" if demand.stride_px != demand.tile_px else ""
    rows = f"{demand.speed_m_per_s:g} m/s / {demand.mm_per_px:g} mm"
    cameras = f"{demand.cameras} a side x {demand.sides}"
    frames = f"{demand.rows_per_s:,.0f} rows/s / {demand.frame_px} rows"
    yield Figure("line", "rows", demand.rows_per_s, "rows/s", rows)
    yield Figure("line", "columns of a camera", demand.camera_px, "px", columns)
    yield Figure("line", "cameras", demand.cameras * demand.sides, "", cameras)
    yield Figure("line", "frames of a camera", demand.frames_per_camera_s, "frames/s", frames)
    yield Figure("line", "frames", demand.frames_per_s, "frames/s", f"x {demand.cameras * demand.sides} cameras")
    yield Figure("line", "tiles of a frame", demand.tiles_per_frame, "tiles", tiles + every)
    yield Figure("line", "tiles", demand.tiles_per_s, "tiles/s", f"{demand.frames_per_s:,.1f} frames/s x those")


def _bandwidth(demand: Demand, rates: Rates) -> Iterator[Figure]:
    tiles, pixels, sent = demand.tiles_per_s, demand.pixel_bytes_per_s, rates.bytes_a_tile
    raw = f"{demand.frames_per_s:,.1f} frames/s x {demand.frame_bytes:,} bytes"
    for name, beside in (("into Redis", sent.redis_in), ("out of Redis", sent.redis_out)):
        how = f"the pixels, and {beside:,.0f} bytes a tile of headers, results, acks (measured)"
        yield Figure("bandwidth", name, (pixels + tiles * beside) / MB, "MB/s", how)
        if name == "into Redis":
            yield Figure("bandwidth", "of these, cameras' pixels", pixels / MB, "MB/s", raw)
    for name, there, back in (
        ("gRPC, classifier", sent.classifier_in, sent.classifier_out),
        ("gRPC, anomaly", sent.anomaly_in, sent.anomaly_out),
    ):
        how = f"tiles/s x ({there:,} bytes there + {back:,} back)"
        yield Figure("bandwidth", name, tiles * (there + back) / MB, "MB/s", how)


def _memory(demand: Demand, load: float, outage_s: float) -> Iterator[Figure]:
    pixels = demand.pixel_bytes_per_s
    held = outage_s * pixels * ALLOCATED
    kept = KEEPING.verdict_bytes + KEEPING.flagged_bytes
    waiting = f"{outage_s:g} s x {pixels / MB:,.1f} MB/s x {ALLOCATED:g} (Redis' allocator, at most)"
    budget = f"that + {kept / MB:,.0f} MB of verdicts and flagged tiles: STRIPWATCH_BUDGET_BYTES of each source"
    limit = f"the budget / {SHARE_OF_LIMIT:g}: the rest is for results while frames are held back"
    again = f"{outage_s:g} s x {load:g} / (1 - {load:g}): the backlog goes by what the load leaves"
    yield Figure("memory", f"held for {outage_s:g} s without workers", held / MB, "MB", waiting)
    yield Figure("memory", "budget", (held + kept) / MB, "MB", budget)
    yield Figure(
        "memory", "longest wait", outage_s, "s", "the outage: STRIPWATCH_BUDGET_SECONDS of each source, at least"
    )
    yield Figure("memory", "maxmemory of Redis", (held + kept) / SHARE_OF_LIMIT / MB, "MB", limit)
    yield Figure("memory", "caught up after", outage_s * load / (1 - load), "s", again)


def _machines(demand: Demand, rates: Rates, load: float) -> Iterator[Figure]:
    share = demand.tiles_per_s / (load * rates.tiles_per_s)
    how = f"{demand.tiles_per_s:,.0f} / ({load:.0%} of the {rates.tiles_per_s:,.0f} tiles/s that held), rounded up"
    yield Figure("cores", "machines like the measured one", ceil(share), "", how)


def _need(service: str, demand: Demand, rates: Rates, load: float) -> Need:
    cost = rates.cpu_us_a_tile[service]
    busy = demand.tiles_per_s * cost / 1e6
    cores = busy / load
    width = rates.engine_workers * rates.engine_threads if service in _MODELS else 1
    how = f"tiles/s x {cost:,.1f} us / {load:.0%}"
    if service in _MODELS:
        how += f"; {rates.engine_workers} x {rates.engine_threads} engine threads a replica"
    elif service == "redis":
        how += "; commands run in one thread: above 1, more lines on servers of their own"
    elif service == "ingest":
        how += "; frames from memory: a camera's decoding is not in it"
    return Need(service, busy, cores, max(1, ceil(cores / width)), how)


def caveats(demand: Demand, rates: Rates) -> list[str]:
    """Where the rates were measured on something else than what is planned."""
    found = []
    if demand.tile_px != rates.tile_px:
        found.append(
            f"the rates are of tiles of {rates.tile_px} px, planned are {demand.tile_px} px: the cost of ingest, Redis "
            f"and preprocess goes by the pixels; measure with `stripwatch density --tile-px {demand.tile_px}`"
        )
    measured = tiles_in(rates.height_px, rates.width_px, rates.tile_px, rates.tile_px)
    if demand.tiles_per_frame * 2 < measured:
        found.append(
            f"the rates are of frames of {measured} tiles, planned are {demand.tiles_per_frame}: a frame costs "
            "something too; measure with `stripwatch density --width-px ... --height-px ...`"
        )
    if demand.stride_px < demand.tile_px:
        found.append("the rates are of tiles side by side: overlapping ones cost Redis less a tile than planned here")
    return found
