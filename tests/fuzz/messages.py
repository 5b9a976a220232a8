"""Protobuf messages: what decodes is sound, goes back the same, and the aggregator can work with it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from aggregator_cases import RECIPE, RUN, end, failed, header, pins, result, rules, scratch, start
from fuzz.target import Target, told
from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.frame import IndexRange
from stripwatch.domain.model import Clahe, DescriptorSpec, InputSpec, ModelKind, ModelRef, ModelSpec
from stripwatch.domain.strip import Shed
from stripwatch.domain.verdict import Alarm
from stripwatch.errors import BadInput
from stripwatch.rpc.codec import frames, models, results, verdicts
from stripwatch.rpc.codec.wire import parse
from stripwatch.rpc.v1 import frame_pb2, model_pb2, result_pb2, verdict_pb2
from stripwatch_aggregator.alarms import alarms_of
from tile_message import tiles_to

_RULES = rules()
_ODD_TEXT = ("", "\n", "a\nb", "../x", "{}", "\x1b[2J", "x" * 65, "é", "\x00", "a", "steel/1")
_ODD_NUMBERS = (0, 1, -1, 2**27, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)
_ODD_FLOATS = (0.0, -0.0, 1e-320, 1e308, -1e308, float("inf"), float("-inf"), float("nan"), 99.99, 1.0)


def _back(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Callable[[bytes], None]:
    def one(body: bytes) -> None:
        value = decode(body)
        str(value)
        again = encode(value)
        if encode(decode(again)) != again:
            raise AssertionError(f"does not come back the same: {value!r}")

    return one


def _result(body: bytes) -> None:
    _back(results.decode_result, results.encode_result)(body)
    for alarm in alarms_of(results.decode_result(body), _RULES, 1):
        verdicts.encode_alarm(alarm)


def _classify(body: bytes) -> None:
    request = parse(model_pb2.ClassifyRequest, body)
    ModelRef.parse(request.model)
    models.tiles_from(request.tiles)


def _score(body: bytes) -> None:
    request = parse(model_pb2.ScoreRequest, body)
    if request.HasField("descriptors"):
        models.descriptors_from(request.descriptors)
    models.tiles_from(request.tiles)


def _classified(body: bytes) -> None:
    response = parse(model_pb2.ClassifyResponse, body)
    models.units_from(response.probabilities, (response.count, response.classes))
    models.maps_from(response.maps)


def _described(body: bytes) -> None:
    spec = models.spec_from(parse(model_pb2.DescribeResponse, body))
    models.spec_from(models.spec_to(spec))


KINDS: tuple[tuple[type[Message], Callable[[bytes], None]], ...] = (
    (frame_pb2.FrameHeader, _back(frames.decode_header, frames.encode_header)),
    (frame_pb2.RunStart, _back(frames.decode_start, frames.encode_start)),
    (frame_pb2.CameraEnd, _back(frames.decode_end, frames.encode_end)),
    (result_pb2.FrameResult, _result),
    (result_pb2.RunPins, _back(results.decode_pins, results.encode_pins)),
    (verdict_pb2.StripVerdict, _back(verdicts.decode_verdict, verdicts.encode_verdict)),
    (verdict_pb2.Alarm, _back(verdicts.decode_alarm, verdicts.encode_alarm)),
    (model_pb2.ClassifyRequest, _classify),
    (model_pb2.ScoreRequest, _score),
    (model_pb2.ClassifyResponse, _classified),
    (model_pb2.DescribeResponse, _described),
)


def one(data: bytes) -> None:
    """The first byte says which message the others are."""
    if not data:
        return
    _, check = KINDS[data[0] % len(KINDS)]
    try:
        check(data[1:])
    except BadInput as error:
        told(error)


def seeds() -> list[bytes]:
    tiles = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    described = np.zeros((2, 4), dtype=np.float32)
    box = Box(1.0, 2.0, 3.0, 4.0)
    spec = ModelSpec(
        ModelRef("steel", "1"),
        ModelKind.CLASSIFIER,
        InputSpec(16, 3, "float32", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), Clahe(2.0)),
        ("healthy", "scratches"),
        "0" * 64,
        "onnxruntime 1",
        DescriptorSpec(4, "1" * 64),
        8,
    )
    verdict = verdict_pb2.StripVerdict(
        run=frames.run_to(RUN),
        disposition=verdict_pb2.DISPOSITION_REVIEW,
        reasons=["one scratch"],
        defects=[verdict_pb2.Defect(label="scratches", side=1, box=frames.box_to(box), confidence=9, tiles=1)],
        cameras=[
            verdict_pb2.CameraAccount(
                camera="c1",
                side=1,
                expected=3,
                judged=2,
                lost=[verdict_pb2.Loss(frames=frame_pb2.IndexRange(first=1, last=1), reason=2, detail="paused")],
                ended=True,
            )
        ],
        models=["steel/1"],
        spoke=["classifier"],
        recipe="test",
        recipe_version="1",
    )
    bodies: dict[type[Message], list[bytes]] = {
        frame_pb2.FrameHeader: [frames.encode_header(header(3))],
        frame_pb2.RunStart: [
            frames.encode_start(start(length_mm=600.0)),
            frames.encode_start(start(cameras=("a", "b"))),
        ],
        frame_pb2.CameraEnd: [frames.encode_end(end(9, shed=(Shed(IndexRange(2, 3), "stream full"),)))],
        result_pb2.FrameResult: [
            results.encode_result(result(0, scratch(0))),
            results.encode_result(failed(1, "broken")),
        ],
        result_pb2.RunPins: [results.encode_pins(pins(RECIPE))],
        verdict_pb2.StripVerdict: [verdict.SerializeToString()],
        verdict_pb2.Alarm: [
            verdicts.encode_alarm(Alarm(RUN, "c1", 1, "scratches", Side.TOP, box, 9, None, 5, b"jpeg"))
        ],
        model_pb2.ClassifyRequest: [
            model_pb2.ClassifyRequest(model="steel/1", tiles=tiles_to(tiles), maps=True).SerializeToString()
        ],
        model_pb2.ScoreRequest: [
            model_pb2.ScoreRequest(model="a/1", descriptors=models.descriptors_to(described, "x")).SerializeToString(),
            model_pb2.ScoreRequest(model="a/1", tiles=tiles_to(tiles.astype(np.float32))).SerializeToString(),
        ],
        model_pb2.ClassifyResponse: [
            model_pb2.ClassifyResponse(
                model="steel/1",
                count=2,
                classes=2,
                probabilities=models.units_to(np.zeros((2, 2), dtype=np.int32)),
                maps=models.maps_to(np.zeros((2, 3, 3), dtype=np.float32)),
            ).SerializeToString()
        ],
        model_pb2.DescribeResponse: [models.spec_to(spec).SerializeToString()],
    }
    return [bytes([number]) + body for number, (kind, _) in enumerate(KINDS) for body in bodies[kind]]


def shape(data: bytes, random: Random) -> bytes:
    """The same message with one field of another value, where the bytes are a message."""
    if not data or random.random() < 0.5:
        return data
    message = KINDS[data[0] % len(KINDS)][0]()
    try:
        message.ParseFromString(data[1:])
    except DecodeError:
        return data
    _alter(message, random)
    return data[:1] + message.SerializeToString()


def _alter(message: Message, random: Random) -> None:
    field = random.choice(message.DESCRIPTOR.fields)
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value[random.choice(("classifier", "anomaly", "x"))] = random.choice(_ODD_TEXT)
    elif field.is_repeated and field.message_type is not None:
        _alter(random.choice(value) if value and random.random() < 0.7 else value.add(), random)
    elif field.is_repeated:
        value.append(_odd(field, random))
    elif field.message_type is not None:
        _alter(value, random)
    elif random.random() < 0.1:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _odd(field, random))


def _odd(field: FieldDescriptor, random: Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            odd = random.choice(_ODD_TEXT)
            return odd.encode() if field.type == FieldDescriptor.TYPE_BYTES else odd
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return random.choice(_ODD_FLOATS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return random.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return random.randrange(5)
        case kind:
            low, high = {
                FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
                FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
                FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
            }.get(kind, (-(2**63), 2**63 - 1))
            return max(low, min(high, random.choice(_ODD_NUMBERS)))


TARGET = Target("messages", one, seeds, shape)
