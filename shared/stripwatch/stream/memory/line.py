"""All ports of one line in memory."""

from __future__ import annotations

from stripwatch.domain.frame import RunId
from stripwatch.errors import Conflict, CursorLost
from stripwatch.ports import DeadLetter, Entry, Event, Published, Tapped
from stripwatch.stream.cursor import checked, trimmed
from stripwatch.stream.keys import Keys
from stripwatch.stream.memory.log import Log, now_ms, parse_id
from stripwatch.stream.memory.runs import MemoryRuns
from stripwatch.stream.memory.source import MemorySource
from stripwatch.stream.memory.state import LineMemory
from stripwatch.stream.memory.work import MemoryWork


class MemoryEvents:
    """Verdicts or alarms."""

    def __init__(self, name: str, log: Log[Event]) -> None:
        self._name = name
        self._log = log

    def since(self, cursor: str, count: int, block_ms: int) -> list[Published]:
        after = parse_id(checked(cursor))
        with self._log.changed:
            if after > self._log.last:
                raise CursorLost(f"{self._name}: cursor {cursor} lies beyond the stream's last id")
            if (0, 0) < after < self._log.removed:
                raise trimmed(self._name, checked(cursor), "{}-{}".format(*self._log.removed))
            found = self._log.after(after, count)
            if not found and block_ms > 0:
                self._log.wait(block_ms)
                found = self._log.after(after, count)
            return [Published(identity, event) for identity, event in found]

    def latest(self) -> str:
        return "{}-{}".format(*self._log.last)

    def page(self, before: str, count: int) -> list[Published]:
        with self._log.changed:
            limit = parse_id(checked(before)) if before else None
            found = [(at, event) for at, event in self._log.entries.items() if limit is None or at < limit]
            return [Published(f"{at[0]}-{at[1]}", event) for at, event in reversed(found[-count:])]


class MemoryVerdicts(MemoryEvents):
    """Verdicts, also by run."""

    def __init__(self, name: str, memory: LineMemory) -> None:
        super().__init__(name, memory.verdicts)
        self._memory = memory

    def of(self, run: RunId) -> Published | None:
        with self._memory.lock:
            entry = self._memory.verdict_of.get(run)
            event = self._memory.verdicts.entries.get(parse_id(entry)) if entry else None
            return Published(entry, event) if entry and event else None


class MemoryTap:
    """Copies of frames for a recorder."""

    def __init__(self, line: str, memory: LineMemory) -> None:
        self._line = line
        self._memory = memory

    def lease(self, owner: str, ttl_ms: int) -> None:
        memory = self._memory
        with memory.lock:
            held = memory.tap_owner if memory.tap_until > now_ms() else ""
            if held and held != owner:
                raise Conflict(f"line {self._line} is being recorded by {held}; one recorder at a time")
            if not held:
                memory.tap.entries.clear()
                memory.tap_number = 0
            memory.tap_owner, memory.tap_until = owner, now_ms() + ttl_ms

    def release(self, owner: str) -> None:
        with self._memory.lock:
            if self._memory.tap_owner == owner:
                self._memory.tap_owner = ""
                self._memory.tap.entries.clear()

    def read(self, after: str, count: int, block_ms: int) -> list[Tapped]:
        with self._memory.lock:
            place = parse_id(checked(after))
            found = self._memory.tap.after(place, count)
            if not found and block_ms > 0:
                self._memory.tap.wait(block_ms)
                found = self._memory.tap.after(place, count)
            return [Tapped(identity, number, entry) for identity, (number, entry) in found]

    def forget(self, up_to: str) -> None:
        with self._memory.lock:
            for at in [at for at in self._memory.tap.entries if at < parse_id(up_to)]:
                del self._memory.tap.entries[at]


class MemoryDead:
    """What could not be processed."""

    def __init__(self, memory: LineMemory) -> None:
        self._memory = memory

    def page(self, count: int) -> list[DeadLetter]:
        with self._memory.lock:
            letters = []
            for at, (reason, origin, one) in reversed(self._memory.dead.entries.items()):
                identity = f"{at[0]}-{at[1]}"
                letters.append(
                    DeadLetter(identity, reason, origin, Entry(identity, one.kind, one.run, one.body, one.pixels))
                )
            return letters[:count]

    def count(self) -> int:
        with self._memory.lock:
            return len(self._memory.dead.entries)

    def requeue(self, letter_id: str) -> bool:
        with self._memory.lock:
            letter = self._memory.dead.delete(letter_id)
            if letter is None:
                return False
            _, origin, entry = letter
            entry_id = (self._memory.frames if origin == "frames" else self._memory.results).log.append(entry)
            if entry.run in self._memory.runs and not self._memory.runs[entry.run].closed:
                self._memory.touch(entry.run, entry_id)
            return True


class MemoryBeats:
    """Heartbeats."""

    def __init__(self, memory: LineMemory) -> None:
        self._memory = memory

    def beat(self, stage: str, who: str, ttl_ms: int) -> None:
        with self._memory.lock:
            self._memory.beats[stage, who] = now_ms() + ttl_ms

    def alive(self) -> dict[str, list[str]]:
        with self._memory.lock:
            found: dict[str, list[str]] = {}
            for (stage, who), until in sorted(self._memory.beats.items()):
                if until > now_ms():
                    found.setdefault(stage, []).append(who)
            return found


class MemoryLine:
    """Everything about one line."""

    def __init__(self, line: str, limit: int) -> None:
        keys = Keys(line)
        memory = LineMemory()
        self.line = line
        self.frames = memory.frames
        self.results = memory.results
        self.source = MemorySource(line, memory, limit)
        self.work = MemoryWork(memory)
        self.runs = MemoryRuns(memory)
        self.verdicts = MemoryVerdicts(keys.verdicts, memory)
        self.alarms = MemoryEvents(keys.alarms, memory.alarms)
        self.tap = MemoryTap(line, memory)
        self.dead = MemoryDead(memory)
        self.beats = MemoryBeats(memory)


class MemoryStream:
    """Lines in this process. `limit` bytes of queued frames stand for the server's memory limit (0: none)."""

    def __init__(self, limit: int = 0) -> None:
        self._lines: dict[str, MemoryLine] = {}
        self._limit = limit

    def line(self, name: str) -> MemoryLine:
        if name not in self._lines:
            self._lines[name] = MemoryLine(name, self._limit)
        return self._lines[name]

    def ping(self) -> None:
        """Always there."""

    def close(self) -> None:
        """Nothing to close."""
