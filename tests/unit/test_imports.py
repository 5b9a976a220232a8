"""What each process brings into memory: none of those that serve knows torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "onnx"}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("stripwatch_ingest.__main__", {"onnxruntime"}),
        ("stripwatch_preprocess.__main__", {"onnxruntime", "mcap"}),
        ("stripwatch_classifier.__main__", {"cv2", "redis", "mcap", "openvino"}),
        ("stripwatch_anomaly.__main__", {"cv2", "redis", "mcap", "openvino"}),
        ("stripwatch_aggregator.__main__", {"cv2", "onnxruntime", "mcap"}),
        ("stripwatch.cli.main", set()),
    ],
)
def test_a_process_holds_only_what_it_uses_and_never_torch(module: str, unwanted: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY | unwanted!r} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
