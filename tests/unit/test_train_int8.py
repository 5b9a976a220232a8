"""Quantisation: nearly the same answers, whole batches or tile by tile, and on every engine."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnx  # noqa: E402  only where there is torch

from stripwatch.errors import BadInput  # noqa: E402
from stripwatch.models.engines import EngineName  # noqa: E402
from stripwatch.rpc.codec.models import quantise  # noqa: E402
from stripwatch.simulate import flaw_tile  # noqa: E402
from stripwatch_train import int8  # noqa: E402
from stripwatch_train.batches import CLASSES  # noqa: E402
from stripwatch_train.classifier import SteelNet  # noqa: E402
from stripwatch_train.evaluate import shrunk  # noqa: E402
from stripwatch_train.graph import scorer, tile_graph  # noqa: E402
from stripwatch_train.mobilenet import MobileNetV2  # noqa: E402

SIZE = 64
TILES = shrunk(
    np.stack([flaw_tile(np.random.default_rng(seed), CLASSES[1 + seed % 6], min_visible=0.5)[0] for seed in range(72)]),
    SIZE,
)
TILES[0, 0, 0, :2] = 0, 255  # then rounding a tile to 256 steps changes nothing, and OpenVINO leaves it out


@pytest.fixture(scope="module")
def fp32() -> onnx.ModelProto:
    """Weights that nobody trained."""
    torch.manual_seed(0)
    return tile_graph(SteelNet(MobileNetV2().eval()).eval(), SIZE, ("probabilities",))


@pytest.fixture(scope="module")
def small(fp32: onnx.ModelProto) -> onnx.ModelProto:
    return int8.quantised(fp32, TILES[::2])


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_quantised_model_agrees_with_fp32_on_tiles_it_was_not_calibrated_on(
    fp32: onnx.ModelProto, small: onnx.ModelProto, engine: EngineName
) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    wanted, given = scorer(fp32)(TILES[1::2]), scorer(small, engine=engine)(TILES[1::2])
    assert np.abs(given - wanted).max() <= int8.TOLERANCE
    np.testing.assert_allclose(given.sum(1), 1, atol=1e-5)


def test_a_quantised_model_is_a_third_of_the_size_and_has_no_convolution_left_in_fp32(
    fp32: onnx.ModelProto, small: onnx.ModelProto
) -> None:
    assert small.ByteSize() < 0.45 * fp32.ByteSize()
    assert int8.is_int8(small)
    assert not int8.is_int8(fp32)
    whole = {tensor.name for tensor in small.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    assert not [node.name for node in small.graph.node if node.op_type == "Conv" and whole & set(node.input)]


def test_a_tile_scores_the_same_alone_and_in_a_batch(small: onnx.ModelProto) -> None:
    score = scorer(small, threads=1)
    whole = quantise(score(TILES[:16], 16))
    np.testing.assert_array_equal(quantise(score(TILES[:16], 1)), whole)


def test_weights_leave_room_for_the_sum_of_two_products(small: onnx.ModelProto) -> None:
    """Without VNNI two products of uint8 and int8 are added in int16."""
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in small.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert weights
    assert 2 * 255 * max(int(np.abs(weight.astype(np.int16)).max()) for weight in weights) < 2**15


def test_too_few_calibration_tiles_are_refused(fp32: onnx.ModelProto) -> None:
    with pytest.raises(BadInput, match=f"expected at least {int8.FEWEST_TILES}, got 3"):
        int8.quantised(fp32, TILES[:3])
