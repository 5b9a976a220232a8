"""What a model service holds: all versions of its kind, new ones beside old ones, and a true word on readiness."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stripwatch.domain.model import ModelKind
from stripwatch.errors import ModelInvalid, ModelNotReady, NotFound
from stripwatch.models.batching import Batcher, Batching
from stripwatch.models.engines import builder
from stripwatch.models.load import load
from stripwatch.models.served import ServedModels
from stripwatch.models.store import ModelStore
from stripwatch.runtime.deadline import Deadline
from tiny_models import descriptors_of, grey_tiles, write_model

_open: list[ServedModels] = []


def _served(folder: Path, *wanted: str, kind: ModelKind = ModelKind.CLASSIFIER) -> ServedModels:
    models = ServedModels(
        ModelStore([folder]),
        kind,
        wanted,
        lambda found: load(found, builder("onnxruntime")),
        lambda name, engines, _whole: Batcher(name, engines, Batching()),
    )
    _open.append(models)
    return models


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close(5)


def test_all_versions_of_its_kind_are_served_and_the_name_alone_means_the_newest(tmp_path: Path) -> None:
    for version in ("2", "10"):
        write_model(tmp_path, "steel", version)
    write_model(tmp_path, "texture", kind="anomaly")
    models = _served(tmp_path)
    assert models.ready() == "models are being loaded"
    models.load()
    assert models.ready() is None
    assert models.find("steel").spec.ref.version == "10"
    assert models.find("steel/2").spec.ref.version == "2"
    with pytest.raises(NotFound, match=r"'texture'.*served are: steel/10, steel/2"):
        models.find("texture")


def test_before_loading_a_model_is_not_ready_rather_than_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotReady, match="being loaded"):
        _served(tmp_path).find("steel")


def test_no_model_of_the_kind_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    write_model(tmp_path, "texture", kind="anomaly")
    with pytest.raises(NotFound) as refused:
        _served(tmp_path).load()
    assert str(tmp_path) in str(refused.value)
    assert "STRIPWATCH_MODELS" in str(refused.value)


def test_wanted_models_must_be_there_and_of_the_kind(tmp_path: Path) -> None:
    write_model(tmp_path, "steel")
    write_model(tmp_path, "texture", kind="anomaly")
    with pytest.raises(NotFound, match="'brass'"):
        _served(tmp_path, "brass").load()
    with pytest.raises(ModelInvalid, match=r"texture/1.*classifier.*anomaly"):
        _served(tmp_path, "texture").load()


def test_only_what_is_wanted_is_served(tmp_path: Path) -> None:
    for name, version in (("steel", "1"), ("steel", "2"), ("paper", "1")):
        write_model(tmp_path, name, version)
    models = _served(tmp_path, "steel/1")
    models.load()
    with pytest.raises(NotFound, match=r"served are: steel/1$"):
        models.find("steel/2")


def test_a_wrong_hash_at_start_stops_the_service(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    (path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelInvalid, match="sha256"):
        _served(tmp_path).load()


def test_a_parity_failure_at_start_keeps_it_from_ready_until_the_files_are_right(tmp_path: Path) -> None:
    write_model(tmp_path, reference_bias=40)
    models = _served(tmp_path)
    models.load()
    assert "parity self-test on tiles failed" in (models.ready() or "")
    models.rescan()
    assert "parity self-test on tiles failed" in (models.ready() or "")
    write_model(tmp_path)
    models.rescan()
    assert models.ready() is None
    assert models.find("steel")


def test_a_new_version_is_served_beside_the_old_one(tmp_path: Path) -> None:
    write_model(tmp_path, "steel", "1")
    models = _served(tmp_path)
    models.load()
    write_model(tmp_path, "steel", "2", bias=20)
    models.rescan()
    tiles = grey_tiles([120])
    old, new = (models.find(f"steel/{v}").batcher.submit(tiles, Deadline.after(10)).result()[0] for v in ("1", "2"))
    assert int(np.argmax(old)) == 0
    assert int(np.argmax(new)) == 1
    assert models.find("steel").spec.ref.version == "2"


def test_a_scorer_with_a_head_takes_descriptors_in_a_queue_of_their_own_until_it_is_closed(tmp_path: Path) -> None:
    write_model(tmp_path, "texture", kind="anomaly", width=3)
    write_model(tmp_path, "plain", kind="anomaly")
    models = _served(tmp_path, kind=ModelKind.ANOMALY)
    models.load()
    assert models.find("plain").head is None
    head = models.find("texture").head
    assert head is not None
    descriptors = descriptors_of(grey_tiles([0, 128]), 3)
    np.testing.assert_allclose(head.submit(descriptors, Deadline.after(10)).result()[0], [0, 1], atol=1e-6)
    models.close(5)
    with pytest.raises(ModelNotReady, match=r"texture/1 \(head\): the service is stopping"):
        head.submit(descriptors, Deadline.after(10))


def test_a_new_head_makes_a_refused_model_worth_another_look(tmp_path: Path) -> None:
    write_model(tmp_path, "plain", kind="anomaly")
    models = _served(tmp_path, kind=ModelKind.ANOMALY)
    models.load()
    path = write_model(tmp_path, "texture", kind="anomaly", width=3)
    whole = (path / "head.onnx").read_bytes()
    (path / "head.onnx").write_bytes(whole[:100])  # still being copied
    models.rescan()
    with pytest.raises(NotFound):
        models.find("texture")
    (path / "head.onnx").write_bytes(whole)
    models.rescan()
    assert models.find("texture").head is not None


def test_a_new_version_that_fails_is_logged_once_and_the_old_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_model(tmp_path, "steel", "1")
    models = _served(tmp_path)
    models.load()
    path = write_model(tmp_path, "steel", "2")
    whole = (path / "model.onnx").read_bytes()
    (path / "model.onnx").write_bytes(whole[:100])  # still being copied
    with caplog.at_level(logging.WARNING):
        models.rescan()
        models.rescan()
    assert [record.message for record in caplog.records if "not served" in record.message] == [
        caplog.records[0].message
    ]
    assert models.ready() is None
    assert models.find("steel").spec.ref.version == "1"
    (path / "model.onnx").write_bytes(whole)
    models.rescan()
    assert models.find("steel").spec.ref.version == "2"


def test_another_kinds_broken_manifest_does_not_stop_a_service_that_takes_what_there_is(tmp_path: Path) -> None:
    write_model(tmp_path, "steel")
    (write_model(tmp_path, "texture", kind="anomaly") / "manifest.json").write_text("{")
    models = _served(tmp_path)
    models.load()
    assert models.ready() is None
