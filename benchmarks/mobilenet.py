"""The models that the pipeline's efficiency is measured with: the paper's MobileNetV2 in int8, and a scorer on it.

Writes the folder `var/bench-models`: the models, and under `recipes` the recipes that name them. Never committed: the
backbone's weights are not ours to ship. `make bench-models`, with WEIGHTS=file.npz instead of the hub.
"""

from __future__ import annotations

import argparse
import copy
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from conditions import ROOT
from torch import Tensor, nn

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch.errors import StripwatchError
from stripwatch.models.load import GRAPH
from stripwatch.models.manifest import DESCRIPTOR
from stripwatch.pixels import Image
from stripwatch.recipes import default_folders
from stripwatch_train import int8
from stripwatch_train.anomaly import TextureHead, fit, threshold
from stripwatch_train.descriptor import STAGES, described, staged
from stripwatch_train.evaluate import shrunk
from stripwatch_train.export import REFERENCE_TILES, Draft, write_model
from stripwatch_train.features import FLIPS, Features
from stripwatch_train.graph import Scores, scorer, tile_graph
from stripwatch_train.grey import GreyStem
from stripwatch_train.mobilenet import MobileNetV2, folded, pretrained
from stripwatch_train.neu import Neu
from stripwatch_train.paper import train_head
from stripwatch_train.paper_report import PAPER_MODEL, draft
from stripwatch_train.places import WEIGHTS_FILE, Places, default_data
from stripwatch_train.pools import simulated_clean
from stripwatch_train.split import Rows, stratified
from stripwatch_train.trunk import trunk_of

FOLDER = ROOT / "var" / "bench-models"
SCORER = ModelRef("mobilenetv2-texture", "1")
SIZE, SEED = 224, 0
RANGES_FROM = 96
"""NEU images of the training side, and as many healthy tiles, that show how far an activation goes."""
KNOWN, UNSEEN, UNSEEN_SEED = 2000, 1000, 60_000
"""Healthy simulated tiles that the scorer is fitted to, and others that its threshold is taken from."""
COMMAND = "python benchmarks/mobilenet.py"


class Backbone(nn.Module):
    """(N, 1, 224, 224) grey to the (N, 1280) pooled features of the whole backbone and the (N, 432) descriptor."""

    def __init__(self, backbone: MobileNetV2, stem: type[nn.Module] = GreyStem) -> None:
        super().__init__()
        layers = list(folded(copy.deepcopy(backbone).eval()).features)
        first, *rest = layers[0].children()
        layers[0] = nn.Sequential(stem(first), *rest)
        self.trunk = nn.Sequential(*layers[: STAGES[-1] + 1])
        self.rest = nn.Sequential(*layers[STAGES[-1] + 1 :])

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        outputs = staged(self.trunk, tiles)
        return self.rest(outputs[-1]).mean((2, 3)), described(outputs)[0]


class Served(nn.Module):
    """What is served: (N, 6) probabilities and the descriptor."""

    def __init__(self, features: Backbone, head: nn.Linear) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        pooled, descriptor = self.features(tiles)
        return torch.softmax(self.head(pooled), 1), descriptor


def frozen(net: Backbone, ranges: Image) -> onnx.ModelProto:
    """The backbone's graph in int8; its first output are the pooled features."""
    return int8.quantised(tile_graph(net, SIZE, ("features", DESCRIPTOR)), ranges)


def write_classifier(models: Path, neu: Neu, backbone: MobileNetV2) -> Path:
    """The paper's recipe with its frozen backbone in int8: the head learns from what that backbone gives."""
    training, validation = stratified(neu.labels, SEED)
    ranges = ranges_from(neu, training)
    net = Backbone(backbone).eval()
    features = _flipped(scorer(frozen(net, ranges)), neu.images)
    trial = train_head(features, neu.labels, training, validation, SEED)
    paper = draft(neu, backbone, trial, COMMAND)
    paper.provenance["backbone"] += ", in int8; its first convolution folded to one grey plane"
    served = replace(
        paper,
        net=Served(net, trial.head).eval(),
        extras=(DESCRIPTOR,),
        calibration=ranges,
        reference=shrunk(neu.images[_surest(trial.head, features[0], neu.labels, validation)], SIZE),
    )
    return write_model(served, models, None)


def write_scorer(models: Path, classifier: Path, cache: Path, known: int = KNOWN, unseen: int = UNSEEN) -> Path:
    """How far a tile's texture lies from simulated healthy steel, on the classifier's trunk."""
    trunk = trunk_of(onnx.load(str(classifier / GRAPH)))
    describe = scorer(trunk)
    healthy = fit(describe(shrunk(simulated_clean(cache, known), SIZE)), seed=SEED)
    limit = threshold(healthy, describe(shrunk(simulated_clean(cache, unseen, UNSEEN_SEED), SIZE)))
    provenance = {"seed": SEED, "command": COMMAND, "backbone": f"the trunk of {PAPER_MODEL}, in int8"}
    head = TextureHead(healthy, limit).eval()
    card = f"# {SCORER}\n\nFor benchmarks: how far a tile's texture lies from simulated healthy steel.\n"
    scoring = Draft(SCORER, ModelKind.ANOMALY, head, SIZE, (), None, limit, provenance, card, trunk=trunk)
    return write_model(scoring, models, None)


def write_recipes(folder: Path) -> Path:
    """The shipped recipe as `mobilenet` and as `fast`, with their models; the folder that holds them.

    The paper's model has no healthy class: `patches` stands in, as in the recipe `paper`. Clean steel is told by the
    scorer (usual_below), whatever the classifier takes it for.
    """
    shipped = (default_folders()[0] / "hot-rolled.yaml").read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    fast = {"name: hot-rolled": "name: fast", "classifier: steel": "classifier: steel-fast"}
    fast["anomaly: texture"] = "anomaly: texture-fast"
    patches = next(line for line in shipped.splitlines(keepends=True) if line.startswith("  patches:"))
    mobilenet = {
        "name: hot-rolled": "name: mobilenet",
        "classifier: steel": f"classifier: {PAPER_MODEL.name}",
        "anomaly: texture": f"anomaly: {SCORER.name}",
        "healthy: [healthy]": "healthy: [patches]",
        patches: "",
    }
    for name, changes in (("fast", fast), ("mobilenet", mobilenet)):
        text = shipped
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def ranges_from(neu: Neu, training: Rows) -> Image:
    """(192, 1, 224, 224) tiles: NEU of the training side, and healthy steel."""
    rows = np.random.default_rng(SEED).permutation(training)[:RANGES_FROM]
    return shrunk(np.concatenate([neu.images[rows], simulated_clean(neu.places.cache, RANGES_FROM)]), SIZE)


@torch.inference_mode()
def _surest(head: nn.Linear, features: Features, labels: Rows, among: Rows) -> Rows:
    """The image of each class that the head is surest of, and the next ones up to as many as a reference holds.

    Rounding adds up over 52 layers: where the head wavers, as on simulated steel, two engines are 0.15 apart.
    """
    sure = torch.softmax(head(torch.from_numpy(features[among])), 1).numpy()
    best = [among[labels[among] == label] for label in range(len(NEU_CLASSES))]
    best = [rows[np.argsort(-sure[labels[among] == label, label])] for label, rows in enumerate(best)]
    return np.stack(best, 1).ravel()[:REFERENCE_TILES]


def _flipped(describe: Callable[[Image], Scores], images: Image) -> Features:
    """(4, N, 1280) of each flip variant of the images."""
    return np.stack([describe(shrunk(images[:, ::rows, ::columns], SIZE)) for rows, columns in FLIPS])


def main() -> None:
    """Builds models and recipes, and says how the models do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=None, help="ImageNet weights (.npz); else the hub")
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--out", type=Path, default=FOLDER)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)  # of advice to prepare a graph that needs no preparing
    try:
        neu = Neu.load(Places(chosen.data))
        local = chosen.data / WEIGHTS_FILE
        backbone = pretrained(chosen.weights or (local if local.is_file() else None))
        classifier = write_classifier(chosen.out, neu, backbone)
        print(classifier, write_scorer(chosen.out, classifier, neu.places.cache), write_recipes(chosen.out / "recipes"))
    except StripwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
