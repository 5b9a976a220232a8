"""Tiny model folders for tests: brightness decides everything, so that any test knows the right scores.

Classifier with K classes: the mean grey value in steps of 256 / K names the class (`label_of`). Anomaly scorer: the
mean grey value / 128, so that 1 (the threshold) is mid-grey. Both may stand on the tiny backbone, whose descriptor of a
tile is its mean grey value times 1, 2, ... (`descriptors_of`); a classifier may say where: how grey each cell is.
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

Shape = list[str | int | None]

BACKBONE = "b" * 64
"""The tiny backbone's hash."""
SHARPNESS = 0.25
"""Logits per grey value: a tile in the middle of its class's band gets nearly all of the probability."""


def write_pair(folder: Path) -> None:
    """The models that the default recipe names, on one backbone: bright is a scratch, and not as usual as dark."""
    write_model(folder, "steel", classes=("healthy", "scratches"), width=3)
    write_model(folder, "texture", kind="anomaly", bias=-60.0, width=3)


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
    width: int = 0,
    backbone: str = BACKBONE,
    map_side: int = 0,
    **manifest: Any,
) -> Path:
    """Writes `folder/NAME/VERSION` and gives its path. The same arguments give the same scores.

    `bias` is added to the mean grey value; another `reference_bias` (40, say) makes a model that fails its parity
    self-test although all hashes agree; `work` adds that many 3x3 convolutions whose result does not count, for
    tests that need a model that takes time. With a `width` a classifier gives descriptors and an anomaly scorer takes
    them; with a `map_side` a classifier gives maps. `manifest` replaces entries of the manifest, after the hashes are
    taken.
    """
    classes = tuple(classes) if kind == "classifier" else ()
    output = "probabilities" if kind == "classifier" else "score"
    path = folder / name / version
    path.mkdir(parents=True, exist_ok=True)
    gives = width if classes else 0
    (path / "model.onnx").write_bytes(_graph(classes, output, size, bias, work, gives, map_side).SerializeToString())
    tiles = grey_tiles(np.linspace(0, 255, 8).round(), size)
    reference = {
        "tiles": tiles,
        "outputs": expected_scores(tiles, classes, bias if reference_bias is None else reference_bias),
    }
    descriptor: dict[str, Any] | None = {"width": width, "backbone_sha256": backbone} if width else None
    if descriptor and not classes:
        (path / "head.onnx").write_bytes(_head(width, bias).SerializeToString())
        descriptor["head_sha256"] = _sha256(path / "head.onnx")
        reference["descriptors"] = descriptors_of(tiles, width)
    np.savez_compressed(path / "reference.npz", **reference)  # type: ignore[arg-type]
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
        "descriptor": descriptor,
        "map": {"side": map_side} if map_side else None,
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


def descriptors_of(tiles: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.float32]:
    """What the tiny backbone says of the tiles: (N, width)."""
    grey = tiles.astype(np.float64).mean(axis=(1, 2, 3))
    return np.asarray(grey[:, None] * _steps(width), dtype=np.float32)


def _steps(width: int) -> npt.NDArray[np.float32]:
    return np.arange(1, width + 1, dtype=np.float32)[None]


def _centres(count: int) -> npt.NDArray[np.float64]:
    return (np.arange(count) + 0.5) * 256 / count


def _graph(
    classes: Sequence[str], output: str, size: int, bias: float, work: int, width: int, map_side: int
) -> onnx.ModelProto:
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
    outputs: dict[str, Shape] = {output: ["N", len(classes)] if classes else ["N"]}
    if width:
        constants |= {"steps": _steps(width), "end": np.array([1], dtype=np.int64)}
        nodes += [
            helper.make_node("Unsqueeze", ["mean", "end"], ["described"]),  # (N, 1)
            helper.make_node("Mul", ["described", "steps"], ["descriptor"]),  # (N, width)
        ]
        outputs["descriptor"] = ["N", width]
    if map_side:
        cell = size // map_side
        constants |= {"white": np.float32(255), "plane": np.array([1], dtype=np.int64)}
        nodes += [
            helper.make_node("AveragePool", ["pixels"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
            helper.make_node("Squeeze", ["cells", "plane"], ["greys"]),  # (N, map_side, map_side)
            helper.make_node("Div", ["greys", "white"], ["map"]),
        ]
        outputs["map"] = ["N", map_side, map_side]
    tiles = helper.make_tensor_value_info("tiles", TensorProto.UINT8, ["N", 1, size, size])
    return _model(nodes, tiles, outputs, constants)


def _head(width: int, bias: float) -> onnx.ModelProto:
    """From the tiny backbone's descriptor to the anomaly score: the mean grey value / 128."""
    constants = {
        "steps": _steps(width),
        "axes": np.array([1], dtype=np.int64),
        "bias": np.float32(bias),
        "middle": np.float32(128),
    }
    nodes = [
        helper.make_node("Div", ["descriptor", "steps"], ["means"]),  # (N, width)
        helper.make_node("ReduceMean", ["means", "axes"], ["mean"], keepdims=0),  # (N,)
        helper.make_node("Add", ["mean", "bias"], ["grey"]),
        helper.make_node("Div", ["grey", "middle"], ["score"]),
    ]
    descriptor = helper.make_tensor_value_info("descriptor", TensorProto.FLOAT, ["N", width])
    return _model(nodes, descriptor, {"score": ["N"]}, constants)


def _model(
    nodes: list[onnx.NodeProto],
    given: onnx.ValueInfoProto,
    outputs: dict[str, Shape],
    constants: dict[str, Any],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [given],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
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
