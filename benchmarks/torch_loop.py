"""What a user would write: the paper's model in a plain PyTorch loop over frames, with torch's own threads.

Good, but ordinary: transforms and model take whole batches, under `inference_mode`. Nothing is delivered anywhere, and
nobody looks for unusual steel. Prints one line of JSON, so that another benchmark can run it between its own rounds:
`python benchmarks/torch_loop.py --frames FILE.npy --batch 16 --seconds 10 --weights FILE.npz`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput, StripwatchError
from stripwatch_train.mobilenet import IMAGENET_MEAN, IMAGENET_STD, WIDTH, MobileNetV2, pretrained

TILE_PX, INPUT_PX = 200, 224
MEAN = torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1)
STD = torch.tensor(IMAGENET_STD).reshape(3, 1, 1)
WARM_BATCHES = 3


class Net(nn.Module):
    """(N, 3, 224, 224) normalised to (N, 6) probabilities, as fast as the paper's: its head has learnt nothing."""

    def __init__(self, backbone: MobileNetV2) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDTH, len(NEU_CLASSES)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.classifier(self.backbone(x)), 1)


def tiles(frames: Iterator[bytes]) -> Iterator[Tensor]:
    """(200, 200) uint8, one after the other, of frames of 200 rows."""
    for raw in frames:
        image = torch.from_numpy(np.frombuffer(raw, np.uint8).reshape(TILE_PX, -1).copy())
        yield from image.split(TILE_PX, 1)


def transform(batch: Sequence[Tensor]) -> Tensor:
    """To (N, 3, 224, 224): 0 to 1, bilinear, three planes, ImageNet's normalisation."""
    grey = torch.stack(list(batch))[:, None].float() / 255
    grey = nn.functional.interpolate(grey, size=(INPUT_PX, INPUT_PX), mode="bilinear")
    return (grey.expand(-1, 3, -1, -1) - MEAN) / STD


@torch.inference_mode()
def tiles_per_s(model: nn.Module, frames: Sequence[bytes], batch: int, seconds: float) -> float:
    """How many tiles a second the loop judges, over at least so many seconds, after a few batches to warm up."""
    model.eval()
    waiting = tiles(cycle(frames))
    for _ in range(WARM_BATCHES):
        model(transform(list(islice(waiting, batch))))
    begin, judged = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - begin) < seconds or not judged:
        classes = model(transform(list(islice(waiting, batch)))).argmax(1).tolist()
        judged += len(classes)
    return judged / elapsed


def read_frames(file: Path) -> list[bytes]:
    """Raw frames of 200 rows from an (N, 200, W) uint8 array; BadInput if it is another."""
    try:
        array = np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise BadInput(f"{file}: expected an array of frames, it cannot be read: {error}") from error
    shape = array.shape
    if array.dtype != np.uint8 or len(shape) != 3 or shape[1] != TILE_PX or shape[2] % TILE_PX or not array.size:
        raise BadInput(f"{file}: expected (N, 200, W) uint8 with W in whole tiles, got {shape} {array.dtype}")
    return [frame.tobytes() for frame in array]


def main() -> None:
    """Runs the loop and prints its rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, required=True, help="an (N, 200, W) uint8 array (.npy)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--weights", type=Path, default=None, help="ImageNet weights (.npz); else the hub")
    chosen = parser.parse_args()
    try:
        frames = read_frames(chosen.frames)
        rate = tiles_per_s(Net(pretrained(chosen.weights)), frames, chosen.batch, chosen.seconds)
    except StripwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    told = {"tiles_per_s": round(rate, 2), "batch": chosen.batch, "seconds": chosen.seconds}
    print(json.dumps({**told, "threads": torch.get_num_threads(), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
