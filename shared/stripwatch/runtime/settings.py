"""Settings: frozen, typed, one name everywhere (`STRIPWATCH_...`), secrets masked."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from stripwatch.domain.names import check_line
from stripwatch.errors import BadInput, SettingsInvalid
from stripwatch.runtime.plaintext import exposed_redis, is_loopback
from stripwatch.runtime.tls import TlsFiles

PREFIX = "STRIPWATCH_"
_COLLECTOR = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")


class TransportSettings(BaseSettings):
    """What every process takes that speaks gRPC, as a server or a client."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    tls_certificate: Path | None = Field(
        default=None, description="PEM certificate and chain of this process, shown to its gRPC clients and servers"
    )
    tls_key: Path | None = Field(default=None, description="PEM key of that certificate, without a password")
    tls_ca: Path | None = Field(
        default=None, description="PEM certificates of the authorities that gRPC peers are verified against"
    )
    tls_client_certificates: Literal["require", "none"] = Field(
        default="require", description="Whether the gRPC server asks its clients for a certificate: require or none"
    )
    plaintext: Literal["loopback", "allowed"] = Field(
        default="loopback", description="Where gRPC and Redis may go without TLS: loopback, or allowed (everywhere)"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None) or (self.tls_certificate and not self.tls_ca):
            raise ValueError(f"{PREFIX}TLS_CERTIFICATE, {PREFIX}TLS_KEY, {PREFIX}TLS_CA: expected all, got some")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """None: plain text."""
        if self.tls_ca is None:
            return None
        return TlsFiles(
            self.tls_ca, self.tls_certificate, self.tls_key, ask_clients=self.tls_client_certificates == "require"
        )

    def refuse_plaintext(self, name: str, hosts: list[str]) -> None:
        """ValueError if a gRPC server or client would speak plain text to hosts that are not on this machine."""
        if self.tls is None:
            self._refuse_exposed(name, hosts, f"{PREFIX}TLS_CERTIFICATE, {PREFIX}TLS_KEY, {PREFIX}TLS_CA")

    def _refuse_exposed(self, name: str, hosts: list[str], secured_by: str) -> None:
        if hosts and self.plaintext != "allowed":
            raise ValueError(
                f"{name}: expected a loopback address, TLS ({secured_by}), or {PREFIX}PLAINTEXT=allowed, "
                f"got {', '.join(hosts)}"
            )


class RedisSettings(TransportSettings):
    """What every process takes that speaks to Redis."""

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://, redis-sentinel:// or redis-cluster:// address, rediss...:// over TLS; "
        "may hold a password",
    )
    redis_timeout_seconds: float = Field(default=5.0, gt=0, le=60, description="Longest wait for an answer of Redis")
    redis_ca: Path | None = Field(
        default=None, description="PEM certificates of the authorities for rediss (unset: those of the system)"
    )
    redis_certificate: Path | None = Field(
        default=None, description="PEM certificate for a Redis that asks its clients for one"
    )
    redis_key: Path | None = Field(default=None, description="PEM key of that certificate, without a password")

    @field_validator("redis_url")
    @classmethod
    def _address(cls, value: SecretStr) -> SecretStr:
        exposed_redis(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _asks_redis_in_private(self) -> Self:
        self._refuse_exposed(f"{PREFIX}REDIS_URL", exposed_redis(self.redis_url.get_secret_value()), "rediss://")
        return self


class ServiceSettings(TransportSettings):
    """What every service takes. A service's own settings class adds to these."""

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged")
    log_format: str = Field(
        default="auto", pattern="^(auto|human|json)$", description="auto: human on a terminal, JSON elsewhere"
    )
    health_port: int = Field(default=0, ge=0, le=65535, description="Port of the gRPC health service (0: any free one)")
    health_host: str = Field(
        default="127.0.0.1", description="Address that the gRPC server, and the page of metrics, listen on"
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of the page of metrics for Prometheus, /metrics over HTTP, or HTTPS with TLS (0: none)",
    )
    drain_seconds: float = Field(default=20.0, gt=0, le=600, description="Time to finish what is in flight at SIGTERM")
    traces_endpoint: str = Field(
        default="", description="http://HOST:PORT or https://HOST:PORT that takes traces over OTLP/gRPC (empty: none)"
    )
    traces_sample: float = Field(
        default=0.01, ge=0, le=1, description="Share of frames whose traces are taken, as decided where they come in"
    )

    @field_validator("traces_endpoint")
    @classmethod
    def _collector(cls, value: str) -> str:
        if value and not _COLLECTOR.fullmatch(value):
            raise ValueError("expected http://HOST:PORT or https://HOST:PORT")
        return value

    @model_validator(mode="after")
    def _traces_in_private(self) -> Self:
        host = urlsplit(self.traces_endpoint).hostname if self.traces_endpoint.startswith("http:") else None
        if host and not is_loopback(host):
            self._refuse_exposed(f"{PREFIX}TRACES_ENDPOINT", [host], "https://")
        return self

    @model_validator(mode="after")
    def _listens_in_private(self) -> Self:
        if self.tls_ca and not self.tls_certificate:
            raise ValueError(f"{PREFIX}TLS_CERTIFICATE, {PREFIX}TLS_KEY: expected both beside {PREFIX}TLS_CA, got none")
        self.refuse_plaintext(f"{PREFIX}HEALTH_HOST", [] if is_loopback(self.health_host) else [self.health_host])
        return self


class AnsweringSettings(ServiceSettings):
    """What every service takes that answers the calls of others."""

    shutdown_delay_seconds: float = Field(
        default=0.0,
        ge=0,
        le=120,
        description="How long to go on answering at SIGTERM, as NOT_SERVING, before the draining: what it takes "
        "balancers and names to send no more calls here",
    )


class StreamSettings(ServiceSettings, RedisSettings):
    """What every service that speaks to Redis takes."""


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


S = TypeVar("S", bound=BaseSettings)


def load(cls: type[S], **overrides: Any) -> S:
    """Settings from the environment, or from files named by `STRIPWATCH_..._FILE`; SettingsInvalid names the field."""
    given: dict[str, Any] = {**_from_files(cls), **overrides}
    for field in cls.model_fields:
        name = PREFIX + field.upper()
        # Bytes that are no UTF-8 are not printable either.
        if field not in overrides and not os.environ.get(name, "").isprintable():
            raise SettingsInvalid(f"{name}: expected printable text in UTF-8, got other characters in it")
    try:
        return cls(**given)
    except ValidationError as error:
        secrets = {name for name, field in cls.model_fields.items() if field.annotation is SecretStr}
        raise SettingsInvalid("; ".join(_told(problem, secrets) for problem in error.errors())) from None


def _told(problem: ErrorDetails, secrets: set[str]) -> str:
    text = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:  # of several settings together: the text names them, and the input holds every secret
        return text
    name = PREFIX + str(problem["loc"][0]).upper()
    return (
        f"{name}: {text}" if secrets.intersection(problem["loc"]) else f"{name}: {text}, got {problem['input']!r:.200}"
    )


def _from_files(cls: type[BaseSettings]) -> dict[str, str]:
    """Values of settings whose `..._FILE` variable names a file, as container secrets come."""
    values = {}
    for field in cls.model_fields:
        if f"{field}_file" in cls.model_fields:  # read by its owner, again and again
            continue
        path = os.environ.get(f"{PREFIX}{field.upper()}_FILE")
        if path:
            try:
                values[field] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsInvalid(f"{PREFIX}{field.upper()}_FILE: cannot read {path}: {error.strerror}") from error
            except UnicodeDecodeError as error:
                raise SettingsInvalid(
                    f"{PREFIX}{field.upper()}_FILE: expected text in UTF-8, {path} has none"
                ) from error
    return values
