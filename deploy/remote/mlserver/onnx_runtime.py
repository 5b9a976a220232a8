"""An MLServer runtime for the models of stripwatch: ONNX Runtime, tensors as the protocol has them.

`parameters.uri` of a model's model-settings.json names its model.onnx, or head.onnx.
"""

import os
from typing import Any

# It tells its maker of every session and keeps an identity in the home folder, unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

_THREADS = int(os.environ.get("ONNX_THREADS", "1"))
_ERRORS_ONLY = 3


class OnnxModel(MLModel):  # type: ignore[misc]  # MLServer has no place in our own environment
    """One session; whoever asks says which outputs it wants."""

    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = _THREADS
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = _ERRORS_ONLY
        uri = self.settings.parameters.uri
        self._session = ort.InferenceSession(uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = {given.name: NumpyCodec.decode_input(given) for given in payload.inputs}
        wanted = [output.name for output in payload.outputs or []] or [out.name for out in self._session.get_outputs()]
        found: list[Any] = self._session.run(wanted, rows)
        outputs = [NumpyCodec.encode_output(name, values) for name, values in zip(wanted, found, strict=True)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
