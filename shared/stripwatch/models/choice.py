"""`engine.json`: what runs the models on this machine, and the rates that it was chosen by.

`stripwatch models measure --write` makes it, the model services read it at their start::

    {"format": 1,
     "engine": "openvino",      one of STRIPWATCH_ENGINE's
     "threads": 1,              STRIPWATCH_ENGINE_THREADS: inside one engine
     "workers": 1,              STRIPWATCH_ENGINE_WORKERS: engines of each model in each of the two services
     "machine": "...", "cores": 2, "measured_at": "2026-11-25T01:00:00Z", "batch": 16,
     "measured": [{"engine": "openvino", "threads": 1, "engines": 2,     as many as fill the cores
                   "rest_mib": 180.0, "load_mib": 210.0,                 of a process with all the models
                   "rates": {"steel/2": {"version": "openvino/2026.4.1", "tiles_per_s": 1450.0,
                                         "cpu_us_a_tile": 1300.0, "rounds": [1440.0, 1450.0, 1460.0]}}}]}

One engine for all models: the one that takes the least time for a tile through each of them. Rates are medians over
rounds that take turns with those of the other engines, on all cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from stripwatch.domain.names import shown
from stripwatch.errors import SettingsInvalid
from stripwatch.models.engines import EngineName
from stripwatch.runtime.whole import write_whole

PLACE = Path("var/engine.json")
"""Beside what `stripwatch up` leaves in its folder."""
MARGIN = 0.03
"""What another engine must gain over the first: less is noise, and would change what verdicts are pinned to."""

_MAX_BYTES = 2**20
_Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1, le=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rate(_Part):
    """One model on one engine: `version` is the engine's name as a verdict pins it, `rounds` are the tiles a second."""

    version: str
    tiles_per_s: _Amount
    cpu_us_a_tile: _Amount
    rounds: tuple[_Amount, ...]


class Trial(_Part):
    """An engine with so many threads, and so many of them at once as fill the cores; the rates by NAME/VERSION."""

    engine: EngineName
    threads: _Count
    engines: _Count
    rest_mib: _Amount
    load_mib: _Amount
    rates: dict[str, Rate] = Field(min_length=1)

    @property
    def seconds(self) -> float:
        """For one tile through each of the models."""
        return sum(1 / rate.tiles_per_s for rate in self.rates.values())


class EngineChoice(_Part):
    """What the services take where no setting says otherwise, and why."""

    format: Literal[1]
    engine: EngineName
    threads: _Count
    workers: Annotated[int, Field(ge=1, le=256)]
    machine: str
    cores: _Count
    measured_at: AwareDatetime
    batch: _Count
    measured: tuple[Trial, ...]

    @model_validator(mode="after")
    def _was_measured(self) -> EngineChoice:
        if not any((trial.engine, trial.threads) == (self.engine, self.threads) for trial in self.measured):
            raise ValueError(f"measured: expected a trial of {self.engine} with {self.threads} threads, got none")
        return self

    @property
    def chosen(self) -> Trial:
        """The trial that won."""
        return next(one for one in self.measured if (one.engine, one.threads) == (self.engine, self.threads))

    def write(self, place: Path) -> None:
        """Whole or not at all; SettingsInvalid if it cannot be written."""
        try:
            write_whole(place, self.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise SettingsInvalid(f"{place}: cannot be written: {error.strerror}") from error


def best(trials: Sequence[Trial]) -> Trial:
    """The fastest over all models; the first, unless another is faster by more than noise. Not for none."""
    fastest = min(trials, key=lambda trial: trial.seconds)
    return fastest if fastest.seconds < trials[0].seconds * (1 - MARGIN) else trials[0]


def workers_of(trial: Trial) -> int:
    """Engines of each model in one service: two of them, classifier and anomaly scorer, share the cores."""
    return max(1, trial.engines // 2)


def read_choice(place: Path) -> EngineChoice | None:
    """What was written down there, None if nothing; SettingsInvalid names the file, the field, expected and got."""
    try:
        with place.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsInvalid(f"{place}: cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise SettingsInvalid(f"{place}: expected at most {_MAX_BYTES} bytes, got more")
    try:
        return EngineChoice.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors()[0]
        text = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:  # the file as a whole, or fields that disagree: the text says which
            raise SettingsInvalid(f"{place}: {text}") from None
        field = shown(".".join(str(part) for part in problem["loc"]), 200)
        got = "" if problem["type"] == "missing" else f", got {problem['input']!r:.80}"
        raise SettingsInvalid(f"{place}: {field}: {text}{got}") from None
