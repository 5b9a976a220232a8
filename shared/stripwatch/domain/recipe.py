"""Recipes: the rules that turn scores into defects and defects into a disposition."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from stripwatch.domain.names import check_name
from stripwatch.errors import RecipeInvalid


class Disposition(StrEnum):
    """The final word on a run, from best to worst."""

    ACCEPT = "accept"
    REVIEW = "review"
    REJECT = "reject"


class Role(StrEnum):
    """The two services that judge tiles."""

    CLASSIFIER = "classifier"
    ANOMALY = "anomaly"


@dataclass(frozen=True, slots=True)
class ClassRule:
    """When a class counts, and what follows.

    A tile whose most probable defect class this is counts from `confidence` on: the probability (units of QUANTUM) of
    all classes together that are not healthy; a defect counts from `min_size_mm` on (its
    longer side). More than `review_per_m2` defects a square metre of inspected strip ask for a review, more than
    `reject_per_m2` reject, and so does one longer than `reject_size_mm`; None never rejects.
    """

    confidence: int = 5_000
    min_size_mm: float = 0.0
    review_per_m2: float = 0.0
    reject_per_m2: float | None = None
    reject_size_mm: float | None = None


@dataclass(frozen=True, slots=True)
class AnomalyRule:
    """From which anomaly score on (units of QUANTUM; 10,000 is the model's threshold) a tile without a class counts.

    `min_tiles` neighbouring tiles make a defect. A tile with that score that is surely defective, but whose most
    probable class holds less than `unknown_below` (units of QUANTUM) of the defect probability, is of unknown kind.
    One that scores below `usual_below` looks too usual to be a defect, however sure the classifier is.
    """

    threshold: int = 10_000
    min_tiles: int = 1
    unknown_below: int = 0
    usual_below: int = 0
    rule: ClassRule = field(default_factory=ClassRule)


@dataclass(frozen=True, slots=True)
class Cutting:
    """How frames are cut into tiles: part of the recipe, because a verdict depends on it.

    `background` is the grey value up to which a pixel is taken for what lies beside the strip; `clahe_clip_limit`
    asks for CLAHE (8 x 8 fields) where the model's own input does not.
    """

    tile_px: int = 200
    stride_px: int = 200
    background: int = 24
    clahe_clip_limit: float | None = None

    def __post_init__(self) -> None:
        if not 16 <= self.tile_px <= 1024:
            raise RecipeInvalid(f"cutting.tile_px: expected 16 to 1024, got {self.tile_px}")
        if not 8 <= self.stride_px <= self.tile_px:
            raise RecipeInvalid(f"cutting.stride_px: expected 8 to tile_px ({self.tile_px}), got {self.stride_px}")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Strip that is inspected but never judged: mm from each edge, from the head and from the tail."""

    edge_mm: float = 0.0
    head_mm: float = 0.0
    tail_mm: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """The rules of one product. `text` is the YAML they were read from, pinned with each run that uses them."""

    name: str
    version: str
    models: dict[Role, str]
    """Model names, or NAME/VERSION to hold one version, for each service that the recipe uses."""
    required: frozenset[Role]
    """The services without which a frame is not judged."""
    healthy: frozenset[str]
    classes: dict[str, ClassRule]
    other: ClassRule
    """For classes that `classes` does not name."""
    anomaly: AnomalyRule
    cutting: Cutting
    exclusion: Exclusion
    min_coverage: int
    """Coverage (units of QUANTUM) below which a run is not accepted."""
    merge_gap_mm: float
    sha256: str
    text: str

    def __post_init__(self) -> None:
        check_name("recipe", self.name)
        check_name("recipe version", self.version)

    def rule(self, label: str) -> ClassRule:
        return self.classes.get(label, self.other)
