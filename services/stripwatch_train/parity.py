"""Does the exported graph say what torch says? Over all images, in fp32, batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import nn

from stripwatch.pixels import Image
from stripwatch_train.evaluate import Score, shrunk


@torch.inference_mode()
def compare(net: nn.Module, onnx: Score, images: Image, size: int, what: str, batch: int = 60) -> dict[str, Any]:
    """Images with another argmax (probabilities) or another side of 1.0 (scores), and the largest difference."""
    differing, largest = 0, 0.0
    net.eval()
    for start in track(range(0, len(images), batch), description=what):
        tiles = shrunk(images[start : start + batch], size)
        theirs = net(torch.from_numpy(tiles)).numpy()
        ours = onnx(tiles)
        largest = max(largest, float(np.abs(theirs - ours).max()))
        same = theirs.argmax(1) == ours.argmax(1) if theirs.ndim > 1 else (theirs >= 1) == (ours >= 1)
        differing += int((~same).sum())
    return {"images": len(images), "different_answer": differing, "largest_difference": largest}
