"""The two models that ship, from pools to drafts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn

from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch.errors import NotFound
from stripwatch_train import distil
from stripwatch_train.anomaly import Healthy, TextureNet, fit, threshold
from stripwatch_train.batches import CLASSES, Stock, batches
from stripwatch_train.classifier import FIRST, FOURTH, SECOND, THIRD, Schedule, SteelNet, calibrate, train
from stripwatch_train.export import Draft
from stripwatch_train.mining import SECOND_CLEAN_SEEDS, SECOND_FLAW_SEEDS, THIRD_CLEAN_SEEDS, hard_clean, hard_flaws
from stripwatch_train.mobilenet import MobileNetV2
from stripwatch_train.places import Places
from stripwatch_train.pools import magnetic, simulated_clean
from stripwatch_train.stocks import Stocks

STEEL = ModelRef("steel", "1")
TEXTURE = ModelRef("texture", "1")
CONFIDENCE = 0.8
"""The confidence that a recipe should ask of `steel`."""

_CALIBRATION_BATCHES = 16
_UNSEEN_SEED, _UNSEEN_COUNT = 60_000, 4_000
_console = Console(stderr=True)


def kept(net: nn.Module, file: Path) -> None:
    """Load the weights of an earlier training; NotFound names the command that makes them."""
    if not file.is_file():
        raise NotFound(f"checkpoint: no {file}; `python -m stripwatch_train defaults` makes it")
    net.load_state_dict(torch.load(file, weights_only=True))
    net.eval()


def build_steel(places: Places, backbone: MobileNetV2, stocks: Stocks, resume: bool) -> SteelNet:
    """Train `steel`: 128 px, then 160 px with the hard tiles added in three rounds, then its temperature."""
    cache, net = places.cache, SteelNet(backbone)
    _stage(net, stocks.fit, FIRST, cache / "steel-first.pt", resume)
    hard = hard_clean(net, FIRST.size, cache)
    stock = replace(stocks.fit, hard_clean=hard, hard_flaws=hard_flaws(net, FIRST.size, cache))
    _stage(net, stock, SECOND, cache / "steel-second.pt", resume)
    harder = hard_clean(net, SECOND.size, cache, SECOND_CLEAN_SEEDS, keep=len(hard) // 2)
    stock = replace(stock, hard_clean=np.concatenate([hard, harder]))
    _stage(net, stock, THIRD, cache / "steel-third.pt", resume)
    hardest = hard_clean(net, THIRD.size, cache, THIRD_CLEAN_SEEDS, keep=len(hard) // 2)
    flaws = hard_flaws(net, THIRD.size, cache, SECOND_FLAW_SEEDS)
    train(net, replace(stock, hard_clean=np.concatenate([hard, harder, hardest]), hard_flaws=flaws), FOURTH)
    fold = batches(stocks.calibration, _CALIBRATION_BATCHES, FOURTH.size, FOURTH.batch, FOURTH.seed)
    _console.print(f"steel: temperature {calibrate(net, fold):.3f}")
    torch.save(net.state_dict(), places.cache / "steel.pt")
    return net


def _stage(net: SteelNet, stock: Stock, schedule: Schedule, checkpoint: Path, resume: bool) -> None:
    """Train one stage in place, or take it from an earlier training."""
    if resume and checkpoint.is_file():
        kept(net, checkpoint)
    else:
        train(net, stock, schedule)
        torch.save(net.state_dict(), checkpoint)


def build_student(places: Places, backbone: MobileNetV2, stocks: Stocks) -> distil.Student:
    """Distil the anomaly scorer's backbone."""
    student, explained = distil.distil(backbone, stocks.fit, magnetic(places), distil.Schedule())
    _console.print(f"texture: the student explains {100 * explained:.1f} % of the teacher's variance")
    torch.save(student.state_dict(), places.cache / "student.pt")
    return student


def build_texture(places: Places, student: distil.Student, stocks: Stocks) -> TextureNet:
    """Learn healthy steel from simulated and quilted tiles; the threshold comes from simulated ones of other seeds.

    Not from quilted ones: a few of them show defects that nobody marked, and they would set it.
    """
    size = distil.Schedule().size
    known = np.concatenate([stocks.fit.clean, stocks.fit.quilted])
    healthy = fit(distil.describe(student, known, size))
    unseen = simulated_clean(places.cache, _UNSEEN_COUNT, _UNSEEN_SEED)
    limit = threshold(healthy, distil.describe(student, unseen, size))
    np.savez(places.cache / "healthy.npz", centres=healthy.centres, whiten=healthy.whiten, limit=limit)
    return TextureNet(student, healthy, limit).eval()


def kept_texture(places: Places, backbone: MobileNetV2) -> TextureNet:
    """The scorer of an earlier training."""
    student = distil.Student(backbone)
    kept(student, places.cache / "student.pt")
    with np.load(places.cache / "healthy.npz") as arrays:
        healthy = Healthy(arrays["centres"], arrays["whiten"])
        return TextureNet(student, healthy, float(arrays["limit"])).eval()


def steel_draft(net: SteelNet, provenance: dict[str, Any]) -> Draft:
    """What `models/steel/1` is made of."""
    trained_on = "NEU (1,440 images, none of models/heldout.txt) whole and in mosaics, quilted healthy NEU, simulator"
    given = {
        **provenance,
        "seed": FOURTH.seed,
        "trained_on": trained_on,
        "backbone": "MobileNetV2 1.0 features 0-13, fine-tuned end to end",
    }
    temperature = float(net.temperature)
    return Draft(STEEL, ModelKind.CLASSIFIER, net, FOURTH.size, CLASSES, temperature, CONFIDENCE, given)


def texture_draft(net: TextureNet, provenance: dict[str, Any]) -> Draft:
    """What `models/texture/1` is made of."""
    given = {
        **provenance,
        "seed": distil.Schedule().seed,
        "trained_on": "without labels: NEU training side, magnetic tiles, simulator; healthy: simulator, quilted NEU",
        "backbone": "MobileNetV2 1.0 features 0-13, distilled from its ImageNet weights",
    }
    return Draft(TEXTURE, ModelKind.ANOMALY, net, distil.Schedule().size, (), None, float(net.limit), given)
