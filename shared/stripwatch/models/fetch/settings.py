"""Settings of the step that fetches models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from stripwatch.errors import BadInput
from stripwatch.models.fetch.source import Source, parse
from stripwatch.runtime.settings import PREFIX


class FetchSettings(BaseSettings):
    """Where from, where to, and how much of anything."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    models_from: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses by space, each with the SHA-256 of what is there: https://HOST/FILE.tar.gz#sha256=..., "
        "https://HOST/FOLDER#sha256=... (of its manifest.json), oci://REGISTRY/REPOSITORY:TAG@sha256:...; http:// and "
        "oci+http:// without TLS",
    )
    models: Annotated[tuple[Path, ...], NoDecode] = Field(
        description="Folders of models, separated as in PATH: what is fetched goes to the first"
    )
    model_key: Path | None = Field(
        default=None,
        description="Ed25519 public key (PEM file); with one, only models whose manifest is signed for it are taken",
    )
    fetch_token: SecretStr = Field(
        default=SecretStr(""),
        description="What to show to the servers: a bearer token, or USER:PASSWORD. Never sent on after a redirection",
    )
    fetch_ca: Path | None = Field(
        default=None, description="PEM certificates of the authorities for https (unset: those of the system)"
    )
    fetch_seconds: float = Field(default=600.0, gt=0, le=86400, description="Time for all of it, repetitions included")
    fetch_bytes: int = Field(
        default=4 << 30, ge=1, le=1 << 40, description="Most bytes of one address, on their way and unpacked"
    )

    @field_validator("models_from", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("models", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("models")
    @classmethod
    def _somewhere(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not value:
            raise ValueError("expected a folder, got none")
        return value

    @model_validator(mode="after")
    def _keeps_its_token(self) -> Self:
        try:
            open_ones = [source.url for source in self.sources if source.exposed]
        except BadInput as error:
            raise ValueError(f"{PREFIX}MODELS_FROM: {error}") from error
        if self.fetch_token.get_secret_value() and open_ones:
            raise ValueError(f"{PREFIX}FETCH_TOKEN: expected only addresses with TLS beside it, got {open_ones[0]}")
        return self

    @property
    def sources(self) -> list[Source]:
        """BadInput for an address that is none."""
        return [parse(address) for address in self.models_from]
