"""Verdicts and alarms as CloudEvents 1.0, JSON in structured mode; docs/schemas/ holds the schemas."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from stripwatch.domain.box import Box
from stripwatch.domain.frame import RunId
from stripwatch.domain.verdict import VERDICT_NAMESPACE, Alarm, StripVerdict
from stripwatch.ports import Event
from stripwatch.rpc.codec.verdicts import encode_alarm, encode_verdict

VERDICT_TYPE = "io.stripwatch.verdict.v1"
VERDICT_SCHEMA = "urn:stripwatch:schema:verdict:v1"
ALARM_TYPE = "io.stripwatch.alarm.v1"
ALARM_SCHEMA = "urn:stripwatch:schema:alarm:v1"

COMPLETED, ABORTED = 1, 3
"""OPC 40100-1, ResultStateDataType."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def verdict_event(verdict: StripVerdict) -> Event:
    """The verdict as published. Only times, run and ids differ between two runs of the same frames."""
    decided = timestamp(verdict.decided_at_ns)
    data = {
        "resultId": verdict.verdict_id,
        "isPartial": verdict.partial,
        "isSimulated": verdict.simulated,
        "resultState": COMPLETED if all(account.ended for account in verdict.cameras) else ABORTED,
        "partId": verdict.run.strip,
        "jobId": verdict.run.run,
        "externalRecipeId": verdict.recipe,
        "internalRecipeId": verdict.recipe_sha256,
        "creationTime": decided,
        "processingTimes": {"startTime": timestamp(verdict.started_at_ns), "endTime": decided},
        "line": verdict.run.line,
        "disposition": verdict.disposition.value,
        "reasons": list(verdict.reasons),
        "coverage": fraction(verdict.coverage),
        "inspected_mm2": verdict.inspected_mm2,
        "defects": [
            {
                "label": defect.label,
                "side": defect.side.value,
                **place(defect.box),
                "confidence": fraction(defect.confidence),
                "anomaly": fraction(defect.anomaly),
                "tiles": defect.tiles,
                "cameras": list(defect.cameras),
            }
            for defect in verdict.defects
        ],
        "defectsFound": verdict.found,
        "cameras": [
            {
                "camera": account.camera,
                "side": account.side.value,
                "expected": account.expected,
                "judged": account.judged,
                "failed": account.failed,
                "shed": account.shed,
                "neverSeen": account.never_seen,
                "lost": [
                    {
                        "first": loss.frames.first,
                        "last": loss.frames.last,
                        "reason": loss.reason.value,
                        "detail": loss.detail,
                    }
                    for loss in account.lost
                ],
                "ended": account.ended,
            }
            for account in verdict.cameras
        ],
        "models": list(verdict.models),
        "spoke": sorted(role.value for role in verdict.spoke),
        "recipe": {"name": verdict.recipe, "version": verdict.recipe_version, "sha256": verdict.recipe_sha256},
    }
    body = _envelope(verdict.verdict_id, verdict.run, VERDICT_TYPE, VERDICT_SCHEMA, decided, data)
    return Event(verdict.verdict_id, verdict.run, body, encode_verdict(verdict))


def alarm_key(alarm: Alarm) -> str:
    """What a run raises once: a class on one side."""
    return f"{alarm.label}:{alarm.side.value}"


def alarm_event(alarm: Alarm) -> Event:
    """The alarm as published; its id is the same whoever raises it."""
    raised = timestamp(alarm.raised_at_ns)
    identity = str(uuid.uuid5(VERDICT_NAMESPACE, f"{alarm.run}/alarm/{alarm_key(alarm)}"))
    data = {
        "partId": alarm.run.strip,
        "jobId": alarm.run.run,
        "creationTime": raised,
        "line": alarm.run.line,
        "camera": alarm.camera,
        "frame": alarm.index,
        "label": alarm.label,
        "side": alarm.side.value,
        **place(alarm.box),
        "confidence": fraction(alarm.confidence),
        "anomaly": fraction(alarm.anomaly),
    }
    body = _envelope(identity, alarm.run, ALARM_TYPE, ALARM_SCHEMA, raised, data)
    return Event(identity, alarm.run, body, encode_alarm(alarm))


def _envelope(identity: str, run: RunId, kind: str, schema: str, time: str, data: dict[str, Any]) -> bytes:
    event = {
        "specversion": "1.0",
        "id": identity,
        "source": f"/stripwatch/lines/{run.line}",
        "type": kind,
        "subject": run.strip,
        "time": time,
        "datacontenttype": "application/json",
        "dataschema": schema,
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def place(box: Box) -> dict[str, float]:
    return {"x_mm": box.x_mm, "y_mm": box.y_mm, "length_mm": box.length_mm, "width_mm": box.width_mm}


def fraction(units: int | None) -> float | None:
    """Units of 1e-4 as the number they stand for."""
    return None if units is None else round(units / 10_000, 4)


def timestamp(ns: int) -> str:
    """UTC as RFC 3339 has it, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=ns // 1000)).isoformat(timespec="microseconds").replace("+00:00", "Z")
