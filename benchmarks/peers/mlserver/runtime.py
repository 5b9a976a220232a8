"""MLServer: the Open Inference Protocol over gRPC; a request's tiles are one BYTES element each.

As UINT8 it would unpack every pixel into a Python integer.
"""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from peer_engine import Engine


class Classifier(MLModel):
    """MLServer puts the requests together before it calls, and takes the answer apart."""

    async def load(self) -> bool:
        self.engine = Engine()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        data = payload.inputs[0].data
        tiles = self.engine.tiles(b"".join(getattr(data, "root", data)))
        scores = NumpyCodec.encode_output("probabilities", np.asarray(self.engine(tiles)))
        return InferenceResponse(model_name=self.name, outputs=[scores])
