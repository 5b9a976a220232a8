"""Both model services as processes over loopback, as a pipeline runs them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import ModelKind, ModelSpec
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import QUANTUM
from stripwatch.errors import ModelNotReady
from stripwatch.local.child import Child, Spec
from stripwatch.local.ports import free_ports
from stripwatch.local.services import module
from stripwatch.ports import Descriptors, Pending, Tiles
from stripwatch.rpc.client import RemoteScorer
from stripwatch_train.graph import Scores

_LONG_S = 120.0
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Served:
    """One running service, asked in batches of 16."""

    client: RemoteScorer

    def spec(self, model: str) -> ModelSpec:
        return self.client.describe(model, _LONG_S)

    def scores(self, model: str, tiles: Tiles) -> Scores:
        """(N, classes) or (N,), in steps of QUANTUM."""
        spec = self.spec(model)
        return _scores([self.client.submit(spec, part, _LONG_S) for part in _parts(tiles)])

    def described(self, model: str, tiles: Tiles) -> Descriptors:
        """(N, width) as a classifier tells them."""
        spec = self.spec(model)
        sent = [self.client.submit(spec, part, _LONG_S, descriptors=True) for part in _parts(tiles)]
        return np.concatenate([pending.descriptors() for pending in sent])

    def scored(self, model: str, descriptors: Descriptors) -> Scores:
        """(N,) of what a classifier told."""
        spec = self.spec(model)
        return _scores([self.client.submit_descriptors(spec, part, _LONG_S) for part in _parts(descriptors)])


@contextmanager
def serving(models: Sequence[Path]) -> Iterator[Mapping[ModelKind, Served]]:
    """Start both services on these folders; ModelNotReady with their last words if one does not come up."""
    with ExitStack() as running:
        served = {}
        roles = (Role.CLASSIFIER, Role.ANOMALY)
        for role, port in zip(roles, free_ports(len(roles)), strict=True):
            env = {
                "STRIPWATCH_MODELS": os.pathsep.join(map(str, models)),
                "STRIPWATCH_HEALTH_PORT": str(port),
                "STRIPWATCH_ENGINE": "onnxruntime",  # whatever was measured here: the figures are for everybody
                "STRIPWATCH_ENGINE_WORKERS": "1",
            }
            child = Child(Spec(role.value, module(role.value), env), lambda _name, _line: None)
            child.start()
            running.callback(child.kill)
            client = RemoteScorer(role, f"127.0.0.1:{port}")
            running.callback(client.close)
            _wait(child, client)
            served[ModelKind(role.value)] = Served(client)
        yield served


def _wait(child: Child, client: RemoteScorer) -> None:
    end = time.monotonic() + _LONG_S
    while (why := client.ready(1)) is not None:
        if not child.running or time.monotonic() > end:
            raise ModelNotReady(f"{child.spec.name}: {child.last_words if not child.running else why}")
        time.sleep(0.05)


def _parts(rows: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    return (rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH))


def _scores(sent: Sequence[Pending]) -> Scores:
    return np.concatenate([pending.result() for pending in sent]).astype(np.float32) * np.float32(QUANTUM)
