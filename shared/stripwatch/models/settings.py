"""Settings that both model services take."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from stripwatch.models.batching import Batching
from stripwatch.models.choice import PLACE, read_choice
from stripwatch.models.engines import AnyEngine
from stripwatch.models.remote import Remote
from stripwatch.rpc.server import CONNECTION_AGE_S
from stripwatch.runtime import cores
from stripwatch.runtime.places import model_folders
from stripwatch.runtime.plaintext import exposed_target
from stripwatch.runtime.settings import PREFIX, AnsweringSettings

_PLACE = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?")


class ModelServiceSettings(AnsweringSettings):
    """What to serve, and with how much of the machine."""

    models: Annotated[tuple[Path, ...], NoDecode] = Field(
        default_factory=model_folders,
        description="Folders that hold NAME/VERSION model folders, separated as in PATH; the shipped ones by default",
    )
    serve: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Models to serve, NAME or NAME/VERSION, by comma; empty: all of its kind in the folders"
    )
    model_key: Path | None = Field(
        default=None,
        description="Ed25519 public key (PEM file); with one, only models whose manifest is signed for it are served",
    )
    engine: AnyEngine = Field(
        default="onnxruntime",
        description="What runs the models: onnxruntime, openvino (extra of that name), cuda or tensorrt (with "
        "onnxruntime-gpu), or remote; unless it is set, what STRIPWATCH_ENGINE_FILE says",
    )
    remote_address: str = Field(
        default="",
        description="gRPC target of the server that runs the models if the engine is remote: one that speaks the Open "
        "Inference Protocol, version 2",
    )
    remote_model: str = Field(
        default="{name}/{version}",
        description="What that server calls a model: NAME, or NAME/VERSION, made of its {name} and {version} here; "
        "-head is added to the name of a model's second graph",
    )
    remote_seconds: float = Field(default=2.0, gt=0, le=60, description="Longest wait for an answer of that server")
    engine_file: Path = Field(
        default=PLACE,
        description="What `stripwatch models measure --write` wrote down: engine, threads and workers, taken where "
        "STRIPWATCH_ENGINE is not set",
    )
    engine_workers: int = Field(
        default_factory=lambda: max(1, cores.available() // 2),
        ge=1,
        le=256,
        description="Engines of each model, each with a thread of its own, or of a remote one so many calls at once; "
        "half of the cores by default",
    )
    engine_threads: int = Field(default=1, ge=1, le=256, description="Threads inside one engine")
    max_batch: int = Field(default=16, ge=1, le=4096, description="Most tiles in one run of an engine")
    batch_wait_ms: float = Field(
        default=0.0, ge=0, le=1000, description="How long an engine waits for company before it runs a partial batch"
    )
    queue_tiles: int = Field(
        default=1024, ge=1, le=1_000_000, description="Tiles of one model that may wait; beyond it: RESOURCE_EXHAUSTED"
    )
    rescan_seconds: float = Field(default=5.0, gt=0, le=3600, description="How often to look for new model versions")

    connection_age_seconds: float = Field(
        default=CONNECTION_AGE_S,
        gt=0,
        le=86400,
        description="Age at which a client moves to a new connection, and looks who is there: the longest that a new "
        "replica waits for its share of the calls",
    )

    @model_validator(mode="before")
    @classmethod
    def _chosen(cls, given: dict[str, object]) -> dict[str, object]:
        """What was measured stands in for what is not set, none of it for another engine."""
        if "engine" in given:
            return given
        place = Path(str(given.get("engine_file", PLACE)))
        choice = read_choice(place)
        if choice is None:
            if "engine_file" in given:
                raise ValueError(f"STRIPWATCH_ENGINE_FILE: expected a file, got {str(place)!r}, which is none")
            return given
        chosen = {"engine": choice.engine, "engine_threads": choice.threads, "engine_workers": choice.workers}
        return {**chosen, **given}

    @field_validator("models", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("serve", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("remote_model")
    @classmethod
    def _place(cls, value: str) -> str:
        if not _PLACE.fullmatch(value.replace("{name}", "n").replace("{version}", "1")):
            raise ValueError("expected NAME or NAME/VERSION of letters, digits, . _ - and {name}, {version}")
        return value

    @model_validator(mode="after")
    def _asks_in_private(self) -> Self:
        if self.engine == "remote" and not self.remote_address:
            raise ValueError(f"{PREFIX}REMOTE_ADDRESS: expected a gRPC target with {PREFIX}ENGINE=remote, got none")
        if self.remote_address:
            self.refuse_plaintext(f"{PREFIX}REMOTE_ADDRESS", exposed_target(self.remote_address))
        return self

    @property
    def remote(self) -> Remote | None:
        """None: the models run here."""
        if self.engine != "remote":
            return None
        return Remote(self.remote_address, self.tls, self.remote_model, self.remote_seconds, self.max_batch)

    @property
    def batching(self) -> Batching:
        return Batching(self.max_batch, self.queue_tiles, self.batch_wait_ms / 1000)
