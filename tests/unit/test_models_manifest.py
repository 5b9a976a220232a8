"""A manifest is taken whole or refused with the file, the field, what was expected and what came."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stripwatch.domain.model import Clahe, DescriptorSpec, ModelKind
from stripwatch.errors import ModelInvalid
from stripwatch.models.manifest import read_manifest
from tiny_models import BACKBONE, write_model


def test_a_sound_manifest_is_read_into_domain_words(tmp_path: Path) -> None:
    path = write_model(tmp_path, "steel", "2", classes=("healthy", "patches"))
    manifest = read_manifest(path)
    assert str(manifest.ref) == "steel/2"
    assert manifest.kind is ModelKind.CLASSIFIER
    assert manifest.classes == ("healthy", "patches")
    assert (manifest.input.size, manifest.input.channels, manifest.input.dtype) == (16, 1, "uint8")
    assert manifest.reference_tiles == 8


def test_clahe_and_normalisation_reach_the_input_spec(tmp_path: Path) -> None:
    given = {"size": 16, "channels": 3, "dtype": "float32", "mean": [0.5] * 3, "std": [0.25] * 3}
    path = write_model(tmp_path, input={**given, "clahe": {"clip_limit": 2.0, "grid": 8}})
    spec = read_manifest(path).input
    assert spec.mean == (0.5, 0.5, 0.5)
    assert spec.clahe == Clahe(2.0, 8)


def test_what_a_model_gives_or_takes_beside_scores_is_in_its_signatures(tmp_path: Path) -> None:
    classifier = read_manifest(write_model(tmp_path, "steel", width=3, map_side=4))
    assert dict(classifier.graph.outputs) == {"probabilities": (2,), "descriptor": (3,), "map": (4, 4)}
    assert classifier.head is None
    scorer = read_manifest(write_model(tmp_path, "texture", kind="anomaly", width=3))
    assert scorer.descriptors == DescriptorSpec(3, BACKBONE)
    assert dict(scorer.graph.outputs) == {"score": ()}
    assert scorer.head is not None
    assert (scorer.head.input, scorer.head.dtype, scorer.head.shape) == ("descriptor", "float32", (3,))


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (
            "classifier",
            {"descriptor": {"width": 3, "backbone_sha256": BACKBONE, "head_sha256": BACKBONE}},
            "got a hash",
        ),
        ("classifier", {"descriptor": {"width": 0, "backbone_sha256": BACKBONE}}, r"descriptor\.width.*got 0"),
        ("classifier", {"descriptor": {"width": 3, "backbone_sha256": "b"}}, r"descriptor\.backbone_sha256.*got 'b'"),
        ("classifier", {"map": {"side": 0}}, r"map\.side.*got 0"),
        ("anomaly", {"descriptor": {"width": 3, "backbone_sha256": BACKBONE}}, r"hash of its head\.onnx, got null"),
        ("anomaly", {"map": {"side": 4}}, "expected none for an anomaly model, got one of side 4"),
    ],
)
def test_descriptors_and_maps_are_only_where_their_kind_has_them(
    tmp_path: Path, kind: str, changes: dict[str, Any], words: str
) -> None:
    path = write_model(tmp_path, kind=kind, **changes)
    with pytest.raises(ModelInvalid, match=words):
        read_manifest(path)


def _set(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda text: text.update(changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set(sha256="abc"), ["sha256", "'abc'"]),
        (_set(kind="oracle"), ["kind", "'classifier' or 'anomaly'", "'oracle'"]),
        (_set(version="9"), ["expected steel/1", "steel/9"]),
        (_set(output="score"), ["output", "'probabilities'", "'score'"]),
        (_set(classes=["one"]), ["classes", "two or more", "one"]),
        (_set(surprise=1), ["surprise", "got 1"]),
        (_set(input={"size": 4, "channels": 1, "dtype": "uint8"}), ["size", "8 to 1024", "4"]),
        (_set(input={"size": 16, "channels": 1, "dtype": "int4"}), ["input.dtype", "int4"]),
        (_set(input={"size": 16, "channels": 1, "dtype": "float32"}), ["mean and std"]),
        (_set(reference={"tolerance": 0.5, "tiles": 8}), ["reference.tolerance", "0.5"]),
        (lambda text: text.pop("reference_sha256"), ["reference_sha256", "required"]),
    ],
)
def test_a_wrong_entry_is_named_with_expected_and_got(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: list[str]
) -> None:
    file = write_model(tmp_path) / "manifest.json"
    text = json.loads(file.read_text())
    change(text)
    file.write_text(json.dumps(text))
    with pytest.raises(ModelInvalid) as refused:
        read_manifest(file.parent)
    for word in [str(file), *words]:
        assert word in str(refused.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00\xff"])
def test_what_is_no_manifest_at_all_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = write_model(tmp_path) / "manifest.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelInvalid, match=r"manifest\.json"):
        read_manifest(file.parent)


def test_a_missing_manifest_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="No such file"):
        read_manifest(tmp_path)
