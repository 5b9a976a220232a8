"""Which engine runs the graphs: named by a setting, imported only if it is the one."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Literal

from stripwatch.errors import SettingsInvalid
from stripwatch.models.load import Build

EngineName = Literal["onnxruntime", "openvino"]

_CLASSES: dict[EngineName, tuple[str, str]] = {
    "onnxruntime": ("stripwatch.models.onnx", "OnnxEngine"),
    "openvino": ("stripwatch.models.openvino", "OpenVinoEngine"),
}
_EXTRAS: dict[EngineName, str] = {"onnxruntime": "classifier", "openvino": "openvino"}


def builder(name: EngineName, threads: int = 1) -> Build:
    """Makes engines of that name; SettingsInvalid if its library is not installed."""
    module, engine = _CLASSES[name]
    try:
        return partial(getattr(import_module(module), engine), threads=threads)
    except ImportError as error:
        raise SettingsInvalid(
            f"STRIPWATCH_ENGINE: {name} is not installed here: pip install 'stripwatch[{_EXTRAS[name]}]'"
        ) from error
