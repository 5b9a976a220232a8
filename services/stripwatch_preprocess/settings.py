"""Settings of the preprocessing worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from stripwatch.recipes import default_folders
from stripwatch.runtime.plaintext import exposed_target
from stripwatch.runtime.settings import PREFIX, LineSettings

_CONSUMER = r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"


class PreprocessSettings(LineSettings):
    """What the worker takes besides the lines it works on."""

    classifier_address: str = Field(
        default="127.0.0.1:50051", min_length=1, description="gRPC target of the classifier (dns:///HOST:PORT, ...)"
    )
    anomaly_address: str = Field(
        default="127.0.0.1:50052", description="gRPC target of the anomaly scorer (empty: there is none)"
    )
    recipes: Annotated[tuple[Path, ...], NoDecode] = Field(
        default_factory=default_folders,
        description="Folders of recipes NAME.yaml, separated as in PATH; the shipped ones by default",
    )
    consumer: str = Field(
        default="", pattern=_CONSUMER, description="Name in the consumer group (empty: of host, process and chance)"
    )
    prefetch: int = Field(default=16, ge=1, le=1024, description="Most frames taken at once")
    hand_bytes: int = Field(
        default=256 << 20,
        ge=1 << 20,
        description="Most bytes of frames taken and not finished; a larger frame comes alone",
    )
    batch_tiles: int = Field(default=64, ge=1, le=4096, description="Most tiles in one request to a model service")
    in_flight: int = Field(default=4, ge=1, le=64, description="Most batches under way at the same time")
    request_seconds: float = Field(
        default=5.0, gt=0, le=60, description="Time budget of a batch at both model services, retries included"
    )
    patience_seconds: float = Field(
        default=600.0,
        gt=0,
        le=86400,
        description="Frames of a live run whose model service stays away for this long go to the dead stream",
    )
    claim_idle_seconds: float = Field(
        default=30.0, gt=0, le=600, description="Frames given to a worker not heard of for this long are taken over"
    )
    max_deliveries: int = Field(
        default=5, ge=1, le=100, description="A frame handed out more often without an outcome goes to the dead stream"
    )
    max_crops: int = Field(default=2, ge=0, le=64, description="Most pictures of flagged tiles kept with a frame")

    @field_validator("recipes", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _asks_in_private(self) -> Self:
        self.refuse_plaintext(f"{PREFIX}CLASSIFIER_ADDRESS", exposed_target(self.classifier_address))
        if self.anomaly_address:
            self.refuse_plaintext(f"{PREFIX}ANOMALY_ADDRESS", exposed_target(self.anomaly_address))
        return self
