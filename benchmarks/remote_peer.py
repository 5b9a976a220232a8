"""MLServer with the shipped models and settings, for the remote engine: in the environment of the serving bench."""

from __future__ import annotations

import json
import os
from pathlib import Path

from conditions import ROOT
from serving_peers import Peer, read_peers

from stripwatch.local.child import Spec
from stripwatch.local.ports import free_ports

MODELS = ROOT / "models"
REMOTE = ROOT / "deploy" / "remote"


def mlserver_peer() -> Peer:
    """MLServer as the serving bench has it; to be installed."""
    return next(peer for peer in read_peers() if peer.name == "mlserver")


def mlserver_spec(peer: Peer, folder: Path, port: int, workers: int) -> Spec:
    """How to run it with all models that are shipped for it: only their place in its settings is another.

    `folder` takes the settings. `workers` are its processes beside the one that answers; 0: that one runs the models.
    """
    for given in REMOTE.glob("mlserver/*/model-settings.json"):
        settings = json.loads(given.read_text(encoding="utf-8"))
        parameters = settings["parameters"]
        parameters["uri"] = str(MODELS / Path(parameters["uri"]).relative_to("/models"))
        place = folder / given.parent.name
        place.mkdir()
        (place / given.name).write_text(json.dumps(settings), encoding="utf-8")
    http, metrics = free_ports(2)
    env = {
        "PATH": f"{peer.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REMOTE / "mlserver"),
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_GRPC_PORT": str(port),
        "MLSERVER_HTTP_PORT": str(http),
        "MLSERVER_METRICS_PORT": str(metrics),
        "MLSERVER_METRICS_DIR": str(folder),
        "MLSERVER_PARALLEL_WORKERS": str(workers),
        "MLSERVER_DEBUG": "false",
    }
    return Spec("mlserver", (str(peer.environment / "bin" / "mlserver"), "start", str(folder)), env)
