"""The pytest plugin: fixtures that run the whole pipeline, and a gate for its verdicts. Loaded by its entry point.

Importing it must cost nothing to those who do not use it: the pipeline is imported where it is first asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stripwatch.errors import StripwatchError

if TYPE_CHECKING:
    from stripwatch.local import Pipeline

Replay = Callable[[str | Path], list[dict[str, Any]]]
Golden = Callable[[Sequence[dict[str, Any]], str | Path], None]


@contextmanager
def plainly() -> Iterator[None]:
    """What we raise on purpose fails the test with its text: a traceback through our insides says nothing more."""
    try:
        yield
    except StripwatchError as error:
        said = str(error)
    else:
        return
    pytest.fail(said, pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stripwatch")
    group.addoption(
        "--stripwatch-golden-update",
        action="store_true",
        help="store the verdicts that came as the golden ones, instead of comparing",
    )


@pytest.fixture(scope="session")
def stripwatch_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis: the one of STRIPWATCH_TEST_REDIS_URL, else an embedded one on a free port."""
    given = os.environ.get("STRIPWATCH_TEST_REDIS_URL")
    if given:
        yield given
        return
    local = import_module("stripwatch.local")
    with local.EmbeddedRedis(tmp_path_factory.mktemp("stripwatch-redis")) as redis:
        yield redis.url


@pytest.fixture(scope="session")
def stripwatch_pipeline(stripwatch_redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The whole pipeline as real processes on free ports, once a session; its logs go to the session's folder.

    On a Redis that is given, each session has a line of its own, so that several can share it.
    """
    local = import_module("stripwatch.local")
    folder = tmp_path_factory.mktemp("stripwatch")
    line = f"test-{os.getpid()}"
    with (folder / "services.log").open("w", encoding="utf-8") as log:

        def keep(name: str, text: str) -> None:
            if not log.closed:
                log.write(f"{name:<12} | {text}\n")
                log.flush()

        with ExitStack() as stack:
            with plainly():
                pipeline = stack.enter_context(
                    local.Pipeline(folder, redis_url=stripwatch_redis, lines=(line,), sink=keep)
                )
            yield pipeline


@pytest.fixture
def replay(stripwatch_pipeline: Pipeline) -> Replay:
    """`replay(path)`: the recording through the pipeline; its verdicts (CloudEvents) in the order of its runs."""
    local = import_module("stripwatch.local.replay")

    def run(path: str | Path) -> list[dict[str, Any]]:
        with plainly():
            verdicts: list[dict[str, Any]] = local.replay(stripwatch_pipeline, Path(path))
        return verdicts

    return run


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(verdicts, path)`: fails with the first field that differs from the stored verdicts."""
    module = import_module("stripwatch.testing.golden")
    update = bool(request.config.getoption("--stripwatch-golden-update"))

    def check(verdicts: Sequence[dict[str, Any]], path: str | Path) -> None:
        if update:
            module.store(Path(path), verdicts)
            return
        with plainly():
            stored = module.load(Path(path))
        difference = module.compare_all(stored, verdicts)
        if difference:
            pytest.fail(f"{path}: {difference}", pytrace=False)

    return check
