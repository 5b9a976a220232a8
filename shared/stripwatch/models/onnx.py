"""ONNX Runtime behind `ports.Engine`; its exceptions end here."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort

from stripwatch.errors import ModelInvalid, ModelNotReady
from stripwatch.models.manifest import INPUT, Manifest
from stripwatch.ports import Scores, Tiles

_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
_ERRORS_ONLY = 3


class OnnxEngine:
    """One session on the CPU, for one thread at a time.

    Its threads do not spin while they wait: spinning threads of one engine take the cores of the others.
    """

    def __init__(self, graph: bytes, manifest: Manifest, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes share no base but this
            raise ModelInvalid(f"model {manifest.ref}: ONNX Runtime does not take its graph: {_line(error)}") from error
        self._model = str(manifest.ref)
        self._outputs = [manifest.output]
        _check(manifest, self._session)

    @property
    def name(self) -> str:
        return f"onnxruntime/{ort.__version__}"

    def __call__(self, tiles: Tiles) -> Scores:
        """(N, channels, size, size) tiles to (N, classes) or (N,) float32 scores."""
        try:
            (scores,) = self._session.run(self._outputs, {INPUT: tiles})
        except Exception as error:  # as above
            raise ModelNotReady(f"model {self._model}: its engine failed: {_line(error)}") from error
        return np.asarray(scores, dtype=np.float32)


def _check(manifest: Manifest, session: Any) -> None:
    """The graph takes and gives what the manifest says; a free dimension (a name) fits any size."""
    spec = manifest.input
    inputs, outputs = session.get_inputs(), {output.name: output for output in session.get_outputs()}
    if [node.name for node in inputs] != [INPUT]:
        raise ModelInvalid(f"model {manifest.ref}: expected one input {INPUT!r}, got {[node.name for node in inputs]}")
    if inputs[0].type != _TYPES[spec.dtype]:
        raise ModelInvalid(f"model {manifest.ref}: expected input {_TYPES[spec.dtype]}, got {inputs[0].type}")
    _fits(manifest, "input", inputs[0].shape, [None, spec.channels, spec.size, spec.size])
    if manifest.output not in outputs:
        raise ModelInvalid(f"model {manifest.ref}: expected an output {manifest.output!r}, got {sorted(outputs)}")
    rows: list[int | None] = [None, len(manifest.classes)] if manifest.classes else [None]
    _fits(manifest, "output", outputs[manifest.output].shape, rows)


def _fits(manifest: Manifest, what: str, shape: list[Any], expected: list[int | None]) -> None:
    batch_is_free = bool(shape) and not isinstance(shape[0], int)
    same = len(shape) == len(expected) and all(
        want is None or not isinstance(size, int) or size == want for size, want in zip(shape, expected, strict=True)
    )
    if not (batch_is_free and same):
        want = ["N" if size is None else size for size in expected]
        raise ModelInvalid(f"model {manifest.ref}: expected {what} shape {want} with a free N, got {shape}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
