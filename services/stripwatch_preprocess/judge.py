"""Frame results: scores with their places, and pictures of the tiles that stand out."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from stripwatch.domain.frame import FrameHeader
from stripwatch.domain.reading import read_tile
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import FrameResult, Outcome, TileScore
from stripwatch.errors import StripwatchError
from stripwatch_preprocess.cut import Tile
from stripwatch_preprocess.transform import CutFrame

CROP_QUALITY = 85

RoleScores = Mapping[Role, npt.NDArray[np.int32]]
"""Units of QUANTUM: (N, classes) of the classifier, (N,) of the anomaly scorer; roles that did not speak are absent."""


def judged(frame: CutFrame, scores: RoleScores, max_crops: int) -> FrameResult:
    """The frame's result from the scores of its N tiles."""
    probabilities, anomalies = scores.get(Role.CLASSIFIER), scores.get(Role.ANOMALY)
    classes = frame.plan.specs[Role.CLASSIFIER].classes if probabilities is not None else ()
    bare = [
        TileScore(
            tile.box,
            tuple(probabilities[number].tolist()) if probabilities is not None else (),
            int(anomalies[number]) if anomalies is not None else None,
        )
        for number, tile in enumerate(frame.tiles)
    ]
    readings = [read_tile(score, classes, frame.plan.recipe) for score in bare]
    # Strongest first, the first of equals: the same frame always keeps the same pictures.
    flagged = sorted((-reading.strength, number) for number, reading in enumerate(readings) if reading)
    kept = {number for _, number in flagged[:max_crops]}
    return FrameResult(
        header=frame.header,
        outcome=Outcome.JUDGED,
        tiles=tuple(
            TileScore(one.box, one.probabilities, one.anomaly, _crop(tile) if number in kept else b"")
            for number, (one, tile) in enumerate(zip(bare, frame.tiles, strict=True))
        ),
        classes=classes,
        models=frame.plan.models(scores),
        inspected_mm2=frame.strip_mm2,
        strip_mm2=frame.strip_mm2,
    )


def failed(header: FrameHeader, reason: str) -> FrameResult:
    """The result of a frame that has none; its bytes are in the dead stream."""
    return FrameResult(header, Outcome.FAILED, reason=reason)


def too_late(header: FrameHeader) -> FrameResult:
    """The result of a frame whose run has its verdict: it is counted, not judged."""
    return FrameResult(header, Outcome.JUDGED, reason="the run had its verdict before this frame was judged")


def _crop(tile: Tile) -> bytes:
    written, data = cv2.imencode(
        ".jpg", tile.pixels[: tile.rows, : tile.columns], [cv2.IMWRITE_JPEG_QUALITY, CROP_QUALITY]
    )
    if not written:
        raise StripwatchError(f"a tile of {tile.rows} x {tile.columns} px could not be written as JPEG")
    return data.tobytes()
