"""OpenVINO behind `ports.Engine`; its exceptions end here."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

import numpy as np

from stripwatch.errors import ModelInvalid, ModelNotReady
from stripwatch.models.fixed import FixedSizes
from stripwatch.models.graph import Port, Signature, check
from stripwatch.ports import Descriptors, Outputs, Scores, Tiles

# With this package OpenVINO tells its maker of every import and keeps an identity in the home folder.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # the way to say that there is none

import openvino as ov  # noqa: E402 - after the line above

# Fills its table of types while one thread alone is here. It would do so at the first run, under a lock of its own, and
# let go of Python's meanwhile: two threads that came at once waited for each other for good.
ov.Type.u8.to_dtype()

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
_TYPES = {"u8": "uint8", "f32": "float32"}


def engines(graph: bytes, signature: Signature, count: int = 1, *, threads: int = 1) -> tuple[OpenVinoEngine, ...]:
    """`count` engines of a graph, each for one thread at a time: streams of one compiled graph, with its weights once.

    Its threads are not pinned: pinned ones of two processes land on the same core. It calculates in float32 where the
    CPU would rather take bfloat16, so that scores agree with those of other engines, unless the manifest says so.
    """
    options = {
        "NUM_STREAMS": count,
        "INFERENCE_NUM_THREADS": count * threads,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": _PRECISIONS[signature.precision],
    }
    try:
        core = ov.Core()
        compiled = core.compile_model(core.read_model(model=graph), "CPU", options)
        taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except Exception as error:  # each C++ exception comes as another class of Python's own
        raise ModelInvalid(f"model {signature.model}: OpenVINO does not take its graph: {_line(error)}") from error
    inputs = {_called(node, signature.input): _port(node) for node in compiled.inputs}
    check(signature, inputs, {name: _port(node) for node in compiled.outputs for name in node.get_names()})
    name = f"openvino/{version('openvino')}{'' if taken == 'f32' else f' {taken}'}"

    def fixed(rows: int) -> list[Any]:
        model = core.read_model(model=graph)
        model.reshape({model.inputs[0]: ov.PartialShape([rows, *signature.shape])})
        return _requests(core.compile_model(model, "CPU", options), count)

    sizes = FixedSizes(signature.model, fixed)
    return tuple(
        OpenVinoEngine(request, signature, name, number, sizes)
        for number, request in enumerate(_requests(compiled, count))
    )


def _requests(compiled: Any, count: int) -> list[Any]:
    return [compiled.create_infer_request() for _ in range(count)]


class OpenVinoEngine:
    """One request to a compiled graph, `number` among its engines; its name says the precision unless it is float32."""

    def __init__(self, request: Any, signature: Signature, name: str, number: int, sizes: FixedSizes[Any]) -> None:
        self._request, self._signature = request, signature
        self._number, self._sizes = number, sizes
        self.name = name

    def __call__(self, rows: Tiles | Descriptors) -> Scores:
        return self.run(rows)[0]

    def run(self, rows: Tiles | Descriptors, extras: tuple[str, ...] = ()) -> Outputs:
        """(N, ...) rows to (N, ...) float32: the scores, then each extra."""
        wanted = self._signature
        if rows.shape[1:] != wanted.shape or rows.dtype != wanted.dtype:  # OpenVINO would run them all the same
            raise ModelNotReady(
                f"model {wanted.model}: its engine failed: expected rows {wanted.shape} {wanted.dtype}, "
                f"got {rows.shape[1:]} {rows.dtype}"
            )
        try:
            request = self._sizes.of(len(rows), self._number) or self._request
            found = request.infer([rows], share_inputs=True, share_outputs=True)
            # Copies: what is shared is overwritten by the next run.
            return tuple(np.array(found[name], dtype=np.float32) for name in (wanted.scores, *extras))
        except Exception as error:  # as above
            raise ModelNotReady(f"model {wanted.model}: its engine failed: {_line(error)}") from error

    def ready(self) -> None:
        """It runs in this process: nobody to ask."""


def _called(node: Any, wanted: str) -> str:
    """A node may have several names: an int8 model's input also has that of a rounding that changes nothing."""
    names = sorted(node.get_names())
    return wanted if wanted in names else names[0]


def _port(node: Any) -> Port:
    kind = node.get_element_type().get_type_name()
    shape = [None if size.is_dynamic else size.get_length() for size in node.get_partial_shape()]
    return Port(_TYPES.get(kind, kind), shape)


def _line(error: Exception) -> str:
    """Without the places in OpenVINO's own sources."""
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if line and not line.startswith("Exception from"))[:300]
