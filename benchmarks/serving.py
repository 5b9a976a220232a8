"""Our classifier service beside the bare engine and other model servers, on the same model, clients and cores.

Writes benchmarks/results/serving.json. A round measures the engine alone, then our service, then each peer; each server
is started for its turn and stopped after it, so that nothing else takes a core. `--setup` only installs the peers.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime as ort
from conditions import ROOT, conditions, write
from serving_peers import Peer, read_peers
from serving_turn import A_REQUEST, AS_THE_WORKER, CLIENTS, CORES, IN_FLIGHT, ONE_BY_ONE, Bench, Pool, Row

from stripwatch.errors import StripwatchError

MODEL = ROOT / "models" / "steel" / "2"


def measure(folder: Path, peers: Sequence[Peer], seconds: float, rounds: int, one_tile_rounds: int) -> Row:
    """All rounds on one model. A peer that cannot be installed, started or asked stays in, with the reason."""
    bench = Bench(Pool.of(folder), seconds)
    alone: dict[str, list[Row]] = {"processes": [], "threads": []}
    names = ["service", *(peer.name for peer in peers)]
    rows: dict[str, list[Row]] = {name: [] for name in names}
    single: dict[str, list[Row]] = {name: [] for name in names}
    large: list[Row] = []
    failed: dict[str, str] = {}
    for peer in peers:
        _attempt(failed, peer.name, peer.install)
    for number in range(rounds + one_tile_rounds):
        a_request, kept = (A_REQUEST, rows) if number < rounds else (1, single)
        if number < rounds:
            alone["processes"].append(bench.bare(CORES, 1))
            alone["threads"].append(bench.bare(1, CORES))
            for kind, found in alone.items():
                _tell(number, f"engine in {kind}", a_request, found)
            large.append(bench.ours(AS_THE_WORKER))
            _tell(number, "service", AS_THE_WORKER, large)
        kept["service"].append(bench.ours(a_request))
        _tell(number, "service", a_request, kept["service"])
        for peer in peers:
            if peer.name not in failed:
                _attempt(failed, peer.name, lambda: kept[peer.name].append(bench.peer(peer, a_request)))  # noqa: B023 - called at once
                _tell(number, peer.name, a_request, kept[peer.name])
    bare = max(median(row["tiles_per_s"] for row in found) for found in alone.values())
    service = summary(rows["service"], single["service"], bare)
    return {
        "model": f"{folder.parent.name}/{folder.name}",
        "engine": f"onnxruntime/{ort.__version__}, 1 thread a session, no spinning",
        "rounds": rounds,
        "seconds": seconds,
        "cores": CORES,
        "workers": CORES,
        "clients": {"processes": CLIENTS, "in_flight": IN_FLIGHT, "in_flight_one_tile": ONE_BY_ONE},
        "tiles_a_request": A_REQUEST,
        "engine_tiles_per_s": bare,
        "engine_us_a_tile": round(median(row["client_us_a_tile"] for found in alone.values() for row in found), 1),
        "engine_rounds": alone,
        "service_tiles_per_s": service["tiles_per_s"],
        "service_over_engine": service["over_engine"],
        "service": service,
        "service_as_the_worker_asks": {"tiles_a_request": AS_THE_WORKER, **summary(large, [], bare)},
        "peers": {
            peer.name: {
                "version": peer.version,
                **summary(rows[peer.name], single[peer.name], bare),
                "settings": peer.settings,
                **({"failed": failed[peer.name]} if peer.name in failed else {}),
            }
            for peer in peers
        },
    }


def summary(rows: Sequence[Row], single: Sequence[Row], bare: float) -> Row:
    """Medians over the rounds, and the rounds; nothing of a server that never answered."""
    if not rows:
        return {"rounds": []}
    figures = {name: round(median(row[name] for row in rows), 2) for name in rows[0]}
    found: Row = {"over_engine": round(figures["tiles_per_s"] / bare, 3), **figures}
    if single:
        found["one_tile_tiles_per_s"] = round(median(row["tiles_per_s"] for row in single), 1)
        found["one_tile_over_engine"] = round(found["one_tile_tiles_per_s"] / bare, 3)
        found["one_tile_rounds"] = list(single)
    return {**found, "rounds": list(rows)}


def show(result: Mapping[str, Any]) -> None:
    """A table for a terminal."""
    print(
        f"{result['model']}: the engine alone {result['engine_tiles_per_s']} tiles/s on {result['cores']} cores, "
        f"{result['engine_us_a_tile']} us a tile"
    )
    print("server      tiles/s  of engine  one tile  p50 ms  p99 ms  rest MiB  load MiB  us/tile: server, client")
    for name, one in {"stripwatch": result["service"], **result["peers"]}.items():
        if one["rounds"]:
            alone = one.get("one_tile_over_engine", "-")
            print(
                f"{name:<11} {one['tiles_per_s']:>7} {one['over_engine']:>10} {alone:>9} {one['p50_ms']:>7} "
                f"{one['p99_ms']:>7} {one['rest_mib']:>9} {one['load_mib']:>9} "
                f"{one['server_us_a_tile']:>16}, {one['client_us_a_tile']}"
            )
        if "failed" in one:
            print(f"{name:<11} failed: {one['failed']}")


def _attempt(failed: dict[str, str], name: str, what: Callable[[], object]) -> None:
    try:
        what()
    except StripwatchError as error:
        failed[name] = str(error)
        print(f"{name}: {error}", flush=True)


def _tell(number: int, name: str, a_request: int, rows: Sequence[Row]) -> None:
    last = rows[-1] if rows else {}
    print(f"round {number + 1}: {name}, {a_request} a request: {last.get('tiles_per_s', 'no')} tiles/s", flush=True)


def main() -> None:
    """Measures every model asked for, prints the tables and writes the figures down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model-folder", type=Path, action="append", help="NAME/VERSION; several times: one after another"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="what counts of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one-tile-rounds", type=int, default=1, help="rounds more with one tile a request")
    parser.add_argument("--peers", help="names, by comma; all by default")
    parser.add_argument("--quick", action="store_true", help="the engine and our service only, one short round")
    parser.add_argument("--setup", action="store_true", help="install the peers, and no more")
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    peers = [peer for peer in read_peers() if chosen.peers is None or peer.name in chosen.peers.split(",")]
    if chosen.setup:
        for peer in peers:
            peer.install()
        return
    if chosen.quick:
        peers, chosen.seconds, chosen.rounds, chosen.one_tile_rounds = [], min(chosen.seconds, 1.0), 1, 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # through the blocks that stop servers
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    before = {**conditions("make bench-serving", ""), "onnxruntime": ort.__version__}
    del before["redis"]
    found: dict[str, Row] = {}
    for folder in chosen.model_folder or [MODEL]:
        result = measure(folder.resolve(), peers, chosen.seconds, chosen.rounds, chosen.one_tile_rounds)
        show(result)
        found[result["model"]] = result
    first = next(iter(found.values()))
    write("serving", {**before, **first, **({"models": found} if len(found) > 1 else {})}, chosen.out)


if __name__ == "__main__":
    main()
