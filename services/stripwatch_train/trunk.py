"""What two models share: the part of a classifier's graph that ends at the descriptor, and a head put behind it."""

from __future__ import annotations

import hashlib

import onnx
import onnx.compose
import onnx.utils

from stripwatch.errors import ModelInvalid
from stripwatch.models.manifest import DESCRIPTOR, INPUT

_HEAD = "head/"
"""In front of the head's names, so that they meet none of the trunk's."""


def trunk_of(classifier: onnx.ModelProto) -> onnx.ModelProto:
    """Tiles to descriptors, cut out of the graph that is served: in int8 if that is. ModelInvalid if it gives none."""
    given = [output.name for output in classifier.graph.output]
    if DESCRIPTOR not in given:
        raise ModelInvalid(f"classifier: expected an output {DESCRIPTOR!r} to cut its graph at, got {given}")
    trunk = onnx.utils.Extractor(classifier).extract_model([INPUT], [DESCRIPTOR])
    trunk.graph.name = "trunk"
    return trunk


def backbone_sha256(trunk: onnx.ModelProto) -> str:
    """SHA-256 of the trunk's bytes, in hex: the same if and only if two models describe a tile by the same graph."""
    return hashlib.sha256(trunk.SerializeToString(deterministic=True)).hexdigest()


def joined(trunk: onnx.ModelProto, head: onnx.ModelProto) -> onnx.ModelProto:
    """Tiles to scores: the head, descriptors to scores, behind the trunk."""
    named = onnx.compose.add_prefix(head, _HEAD, rename_inputs=False, rename_outputs=False)
    named.ir_version = trunk.ir_version
    model = onnx.compose.merge_models(trunk, named, io_map=[(DESCRIPTOR, DESCRIPTOR)], name="scorer")
    onnx.checker.check_model(model)
    return model
