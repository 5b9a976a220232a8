"""What is counted, where it is counted, and the page that lists it."""

from __future__ import annotations

import importlib
import pkgutil
import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import CollectorRegistry

from preprocess_cases import RUN, Plant, header_of, recipe, spec_of, strip_image
from stripwatch.domain.recipe import Role
from stripwatch.errors import ModelNotReady, PeerUnavailable, StreamFull, StreamUnavailable
from stripwatch.feed import FeedRules, Publisher
from stripwatch.models.batching import Batcher, Batching
from stripwatch.ports import Backlog, LineState, MemoryUse, Outputs, Scores
from stripwatch.runtime import metrics
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.runtime.metrics.lines import LineLooks, Look
from stripwatch.runtime.metrics.scores import TileScores
from stripwatch.stream.memory import MemoryStream
from stripwatch_aggregator.lookout import Lookout
from stripwatch_preprocess.batch import Job
from stripwatch_preprocess.clock import StreamClock
from stripwatch_preprocess.course import course
from stripwatch_preprocess.hand import Ticket
from stripwatch_preprocess.plan import Plan
from stripwatch_preprocess.transform import transform
from tiny_models import grey_tiles
from unit import feeding

ROOT = Path(__file__).parent.parent.parent
SOON = 20.0


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"stripwatch_{name}", labels) or 0.0


def registered() -> dict[str, tuple[str, ...]]:
    """Every metric that there is, as Prometheus names it, with its labels."""
    found: dict[str, tuple[str, ...]] = {}
    for info in pkgutil.iter_modules(metrics.__path__):
        module = importlib.import_module(f"{metrics.__name__}.{info.name}")
        for one in vars(module).values():
            if isinstance(one, type) or one is REGISTRY or not hasattr(one, "collect"):
                continue
            for family in one.collect():
                holder = one if isinstance(one, MetricWrapperBase) else family
                name = f"{family.name}_total" if family.type == "counter" else family.name
                found[name] = tuple(holder._labelnames)  # type: ignore[attr-defined]
    return found


def test_the_page_on_observability_lists_all_metrics_with_their_labels_and_no_others() -> None:
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(stripwatch_\w+)` \| ([\w, ]*?) ?\| ", page, re.MULTILINE)
    assert len({name for name, _ in rows}) == len(rows)
    assert {name: tuple(filter(None, labels.split(", "))) for name, labels in rows} == registered()


def test_scores_are_counted_in_bulk_up_to_and_with_each_bound() -> None:
    registry, scores = CollectorRegistry(), TileScores()
    registry.register(scores)
    scores.saw(spec_of(Role.ANOMALY), np.array([999, 1_000, 1_001, 10_000, 250_000], np.int32))
    scores.saw(spec_of(Role.ANOMALY), np.array([10_000], np.int32))
    scores.saw(spec_of(Role.CLASSIFIER), np.array([[9_000, 1_000], [400, 9_600], [5_000, 5_000]], np.int32))

    def read(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"stripwatch_tile_{name}", labels)

    upto = {le: read("anomaly_score_bucket", model="texture/1", le=le) for le in ("0.1", "0.2", "0.9", "1.0", "10.0")}
    assert upto == {"0.1": 2, "0.2": 3, "0.9": 3, "1.0": 5, "10.0": 5}
    assert read("anomaly_score_count", model="texture/1") == 6
    assert read("anomaly_score_sum", model="texture/1") == pytest.approx(27.3)
    assert read("confidence_bucket", model="steel/1", le="0.9") == 2
    assert read("confidence_bucket", model="steel/1", le="+Inf") == 3
    assert read("labels_total", model="steel/1", label="healthy") == 2
    assert read("labels_total", model="steel/1", label="scratches") == 1


def look(used: int = 0, oldest_ms: int = 0) -> Look:
    backlog = Backlog(waiting=int(oldest_ms > 0), pending=0, oldest_ms=oldest_ms)
    return Look(backlog, Backlog(0, 0, 0), 3, 2, {"preprocess": 1}, MemoryUse(used, 100))


def test_what_was_seen_of_a_line_goes_when_it_is_old_and_that_of_other_lines_stays() -> None:
    now = [1000.0]
    registry, looks = CollectorRegistry(), LineLooks(lambda: now[0])
    registry.register(looks)
    looks.saw("a", look(used=70, oldest_ms=1500))
    now[0] += 10
    looks.saw("b", look(used=30))
    labels = {"line": "a", "queue": "frames"}
    assert registry.get_sample_value("stripwatch_queue_age_seconds", labels) == 1.5
    assert registry.get_sample_value("stripwatch_redis_memory_bytes") == 70
    now[0] += 5.1
    assert registry.get_sample_value("stripwatch_queue_age_seconds", labels) is None
    assert registry.get_sample_value("stripwatch_dead_entries", {"line": "b"}) == 3
    assert registry.get_sample_value("stripwatch_redis_memory_bytes") == 30
    now[0] += 15
    assert [sample for family in registry.collect() for sample in family.samples] == []


def test_a_line_that_has_no_entries_yet_is_seen_as_empty_and_then_as_it_is() -> None:
    stream = MemoryStream()
    lookout, line = Lookout(stream, "line9", Lifecycle()), stream.line("line9")
    empty = lookout.look(line)
    assert (empty.frames, empty.results) == (Backlog(0, 0, 0), Backlog(0, 0, 0))
    assert (empty.dead, empty.open_runs, sum(empty.workers.values())) == (0, 0, 0)
    line.source.start_run(RUN, b"start", cameras=["cam1"], live=True, deadline_ms=60_000)
    seen = lookout.look(line)
    assert (seen.frames.waiting, seen.open_runs) == (1, 1)


def job(captured_ms: int, came_ms: int, *, live: bool) -> Job:
    image = strip_image()
    header = replace(header_of(image), captured_at_ns=captured_ms * 1_000_000)
    plan = Plan(recipe(), {Role.CLASSIFIER: spec_of(Role.CLASSIFIER)}, {Role.CLASSIFIER: "steel/1"}, live=live)
    line = MemoryStream().line("line1")
    line.source.start_run(RUN, b"start", cameras=["cam1"], live=live, deadline_ms=60_000)
    (entry,) = line.frames.read("w", 1, 0)
    return Job(
        Ticket(line, replace(entry, id=f"{came_ms}-0")), transform(header, image.tobytes(), plan), 53.0, cut_at=54.0
    )


@pytest.mark.parametrize(
    ("captured_ms", "live", "captured_at"),
    [(5_000, True, 47.0), (5_000, False, 50.0), (0, True, 50.0), (9_000, True, 50.0)],
    ids=["live", "a replay, captured long ago", "a camera without a clock", "a camera whose clock is ahead"],
)
def test_a_frame_is_as_old_as_its_capture_where_that_can_be_known(
    captured_ms: int, live: bool, captured_at: float
) -> None:
    """The stream's clock says 10 s when ours says 52: by it the frame came at 50."""
    hour_ms = 3_600_000
    clock = StreamClock(lambda: 52.0)
    clock.saw(10_000 + hour_ms)
    given = job(captured_ms + hour_ms if captured_ms else 0, 8_000 + hour_ms, live=live)
    passed = course(given, clock)
    assert (passed.captured_at, passed.came_at) == (pytest.approx(captured_at), pytest.approx(50.0))
    assert (passed.begun_at, passed.cut_at, passed.tiles) == (53.0, 54.0, 3)


def test_requests_that_are_sent_again_are_counted_also_those_of_a_batch_that_rested() -> None:
    plant = Plant()
    plant.start()
    plant.send(strip_image())
    worker = plant.worker()
    worker.until(lambda: 0 in plant.results())
    before, sent = counted("request_retries_total", service="classifier"), len(plant.classifier.requests)
    plant.classifier.fault = PeerUnavailable("away")
    plant.send(strip_image(), first=1)
    worker.until(lambda: bool(worker.service.dispatch.resting))
    plant.classifier.fault = None
    worker.until(lambda: 1 in plant.results())
    assert len(plant.classifier.requests) - sent > 1
    assert counted("request_retries_total", service="classifier") - before == len(plant.classifier.requests) - sent - 1


def test_frames_of_another_worker_are_counted_as_taken_over_and_its_markers_are_not() -> None:
    plant = Plant()
    plant.start()
    plant.send(strip_image(), strip_image())
    before = counted("redeliveries_total", line="line1")
    plant.line.frames.read("other", 100, 0)
    plant.worker(claim_idle_seconds=0.001).until(lambda: len(plant.results()) == 2)
    assert counted("redeliveries_total", line="line1") - before == 2


def test_a_frame_that_another_worker_finished_first_is_not_counted_again() -> None:
    plant = Plant()
    plant.start()
    plant.send(strip_image())
    before = {outcome: counted("frames_total", line="line1", outcome=outcome) for outcome in ("judged", "late")}
    slow, quick = plant.worker("slow"), plant.worker("quick", claim_idle_seconds=0.001)
    plant.classifier.takes_s = 0.2
    slow.until(lambda: bool(plant.classifier.requests))
    plant.classifier.takes_s = 0.0
    quick.until(lambda: len(plant.results()) == 1)
    slow.until(lambda: not len(slow.service.hand))
    assert counted("frames_total", line="line1", outcome="judged") - before["judged"] == 1
    assert counted("frames_total", line="line1", outcome="late") == before["late"]


def test_a_frame_after_its_runs_verdict_is_counted_as_late() -> None:
    plant = Plant()
    plant.start()
    plant.send(strip_image())
    plant.line.source.publish([])
    before = counted("frames_total", line="line1", outcome="late")
    plant.stream.line("line1").runs._memory.runs[RUN].closed = "1-0"
    plant.worker().until(lambda: bool(plant.results()))
    assert counted("frames_total", line="line1", outcome="late") - before == 1


class Broken:
    """An engine whose every run fails."""

    name = "broken/1"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: object) -> Scores:
        raise self.error

    def run(self, *_: object) -> Outputs:
        raise self.error


def test_runs_of_an_engine_that_fail_are_counted_whatever_the_reason() -> None:
    before = counted("engine_failures_total", model="broken/1")
    for error in (ModelNotReady("out of memory"), RuntimeError("a fault")):
        batcher = Batcher("broken/1", [Broken(error)] * 2, Batching())
        with pytest.raises(ModelNotReady):
            batcher.submit(grey_tiles([1]), Deadline.after(SOON)).result()
        batcher.close(SOON)
    assert counted("engine_failures_total", model="broken/1") - before == 2
    assert counted("engines", model="broken/1") == 2


def test_a_replay_that_waits_for_room_says_how_long_and_one_that_is_paused_does_not() -> None:
    size, line = (64, 64), MemoryStream(limit=4 * 64 * 64).line("held-up")
    lifecycle = Lifecycle()
    feed = Publisher(line, FeedRules(live=False, batch_frames=1), lifecycle)

    def blocked() -> float:
        return counted("ingest_blocked_seconds_total", line="held-up")

    run = replace(feeding.RUN, line="held-up")
    line.source.set_state(LineState.PAUSED)
    feed.start(feeding.start(run))

    def send() -> None:
        for index in range(8):
            feed.frame(feeding.frame(index, run, size=size))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sender.join(0.2)
    assert sender.is_alive()
    assert blocked() == 0
    line.source.set_state(LineState.RUNNING)
    sender.join(0.5)
    while sender.is_alive():
        feeding.take(line)
        sender.join(0.01)
    assert blocked() > 0
    assert counted("ingest_frames_total", line="held-up") == 8
    assert counted("ingest_bytes_total", line="held-up") == 8 * 64 * 64


@pytest.mark.parametrize("trouble", [StreamUnavailable("gone"), StreamFull("full")])
def test_what_the_stream_did_not_take_is_counted_when_it_is_there_and_each_try_before(
    trouble: StreamUnavailable,
) -> None:
    line = MemoryStream().line("line1")
    source, clock = feeding.troubled(line), feeding.Clock()
    feed = Publisher(line, FeedRules(live=True, batch_frames=4), Lifecycle(), clock)
    feed.start(feeding.start(live=True))
    frames, retries = counted("ingest_frames_total", line="line1"), counted("redis_retries_total", service="ingest")
    source.trouble, source.lets_through = trouble, 2
    for index in range(4):
        clock.now += 1.0
        feed.frame(feeding.frame(index))
    tries = counted("redis_retries_total", service="ingest") - retries
    assert tries >= 1
    assert counted("ingest_frames_total", line="line1") == frames
    source.trouble = None
    clock.now += 10
    assert feed.flush()
    assert counted("ingest_frames_total", line="line1") == frames + 4
    assert counted("redis_retries_total", service="ingest") == retries + tries
