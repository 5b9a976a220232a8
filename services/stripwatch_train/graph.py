"""A network as an ONNX graph, and a graph as a function: run by the engine that serves it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto
from torch import Tensor, nn

from stripwatch.errors import ModelInvalid
from stripwatch.models.engines import EngineName, builder
from stripwatch.models.graph import Signature
from stripwatch.models.manifest import INPUT

OPSET = 18
_DTYPES: dict[int, str] = {TensorProto.UINT8: "uint8", TensorProto.FLOAT: "float32"}

Rows = npt.NDArray[Any]
"""(N, 1, S, S) uint8 tiles, or (N, width) float32 descriptors."""
Scores = npt.NDArray[np.float32]


def tile_graph(net: nn.Module, size: int, outputs: tuple[str, ...]) -> onnx.ModelProto:
    """The graph of a network that takes (N, 1, size, size) uint8 tiles."""
    return exported(net, torch.zeros(2, 1, size, size, dtype=torch.uint8), INPUT, outputs)


def exported(net: nn.Module, example: Tensor, given: str, outputs: tuple[str, ...]) -> onnx.ModelProto:
    """The network's graph, with a free batch size and the weights inside, by the names of its input and outputs."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        net.eval(),
        (example,),
        input_names=[given],
        output_names=list(outputs),
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
    return graph


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


def signature(model: onnx.ModelProto) -> Signature:
    """What the graph takes and gives, as it says itself; its first output are the scores."""
    taken = model.graph.input[0]
    outputs = {output.name: _row(output) for output in model.graph.output}
    return Signature(model.graph.name, taken.name, _DTYPES[taken.type.tensor_type.elem_type], _row(taken), outputs)


def _row(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(size.dim_value for size in value.type.tensor_type.shape.dim[1:])


def scorer(
    model: onnx.ModelProto, threads: int = 2, output: str | None = None, engine: EngineName = "onnxruntime"
) -> Callable[[Rows], Scores]:
    """A function that gives the scores of rows, or another `output`; ModelInvalid if the graph has none such."""
    told = signature(model)
    wanted = output or told.scores
    if wanted not in told.outputs:
        raise ModelInvalid(f"graph: expected an output {wanted!r}, got {sorted(told.outputs)}")
    only = Signature(told.model, told.input, told.dtype, told.shape, {wanted: told.outputs[wanted]})
    (run,) = builder(engine, threads)(model.SerializeToString(), only, 1)

    def scores(rows: Rows, batch: int = 32) -> Scores:
        return np.concatenate([run(rows[at : at + batch]) for at in range(0, len(rows), batch)])

    return scores
