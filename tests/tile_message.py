"""Tiles as a message, the plain way: what the hand-written request must mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stripwatch.rpc.v1 import model_pb2 as pb


def tiles_to(tiles: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> pb.Tiles:
    count, channels, size, _ = tiles.shape
    dtype = pb.DTYPE_UINT8 if tiles.dtype == np.uint8 else pb.DTYPE_FLOAT32
    return pb.Tiles(count=count, channels=channels, size=size, dtype=dtype, data=tiles.tobytes())
