"""Healthy frames from wherever they are kept, and what the anomaly scorer says of their tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stripwatch.calibration import Floats
from stripwatch.cli.bars import bar
from stripwatch.cli.model_checks import check, store
from stripwatch.cli.where import tls_to
from stripwatch.cutting import filled, find_strip, squares
from stripwatch.datasets import decode, open_files
from stripwatch.domain.frame import Encoding, Frame
from stripwatch.domain.model import Clahe, InputSpec, ModelKind, ModelSpec
from stripwatch.domain.recipe import Cutting, Role
from stripwatch.domain.result import QUANTUM
from stripwatch.errors import BadInput
from stripwatch.pixels import Image, model_input
from stripwatch.ports import Tiles
from stripwatch.recording import Recording
from stripwatch.rpc.client import RemoteScorer
from stripwatch.rpc.codec.models import quantise

BATCH = 16
TIMEOUT_S = 30.0

Units = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Exposure:
    """One healthy frame by its name; `image` decodes it, and raises BadInput."""

    name: str
    image: Callable[[], Image]
    mm_per_px: float | None = None


@dataclass(frozen=True, slots=True)
class Scorer:
    """The anomaly model, and how its tiles (N, channels, size, size) get their scores (N,) in units of 1e-4."""

    spec: ModelSpec
    score: Callable[[Tiles], Units]


@dataclass(slots=True)
class Stream:
    """What a healthy stream scored: per frame its name and tiles, (n,) each; and why other frames have none."""

    names: list[str]
    frames: list[Floats]
    without: list[str]
    mm_per_px: float | None


def read(source: Path, cutting: Cutting, scorer: Scorer) -> Stream:
    """Every frame's scores; what cannot be decoded, or shows no strip, has none."""
    total, frames = exposures(source)
    stream = Stream([], [], [], None)
    with bar() as progress:
        task = progress.add_task("frames", total=total)
        for frame in frames:
            stream.mm_per_px = stream.mm_per_px or frame.mm_per_px
            try:
                units = scores(frame.image(), cutting, scorer)
            except BadInput as error:
                stream.without.append(str(error))
            else:
                if len(units):
                    stream.names.append(frame.name)
                    stream.frames.append(units.astype(np.float64) * QUANTUM)
                else:
                    stream.without.append(f"{frame.name}: only background")
            progress.advance(task)
    return stream


def exposures(source: Path) -> tuple[int, Iterator[Exposure]]:
    """How many frames a recording (.mcap), folder or archive has, and the frames. BadInput."""
    if source.suffix == ".mcap":
        recording = Recording(source)
        return recording.frames, (_recorded(event) for event in recording.events() if isinstance(event, Frame))
    files = open_files(source)
    if not files.names:
        raise BadInput(f"{source}: expected images (bmp, jpg, png), there are none")
    return len(files.names), (
        Exposure(name, lambda name=name: decode(name, files.read(name)))  # type: ignore[misc]
        for name in files.names
    )


def _recorded(frame: Frame) -> Exposure:
    header = frame.header
    name = f"{header.run.strip}/{header.camera}/{header.index}"

    def image() -> Image:
        if header.encoding is not Encoding.RAW:
            return decode(name, frame.pixels)
        if len(frame.pixels) != header.height * header.width:
            raise BadInput(f"{name}: expected {header.height} x {header.width} bytes, got {len(frame.pixels)}")
        return np.frombuffer(frame.pixels, dtype=np.uint8).reshape(header.height, header.width)

    return Exposure(name, image, header.mm_per_px)


@contextmanager
def open_scorer(model: str, service: str | None) -> Iterator[Scorer]:
    """The model in a running service at HOST:PORT, else in this process; BadInput if it is no anomaly scorer."""
    if service is None:
        loaded = check(store().find(model))
        if loaded.spec.kind is not ModelKind.ANOMALY:
            raise BadInput(f"{loaded.spec.ref}: expected an anomaly model, got a {loaded.spec.kind.value}")
        yield Scorer(loaded.spec, lambda tiles: quantise(loaded.engine(tiles)))
        return
    remote = RemoteScorer(Role.ANOMALY, service, tls_to(service))
    try:
        spec = remote.describe(model, TIMEOUT_S)
        yield Scorer(spec, lambda tiles: remote.submit(spec, tiles, TIMEOUT_S).result())
    finally:
        remote.close()


def scores(image: Image, cutting: Cutting, scorer: Scorer) -> Units:
    """(N,) scores of a frame's tiles in units of 1e-4; none where it shows only background."""
    part = find_strip(image, cutting.background)
    if part is None:
        return np.empty(0, dtype=np.int32)
    tiles = [filled(image, square, cutting.tile_px) for square in squares(part, cutting)]
    spec = _input(scorer.spec.input, cutting)
    batches = (tiles[at : at + BATCH] for at in range(0, len(tiles), BATCH))
    return np.concatenate([scorer.score(model_input(batch, spec)) for batch in batches])


def _input(spec: InputSpec, cutting: Cutting) -> InputSpec:
    limit = cutting.clahe_clip_limit
    return spec if spec.clahe or limit is None else replace(spec, clahe=Clahe(limit))
