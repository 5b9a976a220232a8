"""Does a graph say what torch says, and an engine what another says? Over all images, batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from stripwatch.pixels import Image
from stripwatch_train.graph import Scores

_INSIDE = "net."
"""In front of a classifier's names where more than its probabilities is served."""


@torch.inference_mode()
def through(net: nn.Module, tiles: Image, batch: int = 60) -> Scores:
    """What torch gives of (N, 1, S, S) uint8 tiles."""
    parts = [net(torch.from_numpy(tiles[at : at + batch])) for at in range(0, len(tiles), batch)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def filled(net: nn.Module, graph: onnx.ModelProto) -> nn.Module | None:
    """`net` with the weights that an fp32 graph holds by the same names; None if the graph is of another network."""
    held = {tensor.name.removeprefix(_INSIDE): onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    state = {key: value for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    if any(key not in held or held[key].shape != tuple(value.shape) for key, value in state.items()):
        return None
    net.load_state_dict({key: torch.from_numpy(held[key].copy()) for key in state}, strict=False)
    return net.eval()


def answers(scores: Scores) -> Scores:
    """What they mean: (N,) classes of probabilities, (N,) whether anomaly scores reach 1.0."""
    return np.asarray(scores.argmax(1) if scores.ndim > 1 else scores >= 1)


def difference(given: Scores, wanted: Scores) -> dict[str, Any]:
    """How far two routes are apart on the same images; scores above 1.0 by their share, as the self-test does."""
    apart = np.abs(given - wanted) / np.maximum(1, np.abs(wanted))
    apart = apart.max(1) if apart.ndim > 1 else apart  # (N,)
    return {
        "images": len(apart),
        "different_answer": int((answers(given) != answers(wanted)).sum()),
        "largest": _short(float(apart.max())),
        "on_99_of_100": _short(float(np.quantile(apart, 0.99))),
    }


def _short(value: float) -> float:
    return float(f"{value:.3g}")
