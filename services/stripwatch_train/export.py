"""From a trained network to a model folder: ONNX graph, manifest, reference tiles, card."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.domain.model import Clahe, ModelKind, ModelRef
from stripwatch.errors import ModelInvalid
from stripwatch.models.load import GRAPH, HEAD, REFERENCE
from stripwatch.models.manifest import DESCRIPTOR, MAP
from stripwatch.pixels import Image, resize
from stripwatch.simulate import flaw_tile
from stripwatch_train import int8
from stripwatch_train.descriptor import unchanged
from stripwatch_train.graph import Scores, exported, scorer, signature, tile_graph
from stripwatch_train.mobilenet import MobileNetV2
from stripwatch_train.pools import EVALUATION_SEED, clean_tile
from stripwatch_train.trunk import backbone_sha256, joined, trunk_of

TOLERANCE = 1e-3
REFERENCE_TILES = 8
_LICENCE = (
    "Apache-2.0 for this file; started from ImageNet weights (ONNX model zoo, Apache-2.0); trained on NEU images, "
    "whose licence is not stated"
)


@dataclass(frozen=True)
class Draft:
    """What a model folder is made of.

    `net` gives the scores of tiles and, as a tuple, after them what `extras` names. With a `trunk` (`trunk_of` a
    classifier) it is the head of an anomaly scorer, and takes what the trunk gives. `calibration` tiles, (N, 1, size,
    size), have its convolutions quantised; a trunk is served as it is. `reference` tiles, (8, 1, size, size), stand in
    for the simulated ones where the model is made for others.
    """

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
    extras: tuple[str, ...] = ()
    trunk: onnx.ModelProto | None = None
    calibration: Image | None = None
    reference: Image | None = None

    @property
    def output(self) -> str:
        return "probabilities" if self.kind is ModelKind.CLASSIFIER else "score"


def write_model(draft: Draft, models: Path, origin: MobileNetV2 | None, fp32: Path | None = None) -> Path:
    """Write `models/NAME/VERSION` whole or not at all; ModelInvalid if a tensor of `origin` would ship unchanged.

    What is quantised is kept in the folder `fp32` as it was before, for `fp32_of`.
    """
    if origin is not None and (same := unchanged(draft.net.state_dict(), origin)):
        raise ModelInvalid(f"model {draft.ref}: {len(same)} tensors are still the pretrained ones, such as {same[0]}")
    folder = models / draft.ref.name / draft.ref.version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        model, head = _graphs(draft, fp32)
        onnx.save(model, str(made / GRAPH))
        tiles = reference_tiles(draft.size) if draft.reference is None else draft.reference
        reference = {"tiles": tiles, "outputs": scorer(model)(tiles)}
        if head is not None and draft.trunk is not None:
            onnx.save(head, str(made / HEAD))
            reference["descriptors"] = scorer(draft.trunk)(tiles)
        np.savez_compressed(made / REFERENCE, **reference)  # type: ignore[arg-type]  # its stub takes a bool as well
        (made / "manifest.json").write_text(json.dumps(manifest(draft, made), indent=2) + "\n")
        (made / "CARD.md").write_text(draft.card)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def _graphs(draft: Draft, fp32: Path | None) -> tuple[onnx.ModelProto, onnx.ModelProto | None]:
    """From tiles to all outputs, and for a scorer behind a trunk also from descriptors to scores."""
    if draft.trunk is not None:
        (width,) = signature(draft.trunk).outputs[DESCRIPTOR]
        head = exported(draft.net, torch.zeros(2, width), DESCRIPTOR, (draft.output,))
        return joined(draft.trunk, head), head
    model = tile_graph(draft.net, draft.size, (draft.output, *draft.extras))
    if draft.calibration is None:
        return model, None
    if fp32 is not None:
        onnx.save(model, str(fp32 / _fp32_name(draft.ref)))
    return int8.quantised(model, draft.calibration), None


def fp32_of(folder: Path, ref: ModelRef) -> onnx.ModelProto | None:
    """The graph of a quantised model as it was before, if this machine made it."""
    file = folder / _fp32_name(ref)
    return onnx.load(str(file)) if file.is_file() else None


def _fp32_name(ref: ModelRef) -> str:
    return f"{ref.name}-{ref.version}-fp32.onnx"


def to_onnx(net: nn.Module, size: int, output: str, file: Path) -> None:
    """Write the graph of a network that gives one output of tiles."""
    onnx.save(tile_graph(net, size, (output,)), str(file))


def session(folder: Path, threads: int = 2, output: str | None = None) -> Callable[[Image], Scores]:
    """A function that gives the scores of (N, 1, S, S) uint8 tiles, or another output, as the services would."""
    return scorer(onnx.load(str(folder / GRAPH)), threads, output)


def reference_tiles(size: int) -> Image:
    """(8, 1, size, size) uint8 simulated tiles, two healthy, one of each flaw: no NEU pixel enters the repository."""
    tiles = [clean_tile(EVALUATION_SEED + seed) for seed in range(REFERENCE_TILES - len(NEU_CLASSES))]
    for number, label in enumerate(NEU_CLASSES):
        rng = np.random.default_rng(EVALUATION_SEED + number)
        tiles.append(flaw_tile(rng, label, min_visible=0.8)[0])
    return np.stack([resize(tile, size)[None] for tile in tiles])


def manifest(draft: Draft, folder: Path) -> dict[str, Any]:
    """The manifest's content; hashes, widths and sides are taken from the files in `folder`."""
    model = onnx.load(str(folder / GRAPH))
    outputs = signature(model).outputs
    return {
        "name": draft.ref.name,
        "version": draft.ref.version,
        "kind": str(draft.kind),
        "sha256": sha256(folder / GRAPH),
        "reference_sha256": sha256(folder / REFERENCE),
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
        "reference": {"tolerance": int8.TOLERANCE if int8.is_int8(model) else TOLERANCE, "tiles": REFERENCE_TILES},
        "descriptor": _descriptor(draft.trunk or (trunk_of(model) if DESCRIPTOR in outputs else None), folder / HEAD),
        "map": {"side": outputs[MAP][0]} if MAP in outputs else None,
        "provenance": {"licence": _LICENCE, **draft.provenance},
    }


def _descriptor(trunk: onnx.ModelProto | None, head: Path) -> dict[str, Any] | None:
    if trunk is None:
        return None
    (width,) = signature(trunk).outputs[DESCRIPTOR]
    head_sha256 = sha256(head) if head.is_file() else None
    return {"width": width, "backbone_sha256": backbone_sha256(trunk), "head_sha256": head_sha256}


def sha256(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
