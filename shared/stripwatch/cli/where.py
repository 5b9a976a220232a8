"""Where the pipeline is: by option, by environment, else the one that `stripwatch up` runs here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from stripwatch.errors import BadInput, NotFound, SettingsInvalid
from stripwatch.local.state import UpState, read_state
from stripwatch.ports import LineStream
from stripwatch.runtime.plaintext import exposed_target
from stripwatch.runtime.settings import RedisSettings, TransportSettings, load
from stripwatch.runtime.tls import TlsFiles
from stripwatch.stream import open_stream

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


def named_redis(given: str | None) -> RedisSettings | None:
    """The Redis that an option or the environment names, if one does."""
    if given and ("@" in given or "password=" in given):
        raise BadInput(
            "--redis: expected an address without user and password, as everybody can read a command line; "
            "put the whole address into STRIPWATCH_REDIS_URL, or into a file that STRIPWATCH_REDIS_URL_FILE names"
        )
    found = load(RedisSettings, redis_url=given) if given else load(RedisSettings)
    return found if "redis_url" in found.model_fields_set and found.redis_url.get_secret_value() else None


def redis_settings(given: str | None) -> RedisSettings:
    """How to reach Redis; NotFound says how to name one."""
    named = named_redis(given)
    if named:
        return named
    state = here()
    if state is None:
        raise NotFound("no pipeline runs in this folder: start one with `stripwatch up`, or name a Redis with --redis")
    return load(RedisSettings, redis_url=state.redis_url)


def redis_address(given: str | None) -> str:
    """The address to use, with its password."""
    return redis_settings(given).redis_url.get_secret_value()


def tls_to(service: str) -> TlsFiles | None:
    """The files for TLS to a service at HOST:PORT; SettingsInvalid if it would be plain text to another machine."""
    given = load(TransportSettings)
    try:
        given.refuse_plaintext("service", exposed_target(service))
    except ValueError as error:
        raise SettingsInvalid(str(error)) from None
    return given.tls


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
    stream = open_stream(redis_settings(redis))
    try:
        yield stream.line(line_name(line))
    finally:
        stream.close()
