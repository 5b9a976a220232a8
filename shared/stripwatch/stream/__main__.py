"""`python -m stripwatch.stream`: makes the streams and groups of STRIPWATCH_LINES where they are missing, and ends.

Services make them too. This is for those who must find them before any service has started, as an autoscaler does.
"""

from __future__ import annotations

from stripwatch.runtime import logging
from stripwatch.runtime.lifecycle import main
from stripwatch.runtime.settings import LineSettings, load
from stripwatch.stream import open_stream


def run() -> None:
    given = load(LineSettings)
    logging.configure("streams", given.log_level, given.log_format)
    stream = open_stream(given)
    for name in given.lines:
        stream.line(name)
    stream.close()


if __name__ == "__main__":
    main(run)
