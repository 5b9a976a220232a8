"""The server-side functions, read as text: an undeclared key would slip past the ACL and past a cluster's slots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from functions_text import CONTAINERS, Function, commands, functions, registered
from redis_servers import binaries, server

from stripwatch.domain.frame import RunId
from stripwatch.ports import Done, Event, Kind, LineStream, Outgoing, Record
from stripwatch.stream import connect

KEYLESS = {"TIME"}
SEVERAL = {"UNLINK", "DEL", "EXISTS"}
"""Commands all of whose arguments are keys; the key of any other is its first, of CONTAINERS their second."""
DECLARED = re.compile(r"keys\[(\d+|i)\]")
RUN = RunId("line1", "s1", "r1")


def keys_of(command: str, args: list[str]) -> list[str]:
    if command in KEYLESS:
        return []
    if command in SEVERAL:
        return args
    return args[1:2] if command in CONTAINERS else args[:1]


def from_keys(function: Function, text: str) -> bool:
    """Whether an expression can only be a declared key: keys[N], a name that is given one, or one of two such."""
    text = text.strip()
    if DECLARED.fullmatch(text):
        return True
    chosen = re.fullmatch(r".+ and (.+) or (.+)", text)
    if chosen:
        return all(from_keys(function, one) for one in chosen.groups())
    if not re.fullmatch(r"\w+", text):
        return False
    if text in function.parameters and text != "keys":
        return given_keys(function, function.parameters.index(text))
    if re.search(rf"for \w+, {text} in ipairs\(keys\)", function.body):
        return True
    given = [value for value in assigned(function, text) if value is not None]
    return bool(given) and all(from_keys(function, value) for value in given)


def assigned(function: Function, name: str) -> Iterator[str | None]:
    """What a local name is given; None where it is declared without a value."""
    for names, values in re.findall(r"local ([\w, ]+?) = (.+)", function.body):
        listed = [one.strip() for one in names.split(",")]
        if name in listed:
            yield split(values)[listed.index(name)] if len(split(values)) > listed.index(name) else None
    yield from (value for value in re.findall(rf"^\s*{name} = (.+)$", function.body, re.MULTILINE))


def split(values: str) -> list[str]:
    return Function("", (), f"list({values})").uses("list")[0]


def given_keys(function: Function, position: int) -> bool:
    """Whether every caller of a helper gives a declared key at that position."""
    uses = [(other, args) for other in functions().values() for args in other.uses(function.name)]
    return bool(uses) and all(from_keys(other, args[position]) for other, args in uses)


@pytest.mark.parametrize("name", functions())
def test_every_key_that_a_command_touches_was_declared(name: str) -> None:
    function = functions()[name]
    for command, args in function.calls():
        for key in keys_of(command, args):
            assert from_keys(function, key), f"{name}: {command} {key}"


def test_declared_keys_are_handed_on_as_they_came() -> None:
    for name, function in functions().items():
        callbacks = {callback for callback, _ in registered().values()}
        if "keys" in function.parameters and name not in callbacks:
            uses = [args for other in functions().values() for args in other.uses(name)]
            assert uses, name
            assert {args[function.parameters.index("keys")] for args in uses} == {"keys"}, name
        assert not re.search(r"\bkeys(\[.*\])? = ", function.body), name


def test_no_command_is_called_in_another_way_and_none_is_named_at_run_time() -> None:
    for name, function in functions().items():
        assert "redis.pcall" not in function.body, name
        assert function.body.count("redis.call") == len(function.calls()), name
        assert all(re.fullmatch("[A-Z]+", command) for command, _ in function.calls()), name


def test_a_reading_that_is_wrong_would_be_noticed() -> None:
    """The reader itself: each of these touches a key that nobody declared."""
    for body in (
        "  redis.call('GET', 'sw:{line1}:state')",
        "  redis.call('GET', args[1])",
        "  redis.call('GET', keys[1] .. ':more')",
        "  local key = 'sw:' .. args[1]\n  redis.call('GET', key)",
        "  redis.call('XGROUP', 'DELCONSUMER', args[1], 'g', 'c')",
        "  redis.call('UNLINK', keys[1], args[1])",
        "  redis.call('GET', args[1] == 'a' and keys[1] or args[2])",
    ):
        function = Function("wrong", ("keys", "args"), body)
        assert not all(from_keys(function, key) for command, args in function.calls() for key in keys_of(command, args))


def test_functions_without_the_right_to_write_only_read() -> None:
    reading = {name for name, (_, flags) in registered().items() if "no-writes" in flags}
    assert reading >= {"due", "now", "oldest", "deliveries", "backlog"}
    for name in reading:
        assert commands(name) <= {"time", "exists", "zrange", "xrange", "xlen", "xpending", "xinfo|groups"}, name


def test_what_frees_memory_runs_on_a_full_server_and_what_brings_frames_does_not() -> None:
    flags = {name: flags for name, (_, flags) in registered().items()}
    assert {name for name, given in flags.items() if not given} == {"start_run", "admit", "publish", "requeue"}


def calls_seen(monitor: Any) -> dict[str, set[tuple[str, ...]]]:
    """The keys of each call of a function that a server told of, until ECHO."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for one in monitor.listen():
        words = one["command"].split(" ")
        if words[0] == "ECHO":
            break
        if words[0] in ("FCALL", "FCALL_RO"):
            name = re.sub("^sw_[0-9a-f]{8}_", "", words[1])
            found.setdefault(name, set()).add(tuple(words[3 : 3 + int(words[2])]))
    return found


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    binary = next(iter(binaries().values()), None)
    if binary is None:
        pytest.skip("no Redis here (make system)")
    with server(binary, tmp_path_factory.mktemp("redis")) as found:
        yield found


def test_every_registered_function_is_called_with_keys_of_one_line(port: int) -> None:
    line = connect(f"redis://127.0.0.1:{port}").line("line1")
    raw = redis.Redis(port=port, decode_responses=True)
    with raw.monitor() as monitor:
        work_through(line)
        raw.echo("done")
        found = calls_seen(monitor)
    assert set(found) == set(registered())
    for name, calls in found.items():
        for keys in calls:
            assert keys, name
            assert all(key.startswith("sw:{line1}:") for key in keys), name


def work_through(line: LineStream) -> None:
    """Every step of every port that is a function."""
    line.source.hold("me", live=True, ttl_ms=1000)
    line.tap.lease("me", 1000)
    line.beats.beat("ingest", "me", 1000)
    line.source.start_run(RUN, b"start", cameras=["top"], live=True, deadline_ms=1000)
    frames = [Outgoing(Kind.FRAME, RUN, f"h{number}".encode(), b"p") for number in range(2)]
    line.source.publish([*frames, Outgoing(Kind.END, RUN, b"end")])
    line.source.waited_ms()
    start, first, second, end = line.frames.read("w", 10, 0)
    line.frames.keep("w", [first.id])
    line.frames.excuse("w", [first])
    line.frames.hand_back("w", [second.id])
    line.frames.claim("w", 0, 10)
    line.work.pin(RUN, b"pins")
    line.work.bury(Done(second.id, Kind.RESULT, RUN, b""), "undecodable")
    line.dead.requeue(line.dead.page(1)[0].id)
    line.work.finish([Done(one.id, Kind.RESULT, RUN, b"r") for one in (start, first, end)])
    results = line.results.read("a", 10, 0)
    line.runs.acknowledge([results[0].id])
    line.runs.record([Record(results[1].id, RUN, "top", 0, 1, 1)])
    line.runs.record_end(results[2].id, RUN, "top", b"end", 2, 0)
    line.runs.due(1)
    line.runs.attempt(RUN, 1)
    line.runs.alarm("hole", Event("a", RUN, b"{}", b""))
    state = line.runs.state(RUN)
    assert state is not None
    line.runs.postpone(RUN, state.revision, 1)
    line.runs.close(RUN, state.revision, Event("v", RUN, b"{}", b""))
    line.frames.backlog()
    line.frames.leave("w")
    line.tap.release("me")
