"""What both model services do with a request: check it against the model, queue it, wait, quantise."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import numpy as np
import numpy.typing as npt

from stripwatch.domain.model import ModelRef, ModelSpec
from stripwatch.errors import BadInput, DeadlineExceeded
from stripwatch.models.served import ServedModels
from stripwatch.ports import Tiles
from stripwatch.rpc.codec.models import quantise, tiles_from
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.runtime.deadline import Deadline

LONGEST_CALL_S = 60.0
"""For callers that set no deadline, or one further away."""


@dataclass(frozen=True, slots=True)
class ModelService:
    """Describes models and runs tiles through them."""

    models: ServedModels

    def describe(self, model: str) -> ModelSpec:
        """NAME (its newest version) or NAME/VERSION."""
        return self.models.find(model).spec

    def run(self, model: str, message: pb.Tiles, context: grpc.ServicerContext) -> npt.NDArray[np.int32]:
        """Scores in units of QUANTUM, (N, classes) or (N,), of exactly NAME/VERSION."""
        served = self.models.find(str(ModelRef.parse(model)))
        tiles = tiles_from(message)
        _check(served.spec, tiles)
        job = served.batcher.submit(tiles, _deadline(context))
        if not context.add_callback(job.cancel):
            raise DeadlineExceeded("the caller went away before its request was queued")
        return quantise(job.result())


def _deadline(context: grpc.ServicerContext) -> Deadline:
    left = context.time_remaining()
    deadline = Deadline.after(LONGEST_CALL_S if left is None else min(left, LONGEST_CALL_S))
    deadline.check("a request that had to wait for a thread")
    return deadline


def _check(spec: ModelSpec, tiles: Tiles) -> None:
    expected = (spec.input.channels, spec.input.size, spec.input.size)
    if tiles.shape[1:] != expected or tiles.dtype.name != spec.input.dtype:
        raise BadInput(
            f"model {spec.ref}: expected tiles (N, {', '.join(map(str, expected))}) {spec.input.dtype}, "
            f"got {tiles.shape} {tiles.dtype.name}"
        )
