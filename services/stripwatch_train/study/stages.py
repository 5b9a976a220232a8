"""The stages of the study, in the order of the page. A later stage may serve models that an earlier one made."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from stripwatch.errors import BadInput
from stripwatch_train.study.stage import Stage

MODULES = {
    "rows": "rows",
    "anomaly": "anomaly_stage",
    "classifier": "classifier_stage",
    "robustness": "robustness_stage",
    "fewshot": "fewshot",
    "openset": "openset",
    "boxes": "boxes",
    "parity": "parity_stage",
    "shipped": "shipped_stage",
}


def stages(names: Sequence[str] = ()) -> list[Stage]:
    """The named stages, or all; BadInput lists what there is."""
    unknown = [name for name in names if name not in MODULES]
    if unknown:
        raise BadInput(f"stage: expected one of {', '.join(MODULES)}, got {unknown[0]!r}")
    wanted = names or tuple(MODULES)
    found: list[Stage] = [
        import_module(f"stripwatch_train.study.{MODULES[name]}").STAGE
        for name in MODULES
        if name in wanted and find_spec(f"stripwatch_train.study.{MODULES[name]}")
    ]
    return found
