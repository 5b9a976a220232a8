"""How much of the strip was inspected."""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.domain.camera import Camera
from stripwatch.domain.verdict import CameraAccount
from stripwatch.ports import CameraState, RunState
from stripwatch_aggregator.account import Ledger

WHOLE = 10_000
"""Units of QUANTUM in one."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Areas in whole mm², and their ratio in units of QUANTUM, rounded down."""

    inspected_mm2: int
    expected_mm2: int
    units: int


def coverage(state: RunState, ledger: Ledger) -> Coverage:
    """Inspected over expected area of all cameras.

    A lost frame counts with the area its camera declared, or with the mean of its judged frames where that is more.
    A camera that never ended is expected to have seen the whole length (as declared, else as much as the camera that
    saw most), and its run never counts as wholly covered.
    """
    inspected, expected = 0, []
    for camera, account in zip(ledger.start.cameras, ledger.cameras, strict=True):
        known = state.cameras.get(camera.name, CameraState())
        inspected += min(known.inspected_mm2, known.strip_mm2)
        expected.append(_expected(camera, account, known))
    most = max(expected, default=0)
    total = 0
    for camera, account, area in zip(ledger.start.cameras, ledger.cameras, expected, strict=True):
        length = ledger.start.length_mm
        whole = most if length is None else round(length * camera.frame_width_mm)
        total += area if account.ended else max(area, whole)
    units = inspected * WHOLE // total if total else 0
    if not all(account.ended for account in ledger.cameras):
        units = min(units, WHOLE - 1)
    return Coverage(inspected, total, min(units, WHOLE))


def _expected(camera: Camera, account: CameraAccount, known: CameraState) -> int:
    """The strip area in all frames of one camera, mm²; rounded up, so that a loss is never rounded away."""
    lost = account.expected - account.judged
    mean = -(-known.strip_mm2 * lost // account.judged) if account.judged else 0
    return known.strip_mm2 + max(lost * camera.frame_area_mm2, mean)
