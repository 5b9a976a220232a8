"""An MES for chaos runs: `python -m chaos.mes URL FOLDER` follows the verdicts; killed, it goes on from its cursor.

Writes the id of each verdict to `mes.seen`, and only then keeps the cursor: what it saw last it may see once more.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from chaos.strips import LINE
from stripwatch.errors import CursorLost, StripwatchError
from stripwatch.stream import connect

LOST = "lost"
"""Written in place of an id where the cursor led nowhere any more."""


def follow(url: str, folder: Path) -> None:
    kept = folder / "mes.cursor"
    seen = (folder / "mes.seen").open("a", encoding="utf-8")
    cursor = kept.read_text(encoding="utf-8") if kept.exists() else ""
    while True:
        try:
            verdicts = connect(url, timeout_s=1.0).line(LINE).verdicts
            while True:
                for one in verdicts.since(cursor, 10, 500):
                    seen.write(f"{one.event.event_id}\n")
                    seen.flush()
                    cursor = one.cursor
                    fresh = kept.with_suffix(".new")
                    fresh.write_text(cursor, encoding="utf-8")
                    fresh.replace(kept)
        except CursorLost as error:
            seen.write(f"{LOST} {error}\n")
            seen.flush()
            cursor = ""
        except StripwatchError as error:
            sys.stdout.write(f"{error}\n")
            time.sleep(0.2)


if __name__ == "__main__":
    follow(sys.argv[1], Path(sys.argv[2]))
