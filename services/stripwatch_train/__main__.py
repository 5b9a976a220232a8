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
from stripwatch_train import card, paper_report, parity, report, results, shipped
from stripwatch_train.classifier import SteelNet
from stripwatch_train.distil import Student
from stripwatch_train.evaluate import THRESHOLDS
from stripwatch_train.export import session, sha256, write_model
from stripwatch_train.features import pooled
from stripwatch_train.mobilenet import MobileNetV2, pretrained
from stripwatch_train.neu import Neu
from stripwatch_train.paper import train_head
from stripwatch_train.places import WEIGHTS_FILE, Places, default_data
from stripwatch_train.split import stratified
from stripwatch_train.stocks import Stocks, load_stocks
from stripwatch_train.study.page import write_page
from stripwatch_train.study.stage import missing, run
from stripwatch_train.study.stages import stages
from stripwatch_train.study.study import Study

app = typer.Typer(help="Trains, exports and measures stripwatch's models.", no_args_is_help=True, add_completion=False)
Data = Annotated[Path | None, typer.Option(help="Data folder; else STRIPWATCH_DATA, else ../shared/data.")]
Weights = Annotated[Path | None, typer.Option(help="ImageNet weights (.npz); else the data folder's, else the hub.")]
Stages = Annotated[list[str] | None, typer.Argument(help="Stages to run again; none: those that have no figures yet.")]
Resume = Annotated[bool, typer.Option(help="Go on from the first stage's checkpoint in var/train.")]
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
    given = Study(bench.places, bench.neu, bench.backbone)
    for stage in chosen if names else missing(given, all_stages):
        run(given, stage)
    Console().print(f"page: {write_page(given, all_stages)}")


@app.command()
def backbone(data: Data = None, weights: Weights = None) -> None:
    """Distil the anomaly scorer's backbone, without labels."""
    bench = Bench.open(data, weights)
    shipped.build_student(bench.places, bench.backbone, bench.stocks)


@app.command()
def classifier(data: Data = None, weights: Weights = None, resume: Resume = False) -> None:
    """Train and export `steel`."""
    _steel(Bench.open(data, weights), resume)


@app.command()
def anomaly(data: Data = None, weights: Weights = None) -> None:
    """Fit and export `texture` on the distilled backbone."""
    _texture(Bench.open(data, weights))


@app.command()
def defaults(data: Data = None, weights: Weights = None, resume: Resume = False) -> None:
    """Everything that ships, end to end: train, export, measure, write the cards, check parity."""
    bench = Bench.open(data, weights)
    shipped.build_student(bench.places, bench.backbone, bench.stocks)
    _texture(bench)
    _steel(bench, resume)
    _evaluate(bench)
    _parity(bench)


@app.command()
def evaluate(data: Data = None, weights: Weights = None) -> None:
    """Measure the shipped models on held-out images and unseen strips; write figures and cards."""
    _evaluate(Bench.open(data, weights))


@app.command(name="parity")
def parity_command(data: Data = None, weights: Weights = None) -> None:
    """Compare the exported graphs with torch over all 1,800 images."""
    _parity(Bench.open(data, weights))


def _steel(bench: Bench, resume: bool) -> None:
    net = shipped.build_steel(bench.places, bench.backbone, bench.stocks, resume)
    write_model(shipped.steel_draft(net, bench.provenance), bench.places.models, bench.backbone)


def _texture(bench: Bench) -> None:
    student = Student(bench.backbone)
    shipped.kept(student, bench.places.cache / "student.pt")
    net = shipped.build_texture(bench.places, student, bench.stocks)
    write_model(shipped.texture_draft(net, bench.provenance), bench.places.models, bench.backbone)


def _evaluate(bench: Bench) -> None:
    models, at = bench.places.models, THRESHOLDS.index(shipped.CONFIDENCE)
    figures = report.measure(models, bench.stocks)
    hashes = {str(ref): sha256(models / str(ref) / "model.onnx") for ref in (shipped.STEEL, shipped.TEXTURE)}
    results.write_results(
        bench.places.results / "models.json",
        bench.neu.sha256,
        {"models": hashes, "summary": report.short(figures, at), **figures},
    )
    (bench.places.results / "models_confusion.csv").write_text(report.confusion_csv(figures))
    card.write_cards(models, figures, bench.neu.sha256, at)
    Console().print(report.short(figures, at))


def _parity(bench: Bench) -> None:
    neu, places = bench.neu, bench.places
    features = pooled(bench.backbone, neu.images, places.cache, neu.sha256)
    trial = train_head(features, neu.labels, *stratified(neu.labels, PAPER_SEED), PAPER_SEED)
    steel = SteelNet(bench.backbone)
    shipped.kept(steel, places.cache / "steel.pt")
    drafts = (
        (paper_report.draft(neu, bench.backbone, trial, ""), places.local_models),
        (shipped.steel_draft(steel, {}), places.models),
        (shipped.texture_draft(shipped.kept_texture(places, bench.backbone), {}), places.models),
    )
    compared = {
        str(draft.ref): parity.compare(
            draft.net, session(models / str(draft.ref)), neu.images, draft.size, f"parity {draft.ref}"
        )
        for draft, models in drafts
    }
    results.write_results(places.results / "parity.json", neu.sha256, {"models": compared})
    Console().print(compared)


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
