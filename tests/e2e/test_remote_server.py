"""The pipeline with its models run by another server, which goes away in the middle of a strip."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from e2e_parts import Start, judged, until
from inference_server import InferenceServer, listening
from stripwatch.domain.frame import RunId
from stripwatch.local.feeds import simulator_settings
from stripwatch.local.ports import free_ports
from stripwatch.rpc import health
from stripwatch.rpc.codec.results import decode_pins
from stripwatch.rpc.codec.verdicts import decode_verdict
from stripwatch.simulate.series import StripSeries

SERIES = StripSeries(3_200_000, 8_000.0, 400.0, 0.5, defects=(2,))


def test_a_server_that_goes_away_in_mid_strip_costs_time_and_no_frame(start: Start, tiny_models: Path) -> None:
    service, port, run = InferenceServer(), free_ports(1)[0], RunId("line1", SERIES.strip(0), "r1")
    graphs = {"steel/1": "steel/1/model", "texture/1": "texture/1/model", "texture-head/1": "texture/1/head"}
    for place, graph in graphs.items():
        service.put(place, (tiny_models / f"{graph}.onnx").read_bytes())
    with ExitStack() as first:
        first.enter_context(listening(service, port))
        pipeline = start(
            settings={
                "STRIPWATCH_ENGINE": "remote",
                "STRIPWATCH_REMOTE_ADDRESS": f"127.0.0.1:{port}",
                "STRIPWATCH_RESCAN_SECONDS": "0.2",
            }
        )
        line, classifier = pipeline.line(), pipeline.plan.addresses["classifier-1"]
        feed = pipeline.feed(simulator_settings(SERIES, 1, "r1", speed=2.0))
        until(lambda: judged(line, run) >= 10, "frames judged")
        state = line.runs.state(run)
        assert state is not None
        pinned = set(decode_pins(state.pins).engines.values())
        assert pinned == {"remote/testserver/1.0 onnxruntime_onnx"}
    until(lambda: health.status(classifier, 2) == health.NOT_SERVING, "the classifier to see it")
    assert line.verdicts.of(run) is None
    with listening(service, port):
        pipeline.finish(feed, 60.0)
        verdict = decode_verdict(pipeline.verdict(run, 60.0).event.body)
        assert [camera.expected - camera.judged for camera in verdict.cameras] == [0]
        assert not verdict.partial
        assert line.dead.page(10) == []
