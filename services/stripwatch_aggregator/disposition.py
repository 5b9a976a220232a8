"""From what was found to accept, review or reject, with reasons that an operator understands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stripwatch.domain.defect import Defect
from stripwatch.domain.recipe import Disposition, Recipe, Role
from stripwatch_aggregator.account import Ledger
from stripwatch_aggregator.coverage import WHOLE, Coverage
from stripwatch_aggregator.flags import rule_of, tenths

ORDER = {Disposition.REJECT: 0, Disposition.REVIEW: 1, Disposition.ACCEPT: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that speaks against accepting the strip."""

    disposition: Disposition
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a disposition depends on."""

    ledger: Ledger
    coverage: Coverage
    defects: Sequence[Defect]
    spoke: frozenset[Role]
    models: Sequence[str]
    strays: Sequence[str]
    """Cameras that sent frames but that the start did not declare."""
    beyond: int
    """Remarkable frames beyond those that are kept, of which no defect is listed."""


def dispose(recipe: Recipe | None, evidence: Evidence) -> tuple[Disposition, tuple[str, ...]]:
    """The worst of all findings, and the reasons, the worst first."""
    findings = [*_of_the_run(evidence)]
    if recipe is None:
        findings.append(_review("no worker took up this run: it has no recipe and no models"))
    else:
        findings += [*_of_defects(recipe, evidence), *_of_the_inspection(recipe, evidence)]
    findings.sort(key=lambda finding: ORDER[finding.disposition])
    worst = findings[0].disposition if findings else Disposition.ACCEPT
    return worst, tuple(finding.text for finding in findings)


def _review(text: str) -> Finding:
    return Finding(Disposition.REVIEW, text)


def _of_defects(recipe: Recipe, evidence: Evidence) -> Iterator[Finding]:
    area = evidence.coverage.inspected_mm2
    for label, count in sorted(Counter(defect.label for defect in evidence.defects).items()):
        rule = rule_of(recipe, label)
        many = f"{label}: {count} {_plural(count)} on {area / 1e6:.2f} m²"
        if rule.reject_per_m2 is not None and count * 1e6 > rule.reject_per_m2 * area:
            yield Finding(Disposition.REJECT, f"{many} (more than {rule.reject_per_m2:g} a m² rejects)")
        elif count * 1e6 > rule.review_per_m2 * area:
            yield _review(f"{many} (more than {rule.review_per_m2:g} a m² asks for a review)")
        if rule.reject_size_mm is not None:
            longest = max((_size(defect) for defect in evidence.defects if defect.label == label), default=0)
            if longest > tenths(rule.reject_size_mm):
                yield Finding(
                    Disposition.REJECT,
                    f"{label} of {longest / 10:g} mm: one longer than {rule.reject_size_mm:g} mm rejects",
                )


def _of_the_inspection(recipe: Recipe, evidence: Evidence) -> Iterator[Finding]:
    units = evidence.coverage.units
    if units < recipe.min_coverage:
        yield _review(f"coverage {_percent(units)}, and the recipe asks for {_percent(recipe.min_coverage)}")
    if evidence.coverage.inspected_mm2 == 0:
        return  # without a tile there is nothing that a service could have scored
    for role in sorted(recipe.required - evidence.spoke):
        yield _review(f"the {role} is required and did not score every tile")


def _of_the_run(evidence: Evidence) -> Iterator[Finding]:
    if evidence.coverage.inspected_mm2 == 0:
        yield _review("no strip was inspected")
    for account in evidence.ledger.cameras:
        if not account.ended and evidence.ledger.start.length_mm is None:
            yield _review(f"camera {account.camera} never ended, and the strip's length was not declared")
    if evidence.strays:
        yield _review(f"frames of cameras that the run did not declare: {', '.join(evidence.strays)}")
    if evidence.beyond:
        yield _review(f"more remarkable frames than are kept: defects in the last {evidence.beyond} are not listed")
    for name in sorted(_several_versions(evidence.models)):
        versions = ", ".join(model for model in evidence.models if model.partition("/")[0] == name)
        yield _review(f"more than one version of a model judged this run: {versions}")


def _several_versions(models: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(model.partition("/")[0] for model in models).items() if count > 1}


def _size(defect: Defect) -> int:
    return tenths(max(defect.box.length_mm, defect.box.width_mm))


def _percent(units: int) -> str:
    return f"{units * 100 / WHOLE:.2f} %"


def _plural(count: int) -> str:
    return "defect" if count == 1 else "defects"
