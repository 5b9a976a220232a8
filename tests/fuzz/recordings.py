"""Recordings: MCAP files, read from end to end."""

from __future__ import annotations

import io

from mcap.writer import CompressionType, Writer

from aggregator_cases import end, header, start
from fuzz.target import Target, scratch, told
from stripwatch.errors import BadInput
from stripwatch.ports import Kind, Outgoing
from stripwatch.recording import Recording
from stripwatch.recording.layout import PROFILE, SCHEMAS, descriptors, pack, topic
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start

_FILE = scratch() / "a.mcap"


def one(data: bytes) -> None:
    _FILE.write_bytes(data)
    try:
        recording = Recording(_FILE)
        for event in recording.events():
            str(event)
    except BadInput as error:
        told(error)


def recording(compression: CompressionType, *, checked: bool = True, chunked: bool = True) -> bytes:
    """A run of two frames."""
    out = io.BytesIO()
    writer = Writer(
        out,
        compression=compression,
        enable_crcs=checked,
        use_chunking=chunked,
        use_statistics=False,
        use_summary_offsets=False,
        repeat_schemas=False,
        repeat_channels=False,
    )
    writer.start(profile=PROFILE, library="")
    entries = [
        Outgoing(Kind.START, start().run, encode_start(start())),
        *(Outgoing(Kind.FRAME, start().run, encode_header(header(index)), b"pixels") for index in range(2)),
        Outgoing(Kind.END, start().run, encode_end(end(2))),
    ]
    for number, entry in enumerate(entries):
        schema = writer.register_schema(SCHEMAS[entry.kind], "protobuf", descriptors()[:40])
        channel = writer.register_channel(topic(entry, "c1"), "protobuf", schema)
        writer.add_message(channel, number, pack(entry), number, sequence=number)
    writer.finish()
    return out.getvalue()


def seeds() -> list[bytes]:
    # Without checksums a change gets further in.
    kinds = (CompressionType.NONE, CompressionType.ZSTD, CompressionType.LZ4)
    return [recording(kind, checked=checked) for kind in kinds for checked in (False, True)] + [
        recording(CompressionType.NONE, checked=False, chunked=False)
    ]


TARGET = Target("recordings", one, seeds)
