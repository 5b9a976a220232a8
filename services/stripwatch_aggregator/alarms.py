"""Provisional words on a strip that is still running: the first defect of a class on one side."""

from __future__ import annotations

from stripwatch.domain.defect import Defect
from stripwatch.domain.result import FrameResult
from stripwatch.domain.verdict import Alarm
from stripwatch_aggregator.defects import find_defects
from stripwatch_aggregator.flags import flags
from stripwatch_aggregator.rules import Rules


def alarms_of(result: FrameResult, rules: Rules, raised_at_ns: int) -> list[Alarm]:
    """One alarm for each class that the frame alone shows a defect of."""
    header = result.header
    alarms: dict[str, Alarm] = {}
    for defect in find_defects(flags(result, rules.recipe, rules.start), rules.recipe):
        alarm = Alarm(
            run=header.run,
            camera=header.camera,
            index=header.index,
            label=defect.label,
            side=defect.side,
            box=defect.box,
            confidence=defect.confidence,
            anomaly=defect.anomaly,
            raised_at_ns=raised_at_ns,
            crop=_crop(result, defect),
        )
        alarms.setdefault(defect.label, alarm)
    return list(alarms.values())


def _crop(result: FrameResult, defect: Defect) -> bytes:
    """The picture of a tile of the defect: the first that the worker kept."""
    return next((tile.crop for tile in result.tiles if tile.crop and tile.box.overlap_mm2(defect.box) > 0), b"")
