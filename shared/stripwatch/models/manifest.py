"""A model's `manifest.json`: what the model takes, gives, and must prove before it serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stripwatch.domain.model import Clahe, DescriptorSpec, InputSpec, ModelKind, ModelRef
from stripwatch.domain.names import check_label, shown
from stripwatch.errors import BadInput, ModelInvalid
from stripwatch.models import signature
from stripwatch.models.graph import Shape, Signature
from stripwatch.models.manifest_file import ManifestFile

FILE = "manifest.json"
INPUT = "tiles"
"""Name of every model's graph input."""
DESCRIPTOR = "descriptor"
"""Name of a classifier's output and of a head's input."""
MAP = "map"
"""Name of a classifier's output that says where."""

_OUTPUTS = {ModelKind.CLASSIFIER: "probabilities", ModelKind.ANOMALY: "score"}
MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model says of itself.

    `temperature` and `threshold` are already inside the graph: probabilities come calibrated, and an anomaly score
    of 1 is the threshold. Both hashes are SHA-256 in hex; `tolerance` is the largest difference to the reference
    outputs that the self-test takes.
    """

    ref: ModelRef
    kind: ModelKind
    sha256: str
    reference_sha256: str
    classes: tuple[str, ...]
    input: InputSpec
    output: str
    temperature: float | None
    threshold: float | None
    tolerance: float
    reference_tiles: int
    provenance: Mapping[str, Any]
    descriptors: DescriptorSpec | None = None
    """What its classifier gives beside the probabilities, or what its anomaly scorer's head takes."""
    head_sha256: str | None = None
    """Of an anomaly scorer's second graph, from descriptors to scores."""
    map_side: int | None = None
    precision: str = "float32"
    """What an engine that can choose calculates in; which scores still pass is the tolerance's to say."""

    @property
    def graph(self) -> Signature:
        """What `model.onnx` takes and gives."""
        spec = self.input
        outputs: dict[str, Shape] = {self.output: (len(self.classes),) if self.classes else ()}
        if self.descriptors and self.kind is ModelKind.CLASSIFIER:
            outputs[DESCRIPTOR] = (self.descriptors.width,)
        if self.map_side:
            outputs[MAP] = (self.map_side, self.map_side)
        return Signature(
            str(self.ref), INPUT, spec.dtype, (spec.channels, spec.size, spec.size), outputs, self.precision
        )

    @property
    def head(self) -> Signature | None:
        """What `head.onnx` takes and gives, if there is one."""
        if self.head_sha256 is None or self.descriptors is None:
            return None
        shape = (self.descriptors.width,)
        outputs: dict[str, Shape] = {self.output: ()}
        return Signature(f"{self.ref} (head)", DESCRIPTOR, "float32", shape, outputs, self.precision, head=True)


def read_manifest(folder: Path, key: signature.PublicKey | None = None) -> Manifest:
    """The manifest of the model in NAME/VERSION; ModelInvalid names the file, the field, expected and got.

    With a key only one that is signed for it: the bytes whose signature was checked are those that are read.
    """
    path = folder / FILE
    data = manifest_bytes(folder)
    if key is not None:
        signature.check(folder, data, key)
    try:
        given = ManifestFile.model_validate(_json(path, data))
    except ValidationError as error:
        problem = error.errors()[0]
        field = shown(".".join(str(part) for part in problem["loc"]), 200) or "the whole"
        got = "" if problem["type"] == "missing" else f", got {problem['input']!r:.80}"
        raise ModelInvalid(f"{path}: {field}: {problem['msg']}{got}") from None
    try:
        return _checked(path, given)
    except ModelInvalid:
        raise
    except BadInput as error:
        raise ModelInvalid(f"{path}: {error}") from error


def manifest_bytes(folder: Path) -> bytes:
    """What the signature of the model in NAME/VERSION is made over; ModelInvalid."""
    path = folder / FILE
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelInvalid(f"{path}: expected at most {MAX_BYTES} bytes, got {path.stat().st_size}")
        return path.read_bytes()
    except OSError as error:
        raise ModelInvalid(f"{path}: cannot be read: {error.strerror}") from error


def _json(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ModelInvalid(f"{path}: expected JSON, got something else: {error}") from error


def _checked(path: Path, given: ManifestFile) -> Manifest:
    ref = ModelRef(given.name, given.version)
    here = f"{path.parent.parent.name}/{path.parent.name}"
    if str(ref) != here:
        raise ModelInvalid(f"{path}: name, version: expected {here} by its folders, got {ref}")
    if given.output != _OUTPUTS[given.kind]:
        raise ModelInvalid(f"{path}: output: expected {_OUTPUTS[given.kind]!r}, got {given.output!r}")
    for label in given.classes:
        check_label("classes", label)
    if given.kind is ModelKind.CLASSIFIER:
        if len(given.classes) < 2 or len(set(given.classes)) != len(given.classes):
            raise ModelInvalid(f"{path}: classes: expected two or more different names, got {given.classes}")
    elif given.classes:
        raise ModelInvalid(f"{path}: classes: expected none for an anomaly model, got {given.classes}")
    _check_parts(path, given)
    clahe, descriptor = given.input.clahe, given.descriptor
    return Manifest(
        ref=ref,
        kind=given.kind,
        sha256=given.sha256,
        reference_sha256=given.reference_sha256,
        classes=tuple(given.classes),
        input=InputSpec(
            size=given.input.size,
            channels=given.input.channels,
            dtype=given.input.dtype,
            mean=tuple(given.input.mean),
            std=tuple(given.input.std),
            clahe=Clahe(clahe.clip_limit, clahe.grid) if clahe else None,
        ),
        output=given.output,
        temperature=given.calibration.temperature,
        threshold=given.calibration.threshold,
        tolerance=given.reference.tolerance,
        reference_tiles=given.reference.tiles,
        provenance=given.provenance,
        descriptors=DescriptorSpec(descriptor.width, descriptor.backbone_sha256) if descriptor else None,
        head_sha256=descriptor.head_sha256 if descriptor else None,
        map_side=given.map.side if given.map else None,
        precision=given.precision,
    )


def _check_parts(path: Path, given: ManifestFile) -> None:
    """A classifier gives descriptors and maps; an anomaly scorer takes descriptors, by a graph of its own."""
    has_head = given.descriptor is not None and given.descriptor.head_sha256 is not None
    if given.kind is ModelKind.CLASSIFIER and has_head:
        raise ModelInvalid(f"{path}: descriptor.head_sha256: expected null for a classifier, got a hash")
    if given.kind is ModelKind.ANOMALY and given.descriptor and not has_head:
        raise ModelInvalid(f"{path}: descriptor.head_sha256: expected the hash of its head.onnx, got null")
    if given.kind is ModelKind.ANOMALY and given.map:
        raise ModelInvalid(f"{path}: map: expected none for an anomaly model, got one of side {given.map.side}")
