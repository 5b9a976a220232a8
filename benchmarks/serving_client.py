"""The load: client processes, the same for every server; each keeps some requests in flight, a thread a request."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType

import numpy as np
from serving_wires import Ask, Scores, Target, Tiles, open_wire

from stripwatch.errors import StripwatchError
from stripwatch.runtime.memory import keep_freed

RAMP_S, TAIL_S = 0.2, 0.2
"""Load before the seconds that count, and after them: they begin and end with the same number of requests in flight."""
TOLERANCE = 2e-3
"""Between an answer and the engine's own: half a unit of quantisation, and what another batch changes."""
_AGAIN_S = 0.1
_ANSWER_S = 120.0


@dataclass(frozen=True, slots=True)
class Phase:
    """Load from `begins_at` (monotonic s) on; `rate` requests a second of all clients, 0: as fast as answers come."""

    begins_at: float
    seconds: float
    rate: float = 0.0

    @property
    def window(self) -> tuple[float, float]:
        """What counts, monotonic s."""
        return self.begins_at + RAMP_S, self.begins_at + RAMP_S + self.seconds

    @property
    def ends_at(self) -> float:
        return self.window[1] + TAIL_S


@dataclass(frozen=True, slots=True)
class Measured:
    """What one client saw: requests answered in the window, latency (s) of those due in it, its CPU (s) meanwhile."""

    answered: int
    latencies: list[float]
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Client:
    """Client `number` of `clients`: what it asks, where, and how many requests it keeps in flight.

    `tiles` are (requests, tiles a request, channels, size, size), `expected` the engine's (requests, tiles a request,
    classes).
    """

    target: Target
    tiles: Tiles
    expected: Scores
    in_flight: int
    number: int
    clients: int

    def serve(self, pipe: Connection) -> None:
        """Says None when the server answers each thread rightly, then what it measured in each phase."""
        keep_freed()  # as a worker does; all clients alike
        try:
            asks = self._opened()
            pipe.send(None)
            while (phase := pipe.recv()) is not None:
                pipe.send(self._load(asks, phase))
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")

    def _opened(self) -> list[Ask]:
        """Waits for the server: asks for as long as there is somebody to tell of it."""
        parent = multiprocessing.parent_process()
        while parent and parent.is_alive():
            try:
                one = open_wire(self.target)
                asks = [one() for _ in range(self.in_flight)]
                answers = [ask(self.tiles[number % len(self.tiles)]) for number, ask in enumerate(asks)]
            except Exception:  # whatever a client of a server that is not up yet raises
                time.sleep(_AGAIN_S)
                continue
            for number, answer in enumerate(answers):
                self._check(number % len(self.tiles), answer)
            return asks
        raise StripwatchError("nobody measures any more")

    def _check(self, request: int, answer: Scores) -> None:
        expected = self.expected[request]
        if answer.shape != expected.shape or not np.allclose(answer, expected, atol=TOLERANCE):
            raise StripwatchError(f"expected the engine's scores {expected[0]}, got {answer[:1]} ({answer.shape})")

    def _load(self, asks: Sequence[Ask], phase: Phase) -> Measured:
        taken = itertools.count()
        loop = _Loop(phase, self.number, self.clients, self.tiles, len(self.expected[0]))
        threads = [threading.Thread(target=loop.run, args=(ask, taken)) for ask in asks]
        for thread in threads:
            thread.start()
        first, last = phase.window
        _sleep_until(first)
        before = time.process_time()
        _sleep_until(last)
        cpu_s = time.process_time() - before
        for thread in threads:
            thread.join()
        if loop.failure:
            raise loop.failure
        answered = sum(first <= finished < last for _, finished in loop.answers)
        return Measured(answered, [end - due for due, end in loop.answers if first <= due < last], cpu_s)


@dataclass(slots=True)
class _Loop:
    """What each thread of a client does in one phase. An answer is (due, finished), monotonic s."""

    phase: Phase
    number: int
    clients: int
    tiles: Tiles
    a_request: int
    answers: list[tuple[float, float]] = field(default_factory=list)
    failure: Exception | None = None

    def run(self, ask: Ask, taken: itertools.count[int]) -> None:
        try:
            for request in taken:
                due = self._due(request)
                if due >= self.phase.ends_at or self.failure:
                    return
                _sleep_until(due)
                scores = ask(self.tiles[request % len(self.tiles)])
                self.answers.append((due, time.monotonic()))
                _refuse_size(scores, self.a_request)
        except Exception as error:
            self.failure = error

    def _due(self, request: int) -> float:
        if self.phase.rate:
            return self.phase.begins_at + (request * self.clients + self.number) / self.phase.rate
        return max(time.monotonic(), self.phase.begins_at)


class Clients:
    """Client processes that have begun to ask; they are gone when the block ends."""

    def __init__(self, clients: Sequence[Client]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for client in clients:
            ours, theirs = context.Pipe()
            self._pipes.append(ours)
            self._processes.append(context.Process(target=client.serve, args=(theirs,), daemon=True))

    def __enter__(self) -> Clients:
        for process in self._processes:
            process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def ready(self, timeout_s: float, alive: Callable[[], None]) -> None:
        """Returns when all have had right answers; `alive` raises if there is nothing to wait for any more."""
        until = time.monotonic() + timeout_s
        for pipe in self._pipes:
            while not pipe.poll(_AGAIN_S):
                alive()
                if time.monotonic() > until:
                    raise StripwatchError(f"no right answer within {timeout_s:g} s")
            _refuse_words(pipe.recv())

    def begin(self, phase: Phase) -> None:
        for pipe in self._pipes:
            pipe.send(phase)

    def measured(self) -> list[Measured]:
        """Of the phase that was begun, when it is over."""
        found = []
        for pipe in self._pipes:
            if not pipe.poll(_ANSWER_S):
                raise StripwatchError(f"a client said nothing for {_ANSWER_S:g} s")
            one = pipe.recv()
            _refuse_words(one)
            found.append(one)
        return found


def _refuse_size(scores: Scores, tiles: int) -> None:
    if len(scores) != tiles:
        raise StripwatchError(f"expected the scores of {tiles} tiles, got {scores.shape}")


def _refuse_words(said: object) -> None:
    if isinstance(said, str):
        raise StripwatchError(f"a client failed: {said}")


def _sleep_until(moment: float) -> None:
    if (wait := moment - time.monotonic()) > 0:
        time.sleep(wait)
