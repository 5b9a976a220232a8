"""`docs/paper.md`: a summary, then what each stage tells; and `docs/results/paper.json`, all figures in one."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from stripwatch_train.results import write_results
from stripwatch_train.study.plots import Plots
from stripwatch_train.study.stage import Stage, found
from stripwatch_train.study.study import Study
from stripwatch_train.study.summary_page import summary

WIDTH = 118
_KEPT = ("rows", "anomaly", "classifier", "fewshot", "openset", "boxes", "shipped", "parity")
_AS_IT_IS = ("|", "#", "!", "```", ">")


def write_page(study: Study, stages: Sequence[Stage]) -> Path:
    """Write the page and the joint figures from the stages' own; a stage without figures is left out."""
    page = study.places.repository / "docs" / "paper.md"
    plots = Plots(page)
    told = [(stage, figures) for stage in stages if (figures := found(study, stage)) is not None]
    joint = {key: figures[key] for _, figures in told for key in _KEPT if key in figures}
    seconds = {stage.name: figures["seconds"] for stage, figures in told}
    origin = {"backbone_sha256": study.backbone_sha256, "seconds": seconds}
    write_results(study.results / "paper.json", study.neu.sha256, {**origin, **joint})
    sections = [summary(joint, seconds), *(stage.tell(figures, plots).strip() for stage, figures in told)]
    page.write_text("\n\n".join(map(reflowed, sections)) + "\n")
    return page


def reflowed(text: str) -> str:
    """Markdown with its paragraphs and list items filled to WIDTH: figures of any length went into them."""
    return "\n\n".join(_block(block) for block in text.strip().split("\n\n"))


def _block(block: str) -> str:
    items: list[list[str]] = []
    for line in block.split("\n"):
        fresh = not items or line.startswith(("- ", "* ", *_AS_IT_IS)) or items[-1][0].startswith(_AS_IT_IS)
        if fresh:
            items.append([line])
        else:
            items[-1].append(line.strip())
    return "\n".join(_filled(item) for item in items)


def _filled(lines: list[str]) -> str:
    if lines[0].startswith(_AS_IT_IS):
        return "\n".join(lines)
    hanging = "  " if lines[0].startswith(("- ", "* ")) else ""
    return textwrap.fill(
        " ".join(lines), WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )
