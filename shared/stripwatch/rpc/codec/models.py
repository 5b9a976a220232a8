"""Model specs, tiles, descriptors, maps and scores as protobuf. Scores and maps are quantised here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from stripwatch.domain.model import Clahe, DescriptorSpec, InputSpec, ModelKind, ModelRef, ModelSpec
from stripwatch.domain.names import check_label, shown
from stripwatch.domain.result import QUANTUM
from stripwatch.errors import BadInput
from stripwatch.ports import Tiles
from stripwatch.rpc.codec.wire import few, known
from stripwatch.rpc.v1 import model_pb2 as pb

_DTYPES = {"uint8": pb.DTYPE_UINT8, "float32": pb.DTYPE_FLOAT32}
_DTYPES_BACK = {int(value): key for key, value in _DTYPES.items()}
_NUMPY: dict[str, np.dtype[Any]] = {"uint8": np.dtype("u1"), "float32": np.dtype("<f4")}
_KINDS = {kind.value: kind for kind in ModelKind}
_UNITS = np.dtype("<i4")
_MOST_CLASSES = 1024


def quantise(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Scores in units of QUANTUM, same shape; what is no number counts as the largest."""
    finite = np.nan_to_num(scores.astype(np.float64), nan=np.inf, posinf=np.inf, neginf=-np.inf)
    return np.clip(np.rint(finite / QUANTUM), -(2**31), 2**31 - 1).astype(np.int32)


def encode_tiles(request: pb.ClassifyRequest | pb.ScoreRequest, tiles: Tiles) -> bytes:
    """A request that has all but its tiles, (N, channels, size, size), with them, as it goes over the wire.

    Fields of one message may lie in several pieces, which a reader merges; so the tiles' bytes go to their place at
    once, where setting the field, serialising and the message around it would each copy them.
    """
    count, channels, size, _ = tiles.shape
    shape = pb.Tiles(count=count, channels=channels, size=size, dtype=_DTYPES[str(tiles.dtype)]).SerializeToString()
    data = np.ascontiguousarray(tiles).reshape(-1).view(np.uint8).data
    inner = _key(pb.Tiles, "data") + _varint(len(data))
    outer = _key(type(request), "tiles") + _varint(len(shape) + len(inner) + len(data))
    return b"".join((request.SerializeToString(), outer, shape, inner, data))


def _key(message: type[Message], field: str) -> bytes:
    """What announces a field of bytes or a message inside another."""
    return _varint(message.DESCRIPTOR.fields_by_name[field].number << 3 | 2)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def tiles_from(message: pb.Tiles) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    """The message's tiles, (N, channels, size, size), over the message's own bytes; BadInput if sizes disagree."""
    dtype = _NUMPY[known("tiles dtype", _DTYPES_BACK, message.dtype)]
    shape = (message.count, message.channels, message.size, message.size)
    expected, data = math.prod(shape) * dtype.itemsize, message.data  # each look at it makes a copy
    if expected != len(data) or expected == 0:
        raise BadInput(f"tiles: expected {expected} bytes for {shape} {dtype.name}, got {len(data)}")
    return np.frombuffer(data, dtype=dtype).reshape(shape)


def descriptors_to(descriptors: npt.NDArray[np.float32], backbone_sha256: str) -> pb.Descriptors:
    """(N, width) descriptors as a message."""
    count, width = descriptors.shape
    data = descriptors.astype(_NUMPY["float32"], copy=False).tobytes()
    return pb.Descriptors(count=count, width=width, backbone_sha256=backbone_sha256, data=data)


def descriptors_from(message: pb.Descriptors) -> npt.NDArray[np.float32]:
    """The message's descriptors, (N, width), over the message's own bytes; BadInput if sizes disagree."""
    expected, data = message.count * message.width * _NUMPY["float32"].itemsize, message.data
    if expected != len(data) or expected == 0:
        shape = (message.count, message.width)
        raise BadInput(f"descriptors: expected {expected} bytes for {shape} float32, got {len(data)}")
    return np.frombuffer(data, dtype=_NUMPY["float32"]).reshape(message.count, message.width)


def maps_to(maps: npt.NDArray[np.float32]) -> pb.Maps:
    """(N, side, side) maps of 0 to 1 as a message, in 256 steps; what is no number counts as 0."""
    count, side, _ = maps.shape
    steps = np.rint(np.clip(np.nan_to_num(maps, nan=0.0), 0, 1) * 255).astype(np.uint8)
    return pb.Maps(count=count, side=side, data=steps.tobytes())


def maps_from(message: pb.Maps) -> npt.NDArray[np.uint8]:
    """The message's maps, (N, side, side) uint8, over the message's own bytes; BadInput if sizes disagree."""
    expected = message.count * message.side**2
    if expected != len(message.data) or expected == 0:
        shape = (message.count, message.side, message.side)
        raise BadInput(f"maps: expected {expected} bytes for {shape} uint8, got {len(message.data)}")
    return np.frombuffer(message.data, dtype=np.uint8).reshape(message.count, message.side, message.side)


def units_to(units: npt.NDArray[np.int32]) -> bytes:
    return units.astype(_UNITS, copy=False).tobytes()


def units_from(data: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Scores in units of QUANTUM; BadInput if the bytes do not fill the shape."""
    if len(data) != math.prod(shape) * _UNITS.itemsize:
        raise BadInput(f"scores: expected {shape} int32, got {len(data)} bytes")
    return np.frombuffer(data, dtype=_UNITS).reshape(shape)


def spec_to(spec: ModelSpec) -> pb.DescribeResponse:
    clahe, given = spec.input.clahe, spec.descriptors
    return pb.DescribeResponse(
        model=str(spec.ref),
        kind=spec.kind.value,
        input=pb.InputSpec(
            size=spec.input.size,
            channels=spec.input.channels,
            dtype=_DTYPES[spec.input.dtype],
            mean=spec.input.mean,
            std=spec.input.std,
            clahe=pb.Clahe(clip_limit=clahe.clip_limit, grid=clahe.grid) if clahe else None,
        ),
        classes=spec.classes,
        sha256=spec.sha256,
        engine=spec.engine,
        descriptors=pb.DescriptorSpec(width=given.width, backbone_sha256=given.backbone_sha256) if given else None,
        map_side=spec.map_side or 0,
    )


def spec_from(message: pb.DescribeResponse) -> ModelSpec:
    given, descriptors = message.input, message.descriptors
    return ModelSpec(
        ref=ModelRef.parse(message.model),
        kind=known("model kind", _KINDS, message.kind),
        input=InputSpec(
            size=given.size,
            channels=given.channels,
            dtype=known("tiles dtype", _DTYPES_BACK, given.dtype),
            mean=tuple(given.mean),
            std=tuple(given.std),
            clahe=Clahe(given.clahe.clip_limit, given.clahe.grid) if given.HasField("clahe") else None,
        ),
        classes=tuple(check_label("class", label) for label in few("classes", message.classes, _MOST_CLASSES)),
        sha256=shown(message.sha256, 64),
        engine=shown(message.engine),
        descriptors=(
            DescriptorSpec(descriptors.width, descriptors.backbone_sha256) if message.HasField("descriptors") else None
        ),
        map_side=message.map_side or None,
    )
