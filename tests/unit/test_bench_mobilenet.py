"""The benchmarks' MobileNetV2: grey folded in exactly, models that load and agree, recipes that name them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import mobilenet  # noqa: E402  only where there is torch
import torch_loop  # noqa: E402
from mobilenet_figures import flagged, judges  # noqa: E402

from stripwatch.domain.recipe import Role  # noqa: E402
from stripwatch.models.engines import EngineName  # noqa: E402
from stripwatch.models.manifest import DESCRIPTOR  # noqa: E402
from stripwatch.pixels import model_input  # noqa: E402
from stripwatch.recipes import RecipeBook, default_folders  # noqa: E402
from stripwatch.rpc.codec.models import quantise  # noqa: E402
from stripwatch_train import paper  # noqa: E402
from stripwatch_train.evaluate import shrunk  # noqa: E402
from stripwatch_train.features import PAPER_INPUT  # noqa: E402
from stripwatch_train.grey import ColourStem, GreyStem  # noqa: E402
from stripwatch_train.mobilenet import pretrained  # noqa: E402
from stripwatch_train.neu import PER_CLASS, Neu  # noqa: E402
from stripwatch_train.places import WEIGHTS_FILE, Places, default_data  # noqa: E402
from stripwatch_train.pools import clean_tile  # noqa: E402

EACH, EPOCHS, RANGES_FROM = 20, 100, 24
"""NEU images of a class, of which four judge, and how often the head sees the others until it is sure of some."""


@pytest.fixture(scope="module")
def weights() -> Path:
    file = default_data() / WEIGHTS_FILE
    if not file.is_file():
        pytest.skip(f"needs the ImageNet weights {file} (STRIPWATCH_DATA names the folder)")
    return file


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, neu: Path, weights: Path) -> Path:
    """What `make bench-models` builds, from a few images."""
    folder = tmp_path_factory.mktemp("bench-models")
    whole, backbone = Neu.load(Places(neu.parent, folder)), pretrained(weights)
    rows = np.flatnonzero(np.arange(len(whole.labels)) % PER_CLASS < EACH)
    few = replace(whole, images=whole.images[rows], labels=whole.labels[rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "EPOCHS", EPOCHS)
        patch.setattr(mobilenet, "RANGES_FROM", RANGES_FROM)
        classifier = mobilenet.write_classifier(folder, few, backbone)
    mobilenet.write_scorer(folder, classifier, whole.places.cache, known=300, unseen=60)
    mobilenet.write_recipes(folder / "recipes")
    return folder


@pytest.mark.parametrize("stride", [1, 2])
def test_grey_folded_into_the_first_convolution_is_exact_up_to_the_border(stride: int) -> None:
    """Padded with one grey for all planes, the outermost row and column would be off by percents."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 8, 3, stride, 1)
    tiles = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        wanted = conv(torch.from_numpy(model_input(list(tiles[:, 0].numpy()), replace(PAPER_INPUT, size=32))))
        for stem in (GreyStem(conv), ColourStem(conv)):
            assert float((stem(tiles) - wanted).abs().max() / wanted.abs().max()) < 2e-6


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_both_models_prove_themselves_and_the_scorer_takes_the_classifiers_descriptors(
    models: Path, engine: EngineName
) -> None:
    classifier, anomaly = judges(models, "mobilenet", engine)
    assert classifier.spec.descriptors == anomaly.spec.descriptors
    assert (classifier.spec.input.size, classifier.spec.input.channels, classifier.spec.input.dtype) == (
        224,
        1,
        "uint8",
    )
    tiles = shrunk(np.stack([clean_tile(seed) for seed in range(3)]), 224)
    _, descriptors = classifier.engine.run(tiles, (DESCRIPTOR,))
    apart = np.abs(quantise(anomaly.heads[0](descriptors)) - quantise(anomaly.engine(tiles)))
    assert apart.max() <= 1


def test_the_same_seed_gives_the_same_scorer(models: Path, tmp_path: Path) -> None:
    again = mobilenet.write_scorer(
        tmp_path, models / str(mobilenet.PAPER_MODEL), models / "var" / "train", known=300, unseen=60
    )
    made = [json.loads((folder / "manifest.json").read_text()) for folder in (models / str(mobilenet.SCORER), again)]
    assert made[0]["sha256"] == made[1]["sha256"]


def test_clean_steel_is_told_by_the_scorer_though_the_classifier_knows_no_healthy_class(models: Path) -> None:
    clean = np.stack([clean_tile(2_000_000 + seed) for seed in range(40)])
    assert flagged(models, "mobilenet", "onnxruntime", clean) <= 0.05


def test_the_recipes_are_the_shipped_one_with_other_models(tmp_path: Path) -> None:
    book, shipped = RecipeBook([mobilenet.write_recipes(tmp_path)]), RecipeBook(default_folders()).find("hot-rolled")
    assert book.names() == ["fast", "mobilenet"]
    fast, mobile = book.find("fast"), book.find("mobilenet")
    assert fast.models == {Role.CLASSIFIER: "steel-fast", Role.ANOMALY: "texture-fast"}
    assert mobile.models == {Role.CLASSIFIER: "mobilenetv2-neu6", Role.ANOMALY: "mobilenetv2-texture"}
    assert (fast.classes, fast.healthy) == (shipped.classes, shipped.healthy)
    assert mobile.classes == {label: rule for label, rule in shipped.classes.items() if label not in mobile.healthy}
    for recipe in (fast, mobile):
        assert (recipe.anomaly, recipe.cutting) == (shipped.anomaly, shipped.cutting)


def test_the_torch_loop_cuts_and_prepares_what_the_paper_does() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (200, 600), dtype=np.uint8)
    tiles = list(torch_loop.tiles(iter([frame.tobytes()])))
    assert [tile.numpy().tolist() for tile in tiles] == [frame[:, at : at + 200].tolist() for at in (0, 200, 400)]
    wanted = model_input([tile.numpy() for tile in tiles], PAPER_INPUT)  # whole grey values: half of one is 0.009
    assert np.abs(torch_loop.transform(tiles).numpy() - wanted).max() < 0.02


def test_the_torch_loop_says_its_rate_in_one_line_and_refuses_other_frames(tmp_path: Path, weights: Path) -> None:
    np.save(tmp_path / "frames.npy", np.full((2, 200, 400), 120, dtype=np.uint8))
    np.save(tmp_path / "narrow.npy", np.zeros((2, 200, 390), dtype=np.uint8))
    good, bad = (_loop(tmp_path / name, weights) for name in ("frames.npy", "narrow.npy"))
    assert good.returncode == 0, good.stderr
    told = json.loads(good.stdout)
    assert (told["batch"], told["tiles_per_s"] > 0) == (3, True)
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1
    assert "got (2, 200, 390) uint8" in bad.stderr


def _loop(frames: Path, weights: Path) -> subprocess.CompletedProcess[str]:
    told = ("--frames", str(frames), "--weights", str(weights), "--batch", "3", "--seconds", "0.1")
    command = [sys.executable, torch_loop.__file__, *told]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
