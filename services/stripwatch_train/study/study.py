"""What every stage of the study starts from: images, backbone, folders, and descriptors that are computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from stripwatch.pixels import Image, resize
from stripwatch_train.export import session, to_onnx
from stripwatch_train.features import backbone_hash
from stripwatch_train.mobilenet import MobileNetV2, channels_last
from stripwatch_train.neu import Neu
from stripwatch_train.places import Places
from stripwatch_train.study.frozen import Frozen

SEEDS = tuple(range(20))
FIVE = SEEDS[:5]

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Study:
    """NEU, the ImageNet backbone, and where results and caches go."""

    places: Places
    neu: Neu
    backbone: MobileNetV2

    @property
    def cache(self) -> Path:
        """Features, checkpoints and finished stages: git-ignored, safe to delete."""
        folder = self.places.repository / "var" / "paper"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def results(self) -> Path:
        """Committed figures, one file a stage."""
        return self.places.repository / "docs" / "results"

    @cached_property
    def backbone_sha256(self) -> str:
        return backbone_hash(self.backbone)

    @cached_property
    def frozen(self) -> Frozen:
        return channels_last(Frozen(self.backbone).eval())

    @cached_property
    def origin(self) -> str:
        """What all figures depend on, for the keys of caches."""
        return f"{self.neu.sha256} {self.backbone_sha256}"

    def described(self, images: Image | Sequence[Image], size: int) -> Matrix:
        """(N, 432) descriptors of the frozen backbone of (N, H, W) uint8 images at `size`, from the cache if there."""
        tiles = small(images, size)
        key = hashlib.sha256(tiles.tobytes() + self.backbone_sha256.encode()).hexdigest()[:20]
        file = self.cache / f"described-{size}-{key}.npy"
        if file.is_file():
            return np.asarray(np.load(file), dtype=np.float32)
        out = self.engine(size)(tiles)
        np.save(file, out)
        return out

    def engine(self, size: int) -> Callable[[Image], Matrix]:
        """(N, 1, size, size) uint8 tiles to (N, 432), by ONNX Runtime: ten times as fast as torch on two cores."""
        return self.engine_of(self.frozen, size, "frozen")

    def through(self, net: nn.Module, tiles: Image, name: str) -> Matrix:
        """What a network on the frozen backbone gives of (N, 1, S, S) tiles, from the cache if there."""
        key = hashlib.sha256(tiles.tobytes() + self.backbone_sha256.encode()).hexdigest()[:20]
        file = self.cache / f"{name}-{key}.npy"
        if not file.is_file():
            np.save(file, self.engine_of(net, tiles.shape[-1], name)(tiles))
        return np.asarray(np.load(file), dtype=np.float32)

    def engine_of(self, net: nn.Module, size: int, name: str, threads: int = 2) -> Callable[[Image], Matrix]:
        """The network as a graph in the cache; one that has changed needs another name."""
        folder = self.cache / f"{name}-{size}-{self.backbone_sha256[:12]}"
        if not (folder / "model.onnx").is_file():
            folder.mkdir(exist_ok=True)
            to_onnx(net, size, "descriptor", folder / "model.onnx")
        return session(folder, threads)


def small(images: Image | Sequence[Image], size: int) -> Image:
    """(N, 1, size, size) uint8, resized as the worker does."""
    return np.stack([resize(np.ascontiguousarray(image), size) for image in images])[:, None]
