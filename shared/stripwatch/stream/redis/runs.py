"""Open runs and how they end, on Redis."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from stripwatch.domain.frame import RunId
from stripwatch.errors import BadInput
from stripwatch.ports import KEEPING, MOST_TRACED, CameraState, Event, Keeping, Record, Recorded, RunState
from stripwatch.runtime.tracing import traceparent
from stripwatch.stream.keys import RESULTS_GROUP, Keys, member, run_of
from stripwatch.stream.redis.client import Call, Client, Part
from stripwatch.stream.redis.entries import milliseconds
from stripwatch.stream.redis.letters import bury

log = logging.getLogger(__name__)

ALARM_ENTRIES = 1_000
"""Alarms kept, each with a picture of some 10 KiB; the oldest go first."""
FIELDS_AT_ONCE = 100
"""Of a run's hash, in one read."""
ADMITTED_MS = 30_000
"""Frames that a run has admitted are on their way for so long at most: an entry that came later is none of its."""


@dataclass(slots=True)
class _Found:
    """The fields of a run's hash that come in any number."""

    ends: dict[str, bytes] = field(default_factory=dict)
    flagged: dict[bytes, bytes] = field(default_factory=dict)
    failures: dict[tuple[str, int], str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    strays: tuple[str, ...] = ()


class RedisRuns:
    """The state of runs: any replica of the aggregator may work on any of them."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def record(self, records: Sequence[Record], keeping: Keeping = KEEPING) -> list[Recorded]:
        keys = self._keys
        calls: list[Call] = [
            (
                "record",
                [
                    *(keys.run(one.run), keys.open, keys.results),
                    *(keys.seen(one.run, one.camera), keys.failed(one.run, one.camera)),
                    *(keys.kept(one.run, "flag"), keys.kept(one.run, "fail")),
                ],
                [
                    *(member(one.run), RESULTS_GROUP, one.id, one.camera, one.index),
                    *(
                        one.inspected_mm2,
                        one.strip_mm2,
                        one.flagged,
                        one.failure,
                        keeping.flagged_bytes,
                        keeping.reason_bytes,
                        one.trace,
                    ),
                ],
            )
            for one in records
        ]
        return [Recorded(answer.decode()) for answer in self._client.call_all(calls)]

    def record_end(self, entry_id: str, run: RunId, camera: str, body: bytes, frames: int, shed: int) -> Recorded:
        keys = [self._keys.run(run), self._keys.open, self._keys.results]
        args: list[Part] = [member(run), RESULTS_GROUP, entry_id, camera, body, frames, shed]
        return Recorded(self._client.call("record_end", keys, args).decode())

    def acknowledge(self, entry_ids: Sequence[str]) -> None:
        if entry_ids:
            self._client.call("acknowledge", [self._keys.results], [RESULTS_GROUP, *entry_ids])

    def discard(self, entry_id: str, reason: str) -> None:
        bury(self._client, self._keys, self._keys.results, RESULTS_GROUP, entry_id, reason)

    def due(self, limit: int) -> list[RunId]:
        found = []
        for name in self._client.call("due", [self._keys.open], [limit]):
            run = self._named(name)
            if run is None:
                self._take_out(name)
            else:
                found.append(run)
        return found

    def _named(self, name: bytes) -> RunId | None:
        try:
            return run_of(self._keys.line, name.decode())
        except (BadInput, ValueError):
            return None

    def _take_out(self, name: bytes) -> None:
        """What is no run of ours would be due for ever, and hide those that are."""
        if self._client.do("ZREM", self._keys.open, name):
            log.warning("an open run that is none is taken out", extra={"entry": name.decode(errors="replace")})

    def now_ms(self) -> int:
        return self._client.now_ms(self._keys.open)

    def postpone(self, run: RunId, revision: int, delay_ms: int) -> None:
        keys = [self._keys.run(run), self._keys.open]
        self._client.call("postpone", keys, [member(run), revision, delay_ms])

    def state(self, run: RunId) -> RunState | None:
        try:
            return self._state(run)
        except ValueError:  # fields that no step of ours wrote
            self._take_out(member(run).encode())
            return None

    def _state(self, run: RunId) -> RunState | None:
        key = self._keys.run(run)
        wanted = ("start", "pins", "live", "deadline", "cameras", "rev", "last", "closed", "trace", "traces")
        start, pins, live, deadline, cameras, revision, last, closed, *traces = self._client.do("HMGET", key, *wanted)
        if closed is not None:
            return None
        if start is None:
            self._take_out(member(run).encode())
            return None
        if None in (live, deadline, cameras, revision, last):
            raise ValueError("a run without its fields")
        names = cameras.decode().split(",")
        found = self._scan(key)
        oldest = self._client.call("oldest", [self._keys.frames, self._keys.results], [])
        return RunState(
            run=run,
            revision=int(revision),
            start=start,
            pins=pins or b"",
            live=live == b"1",
            idle_ms=max(0, self.now_ms() - int(last)),
            deadline_ms=int(deadline),
            busy=any(one and milliseconds(one.decode()) <= int(last) + ADMITTED_MS for one in oldest),
            cameras={
                name: CameraState(
                    end=found.ends.get(name, b""),
                    judged=self._client.do("GET", self._keys.seen(run, name)) or b"",
                    failed=self._client.do("GET", self._keys.failed(run, name)) or b"",
                    inspected_mm2=found.counts.get(f"inspected:{name}", 0),
                    strip_mm2=found.counts.get(f"strip:{name}", 0),
                )
                for name in names
            },
            flagged=tuple(found.flagged[name] for name in sorted(found.flagged)),
            beyond=found.counts.get("beyond:flag", 0),
            failures=found.failures,
            strays=found.strays,
            trace=traceparent(traces[0] or b""),
            traced=tuple(filter(None, map(traceparent, (traces[1] or b"").split(b","))))[:MOST_TRACED],
        )

    def _scan(self, key: str) -> _Found:
        """What a run's hash holds, read in pieces: one big read would stop the server."""
        found = _Found()
        cursor = 0
        while True:
            cursor, parts = self._client.do("HSCAN", key, cursor, "COUNT", FIELDS_AT_ONCE)
            for name, value in parts.items():
                what, _, rest = name.decode().partition(":")
                if what == "end":
                    found.ends[rest] = value
                elif what == "flag":
                    found.flagged[name] = value
                elif what == "fail":
                    camera, _, index = rest.rpartition(":")
                    found.failures[camera, int(index)] = value.decode(errors="replace")
                elif what == "strays":
                    found.strays = tuple(value.decode().split(","))
                elif what in ("inspected", "strip", "beyond"):
                    found.counts[name.decode()] = int(value)
            if int(cursor) == 0:
                return found

    def attempt(self, run: RunId, revision: int) -> int:
        return int(self._client.call("attempt", [self._keys.run(run)], [revision]))

    def close(self, run: RunId, revision: int, verdict: Event, keeping: Keeping = KEEPING) -> bool:
        keys = self._keys
        cameras = self._client.do("HGET", keys.run(run), "cameras")
        if cameras is None:
            return False
        held = keys.of_run(run, cameras.decode().split(","))
        return bool(
            self._client.call(
                "close",
                [keys.run(run), keys.open, keys.verdicts, keys.verdict_of, keys.verdict_bytes, *held],
                [
                    *(member(run), revision, verdict.event_id, verdict.json, verdict.body),
                    *(keeping.tombstone_ms, keeping.verdict_ms, keeping.verdict_bytes),
                ],
            )
        )

    def alarm(self, key: str, alarm: Event) -> bool:
        args: list[Part] = [key, alarm.event_id, member(alarm.run), alarm.json, alarm.body, ALARM_ENTRIES]
        return bool(self._client.call("alarm", [self._keys.run(alarm.run), self._keys.alarms], args))

    def open_runs(self) -> list[RunId]:
        named = map(self._named, self._client.do("ZRANGE", self._keys.open, 0, -1))
        return [run for run in named if run is not None]

    def late(self, run: RunId) -> int:
        return int(self._client.do("HGET", self._keys.run(run), "late") or 0)
