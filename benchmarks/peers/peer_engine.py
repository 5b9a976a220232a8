"""The engine that every peer runs: ONNX Runtime on the CPU, set as `stripwatch.models.onnx` sets its own.

Told by the environment: PEER_MODEL (the file), PEER_WORKERS, PEER_BATCH (most requests in one run of an engine),
PEER_WAIT_MS (how long a run may wait for company), PEER_PORT.
"""

import os
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

WORKERS = int(os.environ["PEER_WORKERS"])
BATCH = int(os.environ["PEER_BATCH"])
WAIT_MS = int(os.environ["PEER_WAIT_MS"])
PORT = int(os.environ["PEER_PORT"])

_ERRORS_ONLY = 3


class Engine:
    """One session of one thread that does not spin: tiles in, probabilities out."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = _ERRORS_ONLY
        self._session = ort.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]

    def tiles(self, data: bytes) -> np.ndarray:
        """(N, channels, size, size) uint8 over the bytes of a request."""
        return np.frombuffer(data, np.uint8).reshape(-1, *self._input.shape[1:])

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        """(N, classes) float32."""
        return self._session.run(["probabilities"], {self._input.name: tiles})[0]

    def each(self, requests: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The scores of each request, all of them in one run."""
        if len(requests) == 1:
            return [self(requests[0])]
        ends = np.cumsum([len(tiles) for tiles in requests])[:-1]
        return np.split(self(np.concatenate(requests)), ends)
