"""Frame results and pins as protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from stripwatch.domain.model import ModelRef
from stripwatch.domain.names import check_label, shown
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import MAX_MM2, MAX_TILES, FrameResult, Outcome, TileScore
from stripwatch.errors import BadInput
from stripwatch.rpc.codec.frames import box_from, box_to, header_from, header_to
from stripwatch.rpc.codec.wire import few, known, parse
from stripwatch.rpc.v1 import result_pb2 as pb

_OUTCOMES = {Outcome.JUDGED: pb.OUTCOME_JUDGED, Outcome.FAILED: pb.OUTCOME_FAILED}
_OUTCOMES_BACK = {int(value): key for key, value in _OUTCOMES.items()}
ROLES = {role.value: role for role in Role}

_MOST_PINS_BYTES = 256 << 10
_MOST_CLASSES = 1024
_MOST_MODELS = 16


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
    message = parse(pb.RunPins, body, _MOST_PINS_BYTES)
    return Pins(
        message.recipe_text,
        message.recipe_sha256,
        {known("role", ROLES, role): _model(model) for role, model in message.models.items()},
        {known("role", ROLES, role): shown(engine) for role, engine in message.engines.items()},
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
        reason=shown(result.reason),
    )
    return message.SerializeToString(deterministic=True)


def decode_result(body: bytes) -> FrameResult:
    message = parse(pb.FrameResult, body)
    classes = tuple(check_label("class", label) for label in few("classes", message.classes, _MOST_CLASSES))
    return FrameResult(
        header=header_from(message.header),
        outcome=known("outcome", _OUTCOMES_BACK, message.outcome),
        tiles=tuple(
            TileScore(
                box=box_from(tile.box),
                probabilities=_probabilities(tile, len(classes)),
                anomaly=tile.anomaly if tile.HasField("anomaly") else None,
                crop=tile.crop,
            )
            for tile in few("tiles", message.tiles, MAX_TILES)
        ),
        classes=classes,
        models=tuple(_model(model) for model in few("models", message.models, _MOST_MODELS)),
        inspected_mm2=_area(message.inspected_mm2),
        strip_mm2=_area(message.strip_mm2),
        reason=shown(message.reason),
    )


def _probabilities(tile: pb.TileScore, classes: int) -> tuple[int, ...]:
    if len(tile.probabilities) not in (0, classes):
        raise BadInput(f"tile: expected a probability for each of {classes} classes, got {len(tile.probabilities)}")
    return tuple(tile.probabilities)


def _area(mm2: int) -> int:
    if mm2 > MAX_MM2:
        raise BadInput(f"frame: expected an area of at most {MAX_MM2} mm2, got {mm2}")
    return mm2


@lru_cache(maxsize=256)
def _model(text: str) -> str:
    return str(ModelRef.parse(text))
