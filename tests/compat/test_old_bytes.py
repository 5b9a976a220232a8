"""What an older version left in Redis comes to the same verdicts today; what a later one may add is passed over.

`tests/compat/VERSION/` holds what that version wrote, by its own `record.py`. Those files never change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import redis
from redis_servers import binaries, server

import line_snapshot
from compat_cases import DONE, HALF, LINE, Crew
from stripwatch.domain.result import Outcome
from stripwatch.ports import Kind, LineState, Stream
from stripwatch.rpc.codec.frames import decode_header
from stripwatch.rpc.codec.results import decode_result
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.stream import connect
from stripwatch.stream.redis.client import VERSION
from stripwatch.testing.golden import IGNORED, compare

HERE = Path(__file__).parent
RELEASES = sorted(path.parent.name for path in HERE.glob("*/line.json"))
LATER = b"\x82\x7d\x05later"
"""Field 2000 of a message: length-delimited, five bytes."""
MESSAGES = ("start", "pins", "b")
"""Fields of hashes and entries that hold one message; a camera's end is in `end:CAMERA`."""


@pytest.fixture(scope="module", params=["7", "8"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    binary = binaries().get(request.param)
    if binary is None:
        pytest.skip(f"no Redis {request.param} here (make system)")
    with server(binary, tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture
def raw(port: int) -> redis.Redis:
    client = redis.Redis(port=port)
    client.flushall()
    client.function_flush()
    return client


@pytest.fixture
def stream(raw: redis.Redis, port: int) -> Iterator[Stream]:
    found = connect(f"redis://127.0.0.1:{port}")
    yield found
    found.close()


def read(release: str, name: str) -> dict[str, Any]:
    return dict(json.loads((HERE / release / name).read_text()))


def check(release: str, stream: Stream) -> None:
    """That today's services make of the line what its own version made of it."""
    expected, got = read(release, "verdicts.json")["verdicts"], Crew(stream).finish()
    assert set(got) == set(expected)
    for strip, verdict in expected.items():
        assert compare(verdict, got[strip], IGNORED | {"$.later"}) is None


@pytest.mark.parametrize("release", RELEASES)
def test_what_an_older_version_left_comes_to_the_verdicts_that_it_would_have_made(
    release: str, raw: redis.Redis, stream: Stream
) -> None:
    line_snapshot.put(raw, read(release, "line.json")["keys"])
    check(release, stream)
    assert raw.xlen("sw:{line1}:frames") == raw.xlen("sw:{line1}:results") == 0


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_later_version_may_add_is_passed_over(release: str, raw: redis.Redis, stream: Stream) -> None:
    line_snapshot.put(raw, with_more(read(release, "line.json")["keys"]))
    check(release, stream)
    assert [letter.reason for letter in stream.line(LINE).dead.page(10)] == [
        "expected a PNG file, got one that begins with 6e 6f 20 70"
    ]


def with_more(keys: line_snapshot.Snapshot) -> line_snapshot.Snapshot:
    """The same line by a version that knows more: fields in entries and hashes, in messages and in events."""
    more = deepcopy(keys)
    for known in more.values():
        if known["type"] == "hash":
            known["holds"] = _longer(known["holds"])
        elif known["type"] == "stream":
            known["holds"]["entries"] = {one: _longer(fields) for one, fields in known["holds"]["entries"].items()}
    return more


def _longer(fields: dict[str, str]) -> dict[str, str]:
    longer = dict(fields)
    for name, value in fields.items():
        if name in MESSAGES or name.startswith("end:"):
            longer[name] = line_snapshot.text_of(line_snapshot.bytes_of(value) + LATER)
        elif name == "j":
            longer[name] = json.dumps(json.loads(line_snapshot.bytes_of(value)) | {"later": {"what": 1}})
    return longer | {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "later": "1"}


@pytest.mark.parametrize("release", RELEASES)
def test_every_kind_of_entry_of_an_older_version_can_be_looked_at(
    release: str, raw: redis.Redis, stream: Stream
) -> None:
    line_snapshot.put(raw, read(release, "line.json")["keys"])
    line = stream.line(LINE)
    assert line.source.state() is LineState.DRAINING
    frames = line.frames.claim("me", 1000, 100) + line.frames.read("me", 100, 0)
    assert {entry.kind for entry in frames} == {Kind.START, Kind.FRAME, Kind.END}
    assert {decode_header(entry.body).camera for entry in frames if entry.kind is Kind.FRAME} == {"cam1"}
    results = line.results.claim("me", 1000, 100) + line.results.read("me", 100, 0)
    judged = [decode_result(entry.body) for entry in results if entry.kind is Kind.RESULT]
    assert {one.outcome for one in judged} == {Outcome.JUDGED}
    (letter,) = line.dead.page(10)
    assert (letter.origin, letter.entry.run, letter.entry.pixels) == ("frames", HALF, b"no picture")
    assert line.dead.requeue(letter.id)
    assert line.frames.read("me", 10, 0)[0].body == letter.entry.body
    assert {one.event.run for one in line.alarms.since("", 10, 0)} == {DONE, HALF}
    (verdict,) = line.verdicts.since("", 10, 0)
    assert decode_verdict(verdict.event.body).run == DONE
    state = line.runs.state(HALF)
    assert state is not None
    assert len(state.flagged) == 3
    assert set(state.failures) == {("cam1", 6)}


@pytest.mark.parametrize("release", RELEASES)
def test_functions_of_two_versions_stand_side_by_side_whoever_comes_last(
    release: str, raw: redis.Redis, stream: Stream
) -> None:
    text = (HERE / release / "functions.lua").read_text(encoding="utf-8")
    version = hashlib.sha256(text.encode()).hexdigest()[:8]
    stream.line(LINE)
    if version != VERSION:  # a rollback: the older one comes after the newer
        raw.function_load(text.replace("@VERSION@", version))
    libraries = {one[1].decode() for one in raw.function_list()}
    assert libraries == {f"stripwatch_{version}", f"stripwatch_{VERSION}"}
    for one in (version, VERSION):
        assert raw.fcall_ro(f"sw_{one}_now", 1, f"sw:{{{LINE}}}:state") > 0
    with pytest.raises(redis.ResponseError, match="already exists"):
        raw.function_load(text.replace("@VERSION@", version))
