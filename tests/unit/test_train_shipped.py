"""The committed models: whole, small, reproducing their references, and made of our own tensors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from stripwatch_train.places import REPOSITORY, WEIGHTS_FILE, default_data

MODELS = REPOSITORY / "models"
FOLDERS = [MODELS / name for name in ("steel/2", "texture/2", "steel-fast/1", "texture-fast/1")]
MOST_BYTES = 10_000_000
each_model = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)


@each_model
def test_a_manifest_names_the_files_beside_it(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for key, name in (("sha256", "model.onnx"), ("reference_sha256", "reference.npz")):
        assert manifest[key] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert f"{manifest['name']}/{manifest['version']}" == f"{folder.parent.name}/{folder.name}"
    assert "Where it fails" in (folder / "CARD.md").read_text()


@each_model
def test_a_model_reproduces_its_reference(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    engine = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    with np.load(folder / "reference.npz") as arrays:
        outputs = engine.run([manifest["output"]], {"tiles": arrays["tiles"]})[0]
        assert np.abs(outputs - arrays["outputs"]).max() <= manifest["reference"]["tolerance"]


def test_all_shipped_models_together_are_small() -> None:
    files = [file for file in MODELS.rglob("*") if file.is_file() and MODELS / "local" not in file.parents]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


@each_model
def test_no_shipped_tensor_is_a_pretrained_one(folder: Path) -> None:
    file = default_data() / WEIGHTS_FILE
    if not file.is_file():
        pytest.skip(f"no {file}")
    onnx = pytest.importorskip("onnx")
    with np.load(file) as arrays:
        pretrained = [arrays[key] for key in arrays.files if arrays[key].size > 1]
    graph = onnx.load(folder / "model.onnx").graph
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    told = [tensor for tensor in held.values() if tensor.size > 16 and np.ptp(tensor.astype(np.float64)) > 0]
    assert len(told) > 40
    known = {array.tobytes() for array in pretrained}
    assert not [tensor.shape for tensor in told if np.ascontiguousarray(tensor).tobytes() in known]
    weights = [node.input for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in held]
    convolutions = [names for names in weights if held[names[0]].ndim == 4]
    assert len(convolutions) > 30
    for weight, scale, *_ in convolutions:
        step = held[scale].reshape(-1, 1, 1, 1)
        stands_for = held[weight] * step
        same_shape = [array for array in pretrained if array.shape == stands_for.shape]
        assert not [array for array in same_shape if (np.abs(array - stands_for) <= 0.51 * step).all()], weight
