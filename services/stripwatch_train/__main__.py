"""`python -m stripwatch_train COMMAND`: trains, exports and measures the models."""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from stripwatch.errors import StripwatchError
from stripwatch_train import paper_report, results, shipped
from stripwatch_train.classifier import SteelNet
from stripwatch_train.export import write_model
from stripwatch_train.features import pooled
from stripwatch_train.mobilenet import MobileNetV2, pretrained
from stripwatch_train.neu import Neu
from stripwatch_train.places import WEIGHTS_FILE, Places, default_data
from stripwatch_train.stocks import Stocks, load_stocks
from stripwatch_train.study import shipped_stage
from stripwatch_train.study.page import write_page
from stripwatch_train.study.stage import missing, run
from stripwatch_train.study.stages import stages
from stripwatch_train.study.study import Study

app = typer.Typer(help="Trains, exports and measures stripwatch's models.", no_args_is_help=True, add_completion=False)
Data = Annotated[Path | None, typer.Option(help="Data folder; else STRIPWATCH_DATA, else ../shared/data.")]
Weights = Annotated[Path | None, typer.Option(help="ImageNet weights (.npz); else the data folder's, else the hub.")]
Stages = Annotated[list[str] | None, typer.Argument(help="Stages to run again; none: those that have no figures yet.")]
Resume = Annotated[bool, typer.Option(help="Go on after the last stage whose checkpoint is in var/train.")]
PAPER_SEED = 0


@dataclass(frozen=True)
class Bench:
    """What every command starts from."""

    places: Places
    neu: Neu
    backbone: MobileNetV2

    @classmethod
    def open(cls, data: Path | None, weights: Path | None) -> Bench:
        """Find data and weights, or say in one line what is missing."""
        places = Places(data or default_data())
        local = places.data / WEIGHTS_FILE
        return cls(places, Neu.load(places), pretrained(weights or (local if local.is_file() else None)))

    @property
    def stocks(self) -> Stocks:
        return load_stocks(self.places, self.neu)

    @property
    def study(self) -> Study:
        return Study(self.places, self.neu, self.backbone)

    @property
    def provenance(self) -> dict[str, object]:
        return {"data_sha256": self.neu.sha256, "command": results.command(), "metrics": {}}


@app.command()
def paper(data: Data = None, weights: Weights = None) -> None:
    """The paper's recipe over five seeds, random and grouped; its model goes to models/local."""
    bench = Bench.open(data, weights)
    features = pooled(bench.backbone, bench.neu.images, bench.places.cache, bench.neu.sha256)
    trials = paper_report.trials(bench.neu, features)
    results.write_results(
        bench.places.results / "paper_recipe.json", bench.neu.sha256, paper_report.figures(bench.neu, trials)
    )
    Console().print(paper_report.text(trials), highlight=False)
    draft = paper_report.draft(bench.neu, bench.backbone, trials["random"][PAPER_SEED], results.command())
    Console().print(f"model: {write_model(draft, bench.places.local_models, None)}")


@app.command()
def study(
    names: Annotated[
        list[str] | None, typer.Argument(help="Stages to run again; without any, those not yet run.")
    ] = None,
    data: Data = None,
    weights: Weights = None,
) -> None:
    """The study behind docs/paper.md: every stage that has no figures yet, then the page."""
    chosen, all_stages = stages(names or ()), stages()
    bench = Bench.open(data, weights)
    given = bench.study
    for stage in chosen if names else missing(given, all_stages):
        run(given, stage)
    Console().print(f"page: {write_page(given, all_stages)}")


@app.command()
def defaults(data: Data = None, weights: Weights = None, resume: Resume = False) -> None:
    """Everything that ships, end to end: train, export, measure, write the cards."""
    bench = Bench.open(data, weights)
    shipped.build(bench.places, bench.backbone, bench.stocks, resume)
    _export(bench)
    run(bench.study, shipped_stage.STAGE)


@app.command()
def export(data: Data = None, weights: Weights = None) -> None:
    """Write the shipped models again from the last training's checkpoints."""
    _export(Bench.open(data, weights))


def _export(bench: Bench) -> None:
    for pair in shipped.PAIRS:
        net = SteelNet(bench.backbone)
        shipped.kept(net, shipped.checkpoint(bench.places, pair))
        shipped.write_pair(bench.places, net, bench.stocks, pair, bench.backbone, bench.provenance)


def main() -> None:
    """Run a command; what stripwatch raises on purpose becomes one line and its exit code."""
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"copyreg|torch\..*")
    try:
        app()
    except StripwatchError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
