"""Every frame of a run, camera by camera: judged, failed, shed, or never seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stripwatch.domain.camera import Camera
from stripwatch.domain.frame import IndexRange
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.domain.verdict import CameraAccount, Loss, LossReason
from stripwatch.ports import CameraState, RunState
from stripwatch.rpc.codec.frames import decode_end, decode_start

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A run's frames as far as they are known.

    `complete`: every camera's end came, and every frame it declared has an outcome. `strays` are cameras that sent
    frames but that the start did not declare.
    """

    start: RunStart
    cameras: tuple[CameraAccount, ...]
    complete: bool
    strays: tuple[str, ...]


def account(state: RunState) -> Ledger:
    """The run's ledger; the same whatever the order in which its frames and markers came."""
    start = decode_start(state.start)
    accounts: list[CameraAccount] = []
    complete = True
    for camera in start.cameras:
        known = state.cameras.get(camera.name, CameraState())
        end = decode_end(known.end) if known.end else None
        failures = {index: why for (name, index), why in state.failures.items() if name == camera.name}
        one = _camera(camera, known, end, failures)
        accounts.append(one)
        missing = [loss for loss in one.lost if loss.reason is LossReason.NEVER_SEEN]
        complete &= end is not None and not any(loss.frames.first < end.frames for loss in missing)
    strays = set(state.cameras) - {camera.name for camera in start.cameras}
    return Ledger(start, tuple(accounts), complete, tuple(sorted(strays)))


def shed_frames(end: CameraEnd) -> int:
    """How many frames the end marker declares as not sent, each counted once."""
    count, settled = 0, -1
    for frames in sorted((shed.frames.first, shed.frames.last) for shed in end.shed):
        count += max(0, frames[1] - max(settled, frames[0] - 1))
        settled = max(settled, frames[1])
    return count


def _camera(camera: Camera, known: CameraState, end: CameraEnd | None, failures: Mapping[int, str]) -> CameraAccount:
    judged: Mask = np.unpackbits(np.frombuffer(known.judged, dtype=np.uint8)).astype(bool)  # (frames rounded up to 8,)
    seen = int(np.flatnonzero(judged)[-1]) + 1 if judged.any() else 0
    expected = max(end.frames if end else 0, seen, max(failures, default=-1) + 1)
    settled: Mask = np.zeros(expected, dtype=bool)
    settled[:seen] = judged[:seen]
    lost = _failed(failures, settled)
    for shed in sorted(end.shed, key=lambda one: (one.frames.first, one.frames.last, one.reason)) if end else ():
        lost += [Loss(hole, LossReason.SHED, shed.reason) for hole in _holes(settled, shed.frames)]
        settled[shed.frames.first : shed.frames.last + 1] = True
    if expected:
        lost += [Loss(hole, LossReason.NEVER_SEEN) for hole in _holes(settled, IndexRange(0, expected - 1))]
    return CameraAccount(
        camera=camera.name,
        side=camera.side,
        expected=expected,
        judged=int(np.count_nonzero(judged)),
        lost=tuple(sorted(lost, key=lambda loss: loss.frames.first)),
        ended=end is not None,
    )


def _failed(failures: Mapping[int, str], settled: Mask) -> list[Loss]:
    """The failed frames that nobody judged after all, as ranges of the same reason; settles them."""
    lost: list[Loss] = []
    for index, why in sorted(failures.items()):
        if settled[index]:
            continue
        settled[index] = True
        if lost and lost[-1].frames.last + 1 == index and lost[-1].detail == why:
            lost[-1] = Loss(IndexRange(lost[-1].frames.first, index), LossReason.FAILED, why)
        else:
            lost.append(Loss(IndexRange(index, index), LossReason.FAILED, why))
    return lost


def _holes(settled: Mask, within: IndexRange) -> list[IndexRange]:
    """The ranges of frames without an outcome."""
    padded = np.concatenate(([True], settled[within.first : within.last + 1], [True]))
    edges = np.flatnonzero(padded[1:] != padded[:-1]) + within.first
    return [IndexRange(int(first), int(last) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)]
