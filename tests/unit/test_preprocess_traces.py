"""What the worker tells of a frame whose trace is taken."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from preprocess_cases import HEALTHY_GREY, POISON_GREY, RUN, Plant, header_of, strip_image
from stripwatch.errors import BadInput, PeerUnavailable
from stripwatch.ports import Kind, Outgoing
from stripwatch.rpc.codec.frames import encode_header
from stripwatch.runtime import tracing
from stripwatch.runtime.logging import JsonFormatter
from trace_collector import Collector, tracing_into

HEALTHY, POISON = strip_image(HEALTHY_GREY), strip_image(POISON_GREY)


@pytest.fixture
def into() -> Iterator[Collector]:
    with tracing_into("test") as found:
        yield found


def context(index: int) -> str:
    return f"00-{index + 1:032x}-{index + 1:016x}-01"


def send(plant: Plant, *traced: bool, image: object = HEALTHY) -> None:
    """Frames from index 0 on, some of which have a context."""
    for index, has_one in enumerate(traced):
        header = header_of(image, index)  # type: ignore[arg-type]
        trace = context(index) if has_one else ""
        pixels = image.tobytes()  # type: ignore[attr-defined]
        plant.line.source.publish([Outgoing(Kind.FRAME, RUN, encode_header(header), pixels, trace)])


def trace_of(index: int) -> str:
    return tracing.ids(context(index))[0]


def test_a_batch_of_several_frames_is_linked_with_each_whose_trace_is_taken(into: Collector) -> None:
    plant = Plant()
    plant.start()
    send(plant, False, True, False, True, True)
    plant.classifier.takes_s = 0.3  # the first goes alone, the others meanwhile come together
    plant.worker(batch_tiles=12, request_seconds=5.0).until(lambda: len(plant.results()) == 5)
    tracing.close()
    (batch,) = into.spans("batch")
    assert (batch.facts["stripwatch.frames"], batch.facts["stripwatch.tiles"]) == (4, 12)
    models = into.spans("models")
    assert sorted(one.trace for one in models) == [trace_of(1), trace_of(3), trace_of(4)]
    assert sorted(batch.links) == sorted((one.trace, one.id) for one in models)
    assert all(one.links == ((batch.trace, batch.id),) for one in models)
    assert batch.trace == trace_of(1)
    assert plant.classifier.traces == plant.anomaly.traces == ["", f"00-{batch.trace}-{batch.id}-01"]
    sent = {f"00-{one.trace}-{one.id}-01" for one in into.spans("publish results")}
    assert {one.trace for one in plant.line.results.log.entries.values() if one.trace} == sent
    assert len(sent) == 3


def test_frames_without_a_context_cost_no_span(into: Collector) -> None:
    plant = Plant()
    plant.start()
    send(plant, False, False)
    plant.worker().until(lambda: len(plant.results()) == 2)
    tracing.close()
    assert into.spans() == []
    assert all(one.trace == "" for one in plant.line.results.log.entries.values())


def test_a_frame_that_no_model_takes_says_so_in_its_trace_and_in_the_log(
    into: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[dict[str, object]] = []
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter("preprocess"))
    handler.emit = lambda record: lines.append(json.loads(handler.format(record)))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    plant = Plant()
    plant.start()
    plant.classifier.poison = BadInput("these tiles are none")
    send(plant, True, image=POISON)
    plant.worker().until(lambda: len(plant.dead()) == 1)
    logging.getLogger().removeHandler(handler)
    tracing.close()
    (worked,) = into.spans("process frames")
    assert "these tiles are none" in worked.fault
    assert "these tiles are none" in into.spans("models")[0].fault
    assert [one.trace for one in into.spans("publish results")] == [worked.trace]
    (told,) = [one for one in lines if one["message"] == "to the dead stream"]
    expected = {"line": "line1", "strip": RUN.strip, "run": RUN.run, "camera": "cam1", "frame": 0}
    assert {key: told[key] for key in (*expected, "trace_id", "span_id")} == {
        **expected,
        "trace_id": worked.trace,
        "span_id": worked.id,
    }


def test_a_frame_that_waits_for_a_service_has_a_batch_for_each_time_it_was_sent(into: Collector) -> None:
    plant = Plant()
    plant.start()
    worker = plant.worker()
    worker.until(lambda: len(plant.kinds()) == 1)
    plant.classifier.fault = plant.anomaly.fault = PeerUnavailable("away")
    plant.line.work.pin(RUN, b"")
    send(plant, True)
    worker.until(lambda: bool(worker.service.dispatch.resting))
    plant.classifier.fault = plant.anomaly.fault = None
    worker.until(lambda: len(plant.results()) == 1)
    tracing.close()
    assert len(into.spans("models")) == 1
    assert [bool(one.fault) for one in into.spans("batch")] == [True, False]
    assert {one.id for one in into.spans("batch")} == {span for _, span in into.spans("models")[0].links}


def test_a_worker_that_stops_says_what_it_handed_back(into: Collector) -> None:
    plant = Plant()
    plant.start()
    plant.classifier.fault = plant.anomaly.fault = PeerUnavailable("away")
    send(plant, True)
    worker = plant.worker(drain_seconds=0.1)
    worker.until(lambda: len(worker.service.hand) == 2)
    worker.service.stop()
    tracing.close()
    assert [one.fault for one in into.spans("process frames")] == ["handed back"]


def test_a_frame_of_a_worker_that_died_goes_on_in_its_own_trace(into: Collector) -> None:
    plant = Plant()
    plant.start()
    plant.classifier.hangs = True
    send(plant, True)
    first = plant.worker("w1")
    first.until(lambda: len(first.service.hand) == 1 and first.service.dispatch.busy)
    plant.classifier.hangs = False
    plant.worker("w2", claim_idle_seconds=0.01).until(lambda: len(plant.results()) == 1)
    tracing.close()
    (worked,) = into.spans("process frames")
    assert (worked.trace, worked.parent) == tracing.ids(context(0))
    assert (worked.facts["messaging.client.id"], worked.facts["stripwatch.deliveries"]) == ("w2", 2)
    assert [one.trace for one in into.spans("publish results")] == [worked.trace]
