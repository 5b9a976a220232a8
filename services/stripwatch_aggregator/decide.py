"""The verdict of a run from all that is known of it: pure, and the same whatever order that came in."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch.domain.defect import Defect
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import FrameResult
from stripwatch.domain.verdict import MOST_DEFECTS, StripVerdict
from stripwatch.ports import RunState
from stripwatch.rpc.codec.results import decode_result
from stripwatch_aggregator.account import Ledger
from stripwatch_aggregator.coverage import coverage
from stripwatch_aggregator.defects import find_defects
from stripwatch_aggregator.disposition import Evidence, dispose
from stripwatch_aggregator.flags import flags
from stripwatch_aggregator.rules import Rules, read_rules, silent_roles


def decide(state: RunState, ledger: Ledger, decided_at_ns: int) -> StripVerdict:
    """The verdict on the run as it stands; frames without an outcome count as lost."""
    rules = read_rules(state.start, state.pins)
    results = [decode_result(body) for body in sorted(set(state.flagged))]
    covered = coverage(state, ledger)
    judged = sum(account.judged for account in ledger.cameras)
    marked = [flag for result in results for flag in flags(result, rules.recipe, rules.start)] if rules else []
    evidence = Evidence(
        ledger=ledger,
        coverage=covered,
        defects=find_defects(marked, rules.recipe) if rules else (),
        spoke=_spoke(results, rules, judged),
        models=_models(results, rules, judged),
        strays=state.strays,
        beyond=state.beyond,
    )
    disposition, reasons = dispose(rules.recipe if rules else None, evidence)
    return StripVerdict(
        run=state.run,
        disposition=disposition,
        reasons=reasons,
        defects=_largest(evidence.defects),
        found=len(evidence.defects),
        cameras=ledger.cameras,
        coverage=covered.units,
        inspected_mm2=covered.inspected_mm2,
        models=tuple(evidence.models),
        spoke=evidence.spoke,
        recipe=rules.recipe.name if rules else ledger.start.recipe,
        recipe_version=rules.recipe.version if rules else "",
        recipe_sha256=rules.recipe.sha256 if rules else "",
        partial=any(account.judged < account.expected or not account.ended for account in ledger.cameras),
        simulated=ledger.start.simulated,
        started_at_ns=ledger.start.started_at_ns,
        decided_at_ns=decided_at_ns,
    )


def _largest(defects: Sequence[Defect]) -> tuple[Defect, ...]:
    """As many as a verdict lists, in their order; of equals those nearest to the head."""
    by_size = sorted(range(len(defects)), key=lambda at: (-defects[at].box.length_mm * defects[at].box.width_mm, at))
    return tuple(defects[at] for at in sorted(by_size[:MOST_DEFECTS]))


def _models(results: Sequence[FrameResult], rules: Rules | None, judged: int) -> tuple[str, ...]:
    """The models whose scores were used; a judged frame that was not kept was scored by the pinned ones."""
    used = {model for result in results for model in result.models}
    if rules and judged > len(results):
        used |= set(rules.pins.models.values())
    return tuple(sorted(used))


def _spoke(results: Sequence[FrameResult], rules: Rules | None, judged: int) -> frozenset[Role]:
    """The pinned services that scored every tile of every judged frame."""
    if rules is None or not judged:
        return frozenset()
    silent = {role for result in results for role in silent_roles(result, rules.pins)}
    return frozenset(rules.pins.models) - silent
