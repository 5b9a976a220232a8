"""What an entry of `frames` claims to be, checked before anything is done with it."""

from __future__ import annotations

from typing import Any

from stripwatch.domain.frame import FrameHeader
from stripwatch.errors import BadInput
from stripwatch.ports import Entry, Kind
from stripwatch.rpc.codec.frames import decode_end, decode_header, decode_start
from stripwatch.rpc.codec.results import encode_result
from stripwatch.runtime.logging import of_frame, of_run
from stripwatch_preprocess.judge import failed


def check(entry: Entry, max_deliveries: int) -> None:
    """BadInput for an entry that ended too many workers, that is of no kind we know, or is a broken marker."""
    if entry.deliveries > max_deliveries:
        raise BadInput(f"delivered {entry.deliveries} times without an outcome")
    if entry.kind is Kind.START:
        run = decode_start(entry.body).run
    elif entry.kind is Kind.END:
        run = decode_end(entry.body).run
    elif entry.kind is Kind.FRAME:
        return
    else:
        raise BadInput(f"expected a start, a frame or an end, got a {entry.kind.value}")
    if run != entry.run:
        raise BadInput(f"{entry.kind.value}: expected one of run {entry.run}, got one of {run}")


def header_of(entry: Entry) -> FrameHeader:
    """A frame's header; BadInput if it cannot be read, or is of another run than the entry says."""
    header = decode_header(entry.body)
    if header.run != entry.run:
        raise BadInput(f"frame: expected one of run {entry.run}, got one of {header.run}")
    return header


def failed_body(entry: Entry, reason: str) -> bytes:
    """The failed result of a frame; empty where it cannot be told which frame it is, and for markers."""
    if entry.kind is not Kind.FRAME:
        return b""
    try:
        return encode_result(failed(header_of(entry), reason))
    except BadInput:
        return b""


def told_of(entry: Entry) -> dict[str, Any]:
    """What a log says of an entry: which it is, and of which frame, if that can be told."""
    told = {**of_run(entry.run), "entry": entry.id, "kind": entry.kind.value}
    if entry.kind is not Kind.FRAME:
        return told
    try:
        return {**told, **of_frame(header_of(entry))}
    except BadInput:
        return told
