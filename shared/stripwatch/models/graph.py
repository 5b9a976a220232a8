"""What a graph takes and gives, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stripwatch.errors import ModelInvalid

Shape = tuple[int, ...]
"""Of one row: without N."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One input, and outputs by name of which the first are the scores; `model` begins with NAME/VERSION.

    `precision` is what an engine that can choose calculates in: float32 or bfloat16. `head` says that it is the model's
    second graph, from descriptors to scores.
    """

    model: str
    input: str
    dtype: str
    shape: Shape
    outputs: Mapping[str, Shape]
    precision: str = "float32"
    head: bool = False

    @property
    def scores(self) -> str:
        return next(iter(self.outputs))


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output as an engine found it in a graph: NumPy's name of its type, None for a free dimension."""

    dtype: str
    shape: Sequence[int | None]


def check(signature: Signature, inputs: Mapping[str, Port], outputs: Mapping[str, Port]) -> None:
    """ModelInvalid unless the graph takes and gives what it should; a free dimension fits any size."""
    model = signature.model
    if list(inputs) != [signature.input]:
        raise ModelInvalid(f"model {model}: expected one input {signature.input!r}, got {list(inputs)}")
    found = inputs[signature.input]
    if found.dtype != signature.dtype:
        raise ModelInvalid(f"model {model}: expected input {signature.dtype}, got {found.dtype}")
    _fits(model, "input", found, signature.shape)
    for name, shape in signature.outputs.items():
        if name not in outputs:
            raise ModelInvalid(f"model {model}: expected an output {name!r}, got {sorted(outputs)}")
        _fits(model, f"{name} output", outputs[name], shape)


def _fits(model: str, what: str, port: Port, expected: Shape) -> None:
    batch_is_free = bool(port.shape) and port.shape[0] is None
    rows = tuple(port.shape[1:])
    same = len(rows) == len(expected) and all(size in (None, want) for size, want in zip(rows, expected, strict=True))
    if not (batch_is_free and same):
        raise ModelInvalid(
            f"model {model}: expected {what} shape ({', '.join(map(str, ('N', *expected)))}) with a free N, "
            f"got ({', '.join('free' if size is None else str(size) for size in port.shape)})"
        )
