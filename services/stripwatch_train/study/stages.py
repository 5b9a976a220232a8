"""The stages of the study, in the order of the page. A later stage may serve models that an earlier one made."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch.errors import BadInput
from stripwatch_train.study import (
    anomaly_stage,
    boxes,
    classifier_stage,
    fewshot,
    openset,
    parity_stage,
    rows,
    shipped_stage,
)
from stripwatch_train.study.stage import Stage

STAGES = (
    rows.STAGE,
    anomaly_stage.STAGE,
    classifier_stage.STAGE,
    fewshot.STAGE,
    openset.STAGE,
    boxes.STAGE,
    shipped_stage.STAGE,
    parity_stage.STAGE,
)


def stages(names: Sequence[str] = ()) -> list[Stage]:
    """The named stages, or all; BadInput lists what there is."""
    known = [stage.name for stage in STAGES]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadInput(f"stage: expected one of {', '.join(known)}, got {unknown[0]!r}")
    return [stage for stage in STAGES if not names or stage.name in names]
