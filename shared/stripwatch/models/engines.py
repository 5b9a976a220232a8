"""Which engine runs the graphs: named by a setting or by what was measured, imported only if it is the one."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Literal

from stripwatch.errors import SettingsInvalid
from stripwatch.models.load import Build
from stripwatch.models.remote import Remote, RemoteEngines

EngineName = Literal["onnxruntime", "openvino", "cuda", "tensorrt"]
"""Engines in the process of a model service."""
AnyEngine = Literal[EngineName, "remote"]

_MODULES: dict[EngineName, str] = {
    "onnxruntime": "stripwatch.models.onnx",
    "openvino": "stripwatch.models.openvino",
    "cuda": "stripwatch.models.onnx",
    "tensorrt": "stripwatch.models.onnx",
}
_EXTRAS: dict[EngineName, str] = {"onnxruntime": "classifier", "openvino": "openvino"}
_NAMED_BY = "STRIPWATCH_ENGINE or STRIPWATCH_ENGINE_FILE"
_PROVIDERS: dict[EngineName, str] = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def builder(name: AnyEngine, threads: int = 1, remote: Remote | None = None) -> Build:
    """Makes engines of that name, with so many threads each or at that server; SettingsInvalid if they cannot run."""
    if name == "remote":
        if remote is None:
            raise SettingsInvalid("STRIPWATCH_REMOTE_ADDRESS: expected the address of a server for the remote engine")
        return RemoteEngines(remote)
    try:
        module = import_module(_MODULES[name])
    except ImportError as error:
        extra = _EXTRAS.get(name, "classifier")
        raise SettingsInvalid(
            f"{_NAMED_BY}: {name} is not installed here: pip install 'stripwatch[{extra}]'"
        ) from error
    if name not in _PROVIDERS:
        return partial(module.engines, threads=threads)
    provider, there = _PROVIDERS[name], module.providers()
    if provider not in there:
        raise SettingsInvalid(
            f"{_NAMED_BY}: {name} needs ONNX Runtime's {provider}, got {', '.join(there)}: "
            "pip install onnxruntime-gpu in place of onnxruntime"
        )
    return partial(module.engines, threads=threads, provider=provider)
