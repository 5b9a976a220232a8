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
    weights = default_data() / WEIGHTS_FILE
    if not weights.is_file():
        pytest.skip(f"no {weights}")
    onnx = pytest.importorskip("onnx")
    with np.load(weights) as arrays:
        pretrained = [arrays[key] for key in arrays.files if arrays[key].size > 1]
    known = {array.tobytes() for array in pretrained}
    graph = onnx.load(folder / "model.onnx").graph
    tensors = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer]
    large = [tensor for tensor in tensors if tensor.size > 16]
    assert len(large) > 40
    assert not [tensor.shape for tensor in large if np.ascontiguousarray(tensor).tobytes() in known]
    for tensor in (tensor for tensor in large if tensor.ndim == 4):
        near = [p for p in pretrained if p.shape == tensor.shape and np.array_equal(p, tensor)]
        assert not near
