"""Static quantisation: convolutions in 8 bit, everything that is counted from them in fp32.

Weights are int8 with a scale a channel, and of 7 bits: with 8, processors without VNNI let the sum of two products run
over, and one model would give two answers. Activations are uint8, from the least to the greatest value on calibration
tiles. Only convolutions and the clips behind them: a residual sum stays fp32 until the next convolution rounds it, and
so do the descriptor's means and deviations and the head, which would save nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

from stripwatch.errors import BadInput
from stripwatch.models.manifest import INPUT
from stripwatch.pixels import Image

FEWEST_TILES = 32
"""Fewer tiles do not show how far an activation goes."""
TOLERANCE = 0.08
"""Two engines may round an activation to either side of a half, and later layers carry that on. ONNX Runtime and
OpenVINO are 0.044 apart at most over the 1,800 NEU images, and 4.5 % of a distance to healthy steel; the self-test
lets both pass."""
_QUANTISED = ("Conv", "Clip")
_BATCH = 20


class _Tiles(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no stubs
    """Hands out calibration tiles, a batch at a time."""

    def __init__(self, tiles: Image) -> None:
        self._batches: Iterator[Image] = (tiles[at : at + _BATCH] for at in range(0, len(tiles), _BATCH))

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def quantised(model: onnx.ModelProto, tiles: Image) -> onnx.ModelProto:
    """The fp32 graph in int8, ranges taken from (N, 1, S, S) uint8 tiles; BadInput if they are too few."""
    if len(tiles) < FEWEST_TILES:
        raise BadInput(f"calibration tiles: expected at least {FEWEST_TILES}, got {len(tiles)}")
    with tempfile.TemporaryDirectory() as folder:
        fp32, made = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(fp32))
        quantize_static(
            fp32,
            made,
            _Tiles(tiles),
            op_types_to_quantize=list(_QUANTISED),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(str(made))


def is_int8(model: onnx.ModelProto) -> bool:
    """Whether any of its weights are in 8 bit."""
    return any(node.op_type == "DequantizeLinear" for node in model.graph.node)
