"""Where in a tile the defect lies: a linear head a class on what the classifier's trunk gives, learnt from boxes.

Cells and heads are those of the study's stage `boxes`. Heads, enlarging and averaging are all linear, so their order
does not matter: here the heads come first, and four planes a class are enlarged and averaged instead of 216 channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name all of torch's users know

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput
from stripwatch_train.classifier import SteelNet
from stripwatch_train.descriptor import CHANNELS
from stripwatch_train.evaluate import shrunk
from stripwatch_train.neu import Neu
from stripwatch_train.split import Rows
from stripwatch_train.study.box_match import rates, tally
from stripwatch_train.study.box_truth import Boxes, read_truth
from stripwatch_train.study.box_ways import Sides, best_levels, choose, cut
from stripwatch_train.study.cells import MARGIN, SHRINK, SIZE, WINDOWS, Moments, averaged, cells, drawn
from stripwatch_train.study.outline import Map

VIEWS = 1 + len(WINDOWS)
"""Of a channel at a cell: itself, and its mean over each window."""
WIDTH = VIEWS * sum(CHANNELS) + 1
"""A head's numbers: a weight for each of a cell's, then the constant."""
LEVELS = tuple(round(0.05 * step, 2) for step in range(2, 15))
"""Where a map may be cut into boxes."""
_BATCH = 40
_NEVER = 1e-6
"""Added to the probability of any defect: a tile that is surely healthy divides by it, and its map is empty."""


class Where(nn.Module):
    """What a trunk's stages and its classifier give to a map of where the defect lies."""

    fine: Tensor
    middle: Tensor
    coarse: Tensor
    constant: Tensor

    def __init__(self, heads: Tensor) -> None:
        """(6, 865) float32, a head a class as `Moments.head` gives it; BadInput for another shape."""
        super().__init__()
        if heads.shape != (len(NEU_CLASSES), WIDTH):
            raise BadInput(f"heads: expected shape {(len(NEU_CLASSES), WIDTH)}, got {tuple(heads.shape)}")
        views = heads[:, :-1].reshape(len(heads), VIEWS, -1).transpose(0, 1).flatten(0, 1)  # (24, 216)
        fine, middle, coarse = views[:, :, None, None].tensor_split((CHANNELS[0], sum(CHANNELS[:2])), 1)
        self.register_buffer("fine", fine.contiguous())
        self.register_buffer("middle", middle.contiguous())
        self.register_buffer("coarse", coarse.contiguous())
        self.register_buffer("constant", heads[:, -1, None, None].contiguous())

    def forward(self, outputs: Sequence[Tensor], probabilities: Tensor) -> Tensor:
        """The trunk's `outputs` of (N, 1, S, S) tiles and (N, 7) probabilities to (N, S/8, S/8), 0 to 1.

        Each class's plane counts as the classifier believes in it; healthy has none.
        """
        fine, middle, *coarse = outputs
        far = F.conv2d(torch.cat(coarse, 1), self.coarse)
        near = F.conv2d(F.avg_pool2d(fine, 2), self.fine) + F.conv2d(middle, self.middle)
        planes = near + F.interpolate(far, near.shape[-2:], mode="bilinear")  # (N, 24, S/8, S/8)
        itself, *means = planes.chunk(VIEWS, 1)
        judged = reduce(add, map(averaged, means, WINDOWS), itself + self.constant)  # (N, 6, S/8, S/8)
        belief = probabilities[:, 1:, None, None]
        return ((judged * belief).sum(1) / (belief.sum(1) + _NEVER)).clamp(0, 1)


@torch.inference_mode()
def fit_where(net: SteelNet, neu: Neu, rows: Rows) -> Where:
    """Learn the heads from NEU-DET's boxes of these images; BadInput where a class has none among them."""
    if missing := [name for label, name in enumerate(NEU_CLASSES) if label not in neu.labels[rows]]:
        raise BadInput(f"rows to learn boxes from: expected images of every class, got none of {', '.join(missing)}")
    heads = [_moments(net, neu, rows[neu.labels[rows] == label]).head() for label in range(len(NEU_CLASSES))]
    return Where(torch.from_numpy(np.stack(heads)))


def _moments(net: SteelNet, neu: Neu, rows: Rows) -> Moments:
    true = read_truth(neu.places.notes / "_annotations_voc", [neu.names[row] for row in rows]).boxes
    tiles = torch.from_numpy(shrunk(neu.images[rows], SIZE))
    wanted = np.stack([drawn(boxes, SHRINK) for boxes in true]).reshape(len(true), -1)
    return reduce(
        add,
        (
            Moments.of(
                cells(net.trunk.outputs(tiles[at : at + _BATCH])).flatten(2).permute(0, 2, 1).half().numpy(),
                wanted[at : at + _BATCH],
            )
            for at in range(0, len(rows), _BATCH)
        ),
    )


def box_recall(maps: Map, true: Sequence[Boxes], sides: Sides) -> dict[str, dict[str, float]]:
    """How well the boxes cut from (N, S, S) maps fit the true ones on the held-out side, in two ways to cut.

    `level` cuts at one level a class, `chosen` picks among the boxes of all levels; both are chosen on the training
    side, whose maps should come from heads that have not seen them (`study.box_ways.cell_maps`).
    """
    wanted = [true[row] for row in sides.held]
    level = cut(maps, sides, best_levels(maps, true, sides, LEVELS, MARGIN), MARGIN)
    chosen, _ = choose(maps, true, sides, LEVELS, MARGIN)
    return {"level": rates(tally(level, wanted)), "chosen": rates(tally(chosen, wanted))}
