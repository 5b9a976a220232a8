"""Both profiles as graphs, and their speed beside the paper's network."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch_train.export import Draft, session, write_model
from stripwatch_train.paper import PaperNet
from stripwatch_train.results import command
from stripwatch_train.study.frozen import Frozen
from stripwatch_train.study.head import Head, HeadNet
from stripwatch_train.study.profiles import PROFILES, Profile
from stripwatch_train.study.study import Study, small

_ROUNDS = 7
_TILES = 64


class ProfileNet(nn.Module):
    """(N, 1, S, S) uint8 tiles to (N, 6) probabilities; smaller sizes are made of the largest inside."""

    def __init__(self, frozen: Frozen, sizes: tuple[int, ...], head: Head) -> None:
        super().__init__()
        self.frozen, self.sizes = frozen, sizes
        self.head = HeadNet(head)

    def forward(self, tiles: Tensor) -> Tensor:
        described = [self.frozen(_at(tiles, size)) for size in self.sizes]
        probabilities: Tensor = self.head(torch.cat(described, 1))
        return probabilities


def _at(tiles: Tensor, size: int) -> Tensor:
    if tiles.shape[-1] == size:
        return tiles
    return nn.functional.interpolate(tiles.float(), (size, size), mode="area")


def reference(profile: Profile) -> ModelRef:
    """`neu6-accurate/1` and `neu6-fast/1`, in models/local."""
    return ModelRef(f"neu6-{profile.name}", "1")


def export(study: Study, profile: Profile, head: Head, accuracy: float) -> None:
    """Write the model of seed 0's random split; it stands on the untouched backbone, so it is never committed."""
    ref = reference(profile)
    provenance = {
        "data_sha256": study.neu.sha256,
        "seed": 0,
        "command": command(),
        "licence": "ImageNet weights Apache-2.0 or BSD-3-Clause by their source; NEU images: licence not stated",
        "trained_on": "NEU, stratified 80 %, flips and disturbed views",
        "backbone": "MobileNetV2 1.0 features 0-13, ImageNet, frozen",
        "metrics": {"accuracy": accuracy, "split": "random, seed 0"},
    }
    card = (
        f"# {ref}\n\nTexture statistics of the truncated, untouched backbone and a kernel machine: {accuracy:.2%} of "
        "its 360 validation images (random split, seed 0). Built on this machine; not for redistribution. It knows no "
        "healthy steel.\n"
    )
    net = ProfileNet(study.frozen, profile.sizes, head)
    draft = Draft(ref, ModelKind.CLASSIFIER, net, profile.size, NEU_CLASSES, 1.0, 0.5, provenance, card)
    write_model(draft, study.places.local_models, None)


def speeds(study: Study) -> dict[str, Any]:
    """Tiles a second of each graph over the paper's network, one thread of ONNX Runtime, medians of turns taken."""
    paper = PaperNet(study.backbone, nn.Linear(1280, len(NEU_CLASSES)))
    engines = {"mobilenetv2 at 224": (study.engine_of(paper, 224, "paper", threads=1), 224)}
    for profile in PROFILES:
        folder = study.places.local_models / str(reference(profile))
        engines[profile.name] = (session(folder, threads=1), profile.size)
    tiles = {name: small(study.neu.images[:_TILES], size) for name, (_, size) in engines.items()}
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(_ROUNDS):
        for name, (engine, _) in engines.items():
            begun = time.perf_counter()
            engine(tiles[name])
            times[name].append((time.perf_counter() - begun) / _TILES)
    base = float(np.median(times["mobilenetv2 at 224"]))
    return {name: round(base / float(np.median(seconds)), 2) for name, seconds in times.items()}
