"""Pooled features of the frozen backbone, computed once: with a frozen backbone a flip variant never changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track

from stripwatch.domain.model import InputSpec
from stripwatch.pixels import Image, model_input
from stripwatch_train.mobilenet import IMAGENET_MEAN, IMAGENET_STD, MobileNetV2, channels_last, folded

PAPER_INPUT = InputSpec(224, 3, "float32", IMAGENET_MEAN, IMAGENET_STD)
FLIPS = ((1, 1), (-1, 1), (1, -1), (-1, -1))
"""Steps along rows and columns of the four flip variants: none, vertical, horizontal, both."""

Features = npt.NDArray[np.float32]


def backbone_hash(backbone: MobileNetV2) -> str:
    """SHA-256 over all parameters and statistics."""
    digest = hashlib.sha256()
    for key, value in sorted(backbone.state_dict().items()):
        digest.update(key.encode() + value.numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def pooled(backbone: MobileNetV2, images: Image, cache: Path, data_sha256: str, batch: int = 32) -> Features:
    """(4, N, 1280) float32: the features of each flip variant of `images` (N, 200, 200), from the cache if there."""
    key = hashlib.sha256(f"{data_sha256} {backbone_hash(backbone)} 224 imagenet flips".encode()).hexdigest()[:16]
    file = cache / f"pooled-{key}.npy"
    if file.is_file():
        return np.asarray(np.load(file), dtype=np.float32)
    plain = MobileNetV2()
    plain.load_state_dict(backbone.state_dict())
    net = channels_last(folded(plain.eval()))
    out = np.empty((len(FLIPS), len(images), 1280), dtype=np.float32)
    starts = [(flip, start) for flip in range(len(FLIPS)) for start in range(0, len(images), batch)]
    for flip, start in track(starts, description="backbone features"):
        rows, columns = FLIPS[flip]
        tiles = [np.ascontiguousarray(tile[::rows, ::columns]) for tile in images[start : start + batch]]
        x = torch.from_numpy(model_input(tiles, PAPER_INPUT))  # (B, 3, 224, 224) float32
        out[flip, start : start + batch] = net(x.to(memory_format=torch.channels_last)).numpy()
    np.save(file, out)
    return out
