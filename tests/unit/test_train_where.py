"""A map of where the defect lies: learnt from boxes, mixed by the classifier's belief, the same when it is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra (torch)")

import onnx  # noqa: E402  only where there is torch
from torch import Tensor, nn  # noqa: E402

from stripwatch.domain.defect import NEU_CLASSES  # noqa: E402
from stripwatch.errors import BadInput  # noqa: E402
from stripwatch_train import int8  # noqa: E402
from stripwatch_train.classifier import SteelNet  # noqa: E402
from stripwatch_train.evaluate import shrunk  # noqa: E402
from stripwatch_train.graph import scorer, tile_graph  # noqa: E402
from stripwatch_train.mobilenet import MobileNetV2  # noqa: E402
from stripwatch_train.neu import Neu  # noqa: E402
from stripwatch_train.study.box_ways import Sides  # noqa: E402
from stripwatch_train.study.cells import SHRINK, SIDE, SIZE, cells, drawn, judged  # noqa: E402
from stripwatch_train.where import WIDTH, Where, box_recall, fit_where  # noqa: E402

EACH = 5


class _Served(nn.Module):
    """A classifier with its map, as a graph gives both."""

    def __init__(self, net: SteelNet, where: Where) -> None:
        super().__init__()
        self.net, self.where = net, where

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.net.trunk.outputs(tiles)
        probabilities = self.net(tiles)
        return probabilities, self.where(outputs, probabilities)


@dataclass(frozen=True, slots=True)
class _Marked:
    """Where the notes of a data set lie."""

    notes: Path


def _box(number: int) -> tuple[int, int, int, int]:
    left, top = 20 * (number % 5), 20 * (number % 4)
    return left, top, left + 80, top + 70


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Neu:
    """Six classes of even noise with one box each, and in it stripes: along, across, fine, coarse, dark or bright."""
    places = _Marked(tmp_path_factory.mktemp("marked"))
    (places.notes / "_annotations_voc").mkdir()
    rng = np.random.default_rng(0)
    names = [f"{label}_{number}" for label in NEU_CLASSES for number in range(EACH)]
    images = rng.normal(120, 4, (len(names), 200, 200))
    rows, columns = np.mgrid[:200, :200]
    for at, name in enumerate(names):
        kind = at // EACH
        left, top, right, bottom = _box(at)
        along = (rows if kind % 2 else columns) // (2 + 2 * (kind % 3)) % 2
        images[at, top:bottom, left:right] += 60 * along[top:bottom, left:right] * (-1 if kind > 2 else 1)
        root = ET.Element("annotation")
        thing = ET.SubElement(root, "object")
        ET.SubElement(thing, "name").text = name.rpartition("_")[0]
        box = ET.SubElement(thing, "bndbox")
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), (left + 1, top + 1, right, bottom), strict=True):
            ET.SubElement(box, key).text = str(value)
        ET.ElementTree(root).write(places.notes / "_annotations_voc" / f"{name}.xml")
    pixels = np.clip(images, 0, 255).astype(np.uint8)
    labels = np.repeat(np.arange(len(NEU_CLASSES)), EACH)
    return Neu(places, tuple(names), pixels, labels, tuple(names), "")  # type: ignore[arg-type]  # only notes are read


@pytest.fixture(scope="module")
def net() -> SteelNet:
    """Weights that nobody trained."""
    torch.manual_seed(0)
    return SteelNet(MobileNetV2().eval()).eval()


@pytest.fixture(scope="module")
def where(net: SteelNet, marked: Neu) -> Where:
    """Learnt from all but the last image of each class."""
    return fit_where(net, marked, _seen(marked))


@pytest.fixture(scope="module")
def graph(net: SteelNet, where: Where) -> onnx.ModelProto:
    return tile_graph(_Served(net, where), SIZE, ("probabilities", "map"))


def _seen(marked: Neu) -> np.ndarray:
    return np.array([row for row in range(len(marked.names)) if row % EACH != EACH - 1])


def _surely(labels: np.ndarray) -> Tensor:
    """(N, 7) probabilities of a classifier that has no doubt; label 0 is healthy."""
    return torch.eye(1 + len(NEU_CLASSES))[torch.from_numpy(labels)]


def test_cells_in_a_defect_that_was_not_learnt_are_brighter(net: SteelNet, where: Where, marked: Neu) -> None:
    unseen = np.setdiff1d(np.arange(len(marked.names)), _seen(marked))
    with torch.inference_mode():
        outputs = net.trunk.outputs(torch.from_numpy(shrunk(marked.images[unseen], SIZE)))
        maps = where(outputs, _surely(1 + marked.labels[unseen])).numpy()
    for row, plane in zip(unseen.tolist(), maps, strict=True):
        inside = drawn(np.array([_box(row)], dtype=np.float32), SHRINK)
        assert plane[inside == 1].mean() > plane[inside == 0].mean() + 0.4


def test_a_map_is_what_the_head_says_of_the_cells(net: SteelNet) -> None:
    heads = 0.02 * torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(1))
    tiles = torch.randint(0, 256, (6, 1, SIZE, SIZE), dtype=torch.uint8)
    with torch.inference_mode():
        outputs = net.trunk.outputs(tiles)
        planes = judged(cells(outputs).flatten(2).permute(0, 2, 1).numpy(), list(heads.numpy()))
        maps = Where(heads)(outputs, _surely(np.arange(1, 7)))
    assert 0 < float((maps == 0).float().mean()) < 1
    np.testing.assert_allclose(maps, np.clip(planes, 0, 1), atol=1e-4)


def test_classes_count_as_much_as_they_are_believed_in(net: SteelNet) -> None:
    heads = torch.zeros(6, WIDTH)
    heads[:, -1] = torch.tensor([0.0, 1.0, 0.5, 9.0, -9.0, 0.0])
    with torch.inference_mode():
        outputs = net.trunk.outputs(torch.zeros(4, 1, 64, 64, dtype=torch.uint8))
    beliefs = torch.zeros(4, 7)
    beliefs[0, 0] = 1
    beliefs[1, 0], beliefs[1, 2], beliefs[1, 3] = 0.8, 0.1, 0.1
    beliefs[2, 4], beliefs[3, 5] = 1, 1
    maps = Where(heads)(outputs, beliefs)
    assert maps.shape == (4, 8, 8)
    np.testing.assert_allclose(maps.mean((1, 2)), [0, 0.75, 1, 0], atol=1e-4)


def test_the_map_that_is_served_is_the_one_that_was_learnt(
    net: SteelNet, where: Where, graph: onnx.ModelProto, marked: Neu
) -> None:
    tiles = shrunk(marked.images[::3], SIZE)
    with torch.inference_mode():
        probabilities, maps = _Served(net, where)(torch.from_numpy(tiles))
    served = scorer(graph, output="map")(tiles)
    assert served.shape == (len(tiles), SIDE, SIDE)
    assert 0 <= served.min() < served.max() <= 1
    np.testing.assert_allclose(served, maps, atol=1e-4)
    np.testing.assert_allclose(scorer(graph)(tiles), probabilities, atol=1e-4)


def test_int8_leaves_the_map_where_it_was(graph: onnx.ModelProto, marked: Neu) -> None:
    tiles = shrunk(marked.images, SIZE)
    small = int8.quantised(graph, np.concatenate([tiles, tiles[:, :, ::-1]]))
    apart = np.abs(scorer(small, output="map")(tiles) - scorer(graph, output="map")(tiles))
    assert apart.mean() < 0.05


def test_boxes_cut_from_true_maps_are_all_found(marked: Neu) -> None:
    true = [np.array([_box(row)], dtype=np.float32) for row in range(len(marked.names))]
    seen = _seen(marked)
    unseen = np.setdiff1d(np.arange(len(true)), seen)
    sides = Sides.of(seen, unseen, marked.labels, marked.labels, marked.groups, 0)
    got = box_recall(np.stack([drawn(boxes, SHRINK) for boxes in true]), true, sides)
    for way in ("level", "chosen"):
        assert got[way]["recall_iou30"] == got[way]["precision_iou30"] == 1


def test_heads_of_another_shape_and_rows_without_a_class_are_refused(net: SteelNet, marked: Neu) -> None:
    with pytest.raises(BadInput, match=r"heads: expected shape \(6, 865\), got \(6, 864\)"):
        Where(torch.zeros(6, WIDTH - 1))
    with pytest.raises(BadInput, match="expected images of every class, got none of crazing"):
        fit_where(net, marked, np.flatnonzero(marked.labels > 0))
