"""What both model services do with a request: check it against the model, queue it, wait."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from stripwatch.domain.model import ModelRef, ModelSpec
from stripwatch.errors import BadInput, DeadlineExceeded
from stripwatch.models.batching import Batcher
from stripwatch.models.manifest import DESCRIPTOR, MAP
from stripwatch.models.served import Served, ServedModels
from stripwatch.ports import Descriptors, Outputs, Tiles
from stripwatch.rpc.codec.models import descriptors_from, tiles_from
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.runtime.deadline import Deadline

LONGEST_CALL_S = 60.0
"""For callers that set no deadline, or one further away."""


@dataclass(frozen=True, slots=True)
class ModelService:
    """Describes models and runs tiles or descriptors through them; always those of exactly NAME/VERSION."""

    models: ServedModels

    def describe(self, model: str) -> ModelSpec:
        """NAME (its newest version) or NAME/VERSION."""
        return self.models.find(model).spec

    def tiles(
        self, model: str, message: pb.Tiles, context: grpc.ServicerContext, extras: tuple[str, ...] = ()
    ) -> Outputs:
        """The tiles' scores, (N, classes) or (N,), and the extras that the model has to give."""
        served = self._exactly(model)
        tiles = tiles_from(message)
        _check(served.spec, tiles, extras)
        return _run(served.batcher, tiles, context, extras)

    def descriptors(self, model: str, message: pb.Descriptors, context: grpc.ServicerContext) -> Outputs:
        """The scores, (N,), of tiles that a model on the same backbone has described."""
        served = self._exactly(model)
        spec, taken = served.spec, served.spec.descriptors
        if served.head is None or taken is None:
            raise BadInput(f"model {spec.ref}: expected tiles, got descriptors, which it does not take")
        if message.backbone_sha256 != taken.backbone_sha256:
            raise BadInput(
                f"model {spec.ref}: expected descriptors of backbone {taken.backbone_sha256}, "
                f"got those of {message.backbone_sha256 or 'none'}"
            )
        descriptors = descriptors_from(message)
        if message.width != taken.width:
            raise BadInput(f"model {spec.ref}: expected descriptors (N, {taken.width}), got {descriptors.shape}")
        return _run(served.head, descriptors, context)

    def _exactly(self, model: str) -> Served:
        return self.models.find(str(ModelRef.parse(model)))


def _run(
    batcher: Batcher, rows: Tiles | Descriptors, context: grpc.ServicerContext, extras: tuple[str, ...] = ()
) -> Outputs:
    job = batcher.submit(rows, _deadline(context), extras)
    if not context.add_callback(job.cancel):
        raise DeadlineExceeded("the caller went away before its request was queued")
    return job.result()


def _deadline(context: grpc.ServicerContext) -> Deadline:
    left = context.time_remaining()
    deadline = Deadline.after(LONGEST_CALL_S if left is None else min(left, LONGEST_CALL_S))
    deadline.check("a request that had to wait for a thread")
    return deadline


def _check(spec: ModelSpec, tiles: Tiles, extras: tuple[str, ...]) -> None:
    expected = (spec.input.channels, spec.input.size, spec.input.size)
    if tiles.shape[1:] != expected or tiles.dtype.name != spec.input.dtype:
        raise BadInput(
            f"model {spec.ref}: expected tiles (N, {', '.join(map(str, expected))}) {spec.input.dtype}, "
            f"got {tiles.shape} {tiles.dtype.name}"
        )
    given = {DESCRIPTOR: spec.descriptors, MAP: spec.map_side}
    for name in extras:
        if not given[name]:
            raise BadInput(f"model {spec.ref}: expected no wish for a {name}, which it does not give")
