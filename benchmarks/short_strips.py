"""Many short strips, one after the other without a pause, as a process of its own.

`python short_strips.py LOAD COUNT`: the fields of a `LineLoad` as JSON; its strips are NAME-0, NAME-1 ...
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from line_frames import LineFrames, LineLoad
from small_frames import LINE

from stripwatch.domain.strip import CameraEnd
from stripwatch.feed import FeedRules, Hold, Publisher, owner_name
from stripwatch.local.child import Spec
from stripwatch.local.services import ONE_THREAD
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream import connect


@dataclass(frozen=True, slots=True)
class ShortStrips:
    """So many strips like this one; few pictures, as each strip holds its own."""

    like: LineLoad
    count: int

    def loads(self) -> list[LineLoad]:
        return [replace(self.like, strip=f"{self.like.strip}-{number}") for number in range(self.count)]

    def process(self, name: str) -> Spec:
        """How to run it."""
        arguments = (str(Path(__file__).resolve()), json.dumps(asdict(self.like)), str(self.count))
        return Spec(name, (sys.executable, *arguments), ONE_THREAD, may_end=True)


def main() -> None:
    """Sends them all, then writes down how many frames went out and how many were shed."""
    strips = ShortStrips(LineLoad(**json.loads(sys.argv[1])), int(sys.argv[2]))
    like, lifecycle = strips.like, Lifecycle()
    lifecycle.listen()
    stream = connect(like.redis_url)
    line = stream.line(LINE)
    rules = FeedRules(live=like.live, budget_bytes=like.budget_bytes, budget_s=like.budget_s)
    publisher = Publisher(line, rules, lifecycle)
    sources = [LineFrames(load, lifecycle, publisher) for load in strips.loads()]
    with Hold(line, owner_name(), live=like.live, stage="ingest"):
        try:
            for load, source in zip(strips.loads(), sources, strict=True):
                publisher.start(source.start())
                for frame in source.frames():
                    publisher.frame(frame)
                for name, _ in load.cameras:
                    publisher.end(CameraEnd(load.run, name, load.frames))
        finally:
            publisher.close(60.0)
    Path(like.account).write_text(json.dumps({"sent": publisher.sent, "shed": publisher.shed}), encoding="utf-8")
    stream.close()


if __name__ == "__main__":
    main()
