"""The command line: its exit codes, its tables, its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from stripwatch.cli import dead, line, recordings, simulate, verdicts, where
from stripwatch.cli.demo_page import DemoPage
from stripwatch.cli.main import app
from stripwatch.cli.verdict_rows import columns_for, live_line
from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import Defect
from stripwatch.domain.frame import IndexRange, RunId
from stripwatch.domain.recipe import Disposition, Role
from stripwatch.domain.verdict import CameraAccount, Loss, LossReason, StripVerdict
from stripwatch.errors import StreamUnavailable
from stripwatch.local.state import UpState
from stripwatch.ports import Done, Event, Kind, LineState, LineStream, Outgoing
from stripwatch.recipes import RecipeBook, default_folders
from stripwatch.rpc.codec.verdicts import encode_verdict
from stripwatch.stream.memory import MemoryStream
from tiny_models import write_model

RECIPES = Path(where.__file__).parents[1] / "recipes"


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LineStream:
    """A line in memory, in place of the one that the commands would connect to."""
    found = MemoryStream().line("line1")

    @contextmanager
    def open_line(_redis: str | None, _line: str | None) -> Iterator[LineStream]:
        yield found

    monkeypatch.chdir(tmp_path)
    for module in (dead, line, recordings, simulate, verdicts):
        monkeypatch.setattr(module, "open_line", open_line)
    return found


def run(*arguments: str, redis_url: str = "") -> Any:
    return CliRunner().invoke(app, list(arguments), env={"STRIPWATCH_REDIS_URL": redis_url, "COLUMNS": "160"})


def verdict_of(strip: str, *defects: Defect) -> StripVerdict:
    return StripVerdict(
        run=RunId("line1", strip, "r1"),
        disposition=Disposition.REVIEW if defects else Disposition.ACCEPT,
        reasons=("scratches: 2 defects on 1.00 m² (more than 0 a m² asks for a review)",) if defects else (),
        defects=defects,
        found=len(defects),
        cameras=(CameraAccount("top-1", Side.TOP, 10, 10, 0, 0, 0, (), True),),
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
    assert lines[0].split() == ["strip", "run", "verdict", "defects", "coverage", "frames", "decided", "why"]
    assert lines[2].split()[:4] == ["coil-1", "r1", "accept", "none"]
    assert "2 scratches" in lines[3]
    assert "99.5 %" in lines[3]
    assert "2023-11-14 22:13:20" in lines[3]
    assert "scratches: 2 defects" in lines[3]


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
    assert run("dead", "list").stdout.splitlines()[-1].split()[:2] == ["1", letter["id"]]
    assert run("dead", "list", "--all").stdout.splitlines()[-1].split()[0] == letter["id"]
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
    result = run("verdicts", redis_url="redis://user:secret@127.0.0.1:1/0")
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


def test_dead_letters_of_one_reason_are_one_row(streams: LineStream) -> None:
    coil = RunId("line1", "coil", "r1")
    streams.source.start_run(coil, b"", cameras=["top-1"], live=False, deadline_ms=1000)
    streams.source.publish([Outgoing(Kind.FRAME, coil, b"\xff", b"pixels")] * 3)
    frames = [entry for entry in streams.frames.read("w1", 10, 0) if entry.kind is Kind.FRAME]
    for frame, reason in zip(frames, ("no image", "no image", "too large"), strict=True):
        streams.work.bury(Done(frame.id, Kind.RESULT, coil, b"failed"), reason)
    oldest = json.loads(run("dead", "list", "--json").stdout)[-1]["id"]
    lines = run("dead", "list").stdout.splitlines()
    assert lines[0] == "dead letters: 3"
    assert [row.split()[0] for row in lines[-2:]] == ["2", "1"]
    assert lines[-2].split()[1] == oldest


def test_a_line_that_nobody_works_on_is_said_with_its_verdicts_and_its_state(streams: LineStream) -> None:
    for arguments in (("verdicts",), ("line", "status", "line1"), ("line", "pause")):
        assert "nobody works on line line1 (no heartbeat)" in run(*arguments).stderr
    streams.beats.beat("preprocess", "w1", 60_000)
    assert run("line", "status").stderr == ""


def test_which_line_is_asked_where_several_run(streams: LineStream, monkeypatch: pytest.MonkeyPatch) -> None:
    state = UpState(1, "redis://127.0.0.1:1/0", ("north", "south"), "")
    monkeypatch.setattr(where, "here", lambda: state)
    result = run("line", "pause")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "north, south" in result.stderr


@pytest.mark.parametrize("state", [LineState.PAUSED, LineState.DRAINING])
def test_simulated_strips_are_refused_where_the_line_is_held_back(streams: LineStream, state: LineState) -> None:
    streams.source.set_state(state)
    result = run("simulate", "--redis", "redis://127.0.0.1:1/0")
    assert result.exit_code == 1
    assert f"line line1 is {state.value}" in result.stderr
    assert "stripwatch line resume line1" in result.stderr


def test_simulated_strips_are_refused_where_nobody_works(streams: LineStream) -> None:
    result = run("simulate", "--wait", "0", "--redis", "redis://127.0.0.1:1/0")
    assert result.exit_code == 1
    assert "no preprocess and no aggregate worker was heard of" in result.stderr
    assert "stripwatch up --line line1" in result.stderr


def test_a_recipe_that_is_not_there_is_refused_before_anything_is_sent(streams: LineStream, tmp_path: Path) -> None:
    (tmp_path / "any.mcap").write_bytes(b"")
    for command in (("simulate",), ("replay", "any.mcap")):
        result = run(*command, "--recipe", "nope")
        assert result.exit_code == 2
        assert "there are hot-rolled, paper" in result.stderr


def test_a_recipe_is_checked_by_name_and_against_its_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    write_model(models, "steel", classes=("healthy", *shared_labels()))
    write_model(models, "texture", kind="anomaly")
    monkeypatch.setenv("STRIPWATCH_MODELS", str(models))
    assert run("recipe", "check", "hot-rolled").exit_code == 0
    recipe = (RECIPES / "hot-rolled.yaml").read_text().replace("name: hot-rolled", "name: mine")
    file = tmp_path / "mine.yaml"
    file.write_text(recipe.replace("healthy: [healthy]", "healthy: [helthy]"))
    result = run("recipe", "check", str(file))
    assert result.exit_code == 2
    assert "healthy: the classifier has no class 'helthy' (did you mean healthy?)" in result.stderr
    file.write_text(recipe.replace("classifier: steel", "classifier: iron"))
    result = run("recipe", "check", str(file))
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: models.classifier: model 'iron'")
    other = tmp_path / "other.yaml"
    other.write_text(recipe)
    assert "name: expected 'other' like the file, got 'mine'" in run("recipe", "check", str(other)).stderr


def shared_labels() -> list[str]:
    """The classes that the default recipe has a rule for, and one more."""
    return sorted({"crazing", *RecipeBook(default_folders()).find("hot-rolled").classes})


def test_building_models_explains_itself_without_the_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    result = run("models", "build", "--help")
    assert result.exit_code == 0
    assert "pip install '.[train]'" in result.stdout
    assert run("models", "build").exit_code == 1


@pytest.mark.parametrize("width", [80, 110, 160])
def test_a_verdict_as_it_comes_keeps_to_the_width_of_the_terminal(width: int) -> None:
    labels = ("scratches", "scratches", "crazing", "inclusion", "patches", "rolled-in_scale")
    many = [replace(SCRATCH, label=label) for label in labels]
    columns = columns_for(width)
    lines = [str(live_line(verdict_of(strip, *many), columns)) for strip in ("coil-1", "coil-" + "9" * 50)]
    assert all(len(row) < width for row in lines)
    assert "2 scratches" in lines[0]
    assert ", ..." in lines[0]
    assert len({row.index("review") for row in lines}) == 1
    assert len({row.index("scratches: 2") for row in lines}) == 1


def test_following_begins_with_the_last_five(streams: LineStream, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        publish(streams, verdict_of(f"coil-{number}"))
    monkeypatch.setattr("stripwatch.runtime.lifecycle.Lifecycle.running", False)
    shown = run("verdicts", "--follow").stdout.splitlines()
    assert [row.split()[0] for row in shown] == ["strip", *(f"coil-{number}" for number in range(2, 7))]


def test_lost_frames_are_listed_with_why_and_not_without_end() -> None:
    lost = tuple(
        Loss(IndexRange(index * 2, index * 2 + index % 2), LossReason.FAILED, "expected grey") for index in range(12)
    )
    verdict = replace(verdict_of("coil"), cameras=(CameraAccount("top-1", Side.TOP, 40, 22, 18, 0, 0, lost, True),))
    out = StringIO()
    DemoPage(Console(file=out, width=120)).lost(verdict)
    lines = [row.strip() for row in out.getvalue().splitlines()]
    assert lines[:2] == ["frame 0: failed: expected grey", "frames 2-3: failed: expected grey"]
    assert lines[-1] == "... and 2 more"
    assert len(lines) == 11
