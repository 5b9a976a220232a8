"""What the tests of preprocess share: model services that answer by brightness, a line with a run, and frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, FrameHeader, RunId
from stripwatch.domain.model import DescriptorSpec, InputSpec, ModelKind, ModelRef, ModelSpec
from stripwatch.domain.recipe import Recipe, Role
from stripwatch.domain.result import FrameResult
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.errors import DeadlineExceeded, NotFound, PeerUnavailable, StripwatchError
from stripwatch.ports import DeadLetter, Descriptors, Kind, Outgoing, Tiles
from stripwatch.recipes import parse_recipe
from stripwatch.rpc.codec.frames import encode_end, encode_header, encode_start
from stripwatch.rpc.codec.results import decode_result
from stripwatch.runtime.lifecycle import Lifecycle
from stripwatch.stream.memory import MemoryStream
from stripwatch.stream.memory.line import MemoryLine
from stripwatch_preprocess.dispatch import Dispatch
from stripwatch_preprocess.intake import Intake
from stripwatch_preprocess.plans import Plans
from stripwatch_preprocess.service import Preprocess
from stripwatch_preprocess.settings import PreprocessSettings

RUN = RunId("line1", "coil-7", "run-1")
HEALTHY_GREY, DEFECT_GREY, POISON_GREY = 100, 200, 77
RECIPE = """
name: plain
version: "1"
models: {classifier: steel, anomaly: texture}
required: [classifier]
healthy: [healthy]
classes: {scratches: {confidence: 0.5}}
anomaly: {threshold: 1.5}
cutting: {tile_px: 40, stride_px: 40, background: 24}
"""


def recipe(text: str = RECIPE, **changes: str) -> Recipe:
    for old, new in changes.items():
        text = "\n".join(f"{old}: {new}" if line.startswith(f"{old}:") else line for line in text.splitlines())
    return parse_recipe(text)


def spec_of(role: Role, version: str = "1", size: int = 16, descriptors: DescriptorSpec | None = None) -> ModelSpec:
    name, classes = ("steel", ("healthy", "scratches")) if role is Role.CLASSIFIER else ("texture", ())
    return ModelSpec(
        ModelRef(name, version),
        ModelKind(role.value),
        InputSpec(size, 1, "uint8"),
        classes,
        f"sha{version}",
        "ort-1",
        descriptors,
    )


@dataclass
class Answer:
    scores: npt.NDArray[np.int32] | None = None
    fault: StripwatchError | None = None
    told: Descriptors | None = None
    at: float = 0.0

    def done(self) -> bool:
        return time.monotonic() >= self.at

    def when_done(self, wake: Callable[[], None]) -> None:
        """Whoever waits looks again by itself."""

    def result(self) -> npt.NDArray[np.int32]:
        if self.fault is not None:
            raise self.fault
        assert self.scores is not None
        return self.scores

    def descriptors(self) -> Descriptors:
        if self.told is None:
            raise PeerUnavailable("expected descriptors, got none")
        return self.told

    def cancel(self) -> None:
        """Nothing to cancel."""


@dataclass
class FakeScorer:
    """A model service: brightness decides, and is all that its descriptors tell.

    `fault` is what it answers now; `poison` what it says to POISON_GREY; one that `hangs` uses up each call's time;
    one that is slow takes `takes_s`; one that is `dumb` never gives the descriptors that it promised. `requests` are
    those by tiles.
    """

    role: Role
    versions: list[str] = field(default_factory=lambda: ["1"])
    size: int = 16
    descriptors: DescriptorSpec | None = None
    dumb: bool = False
    hangs: bool = False
    takes_s: float = 0.0
    fault: StripwatchError | None = None
    poison: StripwatchError | None = None
    requests: list[tuple[str, int]] = field(default_factory=list)
    by_descriptors: list[tuple[str, int]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)

    def describe(self, model: str, timeout_s: float) -> ModelSpec:
        assert timeout_s > 0
        self.described.append(model)
        if self.fault is not None:
            raise self.fault
        name, _, version = model.partition("/")
        found = spec_of(self.role, version or self.versions[-1], self.size, self.descriptors)
        if found.ref.name != name or found.ref.version not in self.versions:
            raise NotFound(f"{model}: there are {self.versions}")
        return found

    def submit(
        self, spec: ModelSpec, tiles: Tiles, timeout_s: float, *, descriptors: bool = False, trace: str = ""
    ) -> Answer:
        self.requests.append((str(spec.ref), len(tiles)))
        self.traces.append(trace)
        assert tiles.shape[1:] == (spec.input.channels, spec.input.size, spec.input.size)
        greys = tiles.reshape(len(tiles), -1).mean(axis=1).round()
        answer = self._answer(spec, greys, timeout_s)
        answer.at = max(answer.at, time.monotonic() + self.takes_s)
        if descriptors and self.descriptors and not self.dumb:
            answer.told = np.repeat(greys[:, None], self.descriptors.width, axis=1).astype(np.float32)
        return answer

    def submit_descriptors(
        self, spec: ModelSpec, descriptors: Descriptors, timeout_s: float, *, trace: str = ""
    ) -> Answer:
        self.by_descriptors.append((str(spec.ref), len(descriptors)))
        self.traces.append(trace)
        assert spec.descriptors is not None
        assert descriptors.shape[1:] == (spec.descriptors.width,)
        return self._answer(spec, descriptors.mean(axis=1), timeout_s)

    def _answer(self, spec: ModelSpec, greys: npt.NDArray[np.floating], timeout_s: float) -> Answer:
        assert timeout_s > 0
        self.timeouts.append(timeout_s)
        if self.hangs:
            return Answer(fault=DeadlineExceeded("it never answered"), at=time.monotonic() + timeout_s)
        if self.fault is not None:
            return Answer(fault=self.fault)
        if spec.ref.version not in self.versions:
            return Answer(fault=NotFound(str(spec.ref)))
        if self.poison is not None and POISON_GREY in greys:
            return Answer(fault=self.poison)
        if self.role is Role.CLASSIFIER:
            scratched = np.where(greys > 150, 9_000, 500)
            return Answer(np.stack([10_000 - scratched, scratched], axis=1).astype(np.int32))
        return Answer((greys * 100).astype(np.int32))


def strip_image(grey: int | Sequence[int] = HEALTHY_GREY, shape: tuple[int, int] = (40, 120)) -> npt.NDArray[np.uint8]:
    """Strip from edge to edge in vertical bands of the given greys."""
    greys = [grey] if isinstance(grey, int) else list(grey)
    row = np.repeat(np.array(greys, dtype=np.uint8), shape[1] // len(greys))
    return np.tile(row, (shape[0], 1))


def header_of(image: npt.NDArray[np.generic], index: int = 0, encoding: Encoding = Encoding.RAW) -> FrameHeader:
    height, width = image.shape[:2]
    x_mm = index * height * 0.5
    return FrameHeader(RUN, "cam1", Side.TOP, index, x_mm, 0.0, 0.5, 1, height, width, encoding)


def encoded(image: npt.NDArray[np.generic], encoding: Encoding) -> bytes:
    if encoding is Encoding.RAW:
        return image.tobytes()
    written, data = cv2.imencode(f".{encoding.value}", image)
    assert written
    return bytes(data.tobytes())


@dataclass
class Plant:
    """One line in memory, both model services, and a worker."""

    stream: MemoryStream = field(default_factory=MemoryStream)
    recipe: Recipe = field(default_factory=recipe)
    classifier: FakeScorer = field(default_factory=lambda: FakeScorer(Role.CLASSIFIER))
    anomaly: FakeScorer = field(default_factory=lambda: FakeScorer(Role.ANOMALY))

    @property
    def line(self) -> MemoryLine:
        return self.stream.line("line1")

    def start(self, recipe_name: str = "plain", *, live: bool = True) -> None:
        start = RunStart(RUN, (Camera("cam1", Side.TOP, 20, 60),), recipe_name, 60, None, 1, live=live)
        self.line.source.start_run(RUN, encode_start(start), cameras=["cam1"], live=live, deadline_ms=60_000)

    def send(self, *images: npt.NDArray[np.uint8], first: int = 0) -> None:
        for index, image in enumerate(images, first):
            self.send_frame(header_of(image, index), image.tobytes())

    def send_frame(self, header: FrameHeader, pixels: bytes) -> None:
        self.line.source.publish([Outgoing(Kind.FRAME, RUN, encode_header(header), pixels)])

    def end(self, frames: int) -> None:
        self.line.source.publish([Outgoing(Kind.END, RUN, encode_end(CameraEnd(RUN, "cam1", frames)))])

    def find(self, name: str) -> Recipe:
        if name != self.recipe.name:
            raise NotFound(f"recipe {name}: there are {self.recipe.name}")
        return self.recipe

    def worker(self, consumer: str = "w1", **settings: object) -> Worker:
        given = PreprocessSettings(**{"request_seconds": 0.05, "claim_idle_seconds": 30.0, **settings})  # type: ignore[arg-type]
        scorers = {Role.CLASSIFIER: self.classifier, Role.ANOMALY: self.anomaly}
        dispatch = Dispatch(
            scorers,
            batch_tiles=given.batch_tiles,
            in_flight=given.in_flight,
            request_seconds=given.request_seconds,
            patience_seconds=given.patience_seconds,
        )
        plans = Plans(self.find, parse_recipe, scorers, given.request_seconds)
        service = Preprocess(self.stream, plans, dispatch, given, Lifecycle(), consumer)
        return Worker(service, service.open_lines())

    def results(self) -> dict[int, FrameResult]:
        """What is in `results`, by frame index; each frame at most once."""
        found: dict[int, FrameResult] = {}
        for entry in self.line.results.log.entries.values():
            if entry.kind is Kind.RESULT:
                result = decode_result(entry.body)
                assert result.header.index not in found
                found[result.header.index] = result
        return found

    def kinds(self) -> list[Kind]:
        return [entry.kind for entry in self.line.results.log.entries.values()]

    def dead(self) -> list[DeadLetter]:
        return self.line.dead.page(100)


@dataclass
class Worker:
    service: Preprocess
    intake: Intake

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.service.step(self.intake)

    def until(self, met: Callable[[], bool], most: int = 2000) -> None:
        """Steps until it is so; fails if it never is."""
        for _ in range(most):
            if met():
                return
            self.service.step(self.intake)
        raise AssertionError("it never came to that")
