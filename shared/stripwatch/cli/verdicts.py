"""`stripwatch verdicts`: what became of the strips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from stripwatch.cli.attended import Vigil, warn_unattended
from stripwatch.cli.show import console, emit
from stripwatch.cli.verdict_rows import columns_for, head_line, live_line, summary_table
from stripwatch.cli.where import JsonOption, LineOption, RedisOption, open_line
from stripwatch.errors import BadInput
from stripwatch.ports import Published
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.runtime.lifecycle import Lifecycle

_BATCH = 100
_NEWEST = 20
_NEWEST_BEFORE_THOSE_TO_COME = 5


def verdicts(
    redis: RedisOption = None,
    line: LineOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and show each verdict as it comes")] = False,
    cursor: Annotated[
        str | None, typer.Option(help="Those after this place (as --json gives it); 0: from the oldest kept")
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many of the newest, where no cursor is given "
            f"[default: {_NEWEST}, with --follow {_NEWEST_BEFORE_THOSE_TO_COME}]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The newest verdicts, or all as they come.

    With a cursor those after it; --follow stays for those to come (--json: one a line).
    """
    with open_line(redis, line) as streams:
        if cursor is None:
            newest = count or (_NEWEST_BEFORE_THOSE_TO_COME if follow else _NEWEST)
            found = list(reversed(streams.verdicts.page("", newest)))
            place = found[-1].cursor if found else streams.verdicts.latest()
        else:
            found = streams.verdicts.since(cursor, _BATCH, 0)
            while more := streams.verdicts.since(found[-1].cursor, _BATCH, 0) if found else []:
                found += more
            place = found[-1].cursor if found else cursor
        if not follow:
            warn_unattended(streams)
            show(found, as_json=as_json)
            return
        out = console()
        columns = columns_for(out.width)
        if not as_json:
            out.print(head_line(columns), soft_wrap=True)
        lifecycle = Lifecycle()
        lifecycle.listen()
        vigil = Vigil(streams)
        while True:
            vigil.look()
            for one in found:
                if as_json:
                    emit(document(one))
                else:
                    out.print(live_line(decode_verdict(one.event.body), columns), soft_wrap=True)
            if not lifecycle.running:
                return
            found = streams.verdicts.since(place, _BATCH, 500)
            place = found[-1].cursor if found else place


def document(one: Published) -> dict[str, Any]:
    """A verdict for machines: its CloudEvent, and the cursor to resume after it."""
    try:
        return {"cursor": one.cursor, "event": json.loads(one.event.json)}
    except ValueError as error:
        raise BadInput(f"verdict at {one.cursor}: expected a CloudEvent in JSON, got none: {error}") from error


def show(found: Sequence[Published], *, as_json: bool) -> None:
    out = console()
    if as_json:
        emit([document(one) for one in found])
    elif found:
        out.print(summary_table([decode_verdict(one.event.body) for one in found], out.width))
    else:
        out.print("no verdicts yet")
