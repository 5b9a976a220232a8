"""Where models lie: folders of NAME/VERSION with model.onnx, manifest.json, reference.npz, and head.onnx if any."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stripwatch.domain.model import ModelRef
from stripwatch.errors import BadInput, NotFound
from stripwatch.models.manifest import FILE


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """One version of one model on disk."""

    ref: ModelRef
    path: Path


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as people read them: 2 before 10, 1.9 before 1.10."""
    parts = re.findall(r"\d+|[^\d.]+", version)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


class ModelStore:
    """The models in some folders; a version in an earlier folder hides the same one in a later folder.

    Looks at the disk on every call: what is copied there shows up. Model folders count once their manifest is there.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.paths = tuple(folders)

    def folders(self) -> list[ModelFolder]:
        """All versions of all models, by name, oldest version first."""
        found: dict[ModelRef, ModelFolder] = {}
        for root in self.paths:
            for manifest in sorted(root.glob(f"*/*/{FILE}")):
                try:
                    ref = ModelRef(manifest.parent.parent.name, manifest.parent.name)
                except BadInput:
                    continue  # a hidden or half-copied folder, such as `.cache` or `1~`
                found.setdefault(ref, ModelFolder(ref, manifest.parent))
        return sorted(found.values(), key=lambda folder: (folder.ref.name, version_key(folder.ref.version)))

    def list(self) -> list[ModelRef]:
        """All versions of all models, by name, oldest version first."""
        return [folder.ref for folder in self.folders()]

    def find(self, model: str) -> ModelFolder:
        """NAME (its newest version) or NAME/VERSION; NotFound says what there is."""
        name, slash, version = model.partition("/")
        folders = self.folders()
        fitting = [one for one in folders if one.ref.name == name and (not slash or one.ref.version == version)]
        if not fitting:
            there = ", ".join(str(one.ref) for one in folders) or "none"
            raise NotFound(f"model {model!r}: not in {self}; there are: {there}")
        return fitting[-1]

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self.paths) or "no folder"
