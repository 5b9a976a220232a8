"""Which images train and which judge: random, by overlap group, and the held-out list that shipped models obey."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stripwatch.errors import NotFound

Rows = npt.NDArray[np.int64]
HELDOUT_SEED = 20240607


def stratified(labels: npt.NDArray[np.int64], seed: int, share: float = 0.2) -> tuple[Rows, Rows]:
    """(training rows, validation rows): `share` of each class at random. Overlapping crops may fall on both sides."""
    rng = np.random.default_rng(seed)
    held: list[int] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        held.extend(rng.permutation(rows)[: round(share * len(rows))].tolist())
    return _sides(len(labels), held)


def grouped(labels: npt.NDArray[np.int64], groups: Sequence[str], seed: int, share: float = 0.2) -> tuple[Rows, Rows]:
    """The same with whole overlap groups: a group is taken while it fits into its class's share."""
    rng = np.random.default_rng(seed)
    names = np.asarray(groups)
    held: list[int] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        room = round(share * len(rows))
        for group in rng.permutation(np.unique(names[rows])):
            members = rows[names[rows] == group]
            if len(members) <= room:
                held.extend(members.tolist())
                room -= len(members)
    return _sides(len(labels), held)


def read_heldout(file: Path) -> tuple[str, ...]:
    """The names in `models/heldout.txt`: no shipped model may see them in training."""
    if not file.is_file():
        raise NotFound(f"held-out list: no {file}")
    return tuple(line for line in file.read_text().splitlines() if line and not line.startswith("#"))


def write_heldout(file: Path, names: Sequence[str]) -> None:
    """Write the list; its head says how it came about."""
    head = (
        "# NEU images that no shipped model has seen in training: 20 % of each class, whole overlap groups\n"
        f"# (stripwatch_train.split.grouped, seed {HELDOUT_SEED}).\n"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(head + "".join(f"{name}\n" for name in sorted(names)))


def _sides(count: int, held: list[int]) -> tuple[Rows, Rows]:
    validation = np.array(sorted(held), dtype=np.int64)
    return np.setdiff1d(np.arange(count, dtype=np.int64), validation), validation
