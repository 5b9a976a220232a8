"""Settings of the aggregator."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from stripwatch.ports import Keeping
from stripwatch.runtime.settings import PREFIX, AnsweringSettings, LineSettings

DAY_MS = 24 * 3600 * 1000


class AggregatorSettings(LineSettings, AnsweringSettings):
    """What the aggregator takes besides the lines it works on."""

    batch: int = Field(default=256, ge=1, le=10_000, description="Most frame results taken at once")
    claim_idle_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Results given to an aggregator not heard of for this long are taken over",
    )
    max_watchers: int = Field(default=32, ge=1, le=1000, description="Most verdict watchers by gRPC at the same time")
    flagged_bytes: int = Field(
        default=16 << 20,
        ge=4096,
        le=1 << 30,
        description="Most bytes of flagged tiles kept of an open run: those nearest to the head; beyond it, review",
    )
    verdict_days: float = Field(default=90.0, gt=0, le=3650, description="How long verdicts are kept")
    verdict_bytes: int = Field(
        default=256 << 20, ge=1 << 20, description="Most bytes of verdicts kept on a line; the oldest go first"
    )
    tombstone_days: float = Field(
        default=7.0, gt=0, le=365, description="How long a closed run is known for one, so that late frames are counted"
    )
    tokens: SecretStr = Field(
        default=SecretStr(""),
        description="NAME:TOKEN by comma: who calls the Verdicts service shows one of them (empty: nobody has to)",
    )
    tokens_file: Path | None = Field(
        default=None, description="File of such tokens, one a line, in their place; read again when it changes"
    )

    @property
    def keeping(self) -> Keeping:
        return Keeping(
            flagged_bytes=self.flagged_bytes,
            verdict_ms=round(self.verdict_days * DAY_MS),
            verdict_bytes=self.verdict_bytes,
            tombstone_ms=round(self.tombstone_days * DAY_MS),
        )

    @model_validator(mode="after")
    def _one_source_of_tokens(self) -> Self:
        if self.tokens_file and self.tokens.get_secret_value():
            raise ValueError(f"{PREFIX}TOKENS, {PREFIX}TOKENS_FILE: expected one of the two, got both")
        return self
