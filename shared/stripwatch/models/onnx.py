"""ONNX Runtime behind `ports.Engine`; its exceptions end here."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from stripwatch.errors import ModelInvalid, ModelNotReady, SettingsInvalid
from stripwatch.models.graph import Port, Signature, check
from stripwatch.ports import Descriptors, Outputs, Scores, Tiles

# From 1.29 on it tells its maker of every session and keeps an identity in the home folder, unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

_TYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
_ERRORS_ONLY = 3
_CPU = "CPUExecutionProvider"
_BEHIND = {"TensorrtExecutionProvider": ["CUDAExecutionProvider"]}
"""What takes the nodes that a provider does not, before the CPU does."""
_TAGS = {_CPU: "", "CUDAExecutionProvider": " cuda", "TensorrtExecutionProvider": " tensorrt"}


def providers() -> list[str]:
    """The execution providers of the ONNX Runtime that is installed here."""
    return list(ort.get_available_providers())


def engines(
    graph: bytes, signature: Signature, count: int = 1, *, threads: int = 1, provider: str = _CPU
) -> tuple[OnnxEngine, ...]:
    """`count` engines of a graph, each for one thread at a time.

    Without threads of its own a session serves any number of callers at once, so they share one and its weights.
    """
    if threads == 1:
        return (OnnxEngine(graph, signature, threads, provider),) * count
    return tuple(OnnxEngine(graph, signature, threads, provider) for _ in range(count))


class OnnxEngine:
    """One session.

    Its threads do not spin while they wait: spinning threads of one engine take the cores of the others. It calculates
    in the graph's own precision, whichever the manifest would rather have.
    """

    def __init__(self, graph: bytes, signature: Signature, threads: int = 1, provider: str = _CPU) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = _ERRORS_ONLY
        model = signature.model
        try:
            behind = _BEHIND.get(provider, [])
            self._session = ort.InferenceSession(graph, options, providers=[provider, *behind])
        except Exception as error:  # ONNX Runtime's own classes share no base but this
            raise ModelInvalid(f"model {model}: ONNX Runtime does not take its graph: {_line(error)}") from error
        first = self._session.get_providers()[0]
        if first != provider:  # it only warns, and takes the next one
            raise SettingsInvalid(
                f"STRIPWATCH_ENGINE or STRIPWATCH_ENGINE_FILE: expected ONNX Runtime to run {model} on {provider}, "
                f"got {first}: are the GPU, its driver and its libraries there?"
            )
        self.name = f"onnxruntime/{ort.__version__}{_TAGS[provider]}"
        self._signature = signature
        check(signature, _ports(self._session.get_inputs()), _ports(self._session.get_outputs()))

    def __call__(self, rows: Tiles | Descriptors) -> Scores:
        return self.run(rows)[0]

    def run(self, rows: Tiles | Descriptors, extras: tuple[str, ...] = ()) -> Outputs:
        """(N, ...) rows to (N, ...) float32: the scores, then each extra; what nobody asks for is not computed."""
        try:
            found = self._session.run([self._signature.scores, *extras], {self._signature.input: rows})
        except Exception as error:  # as above
            raise ModelNotReady(f"model {self._signature.model}: its engine failed: {_line(error)}") from error
        return tuple(np.asarray(output, dtype=np.float32) for output in found)

    def ready(self) -> None:
        """It runs in this process: nobody to ask."""


def _ports(nodes: list[Any]) -> dict[str, Port]:
    """A free dimension is a name in ONNX Runtime, or None."""
    return {
        node.name: Port(
            _TYPES.get(node.type, node.type), [size if isinstance(size, int) else None for size in node.shape]
        )
        for node in nodes
    }


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
