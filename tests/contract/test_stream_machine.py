"""Any sequence of steps on the stream ports: memory and Redis answer alike, as a small model says they must."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aggregator_cases import bitmap
from machine_parts import FRAMES, LONG_MS, RESULTS, Books, Given, Pair, QueueModel, RunModel, Side
from stripwatch.domain.frame import RunId
from stripwatch.ports import Done, Entry, Event, Keeping, Kind, LineState, Outgoing, Queue, Record, RunState, Stream
from stripwatch.stream.memory import MemoryStream

_lines = (f"machine{number}" for number in itertools.count())

WORKERS = st.sampled_from(["w1", "w2", "w3"])
QUEUES = st.sampled_from([FRAMES, RESULTS])
STARTED = [("s1", "r1"), ("s1", "r2"), ("s2", "r1")]
RUNS = st.sampled_from([*STARTED, ("s3", "r1")])
CAMERAS = st.sampled_from(["top", "top-2"])
NTH = st.integers(0, 30)
GHOST = ("s9", "nobody-started-it")
KEEPING = Keeping(flagged_bytes=40, reason_bytes=20)
"""A few flagged frames, and the reasons of a few failed ones."""


class StreamMachine(RuleBasedStateMachine):
    """One line on two adapters; each rule is one step of a source, a worker, an aggregator or a reader."""

    def __init__(self, real: Stream) -> None:
        super().__init__()
        name = next(_lines)
        self.name = name
        self.pair = Pair(MemoryStream().line(name), real.line(name))
        self.queues = {FRAMES: QueueModel(), RESULTS: QueueModel()}
        self.runs: dict[RunId, RunModel] = {}
        self.books = Books()
        self.letters: list[tuple[str, str, Outgoing]] = []
        self.gone: dict[str, set[int]] = {FRAMES: set(), RESULTS: set()}
        self.handed: dict[str, dict[int, tuple[Entry, Entry]]] = {FRAMES: {}, RESULTS: {}}
        self.tapped: list[Outgoing] = []
        self.tap_numbers = 0
        self.recorder = ""
        self.seen: dict[RunId, list[int]] = {}
        self.verdicts: list[RunId] = []
        self.bodies = itertools.count()

    # What the rules share

    def run_id(self, of: tuple[str, str]) -> RunId:
        return RunId(self.name, *of)

    def queue(self, side: Side, name: str) -> Queue:
        return side.line.frames if name == FRAMES else side.line.results

    def take(self, name: str, found: list[tuple[list[Entry], list[tuple[int, Outgoing, int]]]]) -> None:
        """Remembers the entries as each side handed them out."""
        (memory, told), (real, _) = found
        order = {side.token(name, one.id): one for side, one in ((self.pair.sides[0], one) for one in memory)}
        other = {self.pair.sides[1].token(name, one.id): one for one in real}
        for token, _, _ in told:
            self.handed[name][token] = (order[token], other[token])

    def hand_out(self, name: str, get: str, consumer: str, idle_ms: int, count: int) -> list[tuple[int, Outgoing, int]]:
        found = []

        def step(side: Side) -> list[tuple[int, Outgoing, int]]:
            queue = self.queue(side, name)
            entries = queue.read(consumer, count, 0) if get == "read" else queue.claim(consumer, idle_ms, count)
            told = side.tell(name, entries)
            found.append((entries, told))
            return told

        answer = self.pair.do(step)
        assert isinstance(answer, list)
        self.take(name, found)
        assert not self.gone[name] & {token for token, _, _ in answer}, "an acked entry came back"
        return answer

    def given(self, name: str, nth: int) -> int:
        """A token in somebody's hands."""
        tokens = sorted(self.queues[name].given)
        return tokens[nth % len(tokens)]

    def has_given(self, name: str) -> bool:
        return bool(self.queues[name].given)

    def drop(self, name: str, token: int) -> Given | None:
        """The entry is acked; None if it was already."""
        self.gone[name].add(token)
        return self.queues[name].given.pop(token, None)

    def settle(self, one: Given | None, how: str) -> None:
        if one is not None and one.what.kind is not Kind.START:
            self.books.settled[how] += 1

    def open_run(self, run: RunId) -> RunModel | None:
        known = self.runs.get(run)
        return known if known and not known.closed else None

    def append(self, name: str, entry: Outgoing) -> None:
        self.queues[name].waiting.append(entry)

    # A source

    @rule(of=RUNS, both=st.booleans(), live=st.booleans(), deadline_ms=st.sampled_from([0, LONG_MS]))
    def start_run(self, of: tuple[str, str], both: bool, live: bool, deadline_ms: int) -> None:
        run, cameras = self.run_id(of), ("top", "top-2") if both else ("top",)
        answer = self.pair.do(
            lambda side: side.line.source.start_run(run, b"start", cameras=cameras, live=live, deadline_ms=deadline_ms)
        )
        known = self.runs.get(run)
        assert answer == ("Conflict" if known and known.closed else not known)
        if known is None:
            self.runs[run] = RunModel(cameras, live, deadline_ms)
            self.publish_entry(Outgoing(Kind.START, run, b"start"))

    def publish_entry(self, entry: Outgoing) -> None:
        self.append(FRAMES, entry)
        if self.recorder:
            self.tap_numbers += 1
            self.tapped.append(entry)

    @initialize(live=st.booleans())
    def begin(self, live: bool) -> None:
        for of in STARTED:
            self.start_run(of, both=of != ("s2", "r1"), live=live, deadline_ms=0)

    @rule(of=RUNS, camera=CAMERAS, indices=st.lists(st.integers(0, 9), min_size=1, max_size=4))
    def publish(self, of: tuple[str, str], camera: str, indices: list[int]) -> None:
        run = self.run_id(of)
        known = self.runs.get(run)
        entries = [
            Outgoing(Kind.FRAME, run, f"{camera} {index} {next(self.bodies)}".encode(), b"pixels") for index in indices
        ]
        answer = self.pair.do(lambda side: side.line.source.publish(entries))
        assert answer == (None if known else "Conflict")
        for entry in entries if known else ():
            self.publish_entry(entry)
            self.books.published["frame"] += 1

    @rule(of=RUNS, camera=CAMERAS, count=st.integers(0, 10))
    def publish_end(self, of: tuple[str, str], camera: str, count: int) -> None:
        run = self.run_id(of)
        known = self.runs.get(run)
        if known is None:
            return
        entry = Outgoing(Kind.END, run, f"{camera} {count} end".encode())
        assert self.pair.do(lambda side: side.line.source.publish([entry])) is None
        self.publish_entry(entry)
        self.books.published["end"] += 1

    @rule(owner=WORKERS, live=st.booleans())
    def hold(self, owner: str, live: bool) -> None:
        self.pair.do(lambda side: side.line.source.hold(owner, live=live, ttl_ms=LONG_MS))

    @rule(owner=WORKERS)
    def release(self, owner: str) -> None:
        self.pair.do(lambda side: side.line.source.release(owner))

    @rule(state=st.sampled_from(list(LineState)))
    def set_state(self, state: LineState) -> None:
        self.pair.do(lambda side: side.line.source.set_state(state))
        assert self.pair.do(lambda side: side.line.source.state()) is state

    @rule(
        of=RUNS,
        camera=CAMERAS,
        indices=st.lists(st.integers(0, 3), max_size=4),
        end=st.none() | st.integers(0, 4),
        failure=st.sampled_from(["", "broken"]),
    )
    def flow(self, of: tuple[str, str], camera: str, indices: list[int], end: int | None, failure: str) -> None:
        """Many steps at once, so that runs come to their ends."""
        if indices:
            self.publish(of, camera, indices)
        if end is not None:
            self.publish_end(of, camera, end)
        self.work("w1", 100)
        if self.has_given(RESULTS):
            self.record_all(failure, flag=True)
        self.look(of)
        self.due()

    # Anybody who works on a queue

    @rule(name=QUEUES, consumer=WORKERS, count=st.integers(1, 6))
    def read(self, name: str, consumer: str, count: int) -> None:
        answer = self.hand_out(name, "read", consumer, 0, count)
        model = self.queues[name]
        expected = [model.waiting.popleft() for _ in range(min(count, len(model.waiting)))]
        assert [(what, deliveries) for _, what, deliveries in answer] == [(one, 1) for one in expected]
        for token, what, _ in answer:
            assert token not in model.given
            model.given[token] = Given(what, consumer)

    @rule(name=QUEUES, consumer=WORKERS, idle_ms=st.sampled_from([0, LONG_MS]))
    def claim(self, name: str, consumer: str, idle_ms: int) -> None:
        answer = self.hand_out(name, "claim", consumer, idle_ms, 1_000)
        model = self.queues[name]
        expected = []
        for token, one in sorted(model.given.items()):
            if one.returned or not idle_ms:
                one.consumer, one.deliveries, one.returned = consumer, one.deliveries + 1, False
                expected.append((token, one.what, one.deliveries))
        assert answer == expected

    @precondition(lambda self: self.has_given(FRAMES) or self.has_given(RESULTS))
    @rule(nth=NTH, name=QUEUES, consumer=WORKERS, do=st.sampled_from(["keep", "excuse", "hand_back"]))
    def say(self, nth: int, name: str, consumer: str, do: str) -> None:
        if not self.has_given(name):
            return
        token = self.given(name, nth)
        handed = self.handed[name][token]

        def step(side: Side) -> None:
            queue = self.queue(side, name)
            entry = handed[self.pair.sides.index(side)]
            if do == "keep":
                queue.keep(consumer, [entry.id])
            elif do == "excuse":
                queue.excuse(consumer, [entry])
            else:
                queue.hand_back(consumer, [entry.id])

        self.pair.do(step)
        one = self.queues[name].given[token]
        if one.consumer == consumer and not one.returned:
            if do == "excuse":
                one.deliveries = handed[0].deliveries - 1
            elif do == "hand_back":
                one.deliveries, one.returned = max(0, one.deliveries - 1), True

    @rule(name=QUEUES, consumer=WORKERS)
    def leave(self, name: str, consumer: str) -> None:
        mine = [one for one in self.queues[name].given.values() if one.consumer == consumer and not one.returned]
        assert self.pair.do(lambda side: self.queue(side, name).leave(consumer)) is not bool(mine)

    # A worker

    @precondition(lambda self: self.has_given(FRAMES))
    @rule(nth=NTH, again=st.booleans())
    def finish(self, nth: int, again: bool) -> None:
        token = self.given(FRAMES, nth)
        one = self.queues[FRAMES].given[token]
        kind = Kind.RESULT if one.what.kind is Kind.FRAME else one.what.kind
        result = Outgoing(kind, one.what.run, one.what.body)

        def step(side: Side) -> list[bool]:
            done = Done(side.ids[FRAMES][token], kind, result.run, result.body)
            return side.line.work.finish([done, done] if again else [done])

        assert self.pair.do(step) == ([True, False] if again else [True])
        self.drop(FRAMES, token)
        self.append(RESULTS, result)

    @rule(consumer=WORKERS, count=st.integers(1, 10))
    def work(self, consumer: str, count: int) -> None:
        """Several steps at once, so that sequences come to their ends: what waits is judged and on its way."""
        self.read(FRAMES, consumer, count)
        while self.has_given(FRAMES):
            self.finish(0, again=False)
        self.read(RESULTS, consumer, count)

    @precondition(lambda self: self.gone[FRAMES])
    @rule(nth=NTH)
    def finish_what_is_finished(self, nth: int) -> None:
        token = sorted(self.gone[FRAMES])[nth % len(self.gone[FRAMES])]
        run = self.run_id(("s1", "r1"))

        def step(side: Side) -> tuple[list[bool], bool]:
            done = Done(side.ids[FRAMES][token], Kind.RESULT, run, b"again")
            return side.line.work.finish([done]), side.line.work.bury(done, "again")

        assert self.pair.do(step) == ([False], False)

    @precondition(lambda self: self.has_given(FRAMES))
    @rule(nth=NTH, silent=st.booleans())
    def bury(self, nth: int, silent: bool) -> None:
        token = self.given(FRAMES, nth)
        what = self.queues[FRAMES].given[token].what
        if what.kind is not Kind.FRAME:
            return
        body = b"" if silent else what.body

        def step(side: Side) -> bool:
            done = Done(side.ids[FRAMES][token], Kind.RESULT, what.run, body)
            return side.line.work.bury(done, "undecodable")

        assert self.pair.do(step) is True
        one = self.drop(FRAMES, token)
        self.letters.append(("undecodable", FRAMES, what))
        if silent:
            self.settle(one, "dead")
        else:
            self.append(RESULTS, Outgoing(Kind.RESULT, what.run, body))

    @precondition(lambda self: self.runs)
    @rule(nth=NTH, pins=st.sampled_from([b"one", b"other"]))
    def pin(self, nth: int, pins: bytes) -> None:
        run = sorted(self.runs, key=str)[nth % len(self.runs)]
        known = self.runs[run]
        if not known.closed:
            known.pins = known.pins or pins
        assert self.pair.do(lambda side: side.line.work.pin(run, pins)) == known.pins

    @rule(of=st.one_of(RUNS, st.just(GHOST)))
    def info(self, of: tuple[str, str]) -> None:
        run = self.run_id(of)
        answer = self.pair.do(lambda side: side.line.work.info(run))
        known = self.runs.get(run)
        assert not isinstance(answer, str)
        assert (answer.closed, answer.pins) == ((known.closed, known.pins) if known else (False, b""))

    # An aggregator

    @precondition(lambda self: self.has_given(RESULTS) or self.gone[RESULTS])
    @rule(nth=NTH, failure=st.sampled_from(["", "", "broken"]), flag=st.booleans(), ghost=st.booleans())
    def record(self, nth: int, failure: str, flag: bool, ghost: bool) -> None:
        """A result that waits for it, or one that another aggregator has recorded before."""
        known_tokens = sorted({*self.queues[RESULTS].given, *self.gone[RESULTS]})
        token = known_tokens[nth % len(known_tokens)]
        what = next(iter(self.handed[RESULTS][token]))
        if what.kind is not Kind.RESULT:
            return
        run = self.run_id(GHOST) if ghost else what.run
        camera, index = what.body.split()[0].decode(), int(what.body.split()[1])
        flagged = f"flag {camera} {index}".encode() if flag and not failure else b""

        def step(side: Side) -> list[str]:
            one = Record(side.ids[RESULTS][token], run, camera, index, 4, 5, flagged, failure)
            return [recorded.value for recorded in side.line.runs.record([one], KEEPING)]

        assert self.pair.do(step) == [self.recorded(run, token, (camera, index), failure, flagged)]

    def recorded(self, run: RunId, token: int, frame: tuple[str, int], failure: str, flagged: bytes) -> str:
        known = self.runs.get(run)
        if known is None:
            return "unknown"
        one = self.drop(RESULTS, token)
        if known.closed:
            known.late += one is not None
            self.settle(one, "late")
            return "late"
        self.settle(one, "recorded")
        if frame[0] not in known.cameras:
            known.strays.add(frame[0])
            return "stray"
        if frame in known.judged or (failure and frame in known.failed):
            return "repeat"
        if failure:
            known.failed[frame] = failure
        else:
            known.judged.add(frame)
            known.failed.pop(frame, None)
            if flagged:
                known.flagged.add(flagged)
        return "new"

    @precondition(lambda self: self.has_given(RESULTS))
    @rule(nth=NTH)
    def record_end(self, nth: int) -> None:
        token = self.given(RESULTS, nth)
        what = self.queues[RESULTS].given[token].what
        if what.kind is not Kind.END:
            return
        camera, count = what.body.split()[0].decode(), int(what.body.split()[1])

        def step(side: Side) -> str:
            entry_id = side.ids[RESULTS][token]
            return side.line.runs.record_end(entry_id, what.run, camera, what.body, count, 0).value

        known = self.runs[what.run]
        stray = camera not in known.cameras
        expected = "late" if known.closed else "stray" if stray else "repeat" if camera in known.ends else "new"
        assert self.pair.do(step) == expected
        if expected == "stray":
            known.strays.add(camera)
        self.settle(self.drop(RESULTS, token), "end")
        if expected == "new":
            known.ends.setdefault(camera, what.body)

    @precondition(lambda self: self.has_given(RESULTS))
    @rule(failure=st.sampled_from(["", "broken"]), flag=st.booleans())
    def record_all(self, failure: str, flag: bool) -> None:
        for token in sorted(self.queues[RESULTS].given):
            place = sorted({*self.queues[RESULTS].given, *self.gone[RESULTS]}).index(token)
            self.record(place, failure, flag, ghost=False)
            if token in self.queues[RESULTS].given and self.queues[RESULTS].given[token].what.kind is Kind.END:
                self.record_end(sorted(self.queues[RESULTS].given).index(token))

    @precondition(lambda self: self.has_given(RESULTS))
    @rule(nth=NTH)
    def acknowledge_or_discard(self, nth: int) -> None:
        token = self.given(RESULTS, nth)
        what = self.queues[RESULTS].given[token].what
        if what.kind is Kind.START:
            self.pair.do(lambda side: side.line.runs.acknowledge([side.ids[RESULTS][token]]))
        else:
            self.pair.do(lambda side: side.line.runs.discard(side.ids[RESULTS][token], "belongs nowhere"))
            self.letters.append(("belongs nowhere", RESULTS, what))
        self.settle(self.drop(RESULTS, token), "dead")

    @rule()
    def due(self) -> None:
        answer = self.pair.do(lambda side: sorted(side.line.runs.due(100), key=str))
        assert not isinstance(answer, str)
        assert {run for run, known in self.runs.items() if not known.closed} >= set(answer)

    @rule(of=RUNS)
    def look(self, of: tuple[str, str]) -> None:
        run = self.run_id(of)
        answer = self.pair.do(lambda side: self.shown(side.line.runs.state(run)))
        known = self.open_run(run)
        if known is None:
            assert answer is None
            return
        assert isinstance(answer, dict)
        assert answer["failures"].items() <= known.failed.items()
        assert set(answer["flagged"]) <= known.flagged
        assert len(answer["flagged"]) + answer["beyond"] == len(known.flagged)
        assert answer["strays"] == tuple(sorted(known.strays))
        assert set(answer["cameras"]) == set(known.cameras)
        assert (answer["pins"], answer["live"]) == (known.pins, known.live)
        for camera in known.cameras:
            judged = sorted(index for name, index in known.judged if name == camera)
            failed = sorted(index for name, index in known.failed if name == camera)
            end, bits, misses, inspected, strip = answer["cameras"][camera]
            assert (bits, misses) == (bitmap(judged), bitmap(failed))
            assert (inspected, strip) == (4 * len(judged), 5 * len(judged))
            assert end == known.ends.get(camera, b"")
        self.seen.setdefault(run, []).append(answer["revision"])

    def shown(self, state: RunState | None) -> dict[str, object] | None:
        """A state less what the clock decides; `busy` is checked against what surely waits or surely does not."""
        if state is None:
            return None
        waits = {name: len(queue.waiting) + len(queue.given) for name, queue in self.queues.items()}
        if any(queue.of(state.run) for queue in self.queues.values()):
            assert state.busy
        elif not any(waits.values()):
            assert not state.busy
        return {
            "revision": state.revision,
            "start": state.start,
            "pins": state.pins,
            "live": state.live,
            "deadline": state.deadline_ms,
            "cameras": {
                name: (one.end, one.judged, one.failed.rstrip(b"\0"), one.inspected_mm2, one.strip_mm2)
                for name, one in state.cameras.items()
            },
            "beyond": state.beyond,
            "strays": state.strays,
            "flagged": list(state.flagged),
            "failures": dict(state.failures),
        }

    @rule(of=st.one_of(RUNS, st.just(GHOST)), nth=NTH)
    def attempt(self, of: tuple[str, str], nth: int) -> None:
        run = self.run_id(of)
        revisions = self.seen.get(run, [0])
        revision = revisions[nth % len(revisions)]
        known = self.open_run(run)
        if known:
            before, count = known.tries
            known.tries = (revision, count + 1 if before == revision else 1)
        told = self.pair.do(lambda side: side.line.runs.attempt(run, revision))
        assert told == (known.tries[1] if known else 0)

    @rule(of=RUNS, delay_ms=st.sampled_from([0, LONG_MS]), nth=NTH)
    def postpone(self, of: tuple[str, str], delay_ms: int, nth: int) -> None:
        run = self.run_id(of)
        revisions = self.seen.get(run, [0])
        revision = revisions[nth % len(revisions)]
        self.pair.do(lambda side: side.line.runs.postpone(run, revision, delay_ms))

    def event(self, run: RunId, key: str = "verdict") -> Event:
        return Event(f"{key} of {run}", run, b"{}", b"body")

    @rule(of=RUNS, nth=NTH)
    def close_as_it_was_seen(self, of: tuple[str, str], nth: int) -> None:
        run = self.run_id(of)
        revisions = self.seen.get(run, [0])
        revision = revisions[nth % len(revisions)]
        self.closed(run, self.pair.do(lambda side: side.line.runs.close(run, revision, self.event(run))))

    @precondition(lambda self: any(not known.closed for known in self.runs.values()))
    @rule(nth=NTH, sure=st.integers(0, 3))
    def close_as_it_is(self, nth: int, sure: int) -> None:
        if sure:
            return  # a closed run has little left to show
        found = sorted((run for run in self.runs if self.open_run(run)), key=str)
        run = found[nth % len(found)]

        def step(side: Side) -> bool:
            state = side.line.runs.state(run)
            assert state is not None
            return side.line.runs.close(run, state.revision, self.event(run))

        answer = self.pair.do(step)
        assert answer is True
        self.closed(run, answer)

    def closed(self, run: RunId, answer: bool | str) -> None:
        if answer is True:
            known = self.open_run(run)
            assert known is not None, "a run closed twice"
            known.closed, known.pins = True, b""
            self.verdicts.append(run)

    @rule(of=st.one_of(RUNS, st.just(GHOST)), key=st.sampled_from(["scratch:top", "patch:top"]))
    def alarm(self, of: tuple[str, str], key: str) -> None:
        run = self.run_id(of)
        known = self.open_run(run)
        answer = self.pair.do(lambda side: side.line.runs.alarm(key, self.event(run, key)))
        assert answer is (known is not None and key not in known.alarms)
        if known:
            known.alarms.add(key)

    # Readers

    @rule(nth=NTH, count=st.integers(1, 4))
    def follow_verdicts(self, nth: int, count: int) -> None:
        place = nth % (len(self.verdicts) + 1)

        def step(side: Side) -> list[tuple[str, RunId]]:
            past = side.line.verdicts.since("", 100, 0)
            after = past[place - 1].cursor if place else ""
            return [(one.event.event_id, one.event.run) for one in side.line.verdicts.since(after, count, 0)]

        expected = self.verdicts[place:][:count]
        assert self.pair.do(step) == [(self.event(run).event_id, run) for run in expected]

    @rule(nth=NTH, count=st.integers(1, 4))
    def page_verdicts(self, nth: int, count: int) -> None:
        place = nth % (len(self.verdicts) + 1)

        def step(side: Side) -> list[RunId]:
            past = side.line.verdicts.since("", 100, 0)
            before = past[place].cursor if place < len(past) else ""
            return [one.event.run for one in side.line.verdicts.page(before, count)]

        assert self.pair.do(step) == list(reversed(self.verdicts[:place][-count:]))

    @rule(of=RUNS)
    def look_up(self, of: tuple[str, str]) -> None:
        run = self.run_id(of)

        def step(side: Side) -> bool:
            found = side.line.verdicts.of(run)
            return found is not None and found.event.run == run

        assert self.pair.do(step) is (run in self.verdicts)

    @rule()
    def a_cursor_beyond_the_end_is_lost(self) -> None:
        assert self.pair.do(lambda side: bool(side.line.verdicts.since("99999999999999-0", 1, 0))) == "CursorLost"

    @precondition(lambda self: self.letters)
    @rule(nth=NTH)
    def requeue(self, nth: int) -> None:
        place = nth % len(self.letters)

        def step(side: Side) -> tuple[bool, bool]:
            letter = side.line.dead.page(1_000)[len(self.letters) - 1 - place]
            return side.line.dead.requeue(letter.id), side.line.dead.requeue(letter.id)

        assert self.pair.do(step) == (True, False)
        _, origin, what = self.letters.pop(place)
        self.append(origin, what)
        self.books.published["requeued"] += 1

    @rule(owner=WORKERS)
    def lease(self, owner: str) -> None:
        answer = self.pair.do(lambda side: side.line.tap.lease(owner, LONG_MS))
        assert answer == ("Conflict" if self.recorder not in ("", owner) else None)
        if not self.recorder:
            self.recorder, self.tap_numbers = owner, 0

    @rule(owner=WORKERS)
    def release_tap(self, owner: str) -> None:
        self.pair.do(lambda side: side.line.tap.release(owner))
        if self.recorder == owner:
            self.recorder = ""
            self.tapped.clear()

    @rule(count=st.integers(1, 5), forget=st.booleans())
    def record_tap(self, count: int, forget: bool) -> None:
        def step(side: Side) -> list[tuple[int, Outgoing]]:
            found = side.line.tap.read("", count, 0)
            if forget and found:
                side.line.tap.forget(found[-1].id)
            return [(one.number, one.entry) for one in found]

        first = self.tap_numbers - len(self.tapped) + 1
        expected = list(enumerate(self.tapped[:count], first))
        assert self.pair.do(step) == expected
        if forget and expected:
            del self.tapped[: len(expected) - 1]  # the last one read stays

    # What holds at any time

    @invariant()
    def every_frame_is_in_one_place(self) -> None:
        self.books.balance(self.queues)

        def step(side: Side) -> list[tuple[int, int]]:
            backlogs = (side.line.frames.backlog(), side.line.results.backlog())
            return [(one.waiting, one.pending) for one in backlogs]

        models = (self.queues[FRAMES], self.queues[RESULTS])
        assert self.pair.do(step) == [(len(one.waiting) + len(one.given), len(one.given)) for one in models]

    @invariant()
    def dead_letters_and_late_results_are_counted(self) -> None:
        def step(side: Side) -> tuple[list[tuple[str, str, Outgoing]], list[int], list[str]]:
            page = [
                (one.reason, one.origin, Outgoing(one.entry.kind, one.entry.run, one.entry.body, one.entry.pixels))
                for one in reversed(side.line.dead.page(1_000))
            ]
            runs = side.line.runs
            return page, [runs.late(run) for run in self.runs], sorted(str(run) for run in runs.open_runs())

        open_runs = sorted(str(run) for run in self.runs if self.open_run(run))
        assert self.pair.do(step) == (self.letters, [known.late for known in self.runs.values()], open_runs)


@pytest.mark.parametrize("stream", ["redis-7", "redis-8", "cluster"], indirect=True)
def test_any_sequence_of_steps_has_the_same_answers_in_memory_and_on_redis(stream: Stream) -> None:
    run_state_machine_as_test(
        lambda: StreamMachine(stream),
        settings=settings(
            max_examples=100,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
