"""What every stage of the study starts from: images, backbone, folders, and descriptors that are computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track

from stripwatch.pixels import Image, resize
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
        out = describe(self.frozen, tiles, f"descriptors at {size} px")
        np.save(file, out)
        return out


@torch.inference_mode()
def describe(net: Frozen, tiles: Image, what: str, batch: int = 48) -> Matrix:
    """(N, 432) of (N, 1, S, S) uint8 tiles."""
    net.eval()
    starts = track(range(0, len(tiles), batch), description=what)
    parts = [net(torch.from_numpy(tiles[start : start + batch])).numpy() for start in starts]
    return np.concatenate(parts)


def small(images: Image | Sequence[Image], size: int) -> Image:
    """(N, 1, size, size) uint8, resized as the worker does."""
    return np.stack([resize(np.ascontiguousarray(image), size) for image in images])[:, None]
