"""A manifest may ask for bfloat16: an engine that can calculates in it, says so, and proves its scores as always."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stripwatch.domain.model import ModelRef
from stripwatch.errors import ModelInvalid, ModelNotReady
from stripwatch.models.engines import EngineName, builder
from stripwatch.models.load import LoadedModel, load
from stripwatch.models.manifest import read_manifest
from stripwatch.models.store import ModelFolder
from tiny_models import write_model

LOOSE, STRICT = 0.1, 1e-4
DIGITS = np.random.default_rng(1).integers(0, 256, (8, 1, 16, 16), dtype=np.uint8)

bfloat16 = pytest.mark.skipif(
    "avx512" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"), reason="this CPU does not calculate in bfloat16"
)


@pytest.fixture(params=["onnxruntime", "openvino"])
def name(request: pytest.FixtureRequest) -> EngineName:
    chosen: EngineName = request.param
    return chosen


def _rounding(folder: Path, tolerance: float, **manifest: str) -> Path:
    """A classifier by convolution, whose weights and sums have more digits than bfloat16."""
    path = write_model(folder, reference={"tolerance": tolerance, "tiles": len(DIGITS)}, **manifest)
    rng = np.random.default_rng(0)
    constants = {
        "kernels": rng.normal(0, 0.01, (16, 1, 3, 3)).astype(np.float32),
        "weights": rng.normal(0, 0.1, (16, 2)).astype(np.float32),
        "axes": np.array([2, 3], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["tiles"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "kernels"], ["cells"]),
        helper.make_node("Relu", ["cells"], ["lit"]),
        helper.make_node("ReduceMean", ["lit", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "rounding",
        [helper.make_tensor_value_info("tiles", TensorProto.UINT8, ["N", 1, 16, 16])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path / "model.onnx")
    (exact,) = builder("onnxruntime")((path / "model.onnx").read_bytes(), read_manifest(path).graph, 1)
    np.savez(path / "reference.npz", tiles=DIGITS, outputs=exact(DIGITS))
    hashes = {
        key: hashlib.sha256((path / file).read_bytes()).hexdigest()
        for key, file in (("sha256", "model.onnx"), ("reference_sha256", "reference.npz"))
    }
    written = path / "manifest.json"
    written.write_text(json.dumps({**json.loads(written.read_text(encoding="utf-8")), **hashes}), encoding="utf-8")
    return path


def _load(path: Path, name: EngineName) -> LoadedModel:
    return load(ModelFolder(ModelRef(path.parent.name, path.name), path), builder(name))


def test_a_manifest_without_a_precision_is_calculated_in_float32(tmp_path: Path, name: EngineName) -> None:
    path = _rounding(tmp_path, STRICT)
    assert read_manifest(path).precision == "float32"
    assert "bf16" not in _load(path, name).spec.engine


@bfloat16
def test_openvino_calculates_in_bfloat16_where_the_manifest_asks_and_its_pinned_name_says_so(tmp_path: Path) -> None:
    exact = _load(_rounding(tmp_path / "exact", STRICT), "openvino")
    short = _load(_rounding(tmp_path / "short", LOOSE, precision="bfloat16"), "openvino")
    assert short.spec.engine == f"{exact.spec.engine} bf16"
    assert STRICT < np.abs(short.engine(DIGITS) - exact.engine(DIGITS)).max() < LOOSE


@bfloat16
def test_a_model_whose_tolerance_bfloat16_does_not_keep_is_not_ready(tmp_path: Path) -> None:
    path = _rounding(tmp_path, STRICT, precision="bfloat16")
    with pytest.raises(ModelNotReady, match=r"steel/1 on openvino/\S+ bf16: parity self-test on tiles failed"):
        _load(path, "openvino")


def test_an_engine_without_bfloat16_calculates_in_float32_and_says_nothing_else(tmp_path: Path) -> None:
    path = _rounding(tmp_path, STRICT, precision="bfloat16")
    assert _load(path, "onnxruntime").spec.engine == _load(_rounding(tmp_path / "f", STRICT), "onnxruntime").spec.engine


def test_a_precision_that_there_is_not_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path, precision="float8")
    with pytest.raises(ModelInvalid, match=r"precision: .*'float32' or 'bfloat16', got 'float8'"):
        read_manifest(path)
