"""Model folders as the trainer writes them: what the services load is what torch said, also by descriptors."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnx  # noqa: E402  only where there is torch
from torch import Tensor, nn  # noqa: E402

from stripwatch.domain.model import DescriptorSpec, ModelKind, ModelRef  # noqa: E402
from stripwatch.errors import ModelInvalid  # noqa: E402
from stripwatch.models.engines import builder  # noqa: E402
from stripwatch.models.load import LoadedModel, load  # noqa: E402
from stripwatch.models.manifest import DESCRIPTOR, MAP  # noqa: E402
from stripwatch.models.store import ModelFolder  # noqa: E402
from stripwatch_train.export import Draft, fp32_of, reference_tiles, session, write_model  # noqa: E402
from stripwatch_train.int8 import is_int8  # noqa: E402
from stripwatch_train.trunk import backbone_sha256, trunk_of  # noqa: E402

SIZE, WIDTH, SIDE = 32, 4, 8
CLASSES = ("healthy", "patches", "scratches")


class Teller(nn.Module):
    """A tiny classifier that also gives descriptors and maps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, WIDTH, 3, 4, 1)
        self.head = nn.Linear(WIDTH, len(CLASSES))

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.clamp(self.conv(tiles.float() / 255), 0, 6)
        descriptor = x.mean((2, 3))
        return torch.softmax(self.head(descriptor), 1), descriptor, x.mean(1)


class Head(nn.Module):
    """From descriptors to how far they lie from a point."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.full((WIDTH,), 0.1))

    def forward(self, descriptor: Tensor) -> Tensor:
        return ((descriptor - self.centre) ** 2).mean(1).sqrt()


@pytest.fixture(scope="module")
def teller() -> Teller:
    torch.manual_seed(0)
    return Teller().eval()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, teller: Teller) -> Path:
    """A classifier in int8 that tells, and an anomaly scorer behind its trunk."""
    folder = tmp_path_factory.mktemp("models")
    tiles = np.random.default_rng(0).integers(0, 256, (64, 1, SIZE, SIZE), dtype=np.uint8)
    classify = partial(Draft, ModelRef("steel", "1"), ModelKind.CLASSIFIER, teller, SIZE, CLASSES, 1.0, 0.5)
    steel = write_model(classify(extras=(DESCRIPTOR, MAP), calibration=tiles), folder, None, fp32=folder)
    trunk = trunk_of(onnx.load(str(steel / "model.onnx")))
    write_model(
        Draft(ModelRef("texture", "1"), ModelKind.ANOMALY, Head().eval(), SIZE, (), None, 1.0, trunk=trunk),
        folder,
        None,
    )
    return folder


def _loaded(models: Path, name: str) -> LoadedModel:
    return load(ModelFolder(ModelRef(name, "1"), models / name / "1"), builder("onnxruntime"))


def test_a_classifier_that_tells_more_passes_its_self_test_and_gives_what_torch_gives(
    models: Path, teller: Teller
) -> None:
    model, tiles = _loaded(models, "steel"), reference_tiles(SIZE)
    assert model.spec.map_side == SIDE
    with torch.inference_mode():
        told = teller(torch.from_numpy(tiles))
    for served, wanted in zip(model.engine.run(tiles, (DESCRIPTOR, MAP)), told, strict=True):
        assert served.shape == tuple(wanted.shape)
        np.testing.assert_allclose(served, wanted.numpy(), atol=0.02)  # int8


def test_both_models_name_one_backbone_and_agree_by_either_route(models: Path) -> None:
    steel, texture = _loaded(models, "steel"), _loaded(models, "texture")
    assert steel.spec.descriptors == texture.spec.descriptors
    assert isinstance(steel.spec.descriptors, DescriptorSpec)
    assert steel.spec.descriptors.width == WIDTH
    tiles = np.random.default_rng(1).integers(0, 256, (20, 1, SIZE, SIZE), dtype=np.uint8)
    _, descriptors = steel.engine.run(tiles, (DESCRIPTOR,))
    np.testing.assert_allclose(texture.heads[0](descriptors), texture.engine(tiles), atol=5e-5)


def test_a_session_gives_the_scores_or_another_output_by_name(models: Path) -> None:
    tiles = reference_tiles(SIZE)
    assert session(models / "steel" / "1")(tiles).shape == (len(tiles), len(CLASSES))
    assert session(models / "steel" / "1", output=DESCRIPTOR)(tiles).shape == (len(tiles), WIDTH)
    with pytest.raises(ModelInvalid, match=r"expected an output 'depth', got \['descriptor', 'map', 'probabilities'\]"):
        session(models / "steel" / "1", output="depth")


def test_a_trunk_cut_twice_has_one_hash_and_another_weight_another(models: Path) -> None:
    model = onnx.load(str(models / "steel" / "1" / "model.onnx"))
    hashes = {backbone_sha256(trunk_of(model)) for _ in range(2)}
    scorer = onnx.load(str(models / "texture" / "1" / "model.onnx"))
    scale = next(tensor for tensor in scorer.graph.initializer if "conv" in tensor.name and tensor.raw_data)
    assert scale.raw_data in {tensor.raw_data for tensor in model.graph.initializer}
    changed = next(tensor for tensor in model.graph.initializer if tensor.name == scale.name)
    changed.raw_data = bytes(len(changed.raw_data))
    hashes.add(backbone_sha256(trunk_of(model)))
    assert len(hashes) == 2


def test_a_model_without_descriptors_has_no_trunk_and_says_none(tmp_path: Path) -> None:
    class Plain(nn.Module):
        def forward(self, tiles: Tensor) -> Tensor:
            return tiles.float().mean((1, 2, 3)) / 255

    path = write_model(Draft(ModelRef("plain", "1"), ModelKind.ANOMALY, Plain(), SIZE, (), None, 1.0), tmp_path, None)
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["descriptor"] is manifest["map"] is None
    with pytest.raises(ModelInvalid, match=r"output 'descriptor' to cut its graph at, got \['score'\]"):
        trunk_of(onnx.load(str(path / "model.onnx")))


def test_what_was_quantised_is_kept_as_it_was_where_one_asks_for_it(models: Path) -> None:
    before = fp32_of(models, ModelRef("steel", "1"))
    assert before is not None
    assert not is_int8(before)
    assert is_int8(onnx.load(str(models / "steel" / "1" / "model.onnx")))
    assert fp32_of(models, ModelRef("texture", "1")) is None


def test_a_model_proves_itself_on_tiles_of_its_own_where_it_brings_some(teller: Teller, tmp_path: Path) -> None:
    tiles = np.random.default_rng(1).integers(0, 256, (8, 1, SIZE, SIZE), dtype=np.uint8)
    draft = Draft(ModelRef("steel", "1"), ModelKind.CLASSIFIER, teller, SIZE, CLASSES, 1.0, 0.5, reference=tiles)
    folder = write_model(replace(draft, extras=(DESCRIPTOR, MAP)), tmp_path, None)
    with np.load(folder / "reference.npz") as arrays:
        np.testing.assert_array_equal(arrays["tiles"], tiles)
    _loaded(tmp_path, "steel")
