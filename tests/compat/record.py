"""Writes what the version that is checked out leaves in Redis: once for each release, then it stays as it is.

`PYTHONPATH=tests:tests/contract python tests/compat/record.py` makes `tests/compat/VERSION/`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

import redis
from redis_servers import binaries, server

import compat_cases
import line_snapshot
import stripwatch
from stripwatch.stream import connect

HERE = Path(__file__).parent


def write(folder: Path, commit: str) -> None:
    """`line.json`, the line as it was left; `verdicts.json`, what the version made of it; its functions."""
    folder.mkdir()
    with tempfile.TemporaryDirectory() as home, server(binaries()["7"], Path(home)) as port:
        stream, raw = connect(f"redis://127.0.0.1:{port}"), redis.Redis(port=port)
        compat_cases.leave_a_line(stream)
        left = line_snapshot.take(raw, compat_cases.LINE)
        made_by = {"version": stripwatch.__version__, "commit": commit}
        _store(folder / "line.json", {**made_by, "keys": left})
        # Whoever goes on is another process than who left it: what was in its hands is not.
        raw.flushdb()
        line_snapshot.put(raw, left)
        _store(folder / "verdicts.json", {**made_by, "verdicts": compat_cases.Crew(stream).finish()})
    functions = resources.files("stripwatch.stream").joinpath("functions.lua").read_text(encoding="utf-8")
    (folder / "functions.lua").write_text(functions, encoding="utf-8")


def _store(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    named = sys.argv[1:] or subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).split()
    write(HERE / stripwatch.__version__, named[0])
