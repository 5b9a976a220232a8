"""The messages of an MCAP file in their order, each chunk unpacked only as far as it says it goes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import IO

import zstandard
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, Header, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader

from stripwatch.errors import BadInput
from stripwatch.recording.layout import PROFILE

_LARGEST_RECORD = 128 << 20
"""A chunk ends with the message that fills it: a frame of the most pixels fits, as noise or raw."""
_ZSTD_WINDOW = 1 << 27

Found = tuple[Schema | None, Channel, Message]


def messages(file: IO[bytes]) -> Iterator[Found]:
    """BadInput for another profile or chunks of another kind than ours; else what mcap and zstandard raise."""
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in _records(file):
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message):
            channel = channels.get(record.channel_id)
            if channel is None:
                raise McapError(f"message of channel {record.channel_id}, which is not there")
            yield schemas.get(channel.schema_id), channel, record


def _records(file: IO[bytes]) -> Iterator[McapRecord]:
    # mcap unpacks a chunk to whatever it holds, and keeps all its records at once: a small file could be any size.
    reader = StreamReader(file, emit_chunks=True, validate_crcs=True, record_size_limit=_LARGEST_RECORD)
    for number, record in enumerate(reader.records):
        if number == 0:
            profile = record.profile if isinstance(record, Header) else "none"
            if profile != PROFILE:
                raise BadInput(f"expected a recording of profile {PROFILE!r}, got {profile[:80]!r}")
        if isinstance(record, Chunk):
            yield from _within(_unpacked(record))
        else:
            yield record


def _unpacked(chunk: Chunk) -> bytes:
    said = chunk.uncompressed_size
    if said > _LARGEST_RECORD:
        raise BadInput(f"expected chunks of at most {_LARGEST_RECORD} bytes, got one of {said}")
    if chunk.compression == "zstd":
        plain = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        with plain.stream_reader(chunk.data) as stream:
            data = bytes(stream.read(said + 1))
    elif chunk.compression == "":
        data = chunk.data
    else:
        raise BadInput(f"expected chunks packed with zstd or not at all, got {chunk.compression[:80]!r}")
    if len(data) != said:
        raise BadInput(f"expected a chunk of {said} bytes as it says, got {min(len(data), said + 1)} or more")
    if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
        raise BadInput("the checksum of a chunk is wrong")
    return data


def _within(data: bytes) -> Iterator[McapRecord]:
    stream = io.BytesIO(data)
    records = StreamReader(stream, skip_magic=True, record_size_limit=len(data)).records
    while stream.tell() < len(data):
        record = next(records, None)
        if isinstance(record, Chunk) or record is None:
            raise BadInput("expected schemas, channels and messages in a chunk, got something else")
        yield record
