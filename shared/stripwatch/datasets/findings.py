"""What is wrong with a data set before anything is learnt from it or measured on it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stripwatch.datasets.dataset import Dataset
from stripwatch.datasets.decode import NotGrey, decode
from stripwatch.errors import BadInput


class Fault(StrEnum):
    """Kinds of findings, worst first."""

    DAMAGED = "damaged"
    NOT_GREY = "not 8-bit grey"
    CONFLICT = "label conflict"
    UNLABELLED = "no class"
    DUPLICATE = "duplicate"
    SIZE = "size"
    EMPTY = "empty class"


ADVICE: Mapping[Fault, str] = {
    Fault.DAMAGED: "take the file from where it came from again, or remove it",
    Fault.NOT_GREY: "convert it to 8-bit grey, knowing how its values are to be scaled",
    Fault.CONFLICT: "look at the picture, keep it under one class",
    Fault.UNLABELLED: "move it into its class's folder",
    Fault.DUPLICATE: "keep one, or keep both on the same side of every split",
    Fault.SIZE: "cut it again at the same scale: resizing changes its texture",
    Fault.EMPTY: "remove the folder, or find its images",
}


MOST_NAMED = 4
"""Files that one sentence names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and the files that it is about."""

    fault: Fault
    says: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Images by class and by (height, width), and what is wrong with them, worst first.

    An image of no class, or one that cannot be decoded, is in the findings alone.
    """

    classes: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    findings: tuple[Finding, ...]


def check(dataset: Dataset, on_image: Callable[[], object] = lambda: None) -> Report:
    """Decodes every image once, and compares. `on_image` is called after each."""
    bad: list[Finding] = []
    same: dict[bytes, list[int]] = defaultdict(list)
    shapes: dict[int, tuple[int, int]] = {}
    for row, path in enumerate(dataset.paths):
        try:
            image = decode(path, dataset.read(path))
        except BadInput as error:
            bad.append(Finding(Fault.NOT_GREY if isinstance(error, NotGrey) else Fault.DAMAGED, str(error), (path,)))
        else:
            shapes[row] = (image.shape[0], image.shape[1])
            same[hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()].append(row)
        on_image()
    labels = Counter(place.label for place in dataset.places)
    counts = {label: labels[label] for label in dataset.classes}
    sizes = Counter(shapes.values())
    findings = [
        *bad,
        *_names(dataset),
        *_twins(dataset, [rows for rows in same.values() if len(rows) > 1]),
        *_sizes(dataset, shapes, sizes),
        *(Finding(Fault.EMPTY, f"{label}: no images") for label, count in counts.items() if not count),
    ]
    order = list(Fault)
    return Report(counts, dict(sizes.most_common()), tuple(sorted(findings, key=lambda one: order.index(one.fault))))


def _names(dataset: Dataset) -> Iterator[Finding]:
    for path, place in zip(dataset.paths, dataset.places, strict=True):
        if place.other:
            yield Finding(Fault.CONFLICT, f"{path}: its folder says {place.label}, its name {place.other}", (path,))
        elif not place.label:
            yield Finding(Fault.UNLABELLED, f"{path}: expected {dataset.wanted}", (path,))


def _twins(dataset: Dataset, groups: Sequence[Sequence[int]]) -> Iterator[Finding]:
    for rows in groups:
        paths = tuple(dataset.paths[row] for row in rows)
        labels = sorted({dataset.places[row].label for row in rows} - {""})
        splits = sorted({dataset.places[row].split for row in rows} - {""})
        across = f"; one in {' and one in '.join(splits)}" if len(splits) > 1 else ""
        if len(labels) > 1:
            yield Finding(Fault.CONFLICT, f"{_equal(paths)}: one picture under {' and '.join(labels)}", paths)
        else:
            yield Finding(Fault.DUPLICATE, f"{_equal(paths)}{across}", paths)


def _sizes(
    dataset: Dataset, shapes: Mapping[int, tuple[int, int]], sizes: Counter[tuple[int, int]]
) -> Iterator[Finding]:
    """Each image of another size than most have; one finding for all where no size is most images'."""
    if len(sizes) < 2:
        return
    (usual, count), *_ = sizes.most_common(1)
    others = {row: shape for row, shape in shapes.items() if shape != usual}
    if count * 2 <= len(shapes):
        paths = tuple(dataset.paths[row] for row in others)
        yield Finding(Fault.SIZE, f"{len(sizes):,} different sizes, the commonest {_px(usual)} ({count} images)", paths)
        return
    for row, shape in others.items():
        path = dataset.paths[row]
        yield Finding(Fault.SIZE, f"{path}: {_px(shape)}, most are {_px(usual)}", (path,))


def _equal(paths: Sequence[str]) -> str:
    more = f" = {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return " = ".join(paths[:MOST_NAMED]) + more


def _px(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]} px"
