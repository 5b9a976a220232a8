"""Frame results and pins as protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stripwatch.domain.recipe import Role
from stripwatch.domain.result import FrameResult, Outcome, TileScore
from stripwatch.rpc.codec.frames import box_from, box_to, header_from, header_to
from stripwatch.rpc.codec.wire import known, parse
from stripwatch.rpc.v1 import result_pb2 as pb

_OUTCOMES = {Outcome.JUDGED: pb.OUTCOME_JUDGED, Outcome.FAILED: pb.OUTCOME_FAILED}
_OUTCOMES_BACK = {int(value): key for key, value in _OUTCOMES.items()}
ROLES = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True)
class Pins:
    """What a run is judged by from head to tail: the recipe's text, and NAME/VERSION and engine of each role."""

    recipe_text: str
    recipe_sha256: str
    models: Mapping[Role, str]
    engines: Mapping[Role, str]


def encode_pins(pins: Pins) -> bytes:
    message = pb.RunPins(
        recipe_text=pins.recipe_text,
        recipe_sha256=pins.recipe_sha256,
        models={role.value: model for role, model in pins.models.items()},
        engines={role.value: engine for role, engine in pins.engines.items()},
    )
    return message.SerializeToString(deterministic=True)


def decode_pins(body: bytes) -> Pins:
    message = parse(pb.RunPins, body)
    return Pins(
        message.recipe_text,
        message.recipe_sha256,
        {known("role", ROLES, role): model for role, model in message.models.items()},
        {known("role", ROLES, role): engine for role, engine in message.engines.items()},
    )


def encode_result(result: FrameResult) -> bytes:
    message = pb.FrameResult(
        header=header_to(result.header),
        outcome=_OUTCOMES[result.outcome],
        tiles=[
            pb.TileScore(box=box_to(tile.box), probabilities=tile.probabilities, anomaly=tile.anomaly, crop=tile.crop)
            for tile in result.tiles
        ],
        classes=result.classes,
        models=result.models,
        inspected_mm2=result.inspected_mm2,
        strip_mm2=result.strip_mm2,
        reason=result.reason,
    )
    return message.SerializeToString(deterministic=True)


def decode_result(body: bytes) -> FrameResult:
    message = parse(pb.FrameResult, body)
    return FrameResult(
        header=header_from(message.header),
        outcome=known("outcome", _OUTCOMES_BACK, message.outcome),
        tiles=tuple(
            TileScore(
                box=box_from(tile.box),
                probabilities=tuple(tile.probabilities),
                anomaly=tile.anomaly if tile.HasField("anomaly") else None,
                crop=tile.crop,
            )
            for tile in message.tiles
        ),
        classes=tuple(message.classes),
        models=tuple(message.models),
        inspected_mm2=message.inspected_mm2,
        strip_mm2=message.strip_mm2,
        reason=message.reason,
    )
