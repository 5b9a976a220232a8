"""Verdicts and alarms as protobuf."""

from __future__ import annotations

from stripwatch.domain.defect import Defect
from stripwatch.domain.names import check_label, check_name, shown
from stripwatch.domain.recipe import Disposition
from stripwatch.domain.verdict import Alarm, CameraAccount, Loss, LossReason, StripVerdict, lost_by
from stripwatch.rpc.codec.frames import (
    SIDES,
    box_from,
    box_to,
    ranges_from,
    ranges_to,
    run_from,
    run_to,
    side_from,
)
from stripwatch.rpc.codec.results import ROLES
from stripwatch.rpc.codec.wire import known, parse
from stripwatch.rpc.v1 import verdict_pb2 as pb

_DISPOSITIONS = {
    Disposition.ACCEPT: pb.DISPOSITION_ACCEPT,
    Disposition.REVIEW: pb.DISPOSITION_REVIEW,
    Disposition.REJECT: pb.DISPOSITION_REJECT,
}
_DISPOSITIONS_BACK = {int(value): key for key, value in _DISPOSITIONS.items()}
_REASONS = {
    LossReason.FAILED: pb.LOSS_REASON_FAILED,
    LossReason.SHED: pb.LOSS_REASON_SHED,
    LossReason.NEVER_SEEN: pb.LOSS_REASON_NEVER_SEEN,
}
_REASONS_BACK = {int(value): key for key, value in _REASONS.items()}


def verdict_to(verdict: StripVerdict) -> pb.StripVerdict:
    return pb.StripVerdict(
        verdict_id=verdict.verdict_id,
        run=run_to(verdict.run),
        disposition=_DISPOSITIONS[verdict.disposition],
        reasons=[shown(reason) for reason in verdict.reasons],
        defects=[
            pb.Defect(
                label=defect.label,
                side=SIDES[defect.side],
                box=box_to(defect.box),
                confidence=defect.confidence,
                anomaly=defect.anomaly,
                tiles=defect.tiles,
                cameras=defect.cameras,
            )
            for defect in verdict.defects
        ],
        found=verdict.found,
        cameras=[
            pb.CameraAccount(
                camera=account.camera,
                side=SIDES[account.side],
                expected=account.expected,
                judged=account.judged,
                failed=account.failed,
                shed=account.shed,
                never_seen=account.never_seen,
                lost=[
                    pb.Loss(frames=ranges_to(loss.frames), reason=_REASONS[loss.reason], detail=loss.detail)
                    for loss in account.lost
                ],
                ended=account.ended,
            )
            for account in verdict.cameras
        ],
        coverage=verdict.coverage,
        inspected_mm2=verdict.inspected_mm2,
        models=verdict.models,
        spoke=sorted(role.value for role in verdict.spoke),
        recipe=verdict.recipe,
        recipe_version=verdict.recipe_version,
        recipe_sha256=verdict.recipe_sha256,
        partial=verdict.partial,
        simulated=verdict.simulated,
        started_at_ns=verdict.started_at_ns,
        decided_at_ns=verdict.decided_at_ns,
    )


def verdict_from(message: pb.StripVerdict) -> StripVerdict:
    return StripVerdict(
        run=run_from(message.run),
        disposition=known("disposition", _DISPOSITIONS_BACK, message.disposition),
        reasons=tuple(shown(reason) for reason in message.reasons),
        defects=tuple(
            Defect(
                label=check_label("defect", defect.label),
                side=side_from(defect.side),
                box=box_from(defect.box),
                confidence=defect.confidence if defect.HasField("confidence") else None,
                anomaly=defect.anomaly if defect.HasField("anomaly") else None,
                tiles=defect.tiles,
                cameras=tuple(check_name("camera", camera) for camera in defect.cameras),
            )
            for defect in message.defects
        ),
        found=message.found or len(message.defects),
        cameras=tuple(_account_from(account) for account in message.cameras),
        coverage=message.coverage,
        inspected_mm2=message.inspected_mm2,
        models=tuple(shown(model) for model in message.models),
        spoke=frozenset(known("role", ROLES, role) for role in message.spoke),
        recipe=shown(message.recipe),
        recipe_version=shown(message.recipe_version),
        recipe_sha256=shown(message.recipe_sha256),
        partial=message.partial,
        simulated=message.simulated,
        started_at_ns=message.started_at_ns,
        decided_at_ns=message.decided_at_ns,
    )


def _account_from(message: pb.CameraAccount) -> CameraAccount:
    lost = tuple(
        Loss(ranges_from(loss.frames), known("loss reason", _REASONS_BACK, loss.reason), shown(loss.detail))
        for loss in message.lost
    )
    # A verdict from before they were counted lists every one of them.
    counted = message.failed or message.shed or message.never_seen
    return CameraAccount(
        camera=check_name("camera", message.camera),
        side=side_from(message.side),
        expected=message.expected,
        judged=message.judged,
        failed=message.failed if counted else lost_by(LossReason.FAILED, lost),
        shed=message.shed if counted else lost_by(LossReason.SHED, lost),
        never_seen=message.never_seen if counted else lost_by(LossReason.NEVER_SEEN, lost),
        lost=lost,
        ended=message.ended,
    )


def encode_verdict(verdict: StripVerdict) -> bytes:
    return verdict_to(verdict).SerializeToString(deterministic=True)


def decode_verdict(body: bytes) -> StripVerdict:
    return verdict_from(parse(pb.StripVerdict, body))


def encode_alarm(alarm: Alarm) -> bytes:
    message = pb.Alarm(
        run=run_to(alarm.run),
        camera=alarm.camera,
        index=alarm.index,
        label=alarm.label,
        side=SIDES[alarm.side],
        box=box_to(alarm.box),
        confidence=alarm.confidence,
        anomaly=alarm.anomaly,
        raised_at_ns=alarm.raised_at_ns,
        crop=alarm.crop,
    )
    return message.SerializeToString(deterministic=True)


def decode_alarm(body: bytes) -> Alarm:
    message = parse(pb.Alarm, body)
    return Alarm(
        run=run_from(message.run),
        camera=check_name("camera", message.camera),
        index=message.index,
        label=check_label("alarm", message.label),
        side=side_from(message.side),
        box=box_from(message.box),
        confidence=message.confidence if message.HasField("confidence") else None,
        anomaly=message.anomaly if message.HasField("anomaly") else None,
        raised_at_ns=message.raised_at_ns,
        crop=message.crop,
    )
