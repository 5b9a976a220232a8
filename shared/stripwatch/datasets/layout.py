"""What a path says of an image: its class by its folder or by its name, and its side of a split that came with it."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from stripwatch.domain.defect import NEU_CLASSES

SHORT = {
    "cr": "crazing",
    "in": "inclusion",
    "pa": "patches",
    "ps": "pitted_surface",
    "rs": "rolled-in_scale",
    "sc": "scratches",
}
"""NEU-CLS as its authors publish it: `Cr_1.bmp`, `RS_300.bmp`."""

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_NO_CLASS = frozenset({"images", "image", "imgs", "img", "data", *SPLITS})
"""Folders that stand between a data set and its classes."""

_NUMBERED = re.compile(r"(.+?)[ _-]*\d+")


@dataclass(frozen=True, slots=True)
class Place:
    """What a path says. `label` is empty where it says no class; `other` is the class that the name says instead."""

    label: str
    split: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the classes are written: NEU's six, by folder or name, or one folder a class."""

    neu: bool
    classes: tuple[str, ...]
    places: tuple[Place, ...]


def lay_out(names: Sequence[str], empty: Sequence[str] = ()) -> Layout:
    """The classes of images by their paths, and of empty folders. NEU where most paths speak of NEU's classes."""
    if sum(bool(_neu_folder(name) or _neu_name(name)) for name in names) * 2 > len(names):
        return Layout(True, NEU_CLASSES, tuple(_neu_place(name) for name in names))
    classes = {_folder(name) for name in names} | {_folder(f"{folder}/x") for folder in empty}
    return Layout(False, tuple(sorted(classes - {""})), tuple(_place(name, classes) for name in names))


def _place(name: str, classes: Set[str]) -> Place:
    label, numbered = _folder(name), _NUMBERED.fullmatch(PurePosixPath(name).stem)
    by_name = numbered[1] if numbered and numbered[1] in classes else ""
    return Place(label, _split(name), by_name if by_name != label else "")


def _neu_place(name: str) -> Place:
    by_folder, by_name = _neu_folder(name), _neu_name(name)
    label = by_folder or by_name
    return Place(label, _split(name), by_name if by_name != label else "")


def _neu_folder(name: str) -> str:
    for part in reversed(PurePosixPath(name).parts[:-1]):
        if found := neu_class(part):
            return found
    return ""


def _neu_name(name: str) -> str:
    numbered = _NUMBERED.fullmatch(PurePosixPath(name).stem)
    return neu_class(numbered[1]) if numbered else ""


def neu_class(word: str) -> str:
    """The NEU class that a folder or the head of a file name stands for, in any spelling; empty if none."""
    plain = re.sub(r"[ _-]", "", word).lower()
    return SHORT.get(plain) or next((one for one in NEU_CLASSES if re.sub(r"[_-]", "", one) == plain), "")


def _folder(name: str) -> str:
    folders = PurePosixPath(name).parts[:-1]
    return next((part for part in reversed(folders) if part.lower() not in _NO_CLASS), "")


def _split(name: str) -> str:
    return next((SPLITS[part] for part in map(str.lower, PurePosixPath(name).parts[:-1]) if part in SPLITS), "")
