"""What the models of `make bench-models` are like: accuracy, false alarms, and what a tile costs in each engine.

Writes benchmarks/results/mobilenet.json. Costs are CPU time on one thread, 16 tiles a run: of the models, and of the
backbone with its first convolution folded to one grey plane against three normalised planes, in interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from conditions import ROOT, conditions, write
from mobilenet import FOLDER, SIZE, Backbone, frozen, ranges_from

from stripwatch.domain.box import Box
from stripwatch.domain.reading import read_tile
from stripwatch.domain.result import TileScore
from stripwatch.models.engines import EngineName, builder
from stripwatch.models.load import LoadedModel, load
from stripwatch.models.manifest import DESCRIPTOR
from stripwatch.models.store import ModelStore
from stripwatch.pixels import Image
from stripwatch.recipes import RecipeBook
from stripwatch.rpc.codec.models import quantise
from stripwatch_train.evaluate import shrunk
from stripwatch_train.graph import scorer
from stripwatch_train.grey import ColourStem, GreyStem
from stripwatch_train.mobilenet import pretrained
from stripwatch_train.neu import Neu
from stripwatch_train.places import WEIGHTS_FILE, Places, default_data
from stripwatch_train.pools import EVALUATION_SEED, clean_tile
from stripwatch_train.split import stratified

ENGINES: tuple[EngineName, ...] = ("onnxruntime", "openvino")
BATCH = 16
_PLACE = Box(0, 0, 100, 100)


def judges(models: Path, recipe: str, engine: EngineName) -> tuple[LoadedModel, LoadedModel]:
    """Classifier and scorer of a recipe in `models`/recipes, proven by their self-tests."""
    store, rules = ModelStore([models, ROOT / "models"]), RecipeBook([models / "recipes"]).find(recipe)
    classifier, anomaly = (load(store.find(model), builder(engine)) for model in rules.models.values())
    return classifier, anomaly


def flagged(models: Path, recipe: str, engine: EngineName, tiles: Image) -> float:
    """The share of (N, 200, 200) tiles that count as a defect under a recipe in `models`/recipes."""
    rules, pair = RecipeBook([models / "recipes"]).find(recipe), judges(models, recipe, engine)
    probabilities, anomalies = (_scores(model, tiles) for model in pair)
    readings = [
        read_tile(TileScore(_PLACE, tuple(row.tolist()), int(score)), pair[0].spec.classes, rules)
        for row, score in zip(probabilities, anomalies, strict=True)
    ]
    return round(sum(reading is not None for reading in readings) / len(tiles), 5)


def costs(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU µs a tile of each, round by round, one after the other in each round; the first round is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            spent[name].append(round((time.process_time() - begin) / BATCH * 1e6, 1))
    return {name: rounds[1:] for name, rounds in spent.items()}


def measure(neu: Neu, weights: Path | None, models: Path, clean: int, rounds: int) -> dict[str, Any]:
    """All figures of both engines."""
    training, held = stratified(neu.labels, 0)
    healthy = np.stack([clean_tile(EVALUATION_SEED + seed) for seed in range(clean)])
    ranges, backbone = ranges_from(neu, training), pretrained(weights)
    graphs = {kind.__name__: frozen(Backbone(backbone, kind).eval(), ranges) for kind in (GreyStem, ColourStem)}
    tiles = shrunk(neu.images[held[:BATCH]], SIZE)
    result: dict[str, Any] = {}
    for engine in ENGINES:
        classifier, anomaly = judges(models, "mobilenet", engine)
        _, descriptors = classifier.engine.run(tiles, (DESCRIPTOR,))
        runs: dict[str, Callable[[], object]] = {
            "classifier": partial(classifier.engine.run, tiles, (DESCRIPTOR,)),
            "scorer_from_tiles": partial(anomaly.engine, tiles),
            "scorer_from_descriptors": partial(anomaly.heads[0], descriptors),
            **{name: partial(scorer(graph, 1, engine=engine), tiles) for name, graph in graphs.items()},
        }
        spent = costs(runs, rounds)
        middle = {name: round(statistics.median(values), 1) for name, values in spent.items()}
        result[engine] = {
            "accuracy": round(float((_scores(classifier, neu.images[held]).argmax(1) == neu.labels[held]).mean()), 5),
            "clean_tiles_flagged": {name: flagged(models, name, engine, healthy) for name in ("mobilenet", "fast")},
            "us_a_tile": middle,
            "folded_over_three_planes": round(middle["GreyStem"] / middle["ColourStem"], 4),
            "rounds": spent,
        }
    return {"clean_tiles": clean, "held_out_images": len(held), "engines": result}


def _scores(model: LoadedModel, tiles: Image) -> Any:
    """Units of QUANTUM of (N, 200, 200) tiles."""
    small = shrunk(tiles, model.spec.input.size)
    return np.concatenate([quantise(model.engine(small[at : at + BATCH])) for at in range(0, len(small), BATCH)])


def main() -> None:
    """Measures, prints the figures and writes them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=None, help="ImageNet weights (.npz); else the data folder's")
    parser.add_argument("--clean", type=int, default=2000, help="simulated clean tiles")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)  # of advice to prepare a graph that needs no preparing
    before = conditions("python benchmarks/mobilenet_figures.py", "")
    data = default_data()
    result = measure(Neu.load(Places(data)), chosen.weights or data / WEIGHTS_FILE, FOLDER, chosen.clean, chosen.rounds)
    write("mobilenet", {**before, **result}, chosen.out)
    for engine, figures in result["engines"].items():
        print(engine, json.dumps({name: value for name, value in figures.items() if name != "rounds"}))


if __name__ == "__main__":
    main()
