"""Models as the pipeline knows them: a name, a version, what goes in and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stripwatch.domain.names import check_name
from stripwatch.errors import BadInput


class ModelKind(StrEnum):
    """What a model says of a tile: its class, or how unusual it is."""

    CLASSIFIER = "classifier"
    ANOMALY = "anomaly"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model's name and version, written `NAME/VERSION`."""

    name: str
    version: str

    def __post_init__(self) -> None:
        check_name("model", self.name)
        check_name("model version", self.version)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        name, slash, version = text.partition("/")
        if not slash:
            raise BadInput(f"model: expected NAME/VERSION, got {text!r}")
        return cls(name, version)


@dataclass(frozen=True, slots=True)
class Clahe:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994): `grid` x `grid` fields of a tile."""

    clip_limit: float
    grid: int = 8


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a model takes: (N, channels, size, size) tiles of `dtype`.

    `dtype` is `uint8` where normalisation is inside the graph, and `float32` where the worker must do it:
    `(pixel / 255 - mean[c]) / std[c]` for each channel.
    """

    size: int
    channels: int
    dtype: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    clahe: Clahe | None = None

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 1024:
            raise BadInput(f"model input size: expected 8 to 1024 px, got {self.size}")
        if self.channels not in (1, 3):
            raise BadInput(f"model input channels: expected 1 or 3, got {self.channels}")
        if self.dtype not in ("uint8", "float32"):
            raise BadInput(f"model input dtype: expected uint8 or float32, got {self.dtype!r}")
        if self.dtype == "float32" and not len(self.mean) == len(self.std) == self.channels:
            raise BadInput(f"model input: float32 needs a mean and std for each of {self.channels} channels")


@dataclass(frozen=True, slots=True)
class DescriptorSpec:
    """A tile's `width` numbers out of the backbone with this hash.

    A classifier that has one gives them, an anomaly scorer takes them instead of the tile. Numbers of one backbone
    mean nothing to a scorer on another.
    """

    width: int
    backbone_sha256: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a service says of a model it serves (`Describe`).

    `engine` names the engine and its version that the scores come from; `classes` is empty for anomaly scorers.
    `map_side` is the side of the map it gives of a tile, in cells; None: it gives none.
    """

    ref: ModelRef
    kind: ModelKind
    input: InputSpec
    classes: tuple[str, ...]
    sha256: str
    engine: str
    descriptors: DescriptorSpec | None = None
    map_side: int | None = None
