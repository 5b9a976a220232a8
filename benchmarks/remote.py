"""What the remote engine costs: our classifier with its model in its own process, and with the model run by MLServer.

Both on this machine, by turns. Writes benchmarks/results/remote.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median

import onnxruntime as ort
from conditions import conditions, write
from remote_peer import MODELS, mlserver_peer, mlserver_spec
from serving_server import Server
from serving_turn import A_REQUEST, CORES, Bench, Pool, Row

from stripwatch.local.ports import free_ports

_IN_FLIGHT = 4
"""Calls at once to MLServer: two a process of its own."""


def measure(model: str, seconds: float, rounds: int) -> Row:
    """Tiles a second of both, round by round, and what each takes of CPU in our own service."""
    bench, peer = Bench(Pool.of(MODELS / model), seconds), mlserver_peer()
    peer.install()
    rows: dict[str, list[Row]] = {"local": [], "remote": []}
    for number in range(rounds):
        rows["local"].append(bench.ours(A_REQUEST))
        port = free_ports(1)[0]
        with tempfile.TemporaryDirectory() as folder, Server(mlserver_spec(peer, Path(folder), port, CORES)):
            settings = {
                "STRIPWATCH_ENGINE": "remote",
                "STRIPWATCH_REMOTE_ADDRESS": f"127.0.0.1:{port}",
                "STRIPWATCH_REMOTE_SECONDS": "30",
                "STRIPWATCH_RESCAN_SECONDS": "0.5",
                "STRIPWATCH_ENGINE_WORKERS": str(_IN_FLIGHT),
            }
            rows["remote"].append(bench.ours(A_REQUEST, **settings))
        for name, found in rows.items():
            print(f"round {number + 1}: {name}: {found[-1]['tiles_per_s']} tiles/s", flush=True)
    figures = {
        name: {key: round(median(row[key] for row in found), 2) for key in found[0]} for name, found in rows.items()
    }
    ratio = round(figures["remote"]["tiles_per_s"] / figures["local"]["tiles_per_s"], 3)
    return {"model": model, "mlserver": peer.version, "remote_over_local": ratio, **figures, "rounds": rows}


def main() -> None:
    """Measures, prints the ratio, and writes the figures down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="steel/2", help="NAME/VERSION of a shipped classifier")
    parser.add_argument("--seconds", type=float, default=3.0, help="what counts of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seconds, chosen.rounds = 1.0, 1
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    before = {**conditions("make bench-remote", ""), "onnxruntime": ort.__version__}
    del before["redis"]
    found = measure(chosen.model, chosen.seconds, chosen.rounds)
    print(f"remote over local: {found['remote_over_local']}")
    write("remote", {**before, **found}, chosen.out)


if __name__ == "__main__":
    main()
