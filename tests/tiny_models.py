"""Tiny model folders for tests: brightness decides everything, so that any test knows the right scores.

Classifier with K classes: the mean grey value in steps of 256 / K names the class (`label_of`). Anomaly scorer: the
mean grey value / 128, so that 1 (the threshold) is mid-grey.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

SHARPNESS = 0.25
"""Logits per grey value: a tile in the middle of its class's band gets nearly all of the probability."""


def write_model(
    folder: Path,
    name: str = "steel",
    version: str = "1",
    kind: str = "classifier",
    classes: Sequence[str] = ("healthy", "scratches"),
    *,
    size: int = 16,
    bias: float = 0.0,
    reference_bias: float | None = None,
    work: int = 0,
    **manifest: Any,
) -> Path:
    """Writes `folder/NAME/VERSION` and gives its path. The same arguments give the same scores.

    `bias` is added to the mean grey value; another `reference_bias` (40, say) makes a model that fails its parity
    self-test although all hashes agree; `work` adds that many 3x3 convolutions whose result does not count, for
    tests that need a model that takes time. `manifest` replaces entries of the manifest, after the hashes are taken.
    """
    classes = tuple(classes) if kind == "classifier" else ()
    output = "probabilities" if kind == "classifier" else "score"
    path = folder / name / version
    path.mkdir(parents=True, exist_ok=True)
    (path / "model.onnx").write_bytes(_graph(classes, output, size, bias, work).SerializeToString())
    tiles = grey_tiles(np.linspace(0, 255, 8).round(), size)
    outputs = expected_scores(tiles, classes, bias if reference_bias is None else reference_bias)
    np.savez_compressed(path / "reference.npz", tiles=tiles, outputs=outputs)
    text = {
        "name": name,
        "version": version,
        "kind": kind,
        "sha256": _sha256(path / "model.onnx"),
        "reference_sha256": _sha256(path / "reference.npz"),
        "classes": list(classes),
        "input": {"size": size, "channels": 1, "dtype": "uint8", "mean": [], "std": [], "clahe": None},
        "output": output,
        "calibration": {"threshold": 1.0} if kind == "anomaly" else {"temperature": 1.0},
        "reference": {"tolerance": 1e-3, "tiles": len(tiles)},
        "provenance": {"licence": "Apache-2.0", "made_by": "tests"},
        **manifest,
    }
    (path / "manifest.json").write_text(json.dumps(text, indent=2))
    return path


def grey_tiles(greys: Sequence[float] | npt.NDArray[np.float64], size: int = 16) -> npt.NDArray[np.uint8]:
    """One evenly grey tile for each value: (N, 1, size, size) uint8."""
    values = np.asarray(greys, dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values[:, None, None, None], (len(values), 1, size, size)))


def label_of(grey: float, classes: Sequence[str]) -> str:
    return classes[min(len(classes) - 1, int(grey / 256 * len(classes)))]


def expected_scores(
    tiles: npt.NDArray[np.uint8], classes: Sequence[str] = (), bias: float = 0.0
) -> npt.NDArray[np.float32]:
    """What the graph gives, in NumPy: (N, classes) probabilities, or (N,) anomaly scores without classes."""
    grey = tiles.astype(np.float64).mean(axis=(1, 2, 3)) + bias
    if not classes:
        return np.asarray(grey / 128, dtype=np.float32)
    logits = -SHARPNESS * np.abs(grey[:, None] - _centres(len(classes))[None])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def _centres(count: int) -> npt.NDArray[np.float64]:
    return (np.arange(count) + 0.5) * 256 / count


def _graph(classes: Sequence[str], output: str, size: int, bias: float, work: int) -> onnx.ModelProto:
    constants = {"bias": np.float32(bias), "axes": np.array([1, 2, 3], dtype=np.int64)}
    nodes = [
        helper.make_node("Cast", ["tiles"], ["pixels"], to=TensorProto.FLOAT),  # (N, 1, size, size)
        *_convolutions(work, constants),
        helper.make_node("ReduceMean", ["worked" if work else "pixels", "axes"], ["mean"], keepdims=0),  # (N,)
        helper.make_node("Add", ["mean", "bias"], ["grey"]),
    ]
    if classes:
        constants |= {
            "centres": _centres(len(classes)).astype(np.float32)[None],
            "sharpness": np.float32(-SHARPNESS),
            "last": np.array([1], dtype=np.int64),
        }
        nodes += [
            helper.make_node("Unsqueeze", ["grey", "last"], ["column"]),  # (N, 1)
            helper.make_node("Sub", ["column", "centres"], ["away"]),  # (N, K)
            helper.make_node("Abs", ["away"], ["distance"]),
            helper.make_node("Mul", ["distance", "sharpness"], ["logits"]),
            helper.make_node("Softmax", ["logits"], [output], axis=1),
        ]
    else:
        constants["middle"] = np.float32(128)
        nodes.append(helper.make_node("Div", ["grey", "middle"], [output]))
    shape: list[str | int | None] = ["N", len(classes)] if classes else ["N"]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("tiles", TensorProto.UINT8, ["N", 1, size, size])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _convolutions(work: int, constants: dict[str, Any]) -> list[onnx.NodeProto]:
    """`work` 3x3 convolutions over 16 channels, their sum times 0 added to the pixels."""
    if not work:
        return []
    rng = np.random.default_rng(0)
    constants["nothing"] = np.float32(0)
    nodes, last, channels = [], "pixels", 1
    for number in range(work):
        name = f"conv{number}"
        constants[f"{name}.weight"] = rng.normal(0, 0.05, (16, channels, 3, 3)).astype(np.float32)
        nodes.append(helper.make_node("Conv", [last, f"{name}.weight"], [name], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [name], [f"{name}.relu"]))
        last, channels = f"{name}.relu", 16
    constants["channel"] = np.array([1], dtype=np.int64)
    return [
        *nodes,
        helper.make_node("ReduceMean", [last, "channel"], ["flat"], keepdims=1),
        helper.make_node("Mul", ["flat", "nothing"], ["none"]),
        helper.make_node("Add", ["pixels", "none"], ["worked"]),
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
