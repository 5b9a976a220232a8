"""How a recipe file is laid out: every key, what it may hold, and what it is when left out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stripwatch.domain.defect import ANOMALY, UNKNOWN
from stripwatch.domain.names import is_label, shown

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
MODEL_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Consequence(_Strict):
    """From which size on a defect counts, and what follows from it."""

    min_size_mm: float = Field(0.0, ge=0, description="Defects whose longer side is shorter do not count")
    review_per_m2: float = Field(0.0, ge=0, description="More defects a square metre than this ask for a review")
    reject_per_m2: float | None = Field(None, ge=0, description="More defects a square metre than this reject")
    reject_size_mm: float | None = Field(None, gt=0, description="One defect longer than this rejects")

    @model_validator(mode="after")
    def _ordered(self) -> _Consequence:
        if self.reject_per_m2 is not None and self.reject_per_m2 < self.review_per_m2:
            raise ValueError(f"reject_per_m2: expected at least review_per_m2 ({self.review_per_m2})")
        return self


class ClassLayout(_Consequence):
    """The rule of one class of the classifier."""

    confidence: float = Field(0.5, ge=1e-4, le=1, description="Probability from which on a tile is of this class")


class AnomalyLayout(_Consequence):
    """The rule for steel that looks unusual but is of no class."""

    threshold: float = Field(1.0, ge=1e-4, le=1000, description="Score that counts, in multiples of the model's own")
    min_tiles: int = Field(1, ge=1, le=10_000, description="Neighbouring tiles that make a defect")
    unknown_below: float = Field(
        0.0, ge=0, le=1, description="Surely defective, but no class holds this part of it: class unknown; 0: never"
    )
    usual_below: float = Field(
        0.0, ge=0, le=1000, description="Score below which steel is too usual to be a defect of any class; 0: never"
    )

    @model_validator(mode="after")
    def _ordered(self) -> AnomalyLayout:
        if self.usual_below > self.threshold:
            raise ValueError(
                f"expected usual_below of at most threshold ({self.threshold:g}), got {self.usual_below:g}"
            )
        return self


class ModelsLayout(_Strict):
    """The models that judge: NAME (its newest version) or NAME/VERSION (that one only)."""

    classifier: str | None = Field(None, pattern=MODEL_PATTERN)
    anomaly: str | None = Field(None, pattern=MODEL_PATTERN)

    @model_validator(mode="after")
    def _some(self) -> ModelsLayout:
        if self.classifier is None and self.anomaly is None:
            raise ValueError("expected at least one of classifier, anomaly")
        return self


class CuttingLayout(_Strict):
    """How frames are cut into tiles."""

    tile_px: int = Field(200, ge=16, le=1024, description="Side of a tile in pixels")
    stride_px: int = Field(200, ge=8, le=1024, description="Step from tile to tile; less than tile_px: they overlap")
    background: int = Field(24, ge=0, le=254, description="Grey value up to which a pixel is not steel")
    clahe_clip_limit: float | None = Field(
        None, gt=0, le=100, description="Local contrast equalisation; none if absent"
    )

    @model_validator(mode="after")
    def _overlap(self) -> CuttingLayout:
        if self.stride_px > self.tile_px:
            raise ValueError(f"stride_px: expected at most tile_px ({self.tile_px}), got {self.stride_px}")
        return self


class ExclusionLayout(_Strict):
    """Strip that is never judged."""

    edge_mm: float = Field(0.0, ge=0, description="From each edge")
    head_mm: float = Field(0.0, ge=0, description="From the head")
    tail_mm: float = Field(0.0, ge=0, description="From the tail, where the run declares the strip's length")


class RecipeLayout(_Strict):
    """The rules by which one product is judged."""

    name: str = Field(pattern=NAME_PATTERN, description="The file is called NAME.yaml")
    version: str = Field(pattern=NAME_PATTERN, description="In quotes; raise it with every change")
    models: ModelsLayout
    required: list[str] | None = Field(
        None, description="Services without which a frame is not judged; if absent the classifier, else the anomaly"
    )
    healthy: list[str] = Field(default_factory=list, description="Classes that are no defect")
    classes: dict[str, ClassLayout] = Field(default_factory=dict, description="The rule of each class, by its name")
    other: ClassLayout = Field(default_factory=ClassLayout.model_construct, description="Classes not named above")
    anomaly: AnomalyLayout = Field(default_factory=AnomalyLayout.model_construct)
    cutting: CuttingLayout = Field(default_factory=CuttingLayout.model_construct)
    exclusion: ExclusionLayout = Field(default_factory=ExclusionLayout.model_construct)
    min_coverage: float = Field(0.99, ge=0, le=1, description="Below this part of the strip inspected: never accept")
    merge_gap_mm: float = Field(1.0, ge=0, le=10_000, description="Tiles of a class no further apart are one defect")

    @model_validator(mode="after")
    def _agree(self) -> RecipeLayout:
        used = [role for role in ("classifier", "anomaly") if getattr(self.models, role)]
        problems = [
            f"required: expected some of {', '.join(used)} (as under models), got {role!r}"
            for role in self.required or ()
            if role not in used
        ]
        if self.models.classifier and not self.healthy:
            problems.append("healthy: expected the classifier's classes that are no defect, got none")
        problems += [
            f"classes.{label}: a class under healthy has no rule" for label in self.classes if label in self.healthy
        ]
        problems += [
            f"a class: expected a name of 1 to 64 printable characters, got {shown(repr(label), 80)}"
            for label in (*self.healthy, *self.classes)
            if not is_label(label)
        ]
        if ANOMALY in self.classes:
            problems.append(f"classes.{ANOMALY}: the rule for anomalies is the key `anomaly` of the recipe itself")
        if UNKNOWN in self.classes:
            problems.append(f"classes.{UNKNOWN}: the rule for defects of unknown kind is the key `other`")
        if problems:
            raise ValueError("; ".join(problems))
        return self
