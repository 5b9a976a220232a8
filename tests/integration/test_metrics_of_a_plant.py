"""All services on a real Redis, and what their pages say together: the numbers balance, and their series stay few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import grpc
import pytest
import redis
from prometheus_client.samples import Sample
from redis_servers import binaries, free_port, server, wait_for

from metrics_page import LONG_S, scraped, total, value
from preprocess_cases import header_of, strip_image
from preprocess_process import service, start
from stripwatch.domain.frame import Encoding, RunId
from stripwatch.domain.strip import CameraEnd
from stripwatch.ports import Backlog, Kind, LineState, LineStream, Outgoing
from stripwatch.rpc.channel import open_channel
from stripwatch.rpc.codec.frames import encode_end, encode_header
from stripwatch.rpc.v1 import frame_pb2, verdict_pb2_grpc
from stripwatch.rpc.v1 import verdict_pb2 as pb
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream import connect
from stripwatch_aggregator.lookout import Lookout
from tiny_models import write_pair

LABELS = {
    *("line", "model", "service", "outcome", "stage", "queue", "disposition", "reason", "code", "method", "label"),
    *("version", "engine", "sha256", "le"),
}
STRIP = {"source": "simulator", "length_mm": 1000, "width_mm": 200, "sim_strips": 0, "log_level": "WARNING"}
"""One after another until the line is drained, so that ingest's page is there when all is judged."""
FRAMES = 22
"""Of such a strip under two cameras, 200 x 250 px each."""


@dataclass(frozen=True)
class Plant:
    url: str
    line: LineStream
    ports: dict[str, int]
    verdicts: str
    """The address of the aggregator."""

    def pages(self) -> dict[str, list[Sample]]:
        return {name: scraped(port) for name, port in self.ports.items()}

    def counted(self, service: str, name: str, **labels: str) -> float:
        return total(scraped(self.ports[service]), name, **labels)

    @contextmanager
    def feeding(self, **settings: object) -> Iterator[int]:
        """The port of an ingest's page while it feeds the line."""
        port = free_port()
        self.line.source.set_state(LineState.RUNNING)
        with service("ingest", redis_url=self.url, line="line1", metrics_port=port, **STRIP, **settings) as ingest:
            wait_for(lambda: bool(self.line.runs.open_runs()), "a strip", LONG_S)
            yield port
            ingest.terminate()  # which gives the line back
            ingest.wait(LONG_S)

    def drain(self, ingest: int) -> None:
        """Lets no new strip in, and waits until all that came has its verdict."""
        self.line.source.set_state(LineState.DRAINING)
        wait_for(lambda: self._is_empty(total(scraped(ingest), "ingest_frames_total")), "the last verdict", LONG_S)

    def _is_empty(self, sent: float) -> bool:
        """Also of what was about to come when the line was drained: ingest asks now and then."""
        aggregator = scraped(self.ports["aggregator"])
        waits = total(aggregator, "queue_entries") + total(aggregator, "open_runs")
        return not waits and not self.line.runs.open_runs() and total(aggregator, "results_total") >= sent


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    found = binaries()
    if not found:
        pytest.skip("no redis-server here")
    models = tmp_path_factory.mktemp("models")
    write_pair(models)
    names = ("classifier", "anomaly", "preprocess", "aggregator")
    pages, health = ({name: free_port() for name in names} for _ in range(2))
    with ExitStack() as running:
        url = f"redis://127.0.0.1:{running.enter_context(server(next(iter(found.values())), models))}"
        given: dict[str, dict[str, object]] = {
            "classifier": {"models": models, "engine_workers": 1},
            "anomaly": {"models": models, "engine_workers": 2},
            "preprocess": {
                "redis_url": url,
                "lines": "line1",
                **{f"{role}_address": f"127.0.0.1:{health[role]}" for role in ("classifier", "anomaly")},
            },
            "aggregator": {"redis_url": url, "lines": "line1"},
        }
        for name, settings in given.items():
            ports = {"metrics_port": pages[name], "health_port": health[name]}
            running.enter_context(service(name, log_level="WARNING", **ports, **settings))
        for name in names:
            wait_for(is_ready(name, pages[name]), f"the {name}", LONG_S)
        stream = connect(url)
        yield Plant(url, stream.line("line1"), pages, f"127.0.0.1:{health['aggregator']}")
        stream.close()


def is_ready(name: str, page: int) -> Callable[[], bool]:
    return lambda: value(scraped(page), "ready", service=name) == 1


def gained(before: list[Sample], after: list[Sample], name: str, **labels: str) -> float:
    return total(after, name, **labels) - total(before, name, **labels)


def test_after_a_strip_every_stage_has_counted_the_same_frames_and_nothing_waits(plant: Plant) -> None:
    before = plant.pages()
    with plant.feeding(cameras=2) as page:
        plant.drain(page)
        ingest, after = scraped(page), plant.pages()
    worker, aggregator = ((before[name], after[name]) for name in ("preprocess", "aggregator"))
    frames = value(ingest, "ingest_frames_total", line="line1")
    assert frames >= FRAMES
    assert value(ingest, "ingest_bytes_total", line="line1") == frames * 200 * 250
    assert value(ingest, "shed_frames_total", line="line1") == 0
    assert value(ingest, "ready", service="ingest") == 1
    assert gained(*worker, "frames_total", outcome="judged") == gained(*worker, "frames_total") == frames
    assert gained(*aggregator, "results_total", outcome="judged") == gained(*aggregator, "results_total") == frames
    for stage in ("queue", "cut", "models", "publish"):
        assert gained(*worker, "frame_seconds_count", stage=stage) == frames
    assert gained(*worker, "result_age_seconds_count") == frames
    assert gained(*worker, "result_age_seconds_sum") >= gained(*worker, "frame_seconds_sum", stage="models") > 0
    assert gained(*aggregator, "missing_frames_total") == 0
    strips = gained(*aggregator, "verdicts_total")
    assert strips == frames / FRAMES
    assert gained(*aggregator, "verdict_seconds_count") == strips
    assert gained(*aggregator, "run_deadlines_total") == 0
    for queue in ("frames", "results"):
        assert value(after["aggregator"], "queue_age_seconds", line="line1", queue=queue) == 0
    assert value(after["aggregator"], "redis_memory_bytes") > 0
    wait_for(
        lambda: (
            {stage: plant.counted("aggregator", "workers", stage=stage) for stage in ("preprocess", "aggregate")}
            == {"preprocess": 1, "aggregate": 1}
        ),
        "the heartbeats",
        LONG_S,
    )


def test_tiles_their_scores_and_what_the_models_were_asked_agree(plant: Plant) -> None:
    before = plant.pages()
    with plant.feeding() as page:
        plant.drain(page)
    after = plant.pages()
    worker = before["preprocess"], after["preprocess"]
    tiles = gained(*worker, "tiles_total", line="line1")
    assert tiles > 0
    assert gained(*worker, "tile_anomaly_score_count", model="texture/1") == tiles
    assert gained(*worker, "tile_anomaly_score_bucket", model="texture/1", le="+Inf") == tiles
    assert gained(*worker, "tile_confidence_count", model="steel/1") == tiles
    assert gained(*worker, "tile_labels_total", model="steel/1") == tiles
    for name, model, method, engines in (
        ("classifier", "steel/1", "Classifier/Classify", 1),
        ("anomaly", "texture/1", "AnomalyScorer/Score", 2),
    ):
        asked = gained(*worker, "requests_total", service=name, code="OK")
        served = before[name], after[name]
        assert gained(*served, "served_requests_total", method=f"stripwatch.rpc.v1.{method}", code="OK") == asked > 0
        assert total(after[name], "engines", model=model) == engines
        assert gained(*served, "engine_failures_total") == 0
        (info,) = (sample for sample in after[name] if sample.name == "stripwatch_model_info")
        assert (info.labels["service"], info.labels["model"], info.value) == (name, model, 1)
        assert len(info.labels["sha256"]) == 64
        assert info.labels["engine"].startswith("onnxruntime")


def test_frames_that_a_live_source_sheds_are_missing_from_the_verdicts_and_no_others(plant: Plant) -> None:
    before = plant.pages()
    with plant.feeding(live="true", speed_m_per_s=5) as page:
        plant.line.source.set_state(LineState.PAUSED)
        wait_for(lambda: total(scraped(page), "shed_frames_total") > 0, "a frame that is shed", LONG_S)
        plant.line.source.set_state(LineState.RUNNING)
        plant.drain(page)
        ingest = scraped(page)
    aggregator = before["aggregator"], scraped(plant.ports["aggregator"])
    shed = value(ingest, "shed_frames_total", line="line1")
    assert gained(*aggregator, "missing_frames_total", reason="shed") == shed
    assert gained(*aggregator, "missing_frames_total") == shed
    assert gained(*aggregator, "results_total", outcome="judged") == total(ingest, "ingest_frames_total")


def test_what_goes_to_the_dead_stream_is_counted_by_who_put_it_there(plant: Plant) -> None:
    before, run = plant.pages(), RunId("line1", "coil-8", "run-1")
    plant.line.source.set_state(LineState.RUNNING)
    start(plant.line, run, "hot-rolled")
    header = replace(header_of(strip_image()), run=run, encoding=Encoding.PNG)
    plant.line.source.publish(
        [
            Outgoing(Kind.FRAME, run, encode_header(header), b"no picture"),
            Outgoing(Kind.END, run, encode_end(CameraEnd(run, "cam1", 1))),
        ]
    )
    raw = redis.Redis.from_url(plant.url)
    raw.xadd("sw:{line1}:results", {"k": "result", "r": "coil-8:run-1", "b": b"no result"})
    wait_for(lambda: plant.line.verdicts.of(run) is not None, "the verdict", LONG_S)
    wait_for(lambda: plant.counted("aggregator", "dead_entries") == plant.line.dead.count() == 2, "the look", LONG_S)
    after = plant.pages()
    raw.close()
    for name in ("preprocess", "aggregator"):
        assert gained(before[name], after[name], "dead_letters_total", line="line1") == 1
    assert gained(before["preprocess"], after["preprocess"], "frames_total", outcome="failed") == 1
    aggregator = before["aggregator"], after["aggregator"]
    assert gained(*aggregator, "results_total", outcome="failed") == 1
    assert gained(*aggregator, "missing_frames_total", reason="failed") == 1
    assert gained(*aggregator, "verdicts_total") == 1


def test_series_know_no_label_that_grows_and_grow_neither_with_strips_nor_with_cameras(plant: Plant) -> None:
    def series() -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        samples = [sample for page in plant.pages().values() for sample in page]
        return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples}

    with plant.feeding() as page:
        plant.drain(page)
        first = series()
        ingest = {sample.name for sample in scraped(page)}
    with plant.feeding(cameras=3, sides="top,bottom") as page:
        plant.drain(page)
        grown = series() - first
        assert {sample.name for sample in scraped(page)} == ingest
    assert {name for name, labels in first for name, _ in labels} <= LABELS
    assert not any(name.endswith("_created") for name, _ in first)
    # A call that ended in a new way, on a machine that is busy with other things, is a series more, once.
    assert {dict(labels).get("code") for _, labels in grown} <= {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}


def test_series_that_count_what_never_was_are_there_at_0(plant: Plant) -> None:
    pages = plant.pages()
    for disposition in ("accept", "review", "reject"):
        value(pages["aggregator"], "verdicts_total", line="line1", disposition=disposition)
    for outcome in ("judged", "failed", "late", "stray", "unknown", "again"):
        value(pages["aggregator"], "results_total", line="line1", outcome=outcome)
    for name in ("preprocess", "aggregator"):
        value(pages[name], "redis_retries_total", service=name)
    for code in ("DEADLINE_EXCEEDED", "UNAVAILABLE"):
        value(pages["preprocess"], "requests_total", service="anomaly", code=code)
    assert value(pages["preprocess"], "redeliveries_total", line="line1") == 0
    assert value(pages["classifier"], "engine_failures_total", model="steel/1") == 0


def test_calls_are_counted_by_how_they_ended_and_those_of_others_not_at_all(plant: Plant) -> None:
    before = scraped(plant.ports["aggregator"])
    with open_channel(plant.verdicts) as channel:
        stub = verdict_pb2_grpc.VerdictsStub(channel)
        stub.Status(pb.StatusRequest(line="line1"), timeout=LONG_S)
        with pytest.raises(grpc.RpcError, match="no verdict"):
            stub.Get(pb.GetRequest(run=frame_pb2.RunId(line="line1", strip="never", run="seen")), timeout=LONG_S)
        watch = stub.Watch(pb.WatchRequest(line="line1", heartbeat_seconds=1), timeout=LONG_S)
        next(watch)
        watch.cancel()
    ended = {"Status": "OK", "Get": "NOT_FOUND", "Watch": "CANCELLED"}

    def calls(method: str, code: str) -> float:
        after = scraped(plant.ports["aggregator"])
        return gained(before, after, "served_requests_total", method=f"stripwatch.rpc.v1.Verdicts/{method}", code=code)

    wait_for(lambda: all(calls(method, code) == 1 for method, code in ended.items()), "the end of the watch", LONG_S)
    served = {sample.labels["method"] for sample in scraped(plant.ports["aggregator"]) if "method" in sample.labels}
    assert served == {f"stripwatch.rpc.v1.Verdicts/{method}" for method in ended}


def test_while_redis_does_not_answer_every_try_is_counted(plant: Plant) -> None:
    def tries() -> dict[str, float]:
        return {name: plant.counted(name, "redis_retries_total") for name in ("preprocess", "aggregator")}

    before = tries()
    raw = redis.Redis.from_url(plant.url)
    raw.client_pause(7_000)  # longer than services wait for an answer
    raw.close()
    wait_for(lambda: all(count > before[name] for name, count in tries().items()), "another try of both", LONG_S)


def test_a_line_is_seen_as_empty_where_redis_lost_all_of_it(plant: Plant) -> None:
    raw = redis.Redis.from_url(plant.url)
    raw.delete(*raw.keys("sw:{line1}:*"))
    raw.close()
    lookout, line = Lookout(connect(plant.url), "line1", Lifecycle()), plant.line
    seen = lookout.look(line)
    assert (seen.frames, seen.results) == (Backlog(0, 0, 0), Backlog(0, 0, 0))
    assert (seen.dead, seen.open_runs) == (0, 0)
