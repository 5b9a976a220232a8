"""The command line: its exit codes, its tables, its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stripwatch.cli import dead, line, recordings, verdicts, where
from stripwatch.cli.main import app
from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import Defect
from stripwatch.domain.frame import RunId
from stripwatch.domain.recipe import Disposition, Role
from stripwatch.domain.verdict import CameraAccount, StripVerdict
from stripwatch.errors import StreamUnavailable
from stripwatch.ports import Done, Event, Kind, LineStream, Outgoing
from stripwatch.rpc.codec.verdicts import encode_verdict
from stripwatch.stream.memory import MemoryStream

RECIPES = Path(where.__file__).parents[1] / "recipes"


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LineStream:
    """A line in memory, in place of the one that the commands would connect to."""
    found = MemoryStream().line("line1")

    @contextmanager
    def open_line(_redis: str | None, _line: str | None) -> Iterator[LineStream]:
        yield found

    monkeypatch.chdir(tmp_path)
    for module in (dead, line, recordings, verdicts):
        monkeypatch.setattr(module, "open_line", open_line)
    return found


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), env={"STRIPWATCH_REDIS_URL": "", "COLUMNS": "160"})


def verdict_of(strip: str, *defects: Defect) -> StripVerdict:
    return StripVerdict(
        run=RunId("line1", strip, "r1"),
        disposition=Disposition.REVIEW if defects else Disposition.ACCEPT,
        reasons=(),
        defects=defects,
        cameras=(CameraAccount("top-1", Side.TOP, 10, 10, (), True),),
        coverage=9_950,
        inspected_mm2=1,
        models=("steel/1",),
        spoke=frozenset(Role),
        recipe="hot-rolled",
        recipe_version="1",
        recipe_sha256="0",
        partial=False,
        simulated=True,
        started_at_ns=0,
        decided_at_ns=1_700_000_000_000_000_000,
    )


def publish(streams: LineStream, verdict: StripVerdict) -> None:
    streams.source.start_run(verdict.run, b"", cameras=["top-1"], live=False, deadline_ms=1000)
    state = streams.runs.state(verdict.run)
    assert state is not None
    document = json.dumps({"id": verdict.verdict_id, "data": {"partId": verdict.run.strip}}).encode()
    event = Event(verdict.verdict_id, verdict.run, document, encode_verdict(verdict))
    assert streams.runs.close(verdict.run, state.revision, event)


SCRATCH = Defect("scratches", Side.TOP, Box(1200, 100, 100, 100), 9_900, None, 1, ("top-1",))


def test_verdicts_are_a_table_for_people(streams: LineStream) -> None:
    publish(streams, verdict_of("coil-1"))
    publish(streams, verdict_of("coil-2", SCRATCH, SCRATCH))
    result = run("verdicts")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["strip", "run", "verdict", "defects", "coverage", "frames", "decided"]
    assert lines[2].split()[:4] == ["coil-1", "r1", "accept", "none"]
    assert "2 scratches" in lines[3]
    assert "99.5 %" in lines[3]
    assert "2023-11-14 22:13:20" in lines[3]


def test_verdicts_are_one_document_for_machines_and_a_cursor_resumes(streams: LineStream) -> None:
    publish(streams, verdict_of("coil-1"))
    publish(streams, verdict_of("coil-2"))
    found = json.loads(run("verdicts", "--json").stdout)
    assert [one["event"]["data"]["partId"] for one in found] == ["coil-1", "coil-2"]
    rest = json.loads(run("verdicts", "--json", "--cursor", found[0]["cursor"]).stdout)
    assert [one["event"]["data"]["partId"] for one in rest] == ["coil-2"]
    assert [one["cursor"] for one in json.loads(run("verdicts", "--json", "--count", "1").stdout)] == [
        found[1]["cursor"]
    ]


def test_a_cursor_beyond_the_end_is_a_fault_in_one_line(streams: LineStream) -> None:
    result = run("verdicts", "--cursor", "9999999999999-0")
    assert result.exit_code == 1
    assert "beyond the stream's last id" in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_verdicts_are_said(streams: LineStream) -> None:
    assert run("verdicts").stdout == "no verdicts yet\n"
    assert json.loads(run("verdicts", "--json").stdout) == []


def test_a_line_is_paused_drained_and_resumed(streams: LineStream) -> None:
    for command, state in (("pause", "paused"), ("drain", "draining"), ("resume", "running")):
        assert run("line", command, "line1").stdout == f"line1 is {state}\n"
        status = json.loads(run("line", "status", "line1", "--json").stdout)
        assert status["state"] == state
    assert status["frames"] == {"waiting": 0, "pending": 0}
    assert "open runs" in run("line", "status", "line1").stdout


def test_dead_letters_are_listed_shown_and_put_back(streams: LineStream) -> None:
    coil = RunId("line1", "coil", "r1")
    streams.source.start_run(coil, b"", cameras=["top-1"], live=False, deadline_ms=1000)
    streams.source.publish([Outgoing(Kind.FRAME, coil, b"\xff", b"pixels")])
    frame = streams.frames.read("w1", 10, 0)[-1]
    streams.work.bury(Done(frame.id, Kind.RESULT, coil, b"failed"), "no image")
    (letter,) = json.loads(run("dead", "list", "--json").stdout)
    assert letter["reason"] == "no image"
    assert letter["what"] == "unreadable frame"
    assert "no image" in run("dead", "list").stdout
    assert letter["id"] in run("dead", "show", letter["id"]).stdout
    assert run("dead", "requeue", letter["id"]).stdout == "put back: 1\n"
    assert run("dead", "list").stdout == "no dead letters\n"
    assert run("dead", "requeue", letter["id"]).exit_code == 2
    assert run("dead", "requeue").exit_code == 2
    assert run("dead", "show", "1-1").exit_code == 2


def test_a_recipe_is_checked(tmp_path: Path) -> None:
    good = json.loads(run("recipe", "check", str(RECIPES / "paper.yaml"), "--json").stdout)
    assert good["name"] == "paper"
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\nversion: '1'\nunknown_key: 1\n")
    result = run("recipe", "check", str(bad))
    assert result.exit_code == 2
    assert "bad.yaml" in result.stderr
    assert "unknown_key" in result.stderr


def test_no_pipeline_here_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("verdicts")
    assert result.exit_code == 2
    assert result.stderr.startswith("stripwatch: no pipeline runs in this folder")
    assert "stripwatch up" in result.stderr


def test_a_redis_that_is_away_is_a_fault_without_a_traceback() -> None:
    result = run("verdicts", "--redis", "redis://user:secret@127.0.0.1:1/0")
    assert result.exit_code == StreamUnavailable.exit_code == 1
    assert "127.0.0.1:1" in result.stderr
    assert "secret" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("simulate", "--strips", "0"), ("replay", "/nowhere.mcap"), ("up", "--workers", "many")],
)
def test_usage_errors_exit_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_damaged_recording_is_refused_by_name(streams: LineStream, tmp_path: Path) -> None:
    file = tmp_path / "broken.mcap"
    file.write_bytes(b"not a recording")
    result = run("replay", str(file))
    assert result.exit_code == 2
    assert "broken.mcap" in result.stderr


def test_a_replay_pace_is_max_or_a_factor(streams: LineStream, tmp_path: Path) -> None:
    file = tmp_path / "any.mcap"
    file.write_bytes(b"")
    for speed in ("fast", "0", "-1"):
        assert run("replay", str(file), "--speed", speed).exit_code == 2
