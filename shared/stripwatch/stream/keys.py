"""All keys in Redis. The line is the hash tag, so that what must be atomic lives in one slot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stripwatch.domain.frame import RunId
from stripwatch.domain.names import check_line

FRAMES_GROUP = "preprocess"
RESULTS_GROUP = "aggregate"


def member(run: RunId) -> str:
    """The run's name inside its line: neither part can hold a colon."""
    return f"{run.strip}:{run.run}"


def run_of(line: str, text: str) -> RunId:
    strip, _, run = text.partition(":")
    return RunId(line, strip, run)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one line."""

    line: str

    def __post_init__(self) -> None:
        check_line(self.line)

    def _key(self, *parts: str) -> str:
        return ":".join((f"sw:{{{self.line}}}", *parts))

    @property
    def frames(self) -> str:
        return self._key("frames")

    @property
    def results(self) -> str:
        return self._key("results")

    @property
    def open(self) -> str:
        return self._key("open")

    @property
    def verdicts(self) -> str:
        return self._key("verdicts")

    @property
    def verdict_of(self) -> str:
        return self._key("verdict-of")

    @property
    def verdict_bytes(self) -> str:
        return self._key("verdict-bytes")

    @property
    def alarms(self) -> str:
        return self._key("alarms")

    @property
    def dead(self) -> str:
        return self._key("dead")

    @property
    def dead_bytes(self) -> str:
        return self._key("dead-bytes")

    @property
    def tap(self) -> str:
        return self._key("tap")

    @property
    def tap_lease(self) -> str:
        return self._key("tap-lease")

    @property
    def sources(self) -> str:
        return self._key("sources")

    @property
    def state(self) -> str:
        return self._key("state")

    def run(self, run: RunId) -> str:
        return self._key("run", member(run))

    def seen(self, run: RunId, camera: str) -> str:
        return self._key("seen", member(run), camera)

    def failed(self, run: RunId, camera: str) -> str:
        return self._key("failed", member(run), camera)

    def kept(self, run: RunId, what: str) -> str:
        """Frames of which something is kept in the run, in order: `flag` or `fail`."""
        return self._key("kept", member(run), what)

    def of_run(self, run: RunId, cameras: Iterable[str]) -> list[str]:
        """All that a run holds beside its hash."""
        kept = [self.kept(run, "flag"), self.kept(run, "fail")]
        return kept + [key for name in cameras for key in (self.seen(run, name), self.failed(run, name))]

    def beat(self, stage: str, who: str) -> str:
        return self._key("beat", stage, who)

    def beat_prefix(self) -> str:
        return self._key("beat", "")
