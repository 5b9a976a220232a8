"""The models that ship: a classifier in two profiles, and on each one's trunk an anomaly scorer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import onnx
import torch
from rich.console import Console
from torch import nn

from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch.errors import ModelInvalid, NotFound
from stripwatch.models.load import GRAPH
from stripwatch.models.manifest import DESCRIPTOR, MAP
from stripwatch.pixels import Image
from stripwatch_train import together
from stripwatch_train.anomaly import TextureHead, fit, threshold
from stripwatch_train.batches import CLASSES, Stock, batches
from stripwatch_train.classifier import (
    FIRST,
    FOURTH,
    SECOND,
    THIRD,
    ServedSteel,
    SteelNet,
    calibrate,
    train,
)
from stripwatch_train.evaluate import shrunk
from stripwatch_train.export import Draft, write_model
from stripwatch_train.graph import scorer
from stripwatch_train.mining import (
    FOURTH_CLEAN_SEEDS,
    KEEP_FLAWS,
    SECOND_CLEAN_SEEDS,
    SECOND_FLAW_SEEDS,
    THIRD_CLEAN_SEEDS,
    THIRD_FLAW_SEEDS,
    hard_clean,
    hard_flaws,
)
from stripwatch_train.mobilenet import MobileNetV2
from stripwatch_train.places import Places
from stripwatch_train.pools import simulated_clean
from stripwatch_train.stocks import Stocks
from stripwatch_train.training import Schedule
from stripwatch_train.trunk import trunk_of
from stripwatch_train.where import fit_where

CONFIDENCE = 0.8
"""The confidence from which on a single tile counts in the cards' figures."""

_CALIBRATION_BATCHES = 16
_UNSEEN_SEED, _UNSEEN_COUNT = 60_000, 4_000
_RANGES_FROM = 64
"""Tiles of each kind, whole NEU, healthy and flawed, that show how far an activation goes."""
_console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Pair:
    """A classifier and the scorer on its trunk."""

    profile: str
    classifier: ModelRef
    scorer: ModelRef
    size: int
    seed: int
    has_map: bool = False


ACCURATE = Pair(
    "accurate", ModelRef("steel", "2"), ModelRef("texture", "2"), together.SIXTH.size, together.SIXTH.seed, True
)
FAST = Pair("fast", ModelRef("steel-fast", "1"), ModelRef("texture-fast", "1"), together.FAST.size, together.FAST.seed)
PAIRS = (ACCURATE, FAST)


def kept(net: nn.Module, file: Path) -> None:
    """Load the weights of an earlier training; NotFound names the command that makes them."""
    if not file.is_file():
        raise NotFound(f"checkpoint: no {file}; `python -m stripwatch_train defaults` makes it")
    try:
        net.load_state_dict(torch.load(file, weights_only=True))
    except UnpicklingError as error:
        raise ModelInvalid(f"checkpoint: {file}: expected tensors and nothing else, got code") from error
    net.eval()


def checkpoint(places: Places, pair: Pair) -> Path:
    """Where a pair's trained network is kept."""
    return places.cache / f"{pair.classifier.name}.pt"


def build(places: Places, backbone: MobileNetV2, stocks: Stocks, resume: bool) -> None:
    """Train both profiles; `resume` goes on after the last stage whose checkpoint is there."""
    net = _known_tiles(places, backbone, stocks, resume)
    cache = places.cache
    hard = hard_clean(net, FOURTH.size, cache, FOURTH_CLEAN_SEEDS, keep=KEEP_FLAWS)
    stock = replace(stocks.fit, hard_clean=hard, hard_flaws=hard_flaws(net, FOURTH.size, cache, THIRD_FLAW_SEEDS))
    for schedule in (together.FIFTH, together.SIXTH):
        together.train(net, backbone, stock, schedule)
    finish(places, net, stocks, ACCURATE)
    finish(places, together.train(net, backbone, stock, together.FAST), stocks, FAST)


def _known_tiles(places: Places, backbone: MobileNetV2, stocks: Stocks, resume: bool) -> SteelNet:
    """The first four stages, on undisturbed tiles: 128 px, then 160 px with hard tiles added in three rounds."""
    cache, net = places.cache, SteelNet(backbone)
    last = cache / "steel-fourth.pt"
    if resume and last.is_file():
        kept(net, last)
        return net
    _stage(net, stocks.fit, FIRST, cache / "steel-first.pt", resume)
    hard = hard_clean(net, FIRST.size, cache)
    stock = replace(stocks.fit, hard_clean=hard, hard_flaws=hard_flaws(net, FIRST.size, cache))
    _stage(net, stock, SECOND, cache / "steel-second.pt", resume)
    harder = hard_clean(net, SECOND.size, cache, SECOND_CLEAN_SEEDS, keep=len(hard) // 2)
    stock = replace(stock, hard_clean=np.concatenate([hard, harder]))
    _stage(net, stock, THIRD, cache / "steel-third.pt", resume)
    hardest = hard_clean(net, THIRD.size, cache, THIRD_CLEAN_SEEDS, keep=len(hard) // 2)
    flaws = hard_flaws(net, THIRD.size, cache, SECOND_FLAW_SEEDS)
    stock = replace(stock, hard_clean=np.concatenate([hard, harder, hardest]), hard_flaws=flaws)
    _stage(net, stock, FOURTH, last, resume)
    return net


def finish(places: Places, net: SteelNet, stocks: Stocks, pair: Pair) -> None:
    """Calibrate a trained network and keep it."""
    fold = batches(stocks.calibration, _CALIBRATION_BATCHES, pair.size, FOURTH.batch, FOURTH.seed)
    _console.print(f"{pair.classifier}: temperature {calibrate(net, fold):.3f}")
    torch.save(net.state_dict(), checkpoint(places, pair))


def _stage(net: SteelNet, stock: Stock, schedule: Schedule, file: Path, resume: bool) -> None:
    """Train one stage in place, or take it from an earlier training."""
    if resume and file.is_file():
        kept(net, file)
    else:
        train(net, stock, schedule)
        torch.save(net.state_dict(), file)


def write_pair(
    places: Places, net: SteelNet, stocks: Stocks, pair: Pair, origin: MobileNetV2, provenance: dict[str, Any]
) -> None:
    """The classifier's graph in int8, and behind its trunk, cut out of that graph, the scorer's head."""
    draft = _classifier(net, stocks, pair, provenance)
    folder = write_model(draft, places.models, origin, fp32=places.cache)
    trunk = trunk_of(onnx.load(str(folder / GRAPH)))
    write_model(_scorer(places, trunk, stocks, pair, provenance), places.models, origin)


def _classifier(net: SteelNet, stocks: Stocks, pair: Pair, provenance: dict[str, Any]) -> Draft:
    where = fit_where(net, stocks.neu, stocks.training) if pair.has_map else None
    trained_on = "NEU (1,440 images, none of models/heldout.txt) whole and in mosaics, quilted healthy NEU, simulator"
    return Draft(
        pair.classifier,
        ModelKind.CLASSIFIER,
        ServedSteel(net, where).eval(),
        pair.size,
        CLASSES,
        float(net.temperature),
        CONFIDENCE,
        {
            **provenance,
            "seed": pair.seed,
            "trained_on": f"{trained_on}; disturbed views of all",
            "backbone": "MobileNetV2 1.0 features 0-13, fine-tuned end to end",
        },
        extras=(DESCRIPTOR, MAP) if where else (DESCRIPTOR,),
        calibration=_ranges(stocks, pair.size),
    )


def _ranges(stocks: Stocks, size: int) -> Image:
    """(192, 1, size, size) tiles of the training side."""
    stock, rng = stocks.fit, np.random.default_rng(0)
    whole = stocks.neu.images[rng.permutation(stock.rows)[:_RANGES_FROM]]
    clean = stock.clean[rng.permutation(len(stock.clean))[:_RANGES_FROM]]
    flaws = stock.flaws.reshape(-1, *stock.flaws.shape[2:])
    return shrunk(np.concatenate([whole, clean, flaws[rng.permutation(len(flaws))[:_RANGES_FROM]]]), size)


def _scorer(places: Places, trunk: onnx.ModelProto, stocks: Stocks, pair: Pair, provenance: dict[str, Any]) -> Draft:
    """Healthy steel is simulated and quilted tiles; the threshold comes from simulated ones of other seeds.

    Not from quilted ones: a few of them show defects that nobody marked, and they would set it.
    """
    describe = scorer(trunk)
    known = np.concatenate([stocks.fit.clean, stocks.fit.quilted])
    healthy = fit(describe(shrunk(known, pair.size)))
    unseen = simulated_clean(places.cache, _UNSEEN_COUNT, _UNSEEN_SEED)
    limit = threshold(healthy, describe(shrunk(unseen, pair.size)))
    return Draft(
        pair.scorer,
        ModelKind.ANOMALY,
        TextureHead(healthy, limit).eval(),
        pair.size,
        (),
        None,
        limit,
        {
            **provenance,
            "seed": pair.seed,
            "trained_on": f"healthy tiles: simulator, quilted NEU; the trunk is that of {pair.classifier}",
            "backbone": f"the trunk of {pair.classifier}, in int8",
        },
        trunk=trunk,
    )
