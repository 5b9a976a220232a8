"""`docs/paper.md`: what each stage tells, one after the other, under a summary of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stripwatch_train.study.plots import Plots
from stripwatch_train.study.stage import Stage, found
from stripwatch_train.study.study import Study


def write_page(study: Study, stages: Sequence[Stage]) -> Path:
    """Write the page from the stages' figures; one without figures is left out."""
    page = study.places.repository / "docs" / "paper.md"
    plots = Plots(page)
    told = [(stage, figures) for stage in stages if (figures := found(study, stage)) is not None]
    sections = [stage.tell(figures, plots).strip() for stage, figures in told]
    page.write_text("\n\n".join(sections) + "\n")
    return page
