"""How a recording is laid out: an MCAP file whose messages are ours, each kind with its schema inside.

Topics: `LINE/start`, `LINE/CAMERA/frame`, `LINE/CAMERA/end`. Messages stand in the order of the stream, and their
sequence counts them through the whole file. Log time is the time of capture; a marker has that of what came before.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

from stripwatch.ports import Kind, Outgoing
from stripwatch.rpc.codec.frames import run_from
from stripwatch.rpc.codec.wire import parse
from stripwatch.rpc.v1 import frame_pb2 as pb

PROFILE = "stripwatch.1"
MESSAGES: dict[Kind, type[Message]] = {Kind.START: pb.RunStart, Kind.FRAME: pb.Frame, Kind.END: pb.CameraEnd}
SCHEMAS = {kind: message.DESCRIPTOR.full_name for kind, message in MESSAGES.items()}
KINDS = {name: kind for kind, name in SCHEMAS.items()}


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a recording: what went by on the stream, when it was captured and when published (UTC, ns)."""

    entry: Outgoing
    log_time_ns: int
    published_ns: int


def descriptors() -> bytes:
    """The schema of all messages, as MCAP wants it for protobuf."""
    proto = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(proto)
    return FileDescriptorSet(file=[proto]).SerializeToString(deterministic=True)


def topic(entry: Outgoing, camera: str) -> str:
    line = entry.run.line
    return f"{line}/start" if entry.kind is Kind.START else f"{line}/{camera}/{entry.kind.value}"


def pack(entry: Outgoing) -> bytes:
    """The entry as one message."""
    if entry.kind is not Kind.FRAME:
        return entry.body
    frame = pb.Frame(header=parse(pb.FrameHeader, entry.body), pixels=entry.pixels)
    return frame.SerializeToString(deterministic=True)


def unpack(kind: Kind, data: bytes) -> Outgoing:
    """The entry in a message, byte for byte as it went by; BadInput if it is none."""
    if kind is Kind.FRAME:
        frame = parse(pb.Frame, data)
        body = frame.header.SerializeToString(deterministic=True)
        return Outgoing(kind, run_from(frame.header.run), body, frame.pixels)
    if kind is Kind.START:
        return Outgoing(kind, run_from(parse(pb.RunStart, data).run), data)
    return Outgoing(kind, run_from(parse(pb.CameraEnd, data).run), data)
