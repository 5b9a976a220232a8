"""The comparison of our service with other model servers, in small: what it writes, and what it says of who fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest
from serving import measure, show
from serving_peers import Peer, read_peers
from serving_server import Server
from serving_turn import A_REQUEST

from stripwatch.local.child import Spec
from tiny_models import write_model

SECONDS = 0.3
FIGURES = {"tiles_per_s", "over_engine", "p50_ms", "p99_ms", "rest_mib", "load_mib", "client_us_a_tile"}

SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from peer_engine import BATCH, PORT, Engine

engine = Engine()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        scores = engine.each([engine.tiles(self.rfile.read(int(self.headers["Content-Length"])))])[0].tobytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(scores)))
        self.end_headers()
        self.wfile.write(scores)

ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
"""
UPSIDE_DOWN = SERVER.replace(".tobytes()", "[:, ::-1].tobytes()")
BROKEN = "import sys; sys.exit('no room for a model')"


def peer(folder: Path, name: str, server: str, *, installed: bool = True) -> Peer:
    """A peer in our own environment, as if it had been installed; or one whose environment cannot be made."""
    here, environment = folder / "peers" / name, folder / "environments" / name
    here.mkdir(parents=True)
    (here / "server.py").write_text(server)
    (here / "requirements.txt").write_text("none==1")
    (here / "peer.toml").write_text(
        'package = "none"\nwire = "http"\npath = "/"\nsettings = "one process"\n'
        'command = ["python", "{here}/server.py"]\n'
    )
    if installed:
        (environment / "bin").mkdir(parents=True)
        python = environment / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        (environment / "installed.txt").write_text("none==1")
    else:
        environment.write_text("a file where the folder would be")
    return next(one for one in read_peers(folder / "peers", folder / "environments") if one.name == name)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("serving")
    model = write_model(folder / "models", "steel")
    peers = [
        peer(folder, "sound", SERVER),
        peer(folder, "broken", BROKEN),
        peer(folder, "wrong", UPSIDE_DOWN),
        peer(folder, "missing", SERVER, installed=False),
    ]
    return measure(model, peers, SECONDS, rounds=2, one_tile_rounds=1)


def test_every_round_of_engine_service_and_peer_is_kept_with_its_figures(result: dict[str, Any]) -> None:
    assert [len(result["engine_rounds"][kind]) for kind in ("processes", "threads")] == [2, 2]
    for one in (result["service"], result["peers"]["sound"]):
        assert set(one) >= FIGURES
        assert len(one["rounds"]) == 2
        assert len(one["one_tile_rounds"]) == 1
        assert one["rest_mib"] > 1
        assert one["p50_ms"] <= one["p99_ms"]


def test_ratios_are_those_of_medians(result: dict[str, Any]) -> None:
    rates = [row["tiles_per_s"] for row in result["service"]["rounds"]]
    assert result["service_tiles_per_s"] == pytest.approx(sum(rates) / 2, abs=0.01)
    assert result["service_over_engine"] == pytest.approx(
        result["service_tiles_per_s"] / result["engine_tiles_per_s"], abs=0.001
    )


def test_latency_is_taken_at_half_of_the_servers_own_saturation(result: dict[str, Any]) -> None:
    for row in [*result["service"]["rounds"], *result["peers"]["sound"]["rounds"]]:
        assert row["half_load_tiles_per_s"] == pytest.approx(row["tiles_per_s"] / 2, abs=0.1)
        offered = row["half_load_tiles_per_s"] / A_REQUEST * SECONDS
        assert row["half_load_requests"] == pytest.approx(offered, abs=2)  # one more or less a client


def test_a_peer_that_fails_stays_in_with_the_reason(result: dict[str, Any]) -> None:
    assert "no room for a model" in result["peers"]["broken"]["failed"]
    assert "could not be installed" in result["peers"]["missing"]["failed"]
    assert result["peers"]["broken"]["rounds"] == []
    assert "failed" not in result["peers"]["sound"]


def test_a_peer_that_answers_other_scores_than_the_engine_is_not_measured(result: dict[str, Any]) -> None:
    assert "expected the engine's scores" in result["peers"]["wrong"]["failed"]
    assert result["peers"]["wrong"]["rounds"] == []


def test_the_table_names_everyone(result: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    show(result)
    table = capsys.readouterr().out
    assert all(name in table for name in ("stripwatch", "sound", "broken", "wrong", "missing"))


def test_what_a_server_started_is_gone_with_it() -> None:
    asleep = "import time; time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {asleep!r}]); {asleep}"
    with Server(Spec("parent", (sys.executable, "-c", parent))) as server:
        while server.processes() < 2:
            server.alive()
        family = server.tree()
    assert not any(process.is_running() for process in family)


def test_peers_run_the_engine_that_we_run() -> None:
    peers = read_peers()
    assert {one.name for one in peers} == {"bentoml", "litserve", "mlserver", "mosec", "ray"}
    for one in peers:
        assert f"onnxruntime=={ort.__version__}" in one.requirements.split()
        assert one.version[0].isdigit()
