"""A graph's file before an engine sees it: it names no other file and no operator of somebody's own.

An engine that is given bytes still opens the files they name: OpenVINO 2026.4 takes weights from any file under the
working folder, ONNX Runtime 1.32 follows some and refuses others. No hash covers those files, so none is ever opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from stripwatch.errors import ModelInvalid

_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml"})

# What of onnx.proto matters here, by name and number of the field; the rest of a file is passed over unread.
_TEXT, _NUMBER = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES, descriptor_pb2.FieldDescriptorProto.TYPE_INT32
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
_ONE, _MANY = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL, descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
_OUTLINE: dict[str, dict[str, tuple[int, int | str, Any]]] = {
    "Model": {"graph": (7, "Graph", _ONE), "training": (20, "Training", _MANY), "functions": (25, "Function", _MANY)},
    "Training": {"initialization": (1, "Graph", _ONE), "algorithm": (2, "Graph", _ONE)},
    "Function": {"node": (7, "Node", _MANY), "attribute": (11, "Attribute", _MANY)},
    "Graph": {"node": (1, "Node", _MANY), "initializer": (5, "Tensor", _MANY), "sparse": (15, "Sparse", _MANY)},
    "Node": {"op_type": (4, _TEXT, _ONE), "attribute": (5, "Attribute", _MANY), "domain": (7, _TEXT, _ONE)},
    "Attribute": {
        "t": (5, "Tensor", _ONE),
        "g": (6, "Graph", _ONE),
        "tensors": (10, "Tensor", _MANY),
        "graphs": (11, "Graph", _MANY),
        "sparse": (22, "Sparse", _ONE),
        "sparses": (23, "Sparse", _MANY),
    },
    "Sparse": {"values": (1, "Tensor", _ONE), "indices": (2, "Tensor", _ONE)},
    "Tensor": {
        "name": (8, _TEXT, _ONE),
        "external_data": (13, "Entry", _MANY),
        "data_location": (14, _NUMBER, _ONE),
    },
    "Entry": {"key": (1, _TEXT, _ONE), "value": (2, _TEXT, _ONE)},
}


def check(model: str, graph: bytes) -> None:
    """ModelInvalid unless the bytes are one ONNX graph that stands alone, of standard operators."""
    outline: Any = _Model()
    try:
        outline.ParseFromString(graph)
    except DecodeError as error:
        raise ModelInvalid(f"model {model}: expected an ONNX graph, got something else") from error
    if not outline.graph.node:
        raise ModelInvalid(f"model {model}: expected an ONNX graph, got something without operators")
    for kind, part in _parts(outline):
        if kind == "Tensor" and (part.external_data or part.data_location):
            named = next((entry.value for entry in part.external_data if entry.key == b"location"), b"")
            raise ModelInvalid(
                f"model {model}: expected all weights inside its graph, got {_shown(part.name)} in a file of its own: "
                f"{_shown(named)}"
            )
        if kind == "Node" and part.domain.decode(errors="replace") not in _STANDARD:
            raise ModelInvalid(
                f"model {model}: expected operators of ONNX only, got {_shown(part.op_type)} of {_shown(part.domain)}"
            )


def _parts(message: Message) -> Iterator[tuple[str, Any]]:
    """The message and all that lies in it, however deep, by the name of its kind."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        yield part.DESCRIPTOR.name, part
        for field, value in part.ListFields():
            if field.message_type is not None:
                waiting += value if field.is_repeated else [value]


def _shown(text: bytes) -> str:
    return repr(text.decode(errors="replace")[:80])


def _outline() -> type[Message]:
    """The message class of an ONNX model, of the fields above."""
    file = descriptor_pb2.FileDescriptorProto(name="stripwatch/onnx_outline.proto", package="stripwatch.onnx_outline")
    for name, fields in _OUTLINE.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, label) in fields.items():
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _MESSAGE, f".{file.package}.{kind}"
            else:
                added.type = cast(Any, kind)  # an enum's number
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Model"))


_Model = _outline()
