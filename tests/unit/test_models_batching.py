"""Requests are put together and taken apart without loss, within bounds, and never after their time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from stripwatch.errors import BadInput, DeadlineExceeded, ModelNotReady, Overloaded
from stripwatch.models.batching import Batcher, Batching
from stripwatch.ports import Descriptors, Outputs, Scores, Tiles
from stripwatch.runtime.deadline import Deadline
from tiny_models import grey_tiles


class Gate:
    """An engine that scores a tile by its grey value, and runs only while it is open."""

    name = "gate/1"

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches: list[Tiles | Descriptors] = []
        self.error: Exception | None = None

    def __call__(self, rows: Tiles | Descriptors) -> Scores:
        return self.run(rows)[0]

    def run(self, rows: Tiles | Descriptors, extras: tuple[str, ...] = ()) -> Outputs:
        self.batches.append(rows)
        self.entered.release()
        assert self.open.wait(20)
        if self.error:
            raise self.error
        greys = rows[:, 0, 0, 0].astype(np.float32)
        return (greys, *(greys[:, None] * len(extra) for extra in extras))

    def wait_until_busy(self) -> None:
        assert self.entered.acquire(timeout=20)


SOON = 20.0


@pytest.fixture
def gate() -> Iterator[Gate]:
    engine = Gate()
    yield engine
    engine.open.set()


def _batcher(gate: Gate, max_batch: int = 8, queue_tiles: int = 32, workers: int = 1, wait_s: float = 0) -> Batcher:
    return Batcher("steel/1", [gate] * workers, Batching(max_batch, queue_tiles, wait_s))


def _tiles(*greys: int) -> npt.NDArray[np.uint8]:
    return grey_tiles(greys, size=8)


def test_each_request_gets_the_scores_of_its_own_tiles(gate: Gate) -> None:
    batcher = _batcher(gate)
    first = batcher.submit(_tiles(1), Deadline.after(SOON))
    gate.wait_until_busy()
    others = [batcher.submit(_tiles(10 * k, 10 * k + 1), Deadline.after(SOON)) for k in range(2, 6)]
    gate.open.set()
    assert first.result()[0].tolist() == [1]
    assert [job.result()[0].tolist() for job in others] == [[20, 21], [30, 31], [40, 41], [50, 51]]
    assert [len(batch) for batch in gate.batches] == [1, 8]  # what waited went together


def test_a_request_larger_than_a_batch_is_split_evenly_and_answered_whole(gate: Gate) -> None:
    gate.open.set()
    batcher = _batcher(gate, max_batch=8)
    assert batcher.submit(_tiles(*range(20)), Deadline.after(SOON)).result()[0].tolist() == list(range(20))
    assert [len(batch) for batch in gate.batches] == [7, 7, 6]


def test_requests_that_want_other_extras_never_share_a_batch_and_none_gets_anothers(gate: Gate) -> None:
    batcher = _batcher(gate)
    running = batcher.submit(_tiles(0), Deadline.after(SOON))
    gate.wait_until_busy()
    wishes: list[tuple[str, ...]] = [(), (), ("ab",), ("ab", "abc"), ()]
    jobs = [batcher.submit(_tiles(k), Deadline.after(SOON), extras) for k, extras in enumerate(wishes, 1)]
    gate.open.set()
    running.result()
    answers = [[output.tolist() for output in job.result()] for job in jobs]
    assert answers == [[[1]], [[2]], [[3], [[6]]], [[4], [[8]], [[12]]], [[5]]]
    assert [len(batch) for batch in gate.batches] == [1, 2, 1, 1, 1]


def test_the_extras_of_a_split_request_come_back_whole(gate: Gate) -> None:
    gate.open.set()
    scores, extra = _batcher(gate, max_batch=8).submit(_tiles(*range(20)), Deadline.after(SOON), ("ab",)).result()
    assert scores.tolist() == list(range(20))
    assert extra.tolist() == [[2 * grey] for grey in range(20)]


def test_a_request_alone_in_its_batch_is_not_copied(gate: Gate) -> None:
    gate.open.set()
    tiles = _tiles(1, 2, 3)
    _batcher(gate).submit(tiles, Deadline.after(SOON)).result()
    assert np.shares_memory(gate.batches[0], tiles)


def test_two_idle_engines_share_what_waits(gate: Gate) -> None:
    batcher = _batcher(gate, max_batch=64, workers=2)
    for grey in (1, 2):
        batcher.submit(_tiles(grey), Deadline.after(SOON))
        gate.wait_until_busy()
    jobs = [batcher.submit(_tiles(grey, grey), Deadline.after(SOON)) for grey in range(4)]
    gate.open.set()
    assert [job.result()[0].tolist() for job in jobs] == [[grey, grey] for grey in range(4)]


def test_a_full_queue_refuses_with_a_hint_and_takes_again_when_there_is_room(gate: Gate) -> None:
    batcher = _batcher(gate, queue_tiles=4)
    running = batcher.submit(_tiles(0), Deadline.after(SOON))
    gate.wait_until_busy()
    waiting = batcher.submit(_tiles(1, 2, 3), Deadline.after(SOON))
    with pytest.raises(Overloaded, match="3 tiles wait, expected at most 4 with the 2") as refused:
        batcher.submit(_tiles(4, 5), Deadline.after(SOON))
    assert refused.value.retry_after_s > 0
    gate.open.set()
    running.result()
    waiting.result()
    assert batcher.submit(_tiles(4, 5), Deadline.after(SOON)).result()[0].tolist() == [4, 5]


def test_a_request_that_could_never_fit_is_bad_input_not_overload(gate: Gate) -> None:
    with pytest.raises(BadInput, match="at most 32 tiles a request, got 33"):
        _batcher(gate).submit(_tiles(*range(33)), Deadline.after(SOON))


def test_a_request_past_its_deadline_is_dropped_before_work(gate: Gate) -> None:
    batcher = _batcher(gate)
    running = batcher.submit(_tiles(0), Deadline.after(SOON))
    gate.wait_until_busy()
    late = batcher.submit(_tiles(1), Deadline.after(0))
    gone = batcher.submit(_tiles(2), Deadline.after(SOON))
    gone.cancel()
    kept = batcher.submit(_tiles(3), Deadline.after(SOON))
    with pytest.raises(DeadlineExceeded):
        late.result()
    gate.open.set()
    running.result()
    assert kept.result()[0].tolist() == [3]
    assert [int(batch[0, 0, 0, 0]) for batch in gate.batches] == [0, 3]


def test_dropped_requests_make_room_in_the_queue(gate: Gate) -> None:
    batcher = _batcher(gate, queue_tiles=4)
    running = batcher.submit(_tiles(0), Deadline.after(SOON))
    gate.wait_until_busy()
    batcher.submit(_tiles(1, 2), Deadline.after(0))
    last = batcher.submit(_tiles(3, 4), Deadline.after(SOON))
    gate.open.set()
    running.result()
    assert last.result()[0].tolist() == [3, 4]
    assert batcher.submit(_tiles(5, 6, 7, 8), Deadline.after(SOON)).result()[0].tolist() == [5, 6, 7, 8]


def test_an_engine_that_fails_fails_only_the_requests_in_its_batch(gate: Gate) -> None:
    gate.open.set()
    batcher = _batcher(gate)
    for error in (ModelNotReady("out of memory"), RuntimeError("a fault")):
        gate.error = error
        with pytest.raises(ModelNotReady):
            batcher.submit(_tiles(1), Deadline.after(SOON)).result()
    gate.error = None
    assert batcher.submit(_tiles(2), Deadline.after(SOON)).result()[0].tolist() == [2]


def test_closing_finishes_what_waits_and_takes_no_more(gate: Gate) -> None:
    batcher = _batcher(gate, max_batch=1)
    jobs = [batcher.submit(_tiles(grey), Deadline.after(SOON)) for grey in range(3)]
    closing = threading.Thread(target=batcher.close, args=(SOON,))
    closing.start()
    gate.open.set()
    closing.join(SOON)
    assert [job.result()[0].tolist() for job in jobs] == [[0], [1], [2]]
    with pytest.raises(ModelNotReady, match="stopping"):
        batcher.submit(_tiles(1), Deadline.after(SOON))


def test_closing_in_too_short_a_time_fails_what_still_waits(gate: Gate) -> None:
    batcher = _batcher(gate, max_batch=1)
    batcher.submit(_tiles(0), Deadline.after(SOON))
    gate.wait_until_busy()
    waiting = batcher.submit(_tiles(1), Deadline.after(SOON))
    batcher.close(0)
    with pytest.raises(ModelNotReady, match="stopped before"):
        waiting.result()


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("wait_s", [0, 0.001])
def test_many_clients_at_once_each_get_their_own_scores(gate: Gate, workers: int, wait_s: float) -> None:
    gate.open.set()
    batcher = _batcher(gate, max_batch=16, queue_tiles=10_000, workers=workers, wait_s=wait_s)
    wrong: list[object] = []

    def client(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(20):
            greys = rng.integers(0, 256, rng.integers(1, 40)).tolist()
            scores = batcher.submit(_tiles(*greys), Deadline.after(SOON)).result()[0].tolist()
            if scores != greys:
                wrong.append((greys, scores))

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert max(len(batch) for batch in gate.batches) <= 16
    batcher.close(SOON)


def test_a_request_alone_is_shared_by_engines_that_are_idle(gate: Gate) -> None:
    batcher = _batcher(gate, max_batch=16, workers=2)
    _wait_until_idle(batcher, 2)
    job = batcher.submit(_tiles(*range(10)), Deadline.after(SOON))
    for _ in range(2):
        gate.wait_until_busy()
    gate.open.set()
    assert job.result()[0].tolist() == list(range(10))
    assert [len(batch) for batch in gate.batches] == [5, 5]
    few = batcher.submit(_tiles(1, 2, 3), Deadline.after(SOON))
    assert few.result()[0].tolist() == [1, 2, 3]
    assert len(gate.batches) == 3


def test_rows_that_cost_next_to_nothing_go_in_one_run(gate: Gate) -> None:
    gate.open.set()
    batcher = Batcher("texture/1 (head)", [gate] * 2, Batching(8, 64).whole)
    _wait_until_idle(batcher, 2)
    assert batcher.submit(_tiles(*range(60)), Deadline.after(SOON)).result()[0].tolist() == list(range(60))
    assert [len(batch) for batch in gate.batches] == [60]


def _wait_until_idle(batcher: Batcher, workers: int) -> None:
    deadline = Deadline.after(SOON)
    while batcher._idle < workers:
        deadline.check("workers to become idle")
        time.sleep(0.001)
