"""`stripwatch dead`: what could not be processed, and putting it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from stripwatch.cli.show import console, emit, table
from stripwatch.cli.where import JsonOption, LineOption, RedisOption, open_line
from stripwatch.errors import BadInput, NotFound, StripwatchError
from stripwatch.ports import DeadLetter, Kind, LineStream
from stripwatch.rpc.codec.frames import decode_header
from stripwatch.rpc.codec.results import decode_result

app = typer.Typer(help="What could not be processed, and why.", no_args_is_help=True)

MOST = 10_000


@app.command("list")
def list_(
    redis: RedisOption = None,
    line: LineOption = None,
    count: Annotated[int, typer.Option(min=1, max=MOST, help="How many to look at, the newest first")] = 1000,
    every: Annotated[bool, typer.Option("--all", help="Each of them, not one row for each reason")] = False,
    as_json: JsonOption = False,
) -> None:
    """The newest dead letters, by reason."""
    with open_line(redis, line) as streams:
        letters = [facts(letter) for letter in streams.dead.page(count)]
    if as_json:
        emit(letters)
    elif not letters:
        console().print("no dead letters")
    else:
        more = " or more" if len(letters) == count else ""
        console().print(f"dead letters: {len(letters)}{more}\n")
        console().print(every_letter(letters) if every else by_reason(letters))


@app.command()
def show(letter_id: str, redis: RedisOption = None, line: LineOption = None, as_json: JsonOption = False) -> None:
    """One dead letter."""
    with open_line(redis, line) as streams:
        found = facts(find(streams, letter_id))
    if as_json:
        emit(found)
    else:
        console().print(table(("", ""), [(key, str(value)) for key, value in found.items()]))


@app.command()
def requeue(
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them")] = False,
    redis: RedisOption = None,
    line: LineOption = None,
) -> None:
    """Puts dead letters back at the end of the stream they came from."""
    if bool(letter_ids) == every:
        raise BadInput("dead requeue: name one or more ids, or --all")
    with open_line(redis, line) as streams:
        ids = [letter.id for letter in streams.dead.page(MOST)] if every else letter_ids or []
        for letter_id in reversed(ids) if every else ids:
            if not streams.dead.requeue(letter_id):
                raise NotFound(f"dead letter {letter_id}: there is none of that id on line {streams.line}")
    console().print(f"put back: {len(ids)}")


def every_letter(letters: Sequence[dict[str, Any]]) -> Table:
    rows = [(one["id"], one["run"], one["what"], one["reason"]) for one in letters]
    return table(("id", "run", "what", "reason"), rows)


def by_reason(letters: Sequence[dict[str, Any]]) -> Table:
    """A row for each reason: how often, and the first letter of it."""
    alike: dict[str, list[dict[str, Any]]] = {}
    for one in reversed(letters):
        alike.setdefault(one["reason"], []).append(one)
    rows = [(str(len(some)), some[0]["id"], some[0]["run"], some[0]["what"], why) for why, some in alike.items()]
    return table(("count", "first id", "run", "what", "reason"), rows, right=("count",))


def find(streams: LineStream, letter_id: str) -> DeadLetter:
    """The letter of that id; NotFound."""
    for letter in streams.dead.page(MOST):
        if letter.id == letter_id:
            return letter
    raise NotFound(f"dead letter {letter_id}: there is none of that id on line {streams.line}")


def facts(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as plain values."""
    entry = letter.entry
    return {
        "id": letter.id,
        "run": f"{entry.run.strip}/{entry.run.run}",
        "what": _what(letter),
        "reason": letter.reason,
        "origin": letter.origin,
        "bytes": len(entry.body) + len(entry.pixels),
    }


def _what(letter: DeadLetter) -> str:
    """The entry in words: a dead one may well be unreadable."""
    entry = letter.entry
    try:
        if entry.kind is Kind.FRAME:
            header = decode_header(entry.body)
            return f"frame {header.camera}[{header.index}]"
        if entry.kind is Kind.RESULT:
            header = decode_result(entry.body).header
            return f"result {header.camera}[{header.index}]"
    except StripwatchError:
        return f"unreadable {entry.kind.value}"
    return entry.kind.value
