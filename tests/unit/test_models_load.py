"""Only a model whose files agree with each other, and whose scores are the reference's, is loaded."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stripwatch.domain.model import DescriptorSpec, ModelRef
from stripwatch.errors import ModelInvalid, ModelNotReady
from stripwatch.models.engines import builder
from stripwatch.models.load import LoadedModel, check_parity, load
from stripwatch.models.store import ModelFolder
from tiny_models import BACKBONE, descriptors_of, expected_scores, grey_tiles, write_model

CLASSES = ("healthy", "patches", "scratches")


def _load(path: Path, engines: int = 1) -> LoadedModel:
    return load(ModelFolder(ModelRef(path.parent.name, path.name), path), builder("onnxruntime"), engines)


def _rehash(path: Path, **changes: Any) -> None:
    """Makes the manifest agree with the files again, after one of them was changed."""
    file = path / "manifest.json"
    text = json.loads(file.read_text())
    text["sha256"] = hashlib.sha256((path / "model.onnx").read_bytes()).hexdigest()
    text["reference_sha256"] = hashlib.sha256((path / "reference.npz").read_bytes()).hexdigest()
    file.write_text(json.dumps({**text, **changes}))


def test_a_loaded_model_gives_the_scores_that_its_graph_means(tmp_path: Path) -> None:
    model = _load(write_model(tmp_path, classes=CLASSES), engines=2)
    tiles = grey_tiles([10, 128, 250])
    assert len(model.engines) == 2
    for engine in model.engines:
        np.testing.assert_allclose(engine(tiles), expected_scores(tiles, CLASSES), atol=1e-5)
    assert model.spec.engine.startswith("onnxruntime/")
    assert model.spec.classes == CLASSES


def test_an_anomaly_model_gives_one_score_a_tile(tmp_path: Path) -> None:
    model = _load(write_model(tmp_path, "texture", kind="anomaly"))
    np.testing.assert_allclose(model.engine(grey_tiles([0, 128])), [0, 1], atol=1e-6)


def test_a_classifier_gives_descriptors_and_maps_to_who_asks_for_them(tmp_path: Path) -> None:
    model = _load(write_model(tmp_path, classes=CLASSES, width=3, map_side=4))
    tiles = grey_tiles([10, 128, 250])
    tiles[0, 0, :4, :8] = 255  # the first two of its 4 x 4 cells
    assert model.spec.descriptors == DescriptorSpec(3, BACKBONE)
    assert model.spec.map_side == 4
    probabilities, descriptors, maps = model.engine.run(tiles, ("descriptor", "map"))
    np.testing.assert_allclose(probabilities, expected_scores(tiles, CLASSES), atol=1e-5)
    np.testing.assert_allclose(descriptors, descriptors_of(tiles, 3), rtol=1e-6)
    np.testing.assert_allclose(maps[1], np.full((4, 4), 128 / 255), atol=1e-6)
    assert (maps[0] > 0.9).nonzero()[0].tolist() == [0, 0]
    assert [output.shape for output in model.engine.run(tiles)] == [(3, 3)]


def test_a_scorer_with_a_head_gives_the_same_scores_by_descriptors_as_by_tiles(tmp_path: Path) -> None:
    model = _load(write_model(tmp_path, "texture", kind="anomaly", width=5, bias=3), engines=2)
    tiles = grey_tiles([0, 64, 128, 255])
    assert len(model.heads) == 2
    for head in model.heads:
        np.testing.assert_allclose(head(descriptors_of(tiles, 5)), model.engine(tiles), atol=1e-6)


def test_a_head_is_proven_like_any_graph(tmp_path: Path) -> None:
    path = write_model(tmp_path, "texture", kind="anomaly", width=2)
    with np.load(path / "reference.npz") as arrays:
        whole = dict(arrays)
    np.savez(path / "reference.npz", **{**whole, "descriptors": whole["descriptors"] + 5})
    _rehash(path)
    with pytest.raises(ModelNotReady, match=r"texture/1 on onnxruntime.*parity self-test on descriptors failed"):
        _load(path)
    np.savez(path / "reference.npz", **{**whole, "descriptors": whole["descriptors"][:, :1]})
    _rehash(path)
    with pytest.raises(ModelInvalid, match=r"expected descriptors \(8, 2\) float32, got \(8, 1\) float32"):
        _load(path)
    np.savez(path / "reference.npz", tiles=whole["tiles"], outputs=whole["outputs"])
    _rehash(path)
    with pytest.raises(ModelInvalid, match=r"`tiles`, `outputs` and `descriptors`"):
        _load(path)


def test_a_head_other_than_the_manifests_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path, "texture", kind="anomaly", width=2)
    (path / "head.onnx").write_bytes((path / "head.onnx").read_bytes() + b" ")
    with pytest.raises(ModelInvalid, match=r"head\.onnx: expected sha256"):
        _load(path)


@pytest.mark.parametrize("name", ["model.onnx", "reference.npz"])
def test_a_wrong_hash_names_the_file_the_expected_and_the_actual(tmp_path: Path, name: str) -> None:
    path = write_model(tmp_path)
    before = hashlib.sha256((path / name).read_bytes()).hexdigest()
    (path / name).write_bytes((path / name).read_bytes() + b" ")
    after = hashlib.sha256((path / name).read_bytes()).hexdigest()
    with pytest.raises(ModelInvalid) as refused:
        _load(path)
    for word in (str(path / name), before, after):
        assert word in str(refused.value)


@pytest.mark.parametrize("name", ["model.onnx", "reference.npz"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = write_model(tmp_path)
    (path / name).unlink()
    with pytest.raises(ModelInvalid, match=name):
        _load(path)


def test_a_model_whose_scores_are_not_the_reference_is_not_ready(tmp_path: Path) -> None:
    path = write_model(tmp_path, classes=CLASSES, reference_bias=40)
    with pytest.raises(
        ModelNotReady, match=r"steel/1 on onnxruntime.*parity self-test on tiles failed.*0\.001.*difference of"
    ):
        _load(path)


def test_of_a_score_above_one_the_tolerance_is_a_share(tmp_path: Path) -> None:
    model = _load(write_model(tmp_path, "texture", kind="anomaly", reference={"tolerance": 0.05, "tiles": 8}))
    tiles = grey_tiles([0, 64, 255])
    scores = expected_scores(tiles)  # 0, 0.5, 1.99
    check_parity(model.engine, model.manifest, tiles, scores * np.float32(1.04))
    with pytest.raises(ModelNotReady, match="got a difference of"):
        check_parity(model.engine, model.manifest, tiles, scores + np.float32([0, 0.06, 0]))


def test_a_graph_that_is_none_is_refused_without_the_librarys_exception(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    (path / "model.onnx").write_bytes(b"not a graph")
    _rehash(path)
    with pytest.raises(ModelInvalid, match="expected an ONNX graph, got something else"):
        _load(path)


def test_an_engine_that_fails_at_work_is_said_not_to_be_ready(tmp_path: Path) -> None:
    model = _load(write_model(tmp_path))
    with pytest.raises(ModelNotReady, match="its engine failed"):
        model.engine(grey_tiles([1], size=17))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": {"size": 32, "channels": 1, "dtype": "uint8"}}, "input shape"),
        ({"input": {"size": 16, "channels": 3, "dtype": "uint8"}}, "input shape"),
        (
            {"input": {"size": 16, "channels": 1, "dtype": "float32", "mean": [0], "std": [1]}},
            "expected input float32, got uint8",
        ),
        ({"classes": ["a", "b", "c"]}, "output shape"),
        ({"kind": "anomaly", "output": "score", "classes": []}, "an output 'score'"),
        ({"descriptor": {"width": 2, "backbone_sha256": BACKBONE}}, "an output 'descriptor'"),
        ({"map": {"side": 2}}, "an output 'map'"),
    ],
)
def test_a_graph_that_contradicts_its_manifest_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = write_model(tmp_path)
    given = changes.get("input", {"size": 16, "channels": 1, "dtype": "uint8"})
    tiles = np.zeros((8, given["channels"], given["size"], given["size"]), dtype=given["dtype"])
    rows = len(changes.get("classes", "12"))
    np.savez(path / "reference.npz", tiles=tiles, outputs=np.zeros((8, rows) if rows else 8, dtype=np.float32))
    _rehash(path, **changes)
    with pytest.raises(ModelInvalid, match=words):
        _load(path)


def test_a_reference_that_hides_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    np.savez(path / "reference.npz", tiles=np.array([{"a": 1}], dtype=object), outputs=np.zeros(8, dtype=np.float32))
    _rehash(path)
    with pytest.raises(ModelInvalid, match=r"reference\.npz.*tiles"):
        _load(path)
    (path / "reference.npz").write_bytes(pickle.dumps({"tiles": 1}))
    _rehash(path)
    with pytest.raises(ModelInvalid, match=r"reference\.npz"):
        _load(path)
