"""One image, one score: torch, ONNX Runtime, OpenVINO and the running services, for every model in `models/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from rich.progress import track

from stripwatch.domain.model import ModelKind
from stripwatch.domain.result import QUANTUM
from stripwatch.models.load import GRAPH
from stripwatch.models.manifest import Manifest, read_manifest
from stripwatch.models.store import ModelFolder, ModelStore
from stripwatch.pixels import Image, model_input
from stripwatch.ports import Descriptors
from stripwatch.rpc.codec.models import quantise
from stripwatch_train import int8
from stripwatch_train.classifier import SteelNet
from stripwatch_train.export import fp32_of
from stripwatch_train.graph import scorer
from stripwatch_train.parity import difference, filled, through
from stripwatch_train.split import Rows, read_heldout
from stripwatch_train.study.parity_page import tell
from stripwatch_train.study.served import Served, serving
from stripwatch_train.study.stage import Stage
from stripwatch_train.study.study import Study


def measure(study: Study) -> dict[str, Any]:
    """Each model's graph over all images by both engines and torch, and over the held-out ones by the services."""
    places = study.places
    store = ModelStore((places.models, places.local_models))
    held = study.neu.rows(read_heldout(places.heldout))
    with serving(store.paths) as services:
        compared = {
            str(folder.ref): _compared(study, folder, services, held)
            for folder in track(store.folders(), description="parity")
        }
    return {"quantum": QUANTUM, "parity": compared}


def _compared(study: Study, folder: ModelFolder, services: Mapping[ModelKind, Served], held: Rows) -> dict[str, Any]:
    manifest, graph = read_manifest(folder.path), onnx.load(str(folder.path / GRAPH))
    small = int8.is_int8(graph)
    tiles = _pixels(study.neu.images, manifest)  # (1800, channels, S, S)
    scores = scorer(graph)(tiles)
    routes = {"openvino": difference(scorer(graph, engine="openvino")(tiles), scores)}
    fp32 = fp32_of(study.places.cache, folder.ref) if small else graph
    if fp32 is not None:
        full = scorer(fp32)(tiles) if small else scores
        if small:
            routes["fp32"] = difference(scores, full)
        net = filled(SteelNet(study.backbone), fp32)
        if net is not None:
            routes["torch"] = difference(full, through(net, tiles))
    service = services[manifest.kind]
    routes["service"] = difference(service.scores(str(folder.ref), tiles[held]), scores[held])
    if manifest.head is not None:
        told = _told(study, manifest, services[ModelKind.CLASSIFIER], study.neu.images[held])
        if told is not None:
            routes["descriptors"] = difference(service.scored(str(folder.ref), told), scores[held])
    return {
        "kind": str(manifest.kind),
        "size": manifest.input.size,
        "int8": small,
        "bytes": (folder.path / GRAPH).stat().st_size,
        "tolerance": manifest.tolerance,
        "units_alone_or_of_16": _by_batch(graph, tiles[held]),
        "routes": routes,
    }


def _by_batch(graph: onnx.ModelProto, tiles: Image) -> int:
    """How many units of QUANTUM a tile's score depends on its company."""
    score = scorer(graph)

    def units(batch: int) -> npt.NDArray[np.int64]:
        parts = [score(tiles[at : at + batch]) for at in range(0, len(tiles), batch)]
        return quantise(np.concatenate(parts)).astype(np.int64)

    return int(np.abs(units(1) - units(16)).max())


def _pixels(images: Image, manifest: Manifest) -> Image:
    """(N, 1, S, S) uint8 as a worker sends them: the trainer makes no model that takes others."""
    return np.asarray(model_input(list(images), manifest.input), dtype=np.uint8)


def _told(study: Study, scorer: Manifest, service: Served, images: Image) -> Descriptors | None:
    """Descriptors by a running classifier on the scorer's backbone; None if there is none."""
    for folder in ModelStore((study.places.models,)).folders():
        manifest = read_manifest(folder.path)
        if manifest.kind is ModelKind.CLASSIFIER and manifest.descriptors == scorer.descriptors:
            return service.described(str(folder.ref), _pixels(images, manifest))
    return None


STAGE = Stage("parity", measure, tell)
