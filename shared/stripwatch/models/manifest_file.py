"""The fields of a model's `manifest.json`, each with its own bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stripwatch.domain.model import ModelKind

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Clahe(_Part):
    clip_limit: float = Field(gt=0, le=100)
    grid: int = Field(ge=1, le=64)


class _Input(_Part):
    size: int
    channels: int
    dtype: Literal["uint8", "float32"]
    mean: list[float] = Field(default_factory=list)
    std: list[Annotated[float, Field(gt=0)]] = Field(default_factory=list)
    clahe: _Clahe | None = None


class _Calibration(_Part):
    temperature: float | None = Field(default=None, gt=0)
    threshold: float | None = None


class _Reference(_Part):
    tolerance: float = Field(gt=0, le=0.1)
    tiles: int = Field(ge=1, le=1024)


class _Descriptor(_Part):
    width: int = Field(ge=1, le=16384)
    backbone_sha256: Sha256
    head_sha256: Sha256 | None = None


class _Map(_Part):
    side: int = Field(ge=1, le=256)


class ManifestFile(_Part):
    """All of it; which fields go together is for `manifest` to say."""

    name: str
    version: str
    kind: ModelKind
    sha256: Sha256
    reference_sha256: Sha256
    classes: list[str]
    input: _Input
    output: str
    calibration: _Calibration = Field(default_factory=_Calibration)
    precision: Literal["float32", "bfloat16"] = "float32"
    reference: _Reference
    descriptor: _Descriptor | None = None
    map: _Map | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
