"""Names from outside are refused wherever they come in, and no text from outside breaks out of its line."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from mcap.writer import Writer
from redis_servers import binaries, server
from typer.testing import CliRunner

from e2e_parts import until
from stripwatch.cli.main import app
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import RunId
from stripwatch.domain.model import ModelRef
from stripwatch.domain.names import printable
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.errors import BadInput, NotFound, RecordingInvalid, SettingsInvalid
from stripwatch.feed import safe_name
from stripwatch.models.store import ModelStore
from stripwatch.ports import Done, Event, Kind, LineStream, Outgoing
from stripwatch.recipes import RecipeBook, default_folders
from stripwatch.recording import Recording
from stripwatch.recording.layout import PROFILE, SCHEMAS, descriptors
from stripwatch.rpc.codec.frames import decode_end, decode_header, decode_start, encode_end, encode_header, encode_start
from stripwatch.rpc.codec.results import decode_result
from stripwatch.rpc.codec.verdicts import decode_alarm, decode_verdict, encode_verdict
from stripwatch.rpc.server import GrpcServer
from stripwatch.rpc.v1 import frame_pb2, result_pb2, verdict_pb2, verdict_pb2_grpc
from stripwatch.runtime.logging import HumanFormatter, JsonFormatter
from stripwatch.runtime.settings import LineSettings, load
from stripwatch.stream import connect
from stripwatch.stream.keys import Keys, run_of
from stripwatch.stream.memory import MemoryStream
from stripwatch_aggregator.verdicts import SERVICE, VerdictsService
from stripwatch_ingest.settings import IngestSettings
from stripwatch_ingest.source import RunTemplate
from stripwatch_ingest.sources.folder import FolderSource
from tiny_models import write_model
from unit.feeding import RUN, end, frame, start, take
from unit.test_cli_commands import verdict_of

HOSTILE = (
    *("", ".", "..", "../../x", "a/b", "/etc/passwd", "a..b", ".hidden", "-option"),
    *("{x}", "a{line2}b", "a:b", "a*", "a b", "a%s", "a$(id)"),
    *("a\nb", "a\n", "a\r", "a\0b", "a\tb", "a\x1b[31mb", "a\x9b31mb", "a\u2028b", "a\u202eb", "a\u200bb"),
    *("co\u0456l", "\uff41\uff42", "a\u0301", "\u00b2", "a" * 65, "a" * 1_000_000),
)
"""Paths, hash tags, key parts, globs, line ends, escape sequences, letters that look like others, and length."""

LINES = (*(name for name in HOSTILE if name != "-option"), "a.b")

FORGED = (
    "x\r\nFORGED all is well\x1b[2J\x1b]0;title\x07\x9b31m\u2028FORGED\u202e [bold]loud[/bold] :warning: "
    '"}\n{"FORGED":1}'
)
"""Text that would begin a line of its own, clear the screen, colour, reverse, or end a JSON document."""


def safe(text: str) -> None:
    """One short sentence on one line."""
    assert text.isprintable(), text
    assert len(text) < 1000


def shown(text: str) -> None:
    """Lines of a command or a log in which `FORGED` may stand, but none of which it began or coloured."""
    for line in text.split("\n"):
        assert line.isprintable(), line
        assert not line.lstrip().startswith(("FORGED", '{"FORGED"')), line


def named(name: str) -> str:
    """A test's id: the name itself is no file name."""
    return ascii(name[:20])


hostile = pytest.mark.parametrize("name", HOSTILE, ids=named)


def refused(make: Callable[[], object], kind: type[Exception] = BadInput) -> None:
    with pytest.raises(kind) as error:
        make()
    safe(str(error.value))


# Domain, codec, keys


@hostile
def test_the_domain_takes_no_such_name(name: str) -> None:
    for make in (
        lambda: RunId("line1", name, "r1"),
        lambda: RunId("line1", "s1", name),
        lambda: Camera(name, Side.TOP, 1.0, 1.0),
        lambda: replace(frame(0).header, camera=name),
        lambda: CameraEnd(RUN, name, 1),
        lambda: replace(start(), recipe=name),
        lambda: ModelRef(name, "1"),
        lambda: ModelRef("steel", name),
        lambda: ModelRef.parse(f"steel/{name}"),
    ):
        refused(make)


@pytest.mark.parametrize("name", LINES, ids=named)
def test_a_line_takes_no_such_name(name: str) -> None:
    refused(lambda: RunId(name, "s1", "r1"))
    refused(lambda: Keys(name))
    refused(lambda: MemoryStream().line(name))


@hostile
def test_the_codec_takes_no_such_name(name: str) -> None:
    header = frame_pb2.FrameHeader.FromString(encode_header(frame(0).header))
    opening = frame_pb2.RunStart.FromString(encode_start(start()))
    closing = frame_pb2.CameraEnd.FromString(encode_end(end(1)))
    for run in (frame_pb2.RunId(line="line1", strip=name, run="r"), frame_pb2.RunId(line="line1", strip="s", run=name)):
        for message in (header, opening, closing):
            message.run.CopyFrom(run)
        verdict, alarm = verdict_pb2.StripVerdict(run=run), verdict_pb2.Alarm(run=run)
        refused(lambda: decode_header(header.SerializeToString()))
        refused(lambda: decode_start(opening.SerializeToString()))
        refused(lambda: decode_end(closing.SerializeToString()))
        refused(lambda: decode_result(result_pb2.FrameResult(header=header).SerializeToString()))
        refused(lambda v=verdict: decode_verdict(v.SerializeToString()))
        refused(lambda a=alarm: decode_alarm(a.SerializeToString()))
    header.run.CopyFrom(frame_pb2.RunId(line="line1", strip="s", run="r"))
    closing.run.CopyFrom(header.run)
    opening.run.CopyFrom(header.run)
    header.camera = closing.camera = opening.cameras[0].name = name
    for decode, message in ((decode_header, header), (decode_end, closing), (decode_start, opening)):
        refused(lambda d=decode, m=message: d(m.SerializeToString()))
    opening.cameras[0].name, opening.recipe = "top-1", name
    refused(lambda: decode_start(opening.SerializeToString()))


@hostile
def test_a_run_in_a_stream_takes_no_such_name(name: str) -> None:
    refused(lambda: run_of("line1", f"s1:{name}"))
    refused(lambda: run_of("line1", f"{name}:r1"))


# Files


@hostile
def test_books_and_stores_open_no_such_name(tmp_path: Path, name: str) -> None:
    write_model(tmp_path)
    refused(lambda: RecipeBook(default_folders()).find(name))
    if len(name) < 100:
        refused(lambda: ModelStore([tmp_path]).find(f"steel/{name}" if name else "x"), NotFound)


@pytest.mark.parametrize("name", [*HOSTILE, FORGED], ids=named)
def test_a_files_name_becomes_a_safe_one(name: str) -> None:
    RunId("line1", safe_name(name), "r1")


def recorded(path: Path, strip: str, camera: str) -> Path:
    """A recording of one run, as somebody else's program might have written it."""
    opening = frame_pb2.RunStart.FromString(encode_start(start()))
    closing = frame_pb2.CameraEnd.FromString(encode_end(end(0)))
    opening.run.strip = closing.run.strip = strip
    opening.cameras[0].name = closing.camera = camera
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile=PROFILE, library="theirs")
        for number, (kind, message) in enumerate(((Kind.START, opening), (Kind.END, closing))):
            schema = writer.register_schema(SCHEMAS[kind], "protobuf", descriptors())
            channel = writer.register_channel(f"{FORGED}/{number}", "protobuf", schema)
            writer.add_message(channel, 1, message.SerializeToString(), 1, number)
        writer.finish()
    return path


@hostile
def test_a_recording_with_such_a_name_is_refused(tmp_path: Path, name: str) -> None:
    assert Recording(recorded(tmp_path / "good.mcap", "s1", "top-1")).runs
    refused(lambda: Recording(recorded(tmp_path / "strip.mcap", name, "top-1")), RecordingInvalid)
    refused(lambda: Recording(recorded(tmp_path / "camera.mcap", "s1", name)), RecordingInvalid)


@hostile
def test_settings_take_no_such_name(name: str) -> None:
    unnamed = {"strip", "run"} if not name else set()  # the source gives it one
    for field in {"recipe", "strip", "run"} - unnamed:
        with pytest.raises(SettingsInvalid, match=f"STRIPWATCH_{field.upper()}: ") as error:
            load(IngestSettings, **{field: name})
        assert str(error.value).isprintable()


@pytest.mark.parametrize("name", LINES, ids=named)
def test_settings_take_no_such_line(name: str) -> None:
    for kind, given in ((IngestSettings, {"line": name}), (LineSettings, {"lines": (name,)})):
        with pytest.raises(SettingsInvalid, match="STRIPWATCH_LINE") as error:
            load(kind, **given)
        assert str(error.value).isprintable()


@pytest.mark.parametrize(("setting", "name"), [("STRIP", "../../x"), ("RUN", "a..b"), ("RECIPE", "a\x1b[31m\nFORGED")])
def test_ingest_ends_with_one_line_on_such_a_name(setting: str, name: str) -> None:
    env = {**os.environ, f"STRIPWATCH_{setting}": name, "STRIPWATCH_START_SECONDS": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "stripwatch_ingest"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert setting in done.stderr or setting.lower() in done.stderr
    assert done.stderr.count("\n") == 1
    safe(done.stderr.rstrip("\n"))


# The stream, the command line and the RPC, each on real parts


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server(next(iter(binaries().values())), tmp_path_factory.mktemp("redis")) as port:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def line(url: str) -> Iterator[LineStream]:
    """An empty line1 on a real Redis."""
    redis.Redis.from_url(url).flushall()
    stream = connect(url)
    yield stream.line("line1")
    stream.close()


def run(url: str, *arguments: str, **env: str) -> Any:
    given = {"STRIPWATCH_REDIS_URL": url, "COLUMNS": "400", **env}
    return CliRunner().invoke(app, list(arguments), env=given)


@pytest.mark.parametrize(
    "name", ["../../x", "a.b", "{x}", "a{line2}b", "a\nb", "a\x1b[31m", "a\u202eb", "a" * 100_000], ids=named
)
def test_commands_take_no_such_line_and_leave_no_key_behind(
    url: str, line: LineStream, tmp_path: Path, name: str
) -> None:
    before = set(redis.Redis.from_url(url).keys("*"))
    recording = recorded(tmp_path / "good.mcap", "s1", "top-1")
    for arguments in (
        ("verdicts", "--line", name),
        ("dead", "list", "--line", name),
        ("line", "pause", name),
        ("line", "close", name),
        ("line", "status", name),
        ("simulate", "--line", name),
        ("record", str(tmp_path / "new.mcap"), "--line", name),
        ("replay", str(recording), "--line", name),
        ("up", "--lines", name),
    ):
        result = run(url, *arguments)
        assert result.exit_code == 2, arguments
        shown(result.output)
        assert "Traceback" not in result.output
        assert len(result.stderr) < 2000
    assert set(redis.Redis.from_url(url).keys("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["good.mcap"]


@pytest.mark.parametrize("name", ["../../x", "{x}", "a\nb", "a\x1b[31m", "a" * 100_000], ids=named)
def test_commands_take_no_such_recipe_id_or_cursor(url: str, line: LineStream, tmp_path: Path, name: str) -> None:
    recording = recorded(tmp_path / "good.mcap", "s1", "top-1")
    for arguments in (
        ("simulate", "--recipe", name),
        ("replay", str(recording), "--recipe", name),
        ("recipe", "check", name),
        ("models", "check", name),
        ("models", "show", name),
        ("dead", "show", name),
        ("dead", "requeue", name),
        ("verdicts", "--cursor", name),
    ):
        result = run(url, *arguments)
        assert result.exit_code in (1, 2), (arguments, result.output)
        assert isinstance(result.exception, SystemExit), (arguments, result.exception)
        shown(result.output)


@pytest.mark.parametrize(
    "given",
    [
        {b"r": b"../../x:r1"},
        {b"r": b"s1\n:r1"},
        {b"r": b"\xff:r1"},
        {b"r": b"a{line2}:r1"},
        {b"r": b""},
        {b"k": b"../k"},
        {},
    ],
    ids=str,
)
def test_an_entry_of_such_a_run_goes_to_dead_and_no_further(
    url: str, line: LineStream, given: dict[bytes, bytes]
) -> None:
    raw = redis.Redis.from_url(url)
    line.frames.read("w1", 1, 0)  # makes the group
    raw.xadd("sw:{line1}:frames", {b"k": b"frame", b"b": b"body", **given} if given else {FORGED.encode(): b"x"})
    assert line.frames.read("w1", 10, 0) == []
    assert line.frames.backlog().waiting == 0
    (letter,) = line.dead.page(10)
    assert letter.entry.run == RunId("line1", "unknown", "unknown")
    assert not [key for key in raw.keys("*") if b"line2" in key or b".." in key]
    result = run(url, "dead", "list", "--all")
    assert result.exit_code == 0
    shown(result.output)


@pytest.mark.parametrize(
    "given",
    [
        {"x": "y"},
        {"reason": FORGED, "origin": FORGED},
        {"reason": b"\xff\x1b[2J", "origin": b"\xff\x1b[2J", "r": b"\xff"},
    ],
    ids=["none", "forged", "bytes"],
)
def test_a_dead_letter_that_is_none_of_ours_is_still_listed(
    url: str, line: LineStream, given: dict[str, bytes | str]
) -> None:
    """A letter without its reason ended `dead list` with a traceback."""
    raw = redis.Redis.from_url(url)
    line.source.start_run(RUN, b"", cameras=["top-1"], live=False, deadline_ms=60_000)
    letter = raw.xadd("sw:{line1}:dead", given).decode()
    before = {key for key in raw.keys("*") if raw.type(key) == b"stream"}
    for arguments in (("list",), ("list", "--all"), ("list", "--json"), ("show", letter)):
        result = run(url, "dead", *arguments)
        assert result.exit_code == 0, arguments
        shown(result.output)
    result = run(url, "dead", "requeue", letter)
    assert isinstance(result.exception, SystemExit | None)
    shown(result.output)
    assert {key for key in raw.keys("*") if raw.type(key) == b"stream"} <= before


@pytest.mark.parametrize(
    "given", [{"x": "y"}, {"id": FORGED, "r": "../../x:r"}, {"id": "i", "r": "s:r", "j": "{", "b": "x"}]
)
def test_a_verdict_that_is_none_of_ours_is_refused_in_one_line(
    url: str, line: LineStream, given: dict[str, str]
) -> None:
    redis.Redis.from_url(url).xadd("sw:{line1}:verdicts", given)
    for arguments in ((), ("--json",)):
        result = run(url, "verdicts", *arguments)
        assert result.exit_code == 2
        assert [one for one in result.stderr.splitlines() if not one.startswith("warning: ")][1:] == []
        shown(result.output)


def test_open_runs_that_are_none_hide_no_run_that_is_and_end_no_aggregator(url: str, line: LineStream) -> None:
    """One such name in `open` ended every aggregator of the line, again at each start."""
    raw, folder = redis.Redis.from_url(url), "sw:{line1}:"
    names = [*(name.encode() for name in HOSTILE if len(name) < 100), b"\xff:r1", *(b"s%d:r1" % n for n in range(40))]
    raw.zadd(f"{folder}open", dict.fromkeys(names, 1))
    for number, fields in enumerate(({"start": b"\xff"}, {"start": b"x", "cameras": b"\xff", "rev": "x", "last": "x"})):
        raw.hset(f"{folder}run:t{number}:r1", mapping=fields)
        raw.zadd(f"{folder}open", {f"t{number}:r1": 1})
    for arguments in (("line", "status"), ("line", "status", "--json")):
        result = run(url, *arguments)
        assert result.exit_code == 0
        shown(result.output)
    env = {**os.environ, "STRIPWATCH_REDIS_URL": url}
    with subprocess.Popen([sys.executable, "-m", "stripwatch_aggregator"], env=env, stderr=subprocess.PIPE) as process:
        try:
            line.source.start_run(RUN, encode_start(start(live=True)), cameras=["top-1"], live=True, deadline_ms=1)
            take(line)
            until(lambda: process.poll() is not None or line.verdicts.of(RUN) is not None, "the verdict")
            assert process.poll() is None
            until(lambda: raw.zcard(f"{folder}open") == 0, "an empty list of open runs")
        finally:
            process.terminate()
            _, log = process.communicate(timeout=60)
    shown(log.decode())


def test_get_takes_no_such_name(line: LineStream) -> None:
    grpc_server = GrpcServer("127.0.0.1", 0, ready=lambda: None)
    service = VerdictsService(MemoryStream(), ("line1",), 1, lambda: True)
    grpc_server.add(verdict_pb2_grpc.add_VerdictsServicer_to_server, service, SERVICE)
    port = grpc_server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = verdict_pb2_grpc.VerdictsStub(channel)
            for name in HOSTILE:
                for given in ({"strip": name, "run": "r"}, {"strip": "s", "run": name}):
                    request = frame_pb2.RunId(**{"line": "line1", "strip": "s", "run": "r", **given})
                    with pytest.raises(grpc.RpcError) as error:
                        stub.Get(verdict_pb2.GetRequest(run=request), timeout=60)
                    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
                    safe(error.value.details())
            for name in LINES:
                with pytest.raises(grpc.RpcError) as error:
                    stub.Get(verdict_pb2.GetRequest(run=frame_pb2.RunId(line=name, strip="s", run="r")), timeout=60)
                assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
                safe(error.value.details())
    finally:
        grpc_server.stop(1.0)


# Text that is free: reasons, labels, file names


@pytest.mark.parametrize("formatter", [HumanFormatter("svc"), JsonFormatter("svc")], ids=["human", "json"])
def test_no_value_breaks_out_of_its_log_line(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "%s is away", "args": (FORGED,), "reason": FORGED, "levelname": "INFO"})
    text = formatter.format(record)
    assert text.isprintable()
    assert "\n" not in text
    if isinstance(formatter, JsonFormatter):
        assert (json.loads(text)["message"], json.loads(text)["reason"]) == (f"{FORGED} is away", FORGED)


@pytest.mark.parametrize("formatter", [HumanFormatter("svc"), JsonFormatter("svc")], ids=["human", "json"])
def test_no_line_of_an_exception_looks_like_a_log_line(formatter: logging.Formatter) -> None:
    def fault() -> None:
        raise ValueError(FORGED)

    try:
        fault()
    except ValueError:
        record = logging.makeLogRecord({"msg": "a fault of ours", "exc_info": sys.exc_info(), "levelname": "ERROR"})
    first, *others = formatter.format(record).split("\n")
    assert "a fault of ours" in first
    for one in (first, *others):
        assert one.isprintable()
    assert all(one.startswith("    ") for one in others)


def test_what_is_escaped_can_still_be_read() -> None:
    assert printable("Häute, 5 m², 圧延") == "Häute, 5 m², 圧延"
    assert printable("a\nb\x1b[2J\u202e\udcff") == r"a\nb\x1b[2J\u202e\udcff"


def test_a_dead_letters_reason_stays_in_its_place(url: str, line: LineStream) -> None:
    line.source.start_run(RUN, b"", cameras=["top-1"], live=False, deadline_ms=60_000)
    line.source.publish([Outgoing(Kind.FRAME, RUN, b"\xff", b"pixels")])
    letter = line.frames.read("w1", 10, 0)[-1]
    line.work.bury(Done(letter.id, Kind.RESULT, RUN, b"failed"), FORGED)
    (dead,) = line.dead.page(1)
    for arguments in (("dead", "list"), ("dead", "list", "--all"), ("dead", "show", dead.id)):
        result = run(url, *arguments)
        assert result.exit_code == 0
        assert "[bold]loud[/bold] :warning:" in result.stdout
        shown(result.output)
    (facts,) = json.loads(run(url, "dead", "list", "--json").stdout)
    assert facts["reason"] == dead.reason
    shown(run(url, "dead", "list", "--json").stdout)


def test_a_verdicts_reason_stays_in_its_place(url: str, line: LineStream) -> None:
    verdict = replace(verdict_of("coil-1"), run=RUN, reasons=(FORGED,))
    line.source.start_run(RUN, b"", cameras=["top-1"], live=False, deadline_ms=60_000)
    state = line.runs.state(RUN)
    assert state is not None
    document = json.dumps({"id": verdict.verdict_id, "data": {"reasons": [FORGED]}}).encode()
    assert line.runs.close(RUN, state.revision, Event(verdict.verdict_id, RUN, document, encode_verdict(verdict)))
    for width in ("60", "90", "400"):
        result = run(url, "verdicts", COLUMNS=width)
        assert result.exit_code == 0
        assert "FORGED" in result.stdout or width != "400"
        shown(result.output)
    result = run(url, "verdicts", "--json")
    assert json.loads(result.stdout)[0]["event"]["data"]["reasons"] == [FORGED]
    shown(result.stdout)


def test_a_recipes_file_name_stays_in_its_place_at_the_doctor(url: str, line: LineStream, tmp_path: Path) -> None:
    book, models = tmp_path / "recipes", tmp_path / "mo\x1b[31m\nFORGED dels"
    book.mkdir()
    (book / "x\nFORGED all is well\x1b[2J.yaml").write_text("name: x")
    path = write_model(models)
    (path / "model.onnx").write_bytes(b"changed")
    given = {"STRIPWATCH_RECIPES": str(book), "STRIPWATCH_MODELS": str(models)}
    for arguments in (("doctor",), ("models", "check"), ("models", "list"), ("models", "show", "steel")):
        result = run(url, *arguments, **given)
        assert "FORGED" in result.output or "list" in arguments
        shown(result.output)
    found = json.loads(run(url, "doctor", "--json", **given).stdout)
    assert any("FORGED" in one["says"] or "FORGED" in one["what"] for one in found)


def test_the_names_of_a_folders_files_stay_in_their_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "..{x}\n\x1b[31m"
    folder.mkdir()
    (folder / "1.bmp").write_bytes(b"BM\n\x1b[2J")
    (folder / "2\nFORGED\x1b[2J.png").write_bytes(b"no image")
    import cv2  # noqa: PLC0415 - an extra
    import numpy as np  # noqa: PLC0415

    cv2.imwrite(str(folder / "3.png"), np.zeros((8, 8), np.uint8))
    source = FolderSource(folder, RunTemplate("line1", "hot-rolled", live=False, mm_per_px=0.5))
    events = list(source.events())
    opening, closing = events[0], events[-1]
    assert isinstance(opening, RunStart)
    assert isinstance(closing, CameraEnd)
    assert opening.run.strip == safe_name(folder.name)
    assert [shed.frames.first for shed in closing.shed] == [0, 1]
    for record in caplog.records:
        assert HumanFormatter("ingest").format(record).isprintable()
    assert decode_end(encode_end(closing)).shed[1].reason


def test_an_error_that_names_a_hostile_path_is_one_line(url: str, tmp_path: Path) -> None:
    file = tmp_path / "x\nFORGED\x1b[2J.mcap"
    file.write_bytes(b"no recording")
    for arguments in (("replay", str(file)), ("recipe", "check", str(file))):
        result = run(url, *arguments)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        shown(result.stderr)
    env = {**os.environ, "STRIPWATCH_SOURCE": f"recording:{file}", "STRIPWATCH_REDIS_URL": url}
    done = subprocess.run(
        [sys.executable, "-m", "stripwatch_ingest"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    shown(done.stderr)


def test_a_childs_words_are_passed_on_without_their_escapes() -> None:
    from stripwatch.local.child import Child, Spec  # noqa: PLC0415

    heard: list[str] = []
    code = "import sys; sys.stderr.write('\\x1b[2Jx\\rFORGED\\x9b31m\\n')"
    child = Child(Spec("x", (sys.executable, "-c", code)), lambda _name, said: heard.append(said))
    child.start()
    assert child.wait(60.0)
    assert heard == [r"\x1b[2Jx\rFORGED\x9b31m"]
    assert child.last_words == heard[0]
