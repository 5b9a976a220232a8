"""What engines are worth on this machine: each in a process of its own, rounds that take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np
import psutil

from stripwatch.cli.model_checks import key
from stripwatch.errors import StripwatchError
from stripwatch.models.choice import Rate, Trial
from stripwatch.models.engines import EngineName, builder
from stripwatch.models.load import LoadedModel, load
from stripwatch.models.manifest import DESCRIPTOR
from stripwatch.models.store import ModelFolder
from stripwatch.ports import Engine, Tiles

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Candidate:
    """`engines` at once of each model, `threads` inside each."""

    engine: EngineName
    threads: int
    engines: int

    def __str__(self) -> str:
        return f"{self.engine}, {self.engines} x {self.threads}"


@dataclass(frozen=True, slots=True)
class Turn:
    """One model on one engine for a while; `mib` is what its process holds afterwards."""

    version: str
    tiles_per_s: float
    cpu_us_a_tile: float
    mib: float


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: `rounds` turns of `seconds` for each model on each engine, `batch` tiles a run."""

    rounds: int
    seconds: float
    batch: int


@dataclass(slots=True)
class Found:
    """What was measured, and why the rest was not."""

    trials: list[Trial] = field(default_factory=list)
    refused: dict[Candidate, str] = field(default_factory=dict)


def measure(
    folders: Sequence[ModelFolder],
    candidates: Sequence[Candidate],
    effort: Effort,
    done: Callable[[], None] = lambda: None,
) -> Found:
    """All models on all candidates; `done` is called after each turn. A candidate that cannot load them all is out."""
    found, rest = Found(), dict[Candidate, float]()
    turns: dict[Candidate, dict[str, list[Turn]]] = {}
    with ExitStack() as stack:
        pools = {one: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for one in candidates}
        for candidate, pool in pools.items():
            try:
                rest[candidate] = pool.submit(_load, candidate, folders).result()
                turns[candidate] = {str(folder.ref): [] for folder in folders}
            except StripwatchError as error:
                found.refused[candidate] = str(error)
            except BrokenProcessPool:
                found.refused[candidate] = "its process died while it loaded the models"
        for _ in range(effort.rounds):
            for folder in folders:
                for candidate, taken in turns.items():
                    model = str(folder.ref)
                    taken[model].append(pools[candidate].submit(_turn, model, effort).result())
                    done()
    found.trials = [_trial(candidate, rest[candidate], taken) for candidate, taken in turns.items()]
    return found


def _trial(candidate: Candidate, rest_mib: float, taken: Mapping[str, Sequence[Turn]]) -> Trial:
    rates = {
        model: Rate(
            version=turns[0].version,
            tiles_per_s=round(statistics.median(turn.tiles_per_s for turn in turns), 1),
            cpu_us_a_tile=round(statistics.median(turn.cpu_us_a_tile for turn in turns), 1),
            rounds=tuple(round(turn.tiles_per_s, 1) for turn in turns),
        )
        for model, turns in taken.items()
    }
    most = max(turn.mib for turns in taken.values() for turn in turns)
    return Trial(
        engine=candidate.engine,
        threads=candidate.threads,
        engines=candidate.engines,
        rest_mib=round(rest_mib, 1),
        load_mib=round(most, 1),
        rates=rates,
    )


_models: dict[str, LoadedModel] = {}
"""In a candidate's process: what it holds."""


def _load(candidate: Candidate, folders: Sequence[ModelFolder]) -> float:
    build, signed = builder(candidate.engine, candidate.threads), key()
    for folder in folders:
        _models[str(folder.ref)] = load(folder, build, candidate.engines, signed)
    return _mib()


def _turn(model: str, effort: Effort) -> Turn:
    """As a service runs it: a thread an engine, descriptors with the scores where the model has them."""
    loaded = _models[model]
    spec = loaded.manifest.input
    shape = (effort.batch, spec.channels, spec.size, spec.size)
    tiles = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8).astype(spec.dtype)
    extras = (DESCRIPTOR,) if DESCRIPTOR in loaded.manifest.graph.outputs else ()
    with ThreadPoolExecutor(len(loaded.engines)) as pool:
        list(pool.map(lambda engine: engine.run(tiles, extras), loaded.engines))  # this batch size for the first time
        cpu, started = time.process_time(), time.perf_counter()
        until = started + effort.seconds
        count = sum(pool.map(lambda engine: _tiles(engine, tiles, extras, until), loaded.engines))
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Turn(loaded.spec.engine, count / wall, cpu / count * 1e6, _mib())


def _tiles(engine: Engine, tiles: Tiles, extras: tuple[str, ...], until: float) -> int:
    """How many it took until then; at least one batch."""
    count = 0
    while not count or time.perf_counter() < until:
        engine.run(tiles, extras)
        count += len(tiles)
    return count


def _mib() -> float:
    return float(psutil.Process().memory_info().rss) / _MIB
