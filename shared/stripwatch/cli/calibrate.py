"""`stripwatch calibrate`: the anomaly threshold for a wanted rate of false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from stripwatch.calibration import Healthy, Threshold, set_aside, threshold_for
from stripwatch.cli.calibrate_page import show
from stripwatch.cli.healthy import Stream, open_scorer, read
from stripwatch.cli.recipe import find
from stripwatch.cli.show import emit
from stripwatch.cli.where import JsonOption
from stripwatch.domain.recipe import Role
from stripwatch.domain.result import QUANTUM
from stripwatch.errors import BadInput


@dataclass(frozen=True, slots=True)
class Result:
    """The threshold, the one with all frames in, and the frames that were set aside with their highest scores."""

    found: Threshold
    whole: Threshold | None
    aside: dict[str, float]


def calibrate(
    ok: Annotated[Path, typer.Option("--ok", metavar="SOURCE", help="Healthy steel: folder, archive or .mcap")],
    rate: Annotated[
        float, typer.Option(min=1e-7, max=0.01, help="Healthy tiles that may be flagged, as a share")
    ] = 1e-4,
    recipe: Annotated[str, typer.Option(metavar="FILE|NAME", help="Cuts the frames, names the model")] = "hot-rolled",
    model: Annotated[str | None, typer.Option(metavar="NAME[/VERSION]", help="[default: the recipe's]")] = None,
    service: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A running anomaly service [default: in this process]")
    ] = None,
    bad_share: Annotated[float, typer.Option(min=0.0, max=0.2, help="Frames that may be bad, as a share")] = 0.02,
    mm_per_px: Annotated[float | None, typer.Option(min=0.001, max=100.0, help="[default: the recording's]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Pick the anomaly threshold for a wanted rate of false alarms.

    SOURCE is frames of defect-free strip (or tiles cut from it) of your own line: the same cameras, the same light as
    the frames that will be judged. Healthy and defective images from two sources differ by their source, and a
    threshold between them says nothing. NEU has no defect-free images: no false-alarm rate comes from it.

    A few bad frames may be among them: those whose highest score stands out from the others' are set aside and named.
    Exits 1 if there are too few tiles to vouch for the rate.
    """
    rules = find(recipe)
    named = model or rules.models.get(Role.ANOMALY)
    if named is None:
        raise BadInput(f"recipe {rules.name}: expected an anomaly model in it, or --model")
    with open_scorer(named, service) as scorer:
        stream = read(ok, rules.cutting, scorer)
        model_ref = str(scorer.spec.ref)
    result = pick(stream, rate, bad_share)
    facts = {"model": model_ref, "recipe": rules.name, "rate": rate, **plain(stream, result)}
    if as_json:
        emit(facts)
    else:
        show(facts, rules, mm_per_px or stream.mm_per_px)
    if not result.found.measured:
        raise typer.Exit(1)


def pick(stream: Stream, rate: float, bad_share: float) -> Result:
    """The threshold without the frames that stand out."""
    tops = np.array([frame.max() for frame in stream.frames])
    aside = set_aside(tops, bad_share).tolist() if len(tops) else []
    left = set(aside)
    kept = Healthy.of([frame for row, frame in enumerate(stream.frames) if row not in left])
    whole = threshold_for(Healthy.of(stream.frames), rate) if aside else None
    return Result(threshold_for(kept, rate), whole, {stream.names[row]: float(tops[row]) for row in aside})


def plain(stream: Stream, result: Result) -> dict[str, Any]:
    """What was found, as plain values."""
    found = result.found
    return {
        "threshold": up(found.score),
        "interval": [up(found.low), None if found.high is None else up(found.high)],
        "measured": found.measured,
        "tiles": found.tiles,
        "effective_tiles": found.effective_tiles,
        "tiles_needed": found.tiles_needed,
        "frames": found.frames,
        "set_aside": [{"frame": name, "top": round(top, 4)} for name, top in result.aside.items()],
        "threshold_with_all": up(result.whole.score) if result.whole else None,
        "without_tiles": stream.without,
    }


def up(score: float) -> float:
    """Rounded up to what scores are compared in; a recipe takes no threshold below it."""
    return max(round(math.ceil(score / QUANTUM - 1e-6) * QUANTUM, 4), QUANTUM)
