"""One server's turn: started, asked by the clients, stopped; and the engine's own, without a server."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from serving_client import Client, Clients, Measured, Phase
from serving_peers import Peer
from serving_server import Server
from serving_wires import Scores, Target, Tiles, engine

from stripwatch.domain.model import ModelKind
from stripwatch.errors import StripwatchError
from stripwatch.local.child import Spec
from stripwatch.local.ports import free_ports
from stripwatch.local.services import module
from stripwatch.models.manifest import read_manifest
from stripwatch.simulate.tiles import clean_tile

CORES = 2
CLIENTS, IN_FLIGHT = 2, 4
A_REQUEST = 16
"""Tiles a request, and the most in one run of an engine."""
AS_THE_WORKER = 64
"""Tiles a request of our own worker, where frames wait."""
ONE_BY_ONE = 16
"""Requests in flight a client where each has one tile: enough for full batches on both workers."""
_POOL = 64
_START_S = 120.0
_SETTLE_S = 0.1
_MOST_WARM_S = 0.5
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pool:
    """A model, tiles for it, and the engine's scores of them."""

    folder: Path
    tiles: Tiles
    expected: Scores

    @classmethod
    def of(cls, folder: Path) -> Pool:
        """Simulated healthy steel, the same every time. StripwatchError if the model takes no uint8 tiles."""
        manifest = read_manifest(folder)
        spec = manifest.input
        if manifest.kind is not ModelKind.CLASSIFIER or spec.dtype != "uint8":
            raise StripwatchError(f"{folder}: expected a classifier of uint8 tiles, got {manifest.kind}, {spec.dtype}")
        rng = np.random.default_rng(6)
        grey = np.stack([clean_tile(rng, spec.size) for _ in range(_POOL)])
        tiles = np.repeat(grey[:, None], spec.channels, axis=1)  # (_POOL, channels, size, size)
        return cls(folder, tiles, engine(folder)(tiles))

    def clients(self, target: Target, clients: int, in_flight: int, a_request: int) -> Clients:
        shape = (_POOL // a_request, a_request)
        tiles = self.tiles.reshape(*shape, *self.tiles.shape[1:])
        expected = self.expected.reshape(*shape, -1)
        return Clients([Client(target, tiles, expected, in_flight, number, clients) for number in range(clients)])


class Bench:
    """One model's measurements; `seconds` are those that count in each."""

    def __init__(self, pool: Pool, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds

    def bare(self, clients: int, threads: int) -> Row:
        """The engine in the clients themselves: no server, no wire."""
        with self._pool.clients(Target("engine", self._pool.folder), clients, threads, A_REQUEST) as load:
            load.ready(_START_S, lambda: None)
            return _rates(self._load(load)[0], self._seconds, A_REQUEST)

    def ours(self, a_request: int, **settings: str) -> Row:
        """Our service, with settings of its own."""
        port = free_ports(1)[0]
        spec = _our_spec(self._pool.folder, port, settings)
        return self._server(spec, Target("stripwatch", self._pool.folder, port), a_request)

    def peer(self, peer: Peer, a_request: int) -> Row:
        wire, path = peer.way(a_request)
        spec, port = peer.spec(self._pool.folder / "model.onnx", CORES, A_REQUEST // a_request)
        return self._server(spec, Target(wire, self._pool.folder, port, path), a_request)

    def _server(self, spec: Spec, target: Target, a_request: int) -> Row:
        """Saturation, and for full requests also the latency at half of it."""
        in_flight = IN_FLIGHT if a_request > 1 else ONE_BY_ONE
        with Server(spec) as server, self._pool.clients(target, CLIENTS, in_flight, a_request) as load:
            load.ready(_START_S, server.alive)
            row: Row = {"start_s": round(server.age_s, 2), "processes": server.processes()}
            time.sleep(_SETTLE_S)
            row["rest_mib"] = round(server.mib(), 1)
            load.begin(Phase(time.monotonic() + _SETTLE_S, min(_MOST_WARM_S, self._seconds)))
            load.measured()
            measured, server_s, row["load_mib"] = self._load(load, server)
            row |= _rates(measured, self._seconds, a_request)
            row["server_us_a_tile"] = round(1e6 * server_s / (row["tiles_per_s"] * self._seconds), 1)
            return row | (self._latency(load, row["tiles_per_s"] / a_request / 2) if a_request > 1 else {})

    def _load(self, load: Clients, server: Server | None = None) -> tuple[list[Measured], float, float]:
        """What the clients saw, the server's CPU (s) meanwhile, and its MiB at the end, still under load."""
        phase = Phase(time.monotonic() + _SETTLE_S, self._seconds)
        load.begin(phase)
        used, mib = 0.0, 0.0
        if server:
            time.sleep(max(0.0, phase.window[0] - time.monotonic()))
            before = server.cpu_s()
            time.sleep(max(0.0, phase.window[1] - time.monotonic()))
            used, mib = server.cpu_s() - before, round(server.mib(), 1)
        return load.measured(), used, mib

    def _latency(self, load: Clients, rate: float) -> Row:
        load.begin(Phase(time.monotonic() + _SETTLE_S, self._seconds, rate))
        late = [1e3 * one for measured in load.measured() for one in measured.latencies]
        p50, p99 = np.percentile(late, (50, 99)) if late else (0.0, 0.0)
        return {
            "half_load_tiles_per_s": round(rate * A_REQUEST, 1),
            "half_load_requests": len(late),
            "p50_ms": round(float(p50), 2),
            "p99_ms": round(float(p99), 2),
        }


def _our_spec(folder: Path, port: int, settings: Mapping[str, str]) -> Spec:
    """The service as it ships, with as many engines as cores."""
    env = {
        "STRIPWATCH_MODELS": str(folder.parent.parent),
        "STRIPWATCH_SERVE": f"{folder.parent.name}/{folder.name}",
        "STRIPWATCH_HEALTH_HOST": "127.0.0.1",
        "STRIPWATCH_HEALTH_PORT": str(port),
        "STRIPWATCH_ENGINE": "onnxruntime",
        "STRIPWATCH_ENGINE_WORKERS": str(CORES),
        "STRIPWATCH_ENGINE_THREADS": "1",
        **settings,
    }
    return Spec("classifier", module("classifier"), env)


def _rates(measured: Sequence[Measured], seconds: float, a_request: int) -> Row:
    """StripwatchError if nothing came."""
    tiles = sum(one.answered for one in measured) * a_request
    if not tiles:
        raise StripwatchError(f"not one answer within {seconds:g} s")
    cpu_s = sum(one.cpu_s for one in measured)
    return {"tiles_per_s": round(tiles / seconds, 1), "client_us_a_tile": round(1e6 * cpu_s / tiles, 1)}
