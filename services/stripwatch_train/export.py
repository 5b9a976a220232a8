"""From a trained network to a model folder: ONNX graph, manifest, reference tiles, card."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.domain.model import Clahe, ModelKind, ModelRef
from stripwatch.errors import ModelInvalid
from stripwatch.pixels import Image, resize
from stripwatch.simulate import flaw_tile
from stripwatch_train.descriptor import unchanged
from stripwatch_train.mobilenet import MobileNetV2
from stripwatch_train.pools import EVALUATION_SEED, clean_tile

OPSET = 18
TOLERANCE = 1e-3
REFERENCE_TILES = 8
_LICENCE = (
    "Apache-2.0 for this file; started from ImageNet weights (ONNX model zoo, Apache-2.0); trained on NEU images, "
    "whose licence is not stated"
)

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Draft:
    """What a model folder is made of."""

    ref: ModelRef
    kind: ModelKind
    net: nn.Module
    size: int
    classes: tuple[str, ...]
    temperature: float | None
    threshold: float | None
    provenance: dict[str, Any] = field(default_factory=dict)
    card: str = ""
    clahe: Clahe | None = None

    @property
    def output(self) -> str:
        return "probabilities" if self.kind is ModelKind.CLASSIFIER else "score"


def write_model(draft: Draft, models: Path, origin: MobileNetV2 | None) -> Path:
    """Write `models/NAME/VERSION` whole or not at all; ModelInvalid if a tensor of `origin` would ship unchanged."""
    if origin is not None and (same := unchanged(draft.net.state_dict(), origin)):
        raise ModelInvalid(f"model {draft.ref}: {len(same)} tensors are still the pretrained ones, such as {same[0]}")
    folder = models / draft.ref.name / draft.ref.version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        to_onnx(draft.net, draft.size, draft.output, made / "model.onnx")
        tiles = reference_tiles(draft.size)
        np.savez_compressed(made / "reference.npz", tiles=tiles, outputs=session(made)(tiles))
        (made / "manifest.json").write_text(json.dumps(manifest(draft, made), indent=2) + "\n")
        (made / "CARD.md").write_text(draft.card)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def to_onnx(net: nn.Module, size: int, output: str, file: Path) -> None:
    """Export with a free batch size, weights inside the file."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        net.eval(),
        (torch.zeros(2, 1, size, size, dtype=torch.uint8),),
        input_names=["tiles"],
        output_names=[output],
        dynamic_shapes=({0: torch.export.Dim("N", min=1, max=4096)},),
        opset_version=OPSET,
        dynamo=True,
        optimize=True,
        verbose=False,
    )
    if program is None:
        raise ModelInvalid("torch gave no ONNX program")
    graph = program.model_proto
    strip_origins(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, str(file))


def strip_origins(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about source files: paths of this machine, and most of the graph's text."""
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]


def session(folder: Path, threads: int = 2) -> Callable[[Image], Scores]:
    """A function that gives the scores of (N, 1, S, S) uint8 tiles by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    engine = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])

    def scores(tiles: Image, batch: int = 32) -> Scores:
        parts = [engine.run(None, {"tiles": tiles[at : at + batch]})[0] for at in range(0, len(tiles), batch)]
        return np.concatenate(parts).astype(np.float32)

    return scores


def reference_tiles(size: int) -> Image:
    """(8, 1, size, size) uint8 simulated tiles, two healthy, one of each flaw: no NEU pixel enters the repository."""
    tiles = [clean_tile(EVALUATION_SEED + seed) for seed in range(REFERENCE_TILES - len(NEU_CLASSES))]
    for number, label in enumerate(NEU_CLASSES):
        rng = np.random.default_rng(EVALUATION_SEED + number)
        tiles.append(flaw_tile(rng, label, min_visible=0.8)[0])
    return np.stack([resize(tile, size)[None] for tile in tiles])


def manifest(draft: Draft, folder: Path) -> dict[str, Any]:
    """The manifest's content, hashes taken from the files in `folder`."""
    return {
        "name": draft.ref.name,
        "version": draft.ref.version,
        "kind": str(draft.kind),
        "sha256": sha256(folder / "model.onnx"),
        "reference_sha256": sha256(folder / "reference.npz"),
        "classes": list(draft.classes),
        "input": {
            "size": draft.size,
            "channels": 1,
            "dtype": "uint8",
            "mean": [],
            "std": [],
            "clahe": asdict(draft.clahe) if draft.clahe else None,
        },
        "output": draft.output,
        "calibration": {"temperature": _rounded(draft.temperature), "threshold": _rounded(draft.threshold)},
        "reference": {"tolerance": TOLERANCE, "tiles": REFERENCE_TILES},
        "provenance": {"licence": _LICENCE, **draft.provenance},
    }


def sha256(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
