"""Frame headers and run markers as protobuf."""

from __future__ import annotations

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, FrameHeader, IndexRange, RunId
from stripwatch.domain.names import shown
from stripwatch.domain.strip import MAX_CAMERAS, MAX_SHED, CameraEnd, RunStart, Shed
from stripwatch.rpc.codec.wire import few, known, parse
from stripwatch.rpc.v1 import frame_pb2 as pb

SIDES = {Side.TOP: pb.SIDE_TOP, Side.BOTTOM: pb.SIDE_BOTTOM}
SIDES_BACK = {int(value): key for key, value in SIDES.items()}
_ENCODINGS = {Encoding.RAW: pb.ENCODING_RAW, Encoding.PNG: pb.ENCODING_PNG, Encoding.JPEG: pb.ENCODING_JPEG}
_ENCODINGS_BACK = {int(value): key for key, value in _ENCODINGS.items()}

_MOST_HEADER_BYTES = 4 << 10
_MOST_START_BYTES = 64 << 10
_MOST_END_BYTES = 8 << 20


def run_to(run: RunId) -> pb.RunId:
    return pb.RunId(line=run.line, strip=run.strip, run=run.run)


def run_from(message: pb.RunId) -> RunId:
    return RunId(message.line, message.strip, message.run)


def side_from(value: int) -> Side:
    return known("side", SIDES_BACK, value)


def box_to(box: Box) -> pb.Box:
    return pb.Box(x_mm=box.x_mm, y_mm=box.y_mm, length_mm=box.length_mm, width_mm=box.width_mm)


def box_from(message: pb.Box) -> Box:
    return Box(message.x_mm, message.y_mm, message.length_mm, message.width_mm)


def ranges_to(frames: IndexRange) -> pb.IndexRange:
    return pb.IndexRange(first=frames.first, last=frames.last)


def ranges_from(message: pb.IndexRange) -> IndexRange:
    return IndexRange(message.first, message.last)


def header_to(header: FrameHeader) -> pb.FrameHeader:
    return pb.FrameHeader(
        run=run_to(header.run),
        camera=header.camera,
        side=SIDES[header.side],
        index=header.index,
        x_mm=header.x_mm,
        y_mm=header.y_mm,
        mm_per_px=header.mm_per_px,
        captured_at_ns=header.captured_at_ns,
        height=header.height,
        width=header.width,
        encoding=_ENCODINGS[header.encoding],
    )


def header_from(message: pb.FrameHeader) -> FrameHeader:
    return FrameHeader(
        run=run_from(message.run),
        camera=message.camera,
        side=side_from(message.side),
        index=message.index,
        x_mm=message.x_mm,
        y_mm=message.y_mm,
        mm_per_px=message.mm_per_px,
        captured_at_ns=message.captured_at_ns,
        height=message.height,
        width=message.width,
        encoding=known("encoding", _ENCODINGS_BACK, message.encoding),
    )


def encode_header(header: FrameHeader) -> bytes:
    return header_to(header).SerializeToString(deterministic=True)


def decode_header(body: bytes) -> FrameHeader:
    return header_from(parse(pb.FrameHeader, body, _MOST_HEADER_BYTES))


def encode_start(start: RunStart) -> bytes:
    message = pb.RunStart(
        run=run_to(start.run),
        cameras=[
            pb.Camera(
                name=camera.name,
                side=SIDES[camera.side],
                frame_length_mm=camera.frame_length_mm,
                frame_width_mm=camera.frame_width_mm,
            )
            for camera in start.cameras
        ],
        recipe=start.recipe,
        width_mm=start.width_mm,
        length_mm=start.length_mm,
        started_at_ns=start.started_at_ns,
        simulated=start.simulated,
        live=start.live,
    )
    return message.SerializeToString(deterministic=True)


def decode_start(body: bytes) -> RunStart:
    message = parse(pb.RunStart, body, _MOST_START_BYTES)
    return RunStart(
        run=run_from(message.run),
        cameras=tuple(
            Camera(camera.name, side_from(camera.side), camera.frame_length_mm, camera.frame_width_mm)
            for camera in few("cameras", message.cameras, MAX_CAMERAS)
        ),
        recipe=message.recipe,
        width_mm=message.width_mm,
        length_mm=message.length_mm if message.HasField("length_mm") else None,
        started_at_ns=message.started_at_ns,
        simulated=message.simulated,
        live=message.live,
    )


def encode_end(end: CameraEnd) -> bytes:
    message = pb.CameraEnd(
        run=run_to(end.run),
        camera=end.camera,
        frames=end.frames,
        shed=[pb.Shed(frames=ranges_to(shed.frames), reason=shown(shed.reason)) for shed in end.shed],
    )
    return message.SerializeToString(deterministic=True)


def decode_end(body: bytes) -> CameraEnd:
    message = parse(pb.CameraEnd, body, _MOST_END_BYTES)
    return CameraEnd(
        run=run_from(message.run),
        camera=message.camera,
        frames=message.frames,
        shed=tuple(
            Shed(ranges_from(shed.frames), shown(shed.reason)) for shed in few("shed ranges", message.shed, MAX_SHED)
        ),
    )
