"""Where the pipeline is: by option, by environment, else the one that `stripwatch up` runs here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from stripwatch.errors import BadInput, NotFound
from stripwatch.local.state import UpState, read_state
from stripwatch.ports import LineStream
from stripwatch.stream import connect

RedisOption = Annotated[
    str | None,
    typer.Option("--redis", metavar="URL", help="Redis address [env: STRIPWATCH_REDIS_URL; else what `up` runs here]"),
]
LineOption = Annotated[
    str | None, typer.Option("--line", metavar="NAME", help="Rolling line [default: the first one that `up` runs]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines: JSON instead of a table")]

DEFAULT_LINE = "line1"


def here() -> UpState | None:
    """The pipeline that `stripwatch up` runs in this folder."""
    return read_state()


def redis_address(given: str | None) -> str:
    """The address to use; NotFound says how to name one."""
    named = given or os.environ.get("STRIPWATCH_REDIS_URL")
    if named:
        return named
    state = here()
    if state is None:
        raise NotFound("no pipeline runs in this folder: start one with `stripwatch up`, or name a Redis with --redis")
    return state.redis_url


def line_name(given: str | None) -> str:
    if given:
        return given
    state = here()
    return state.lines[0] if state else DEFAULT_LINE


def only_line(given: str | None) -> str:
    """The line to act on; BadInput where `up` runs several and none is named."""
    state = here()
    if given is None and state and len(state.lines) > 1:
        raise BadInput(f"name one of the lines that `up` runs: {', '.join(state.lines)}")
    return line_name(given)


@contextmanager
def open_line(redis: str | None, line: str | None) -> Iterator[LineStream]:
    """The line's streams, for the `with` block."""
    stream = connect(redis_address(redis))
    try:
        yield stream.line(line_name(line))
    finally:
        stream.close()
