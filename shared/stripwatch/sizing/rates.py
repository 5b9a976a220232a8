"""What this machine was measured to do, by profile: `var/stripwatch-rates.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from stripwatch.domain.names import shown
from stripwatch.errors import BadInput, NotFound, StripwatchError
from stripwatch.runtime.whole import write_whole
from stripwatch.sizing.machine import Machine

PLACE = Path("var/stripwatch-rates.json")
SERVICES = ("ingest", "redis", "preprocess", "classifier", "anomaly", "aggregator")
"""What a tile costs CPU time in, in the order of its way."""


Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class TileBytes:
    """What a tile sends, in bytes, beside the pixels of its frame through Redis."""

    redis_in: float
    """Into Redis: headers, results, acks, commands; measured."""
    redis_out: float
    classifier_in: int
    """Over gRPC, by the models' manifests; protobuf's own bytes are a few a batch."""
    classifier_out: int
    anomaly_in: int
    anomaly_out: int


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Rates:
    """The most that held of one profile: `cameras` of `rate` frames a second, `tiles_per_s` in all."""

    measured_at: str
    command: str
    stripwatch: str
    redis: str
    machine: Machine
    models: Mapping[str, str]
    engines: Mapping[str, str]
    engine_workers: Positive
    """Of each model service; with the threads, the cores that one of its processes can use."""
    engine_threads: Positive
    workers: int
    classifiers: int
    durable: bool
    height_px: int
    width_px: int
    tile_px: Positive
    cameras: int
    rate: float
    seconds: float
    p99_ms: float
    tiles_per_s: Annotated[float, Field(gt=0)]
    cpu_us_a_tile: Mapping[str, float]
    """CPU time by service, in µs; all processes of it together."""
    bytes_a_tile: TileBytes

    def __post_init__(self) -> None:
        if set(self.cpu_us_a_tile) != set(SERVICES):
            raise ValueError(f"cpu_us_a_tile: expected {', '.join(SERVICES)}, got {', '.join(self.cpu_us_a_tile)}")


_FILE = TypeAdapter(dict[str, Rates])


def read_rates(place: Path, profile: str) -> Rates:
    """The profile's rates; NotFound says how to measure them, BadInput what is wrong with the file."""
    measure = f"measure with `stripwatch density --rate 10 --profile {profile}`"
    if not place.is_file():
        raise NotFound(f"no measured rates in {place}: {measure}, or name a file of such rates with --rates")
    found = _read(place)
    if profile not in found:
        raise NotFound(f"{place} has rates of {', '.join(found) or 'nothing'}, none of {profile}: {measure}")
    return found[profile]


def write_rates(place: Path, profile: str, rates: Rates) -> None:
    """Puts them beside those of the other profiles; what was measured before of this one goes."""
    others = _read(place) if place.is_file() else {}
    write_json(place, {name: asdict(one) for name, one in sorted({**others, profile: rates}.items())})


def write_json(place: Path, document: Any) -> None:
    """Whole or not at all; StripwatchError if it cannot be written."""
    try:
        write_whole(place, json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise StripwatchError(f"{place}: cannot be written: {error.strerror}") from error


def _read(place: Path) -> dict[str, Rates]:
    try:
        return _FILE.validate_json(place.read_bytes())
    except OSError as error:
        raise BadInput(f"{place}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        field = shown(".".join(str(part) for part in problem["loc"]), 200) or "the whole"
        raise BadInput(
            f"{place}: expected rates as `stripwatch density` writes them, {field}: {problem['msg']}"
        ) from None
