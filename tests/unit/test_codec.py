"""What goes through protobuf comes back the same, and what is no message is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.defect import Defect
from stripwatch.domain.frame import Encoding, FrameHeader, IndexRange, RunId
from stripwatch.domain.model import Clahe, DescriptorSpec, InputSpec, ModelKind, ModelRef, ModelSpec
from stripwatch.domain.recipe import Disposition, Role
from stripwatch.domain.result import FrameResult, Outcome, TileScore
from stripwatch.domain.strip import CameraEnd, RunStart, Shed
from stripwatch.domain.verdict import Alarm, CameraAccount, Loss, LossReason, StripVerdict
from stripwatch.errors import BadInput
from stripwatch.rpc.codec import frames, models, results, verdicts
from stripwatch.rpc.v1 import model_pb2
from tile_message import tiles_to

RUN = RunId("line1", "coil-7", "r.1")
HEADER = FrameHeader(RUN, "top-1", Side.TOP, 7, 1400.5, -12.25, 0.5, 1_800_000_000_000_000_000, 200, 880, Encoding.RAW)
BOX = Box(1.5, 2.5, 100.0, 50.25)


def test_a_frame_header_survives() -> None:
    assert frames.decode_header(frames.encode_header(HEADER)) == HEADER


@pytest.mark.parametrize("length", [None, 6000.0])
def test_a_run_start_survives(length: float | None) -> None:
    camera = Camera("top-1", Side.BOTTOM, 100.0, 440.0)
    start = RunStart(RUN, (camera,), "hot-rolled", 400.0, length, 5, simulated=True, live=False)
    assert frames.decode_start(frames.encode_start(start)) == start


def test_a_camera_end_survives() -> None:
    end = CameraEnd(RUN, "top-1", 60, (Shed(IndexRange(3, 9), "stream full"),))
    assert frames.decode_end(frames.encode_end(end)) == end


def test_a_frame_result_survives() -> None:
    tiles = (TileScore(BOX, (9_000, 1_000), 12_345, b"jpeg"), TileScore(BOX, (), None))
    result = FrameResult(HEADER, Outcome.JUDGED, tiles, ("healthy", "scratches"), ("steel/1",), 10, 12, "why")
    assert results.decode_result(results.encode_result(result)) == result


def test_pins_survive() -> None:
    pins = results.Pins("name: x", "abc", {Role.CLASSIFIER: "steel/1"}, {Role.CLASSIFIER: "onnxruntime/1.32"})
    assert results.decode_pins(results.encode_pins(pins)) == pins


def test_a_verdict_survives() -> None:
    verdict = StripVerdict(
        run=RUN,
        disposition=Disposition.REVIEW,
        reasons=("one scratch",),
        defects=(Defect("scratches", Side.TOP, BOX, 9_000, None, 2, ("top-1",)),),
        found=1,
        cameras=(
            CameraAccount(
                "top-1", Side.TOP, 10, 8, 0, 2, 0, (Loss(IndexRange(2, 3), LossReason.SHED, "paused"),), ended=True
            ),
        ),
        coverage=8_000,
        inspected_mm2=5,
        models=("steel/1",),
        spoke=frozenset({Role.CLASSIFIER}),
        recipe="hot-rolled",
        recipe_version="1",
        recipe_sha256="abc",
        partial=True,
        simulated=False,
        started_at_ns=1,
        decided_at_ns=2,
    )
    assert verdicts.decode_verdict(verdicts.encode_verdict(verdict)) == verdict


def test_an_alarm_survives() -> None:
    alarm = Alarm(RUN, "top-1", 3, "anomaly", Side.TOP, BOX, None, 20_000, 9, b"jpeg")
    assert verdicts.decode_alarm(verdicts.encode_alarm(alarm)) == alarm


@pytest.mark.parametrize(("descriptors", "map_side"), [(None, None), (DescriptorSpec(432, "abc"), 7)])
def test_a_model_spec_survives(descriptors: DescriptorSpec | None, map_side: int | None) -> None:
    given_input = InputSpec(224, 3, "float32", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), Clahe(2.0))
    spec = ModelSpec(
        ModelRef("steel", "1"),
        ModelKind.CLASSIFIER,
        given_input,
        ("healthy",),
        "abc",
        "onnxruntime/1",
        descriptors,
        map_side,
    )
    assert models.spec_from(models.spec_to(spec)) == spec


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_tiles_survive(dtype: type[np.uint8] | type[np.float32]) -> None:
    tiles = np.arange(2 * 1 * 8 * 8).reshape(2, 1, 8, 8).astype(dtype)
    back = models.tiles_from(tiles_to(tiles))
    assert back.dtype == tiles.dtype
    assert (back == tiles).all()


@pytest.mark.parametrize("count", [1, 5, 60])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_request_written_by_hand_is_the_message_that_it_stands_for(count: int, dtype: type[np.uint8]) -> None:
    tiles = np.random.default_rng(count).integers(0, 256, (count, 1, 64, 64)).astype(dtype)[:, :, ::2, ::2]
    for head in (model_pb2.ClassifyRequest(model="steel/1", descriptors=True), model_pb2.ScoreRequest(model="t/1")):
        whole = type(head).FromString(models.encode_tiles(head, tiles))
        head.tiles.CopyFrom(tiles_to(tiles))
        assert whole == head


@pytest.mark.parametrize(
    "change", [{"count": 3}, {"size": 9}, {"data": b""}, {"count": 2**31, "size": 2**31}, {"dtype": 0}]
)
def test_tiles_whose_sizes_disagree_are_refused(change: dict[str, object]) -> None:
    message = tiles_to(np.zeros((2, 1, 8, 8), np.uint8))
    for name, value in change.items():
        setattr(message, name, value if name != "count" or value != 2**31 else 2**31 - 1)
    with pytest.raises(BadInput, match="tiles"):
        models.tiles_from(message)


def test_descriptors_survive_to_the_bit() -> None:
    descriptors = np.array([[0.1, np.nan, -3e38], [1e-30, 0, np.inf]], np.float32)
    message = models.descriptors_to(descriptors, "abc")
    assert message.backbone_sha256 == "abc"
    np.testing.assert_array_equal(models.descriptors_from(message), descriptors)


@pytest.mark.parametrize("change", [{"count": 3}, {"width": 2}, {"data": b""}, {"count": 0, "data": b""}])
def test_descriptors_whose_sizes_disagree_are_refused(change: dict[str, object]) -> None:
    message = models.descriptors_to(np.zeros((2, 3), np.float32), "abc")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(BadInput, match="descriptors: expected"):
        models.descriptors_from(message)


def test_maps_come_back_in_256_steps_and_no_number_counts_as_nothing() -> None:
    maps = np.array([[[0, 0.5], [1, 2]], [[-1, np.nan], [0.1, np.inf]]], np.float32)
    assert models.maps_from(models.maps_to(maps)).tolist() == [[[0, 128], [255, 255]], [[0, 0], [26, 255]]]


@pytest.mark.parametrize("change", [{"count": 3}, {"side": 1}, {"data": b""}])
def test_maps_whose_sizes_disagree_are_refused(change: dict[str, object]) -> None:
    message = models.maps_to(np.zeros((2, 3, 3), np.float32))
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(BadInput, match="maps: expected"):
        models.maps_from(message)


def test_scores_come_back_in_whole_units_and_no_number_counts_as_the_largest() -> None:
    units = models.quantise(np.array([0.12344, 0.12346, np.nan, np.inf, -np.inf], np.float32))
    assert units.tolist() == [1234, 1235, 2**31 - 1, 2**31 - 1, -(2**31)]
    assert models.units_from(models.units_to(units), (5,)).tolist() == units.tolist()
    with pytest.raises(BadInput, match="scores"):
        models.units_from(b"1234", (2, 7))


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), st.floats(-2e-6, 2e-6))
def test_engines_that_differ_by_1e_7_hardly_ever_differ_in_units(scores: list[float], noise: float) -> None:
    array = np.array(scores, np.float32)
    difference = models.quantise(array + np.float32(noise)) - models.quantise(array)
    assert np.abs(difference).max() <= 1


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused_and_nothing_else_happens(body: bytes) -> None:
    for decode in (
        frames.decode_header,
        frames.decode_start,
        frames.decode_end,
        results.decode_result,
        results.decode_pins,
        verdicts.decode_verdict,
        verdicts.decode_alarm,
    ):
        try:
            decode(body)
        except BadInput:
            continue


def test_an_unknown_model_kind_is_refused() -> None:
    message = model_pb2.DescribeResponse(model="steel/1", kind="oracle")
    message.input.size, message.input.channels, message.input.dtype = 64, 1, model_pb2.DTYPE_UINT8
    with pytest.raises(BadInput, match="oracle"):
        models.spec_from(message)
