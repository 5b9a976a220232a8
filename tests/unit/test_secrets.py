"""Secrets come from the environment or from files; no log, message or `repr` shows them, whatever else is wrong."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from certificates import write
from stripwatch.cli.main import app
from stripwatch.cli.where import redis_settings
from stripwatch.errors import BadInput, SettingsInvalid
from stripwatch.runtime.settings import ServiceSettings, load

SECRET = "hunter2-hunter2-hunter2"  # noqa: S105 - the one to look for
SERVICES = ("ingest", "preprocess", "classifier", "anomaly", "aggregator")
NOBODY = f"redis://plant:{SECRET}@127.0.0.1:1/0"
CAMERA = f"video:rtsp://operator:{SECRET}@127.0.0.1:1/live"


def settings_class(service: str) -> type[ServiceSettings]:
    found: type[ServiceSettings] = getattr(
        importlib.import_module(f"stripwatch_{service}.settings"), f"{service.capitalize()}Settings"
    )
    return found


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"REDIS_URL": NOBODY, "SOURCE": CAMERA, "TOKENS": f"mes:{SECRET}"}.items():
        monkeypatch.setenv(f"STRIPWATCH_{name}", value)


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize("service", SERVICES)
def test_settings_show_no_secret(service: str) -> None:
    settings = load(settings_class(service))
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("name", "value"),
    [("LOG_LEVEL", "LOUD"), ("HEALTH_HOST", "0.0.0.0"), ("PLAINTEXT", "yes"), ("TLS_KEY", "own.key")],  # noqa: S104
)
def test_a_refused_setting_shows_no_other_ones_secret(
    service: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"STRIPWATCH_{name}", value)
    with pytest.raises(SettingsInvalid, match=f"STRIPWATCH_{name}") as caught:
        load(settings_class(service))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://plant:{SECRET}@redis.example:6379/0",
        f"redis://plant:{SECRET}/x@127.0.0.1:6379/0",
        f"redis://plant:#{SECRET}@127.0.0.1:6379/0",
        f"redis://plant:?{SECRET}@127.0.0.1:6379/0",
        f"redis://plant:x@{SECRET}:y@127.0.0.1:z/0",
        f"redis://127.0.0.1:{SECRET}/0",
        f"redis-sentinel://plant:{SECRET}/x@127.0.0.1:1,127.0.0.1:2/plant",
    ],
)
def test_a_refused_redis_address_is_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_REDIS_URL", url)
    with pytest.raises(SettingsInvalid, match="STRIPWATCH_REDIS_URL: expected") as caught:
        load(settings_class("aggregator"))
    assert SECRET not in str(caught.value)


def test_tokens_come_from_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPWATCH_TOKENS", f"mes:{SECRET}")
    monkeypatch.setenv("STRIPWATCH_TOKENS_FILE", "/run/secrets/tokens")
    with pytest.raises(SettingsInvalid, match="STRIPWATCH_TOKENS, STRIPWATCH_TOKENS_FILE: expected one") as caught:
        load(settings_class("aggregator"))
    assert SECRET not in str(caught.value)


def test_a_key_is_in_no_repr(tmp_path: Path) -> None:
    import trustme  # noqa: PLC0415

    pems = write(tmp_path, trustme.CA()).read()
    assert pems.key
    assert "PRIVATE KEY" in pems.key.decode()
    assert "PRIVATE KEY" not in repr(pems)


def said(service: str, **settings: str) -> tuple[int, str]:
    """The exit code and all output of a service that logs all it can, stopped when it has gone on for some lines."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"stripwatch_{service}"],
        env=os.environ | {f"STRIPWATCH_{name}": value for name, value in {"LOG_LEVEL": "DEBUG", **settings}.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    lines, stopped = [], False
    with process.stdout as output:
        for line in output:
            lines.append(line)
            if "trying again" in line and not stopped:  # one that gives up ends by itself
                process.send_signal(signal.SIGTERM)
                stopped = True
    watchdog.cancel()
    return process.wait(), "".join(lines)


@pytest.mark.parametrize(
    ("service", "settings", "code", "word"),
    [
        ("aggregator", {"REDIS_URL": NOBODY}, 0, "127.0.0.1:1"),
        ("aggregator", {"REDIS_URL": NOBODY, "TOKENS": f"mes {SECRET}"}, 2, "tokens: expected"),
        ("aggregator", {"REDIS_URL": NOBODY, "LINES": "a b"}, 2, "STRIPWATCH_LINES"),
        ("preprocess", {"REDIS_URL": NOBODY.replace("redis:", "http:")}, 2, "expected redis://"),
        ("preprocess", {"REDIS_URL": f"redis://plant:{SECRET}@redis.example/0"}, 2, "STRIPWATCH_REDIS_URL"),
        ("ingest", {"REDIS_URL": NOBODY, "START_SECONDS": "0"}, 1, "127.0.0.1:1"),
        ("ingest", {"REDIS_URL": NOBODY, "SOURCE": f"camera:{SECRET}"}, 2, "STRIPWATCH_SOURCE"),
        ("ingest", {"REDIS_URL": NOBODY, "SOURCE": CAMERA}, 2, "rtsp://127.0.0.1:1/live"),
    ],
)
def test_a_service_that_fails_logs_why_and_no_secret(
    service: str, settings: dict[str, str], code: int, word: str
) -> None:
    ended, output = said(service, **settings)
    assert ended == code, output
    assert word in output
    assert SECRET not in output


@pytest.mark.parametrize(
    "command", [["up"], ["verdicts"], ["doctor"], ["simulate"], ["dead", "list"], ["line", "status"], ["record", "x"]]
)
@pytest.mark.parametrize("url", [NOBODY, f"redis://127.0.0.1:1/0?password={SECRET}"])
def test_no_command_takes_a_password_on_its_command_line(
    command: list[str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command, "--redis", url])
    assert result.exit_code == BadInput.exit_code == 2
    assert result.stderr.startswith("stripwatch: --redis: expected an address without user and password")
    assert "STRIPWATCH_REDIS_URL_FILE" in result.stderr
    assert SECRET not in result.output


def test_commands_take_the_address_from_the_environment_or_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPWATCH_REDIS_URL", NOBODY)
    assert redis_settings(None).redis_url.get_secret_value() == NOBODY
    assert redis_settings("redis://127.0.0.1:2/0").redis_url.get_secret_value() == "redis://127.0.0.1:2/0"
    monkeypatch.delenv("STRIPWATCH_REDIS_URL")
    file = tmp_path / "url"
    file.write_text(f"{NOBODY}\n")
    monkeypatch.setenv("STRIPWATCH_REDIS_URL_FILE", str(file))
    assert redis_settings(None).redis_url.get_secret_value() == NOBODY
