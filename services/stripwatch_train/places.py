"""Where the trainer finds data and weights and where it leaves models, caches and results."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from stripwatch.datasets import ARCHIVES
from stripwatch.errors import NotFound

REPOSITORY = Path(__file__).resolve().parents[2]
WEIGHTS_FILE = "weights/mobilenetv2_1.0_torchvision_keys_folded.npz"


def default_data() -> Path:
    """`STRIPWATCH_DATA`, else `../shared/data` beside the repository."""
    named = os.environ.get("STRIPWATCH_DATA")
    return Path(named) if named else REPOSITORY.parent / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one training session."""

    data: Path
    repository: Path = REPOSITORY

    def __post_init__(self) -> None:
        if not self.neu.exists():
            raise NotFound(f"training data: no NEU images at {self.neu}; name the folder with --data")

    @property
    def neu(self) -> Path:
        """The folder of the images, else an archive of them."""
        archives = (self.data / f"neu{suffix}" for suffix in ARCHIVES)
        folder = self.data / "neu"
        return folder if folder.is_dir() else next((one for one in archives if one.is_file()), folder)

    @property
    def notes(self) -> Path:
        """Where boxes and overlap groups are: in the folder of the images, or beside their archive."""
        return self.neu if self.neu.is_dir() else self.data

    @property
    def masks(self) -> Path:
        return self.data / "neu-masks-sd900"

    @property
    def magnetic(self) -> Path:
        return self.data / "magnetic-tile"

    @property
    def models(self) -> Path:
        return self.repository / "models"

    @property
    def local_models(self) -> Path:
        """Models on the untouched backbone: built here, never committed."""
        return self.models / "local"

    @property
    def heldout(self) -> Path:
        return self.models / "heldout.txt"

    @property
    def results(self) -> Path:
        return self.repository / "benchmarks" / "results"

    @property
    def cache(self) -> Path:
        """Features and generated tiles: git-ignored, safe to delete."""
        folder = self.repository / "var" / "train"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
