"""Every frame of a run, camera by camera: judged, failed, shed, or never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stripwatch.domain.camera import Camera
from stripwatch.domain.frame import IndexRange
from stripwatch.domain.strip import CameraEnd, RunStart
from stripwatch.domain.verdict import MOST_LOSSES, CameraAccount, Loss, LossReason, lost_by
from stripwatch.ports import CameraState, RunState, frames_in
from stripwatch.rpc.codec.frames import decode_end, decode_start

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A run's frames as far as they are known.

    `ended`: every camera's end came; `complete`: and every frame it declared has an outcome.
    """

    start: RunStart
    cameras: tuple[CameraAccount, ...]
    complete: bool

    @property
    def ended(self) -> bool:
        return all(account.ended for account in self.cameras)


def account(state: RunState) -> Ledger:
    """The run's ledger; the same whatever the order in which its frames and markers came."""
    start = decode_start(state.start)
    accounts: list[CameraAccount] = []
    complete = True
    for camera in start.cameras:
        known = state.cameras.get(camera.name, CameraState())
        end = decode_end(known.end) if known.end else None
        reasons = {index: why for (name, index), why in state.failures.items() if name == camera.name}
        judged = frames_in(known.judged)
        lost = _lost(judged, frames_in(known.failed), end, reasons)
        accounts.append(_account(camera, len(judged), end, lost))
        missing = (loss for loss in lost if loss.reason is LossReason.NEVER_SEEN)
        complete &= end is not None and not any(loss.frames.first < end.frames for loss in missing)
    return Ledger(start, tuple(accounts), complete)


def shed_frames(end: CameraEnd) -> int:
    """How many frames the end marker declares as not sent, each counted once."""
    count, settled = 0, -1
    for frames in sorted((shed.frames.first, shed.frames.last) for shed in end.shed):
        count += max(0, frames[1] - max(settled, frames[0] - 1))
        settled = max(settled, frames[1])
    return count


def _account(camera: Camera, judged: int, end: CameraEnd | None, lost: Sequence[Loss]) -> CameraAccount:
    counts = [lost_by(reason, lost) for reason in (LossReason.FAILED, LossReason.SHED, LossReason.NEVER_SEEN)]
    failed, shed, never_seen = counts
    return CameraAccount(
        camera=camera.name,
        side=camera.side,
        expected=judged + sum(counts),
        judged=judged,
        failed=failed,
        shed=shed,
        never_seen=never_seen,
        lost=tuple(lost[:MOST_LOSSES]),
        ended=end is not None,
    )


def _lost(judged: Indices, failed: Indices, end: CameraEnd | None, reasons: Mapping[int, str]) -> list[Loss]:
    """The frames not judged, as ranges in order: up to the camera's end, or to the last frame of any outcome."""
    expected = max(end.frames if end else 0, *(int(seen[-1]) + 1 if len(seen) else 0 for seen in (judged, failed)))
    settled: Mask = np.zeros(expected, dtype=bool)
    settled[judged] = True
    lost = _failed(failed, settled, reasons)
    for shed in sorted(end.shed, key=lambda one: (one.frames.first, one.frames.last, one.reason)) if end else ():
        lost += [Loss(hole, LossReason.SHED, shed.reason) for hole in _holes(settled, shed.frames)]
        settled[shed.frames.first : shed.frames.last + 1] = True
    if expected:
        lost += [Loss(hole, LossReason.NEVER_SEEN) for hole in _holes(settled, IndexRange(0, expected - 1))]
    return sorted(lost, key=lambda loss: loss.frames.first)


def _failed(failed: Indices, settled: Mask, reasons: Mapping[int, str]) -> list[Loss]:
    """The failed frames that nobody judged after all, as ranges of the same reason; settles them."""
    lost: list[Loss] = []
    for index in map(int, failed):
        if settled[index]:
            continue
        settled[index] = True
        why = reasons.get(index, "")
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
