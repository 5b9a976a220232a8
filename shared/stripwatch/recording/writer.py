"""Writes a recording: to FILE.part, which becomes FILE only when it is whole and on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from mcap.writer import CompressionType, Writer

from stripwatch.errors import Conflict, StripwatchError
from stripwatch.ports import Kind, Outgoing
from stripwatch.recording.layout import PROFILE, SCHEMAS, descriptors, pack, topic
from stripwatch.rpc.codec.frames import decode_end, decode_header, decode_start

_CHUNK_BYTES = 4 << 20


class RecordingWriter:
    """Takes entries in the order of the stream. Leaving it with an error leaves no file behind."""

    def __init__(self, path: Path, suffix: str = ".part") -> None:
        self.path = path
        self.part = path.with_name(path.name + suffix)
        if path.exists():
            raise Conflict(f"{path}: exists already; a recording is never written over another")
        try:
            self._file = self.part.open("xb")
        except FileExistsError:
            raise Conflict(
                f"{self.part}: exists already; another recording is being written there, or one was cut short "
                f"(then delete it)"
            ) from None
        except OSError as error:
            raise StripwatchError(f"{self.part}: cannot be written: {error.strerror}") from error
        self._mcap = Writer(
            self._file, chunk_size=_CHUNK_BYTES, compression=CompressionType.ZSTD, enable_data_crcs=True
        )
        self._mcap.start(profile=PROFILE, library="stripwatch")
        schema = descriptors()
        self._schemas = {kind: self._mcap.register_schema(name, "protobuf", schema) for kind, name in SCHEMAS.items()}
        self._channels: dict[str, int] = {}
        self._log_time_ns = 0
        self.messages = 0

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self.discard()

    def write(self, entry: Outgoing, published_ns: int) -> None:
        """Adds an entry that went by at that time (UTC, ns); BadInput if its body is not what its kind says."""
        camera, at = _camera_and_time(entry)
        self._log_time_ns = max(self._log_time_ns, at)
        name = topic(entry, camera)
        channel = self._channels.get(name)
        if channel is None:
            channel = self._mcap.register_channel(name, "protobuf", self._schemas[entry.kind])
            self._channels[name] = channel
        try:
            self._mcap.add_message(
                channel, at or self._log_time_ns, pack(entry), publish_time=published_ns, sequence=self.messages
            )
        except OSError as error:
            raise StripwatchError(f"{self.part}: cannot be written: {error.strerror}") from error
        self.messages += 1

    def seal(self) -> None:
        """Nothing more will be written; the file can be read under its temporary name."""
        try:
            self._mcap.finish()  # type: ignore[no-untyped-call]  # mcap leaves out its `-> None`
            self._file.flush()
        except OSError as error:
            raise StripwatchError(f"{self.part}: cannot be written: {error.strerror}") from error

    def finish(self) -> None:
        """The file is whole: it gets its name, and is on the disk."""
        self.seal()
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self.part.rename(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StripwatchError(f"{self.part}: cannot be written: {error.strerror}") from error

    def discard(self) -> None:
        """Leaves nothing behind."""
        self._file.close()
        self.part.unlink(missing_ok=True)


def _camera_and_time(entry: Outgoing) -> tuple[str, int]:
    """The entry's camera, and its own time in ns (0: a marker that has none)."""
    if entry.kind is Kind.FRAME:
        header = decode_header(entry.body)
        return header.camera, header.captured_at_ns
    if entry.kind is Kind.START:
        return "", decode_start(entry.body).started_at_ns
    return decode_end(entry.body).camera, 0
