"""From a folder to a model that is proven to work: hashes, graph, warm-up, parity self-test."""

from __future__ import annotations

import hashlib
import io
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic

from stripwatch.domain.model import ModelSpec
from stripwatch.domain.names import shown
from stripwatch.domain.result import QUANTUM
from stripwatch.errors import ModelInvalid, ModelNotReady
from stripwatch.models import onnxfile
from stripwatch.models.graph import Signature
from stripwatch.models.manifest import Manifest, read_manifest
from stripwatch.models.signature import PublicKey
from stripwatch.models.store import ModelFolder
from stripwatch.ports import Descriptors, Engine, Scores, Tiles
from stripwatch.rpc.codec.models import quantise

GRAPH = "model.onnx"
HEAD = "head.onnx"
REFERENCE = "reference.npz"
_MAX_GRAPH_BYTES = 2**31 - 1
_MAX_REFERENCE_BYTES = 256 * 2**20

_BROKEN = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    IndexError,
    TypeError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)
"""What NumPy and zipfile raise over a damaged file."""

Build = Callable[[bytes, Signature, int], tuple[Engine, ...]]
"""Makes so many engines of a graph's bytes, one for each thread; ModelInvalid if the two disagree."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that passed its self-test, with an engine for each worker; `heads` are those that take descriptors."""

    spec: ModelSpec
    manifest: Manifest
    engines: tuple[Engine, ...]
    heads: tuple[Engine, ...] = ()

    @property
    def engine(self) -> Engine:
        return self.engines[0]


@dataclass(frozen=True, slots=True)
class _Reference:
    """Tiles (R, channels, size, size), what they must score, (R, classes) or (R,), and for a head their descriptors."""

    tiles: Tiles
    outputs: Scores
    descriptors: Descriptors | None  # (R, width)


def load(folder: ModelFolder, build: Build, engines: int = 1, key: PublicKey | None = None) -> LoadedModel:
    """The model in the folder, warm. ModelInvalid if its files disagree, ModelNotReady if its scores do.

    With a key only a model that is signed for it, by the signature of its manifest, which holds all hashes.
    """
    manifest = read_manifest(folder.path, key)
    graph = _graph(folder.path / GRAPH, manifest.sha256, manifest.graph)
    reference = _reference(folder.path / REFERENCE, manifest)
    built = build(graph, manifest.graph, engines)
    for engine in dict.fromkeys(built):  # several threads may have one and the same
        check_parity(engine, manifest, reference.tiles, reference.outputs)  # warms it up as well
    spec = ModelSpec(
        ref=manifest.ref,
        kind=manifest.kind,
        input=manifest.input,
        classes=manifest.classes,
        sha256=manifest.sha256,
        engine=built[0].name,
        descriptors=manifest.descriptors,
        map_side=manifest.map_side,
    )
    return LoadedModel(spec, manifest, built, _heads(folder, manifest, build, engines, reference))


def _heads(
    folder: ModelFolder, manifest: Manifest, build: Build, engines: int, reference: _Reference
) -> tuple[Engine, ...]:
    """Engines of the graph from descriptors to scores, for a model that has one; warm and proven as the others."""
    if manifest.head is None or manifest.head_sha256 is None or reference.descriptors is None:
        return ()
    graph = _graph(folder.path / HEAD, manifest.head_sha256, manifest.head)
    heads = build(graph, manifest.head, engines)
    for head in dict.fromkeys(heads):
        check_parity(head, manifest, reference.descriptors, reference.outputs)
    return heads


def check_files(folder: Path, manifest: Manifest) -> None:
    """ModelInvalid unless all that `load` reads is there, has the manifest's hashes, and is of the right form."""
    _graph(folder / GRAPH, manifest.sha256, manifest.graph)
    _reference(folder / REFERENCE, manifest)
    if manifest.head is not None and manifest.head_sha256 is not None:
        _graph(folder / HEAD, manifest.head_sha256, manifest.head)


def _graph(path: Path, sha256: str, signature: Signature) -> bytes:
    graph = verified(path, sha256, _MAX_GRAPH_BYTES)
    onnxfile.check(signature.model, graph)
    return graph


def verified(path: Path, expected: str, max_bytes: int) -> bytes:
    """The file's bytes, which have the expected SHA-256: what was checked is what gets loaded."""
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ModelInvalid(f"{path}: expected at most {max_bytes} bytes, got {size}")
        data = path.read_bytes()
    except OSError as error:
        raise ModelInvalid(f"{path}: cannot be read: {error.strerror}") from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise ModelInvalid(f"{path}: expected sha256 {expected}, got {actual}")
    return data


def check_parity(engine: Engine, manifest: Manifest, rows: Tiles | Descriptors, outputs: Scores) -> None:
    """The engine gives the reference outputs within the manifest's tolerance, compared as quantised.

    Of a score above 1 the tolerance is a share: an int8 backbone on another engine is off by a part of the distance.
    """
    scores = engine(rows)
    if scores.shape != outputs.shape:
        raise ModelInvalid(f"model {manifest.ref}: expected scores of shape {outputs.shape}, got {scores.shape}")
    wanted = quantise(outputs).astype(np.int64)
    units = (np.abs(quantise(scores) - wanted) / np.maximum(1, np.abs(wanted) * QUANTUM)).max()
    if units > round(manifest.tolerance / QUANTUM):
        what = "tiles" if rows.ndim > 2 else "descriptors"
        raise ModelNotReady(
            f"model {manifest.ref} on {engine.name}: parity self-test on {what} failed: expected the reference outputs "
            f"within {manifest.tolerance:g}, got a difference of {units * QUANTUM:g}"
        )


def _reference(path: Path, manifest: Manifest) -> _Reference:
    data = verified(path, manifest.reference_sha256, _MAX_REFERENCE_BYTES)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            for array in arrays.zip.infolist():
                _check_claim(array, arrays.zip)
            tiles, outputs = arrays["tiles"], arrays["outputs"]
            descriptors = arrays["descriptors"] if manifest.head else None
    except ModelInvalid as error:
        raise ModelInvalid(f"{path}: {error}") from error
    except _BROKEN as error:
        needed = "`tiles`, `outputs` and `descriptors`" if manifest.head else "`tiles` and `outputs`"
        raise ModelInvalid(f"{path}: expected arrays {needed}: {error}") from error
    spec, rows = manifest.input, manifest.reference_tiles
    _expect(path, "tiles", tiles, (rows, spec.channels, spec.size, spec.size), spec.dtype)
    _expect(path, "outputs", outputs, (rows, len(manifest.classes)) if manifest.classes else (rows,), "float32")
    if descriptors is not None and manifest.head:
        _expect(path, "descriptors", descriptors, (rows, *manifest.head.shape), "float32")
    return _Reference(tiles, outputs, descriptors)


def _check_claim(array: zipfile.ZipInfo, archive: zipfile.ZipFile) -> None:
    """A file of some bytes may unpack to anything, and an array's header claim any shape: both before it is read."""
    if array.file_size > _MAX_REFERENCE_BYTES:
        raise ModelInvalid(f"{array.filename!r}: expected at most {_MAX_REFERENCE_BYTES} bytes, got {array.file_size}")
    with archive.open(array) as file:
        read_header = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}.get(read_magic(file))
        if read_header is None:
            raise ModelInvalid(f"{array.filename!r}: expected an array of NumPy's format 1 or 2")
        shape, _, dtype = read_header(file)
    if math.prod(shape) * dtype.itemsize > array.file_size:
        got = shown(f"{shape} {dtype}", 80)
        raise ModelInvalid(f"{array.filename!r}: expected what its {array.file_size} bytes can hold, got {got}")


def _expect(path: Path, what: str, array: npt.NDArray[Any], shape: tuple[int, ...], dtype: str) -> None:
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise ModelInvalid(f"{path}: expected {what} {shape} {dtype}, got {array.shape} {array.dtype}")
