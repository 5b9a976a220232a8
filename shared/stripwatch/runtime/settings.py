"""Settings: frozen, typed, one name everywhere (`STRIPWATCH_...`), secrets masked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from stripwatch.domain.names import check_line
from stripwatch.errors import BadInput, SettingsInvalid

PREFIX = "STRIPWATCH_"


class ServiceSettings(BaseSettings):
    """What every service takes. A service's own settings class adds to these."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged")
    log_format: str = Field(
        default="auto", pattern="^(auto|human|json)$", description="auto: human on a terminal, JSON elsewhere"
    )
    health_port: int = Field(default=0, ge=0, le=65535, description="Port of the gRPC health service (0: any free one)")
    health_host: str = Field(default="127.0.0.1", description="Address the gRPC server listens on")
    drain_seconds: float = Field(default=20.0, gt=0, le=600, description="Time to finish what is in flight at SIGTERM")


class StreamSettings(ServiceSettings):
    """What every service that speaks to Redis takes."""

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://, rediss:// or redis-cluster:// address; may hold a password",
    )
    redis_timeout_seconds: float = Field(default=5.0, gt=0, le=60, description="Longest wait for an answer of Redis")


class LineSettings(StreamSettings):
    """What every service that works on given lines takes."""

    lines: Annotated[tuple[str, ...], NoDecode] = Field(default=("line1",), description="Rolling lines, by comma")

    @field_validator("lines", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("lines")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError(f"expected one or more lines of different names, got {','.join(value) or 'none'}")
        try:
            return tuple(check_line(line) for line in value)
        except BadInput as error:
            raise ValueError(str(error)) from error


S = TypeVar("S", bound=ServiceSettings)


def load(cls: type[S], **overrides: Any) -> S:
    """Settings from the environment, or from files named by `STRIPWATCH_..._FILE`; SettingsInvalid names the field."""
    given: dict[str, Any] = {**_from_files(cls), **overrides}
    try:
        return cls(**given)
    except ValidationError as error:
        secrets = {name for name, field in cls.model_fields.items() if field.annotation is SecretStr}
        problems = []
        for problem in error.errors():
            name = PREFIX + "_".join(str(part) for part in problem["loc"][:1]).upper()
            got = "" if secrets.intersection(problem["loc"]) else f", got {problem['input']!r}"
            problems.append(f"{name}: {problem['msg']}{got}")
        raise SettingsInvalid("; ".join(problems)) from None


def _from_files(cls: type[ServiceSettings]) -> dict[str, str]:
    """Values of settings whose `..._FILE` variable names a file, as container secrets come."""
    values = {}
    for field in cls.model_fields:
        path = os.environ.get(f"{PREFIX}{field.upper()}_FILE")
        if path:
            try:
                values[field] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsInvalid(f"{PREFIX}{field.upper()}_FILE: cannot read {path}: {error.strerror}") from error
    return values
