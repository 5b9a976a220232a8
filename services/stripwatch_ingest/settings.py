"""Settings of camera-ingest."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from stripwatch.domain.camera import Side
from stripwatch.domain.frame import Encoding
from stripwatch.domain.names import LINE, check_name
from stripwatch.errors import BadInput
from stripwatch.runtime.settings import StreamSettings


class IngestSettings(StreamSettings):
    """Where frames come from and what is known of the strip."""

    line: str = Field(default="line1", pattern=f"^{LINE.pattern}$", description="Rolling line of the frames")
    source: SecretStr = Field(
        default=SecretStr("simulator"),
        description="simulator, folder:PATH, video:PATH or video:rtsp://..., recording:PATH; may hold a password",
    )
    recipe: str = Field(default="hot-rolled", description="Recipe that runs are judged by")
    strip: str = Field(default="", description="Name of the strip (empty: by the source)")
    run: str = Field(default="", description="Name of the run (empty: a new one)")
    live: bool | None = Field(
        default=None,
        description="Shed frames instead of waiting while the stream is full (unset: only cameras by address do)",
    )
    speed_m_per_s: float = Field(default=0.0, ge=0, le=100, description="Line speed to keep (0: as fast as possible)")
    mm_per_px: float = Field(default=0.5, gt=0, lt=100, description="Size of a pixel on the strip")
    send_mm_per_px: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="Size of a pixel in which raw frames are sent: finer ones are averaged (unset: as they come)",
    )
    width_mm: float | None = Field(default=None, gt=0, lt=1e5, description="Width of the strip (unset: as the frames)")
    length_mm: float = Field(default=6000.0, gt=0, lt=1e8, description="Length of simulated strips and of camera runs")
    frames_per_run: int = Field(default=0, ge=0, le=2**27, description="Frames in each run of a video (0: no cut)")
    cameras: int = Field(default=1, ge=1, le=32, description="Simulated cameras on each side, side by side")
    sides: Annotated[tuple[Side, ...], NoDecode] = Field(default=(Side.TOP,), description="Simulated sides, by comma")
    frame_height: int = Field(default=200, ge=1, le=16384, description="Rows of a simulated frame")
    encoding: Encoding = Field(default=Encoding.RAW, description="raw, png or jpeg, for simulated and video frames")
    sim_seed: int = Field(default=1, ge=0, le=2**53, description="Seed of the first simulated strip, then one up")
    sim_strips: int = Field(default=1, ge=0, description="Simulated strips (0: without end)")
    sim_defects: Annotated[tuple[int, ...], NoDecode] = Field(
        default=(), description="Flaws of the simulated strips in turn, by comma (empty: each draws its own number)"
    )
    camera_timeout_seconds: float = Field(default=5.0, gt=0, le=60, description="Longest wait for a camera's answer")
    run_deadline_seconds: float = Field(
        default=60.0, gt=0, le=86400, description="Idle time after which a live run gets its verdict as it is"
    )
    budget_bytes: int = Field(
        default=1 << 30,
        ge=0,
        description="Memory used in Redis at which frames are held back (0: 60 % of its limit alone)",
    )
    budget_seconds: float = Field(
        default=60.0,
        ge=0,
        le=86400,
        description="Longest that frames of a live source wait for a worker before newer ones are shed (0: no bound)",
    )
    start_seconds: float = Field(default=30.0, ge=0, le=3600, description="Longest wait for Redis at start")

    @field_validator("recipe", "strip", "run")
    @classmethod
    def _names(cls, value: str, info: ValidationInfo) -> str:
        try:
            return check_name(str(info.field_name), value) if value or info.field_name == "recipe" else value
        except BadInput as error:
            raise ValueError(str(error)) from error

    @field_validator("source")
    @classmethod
    def _known(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"simulator|(folder|video|recording):.+", value.get_secret_value()):
            raise ValueError("expected simulator, folder:PATH, video:PATH, video:ADDRESS or recording:PATH")
        return value

    @property
    def source_parts(self) -> tuple[str, str]:
        """The kind of source, and its path or address."""
        kind, _, place = self.source.get_secret_value().partition(":")
        return kind, place

    @field_validator("sides", "sim_defects", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("sides")
    @classmethod
    def _different(cls, value: tuple[Side, ...]) -> tuple[Side, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("expected top, bottom or both")
        return value

    @field_validator("sim_defects")
    @classmethod
    def _counts(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= count <= 1000 for count in value):
            raise ValueError("expected numbers of flaws from 0 to 1000")
        return value
