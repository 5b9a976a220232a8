"""LitServe: raw bytes over HTTP; API processes hand requests to worker processes over ZeroMQ (its fast queue)."""

from typing import Annotated

import litserve as ls
from fastapi import Body, Response
from peer_engine import BATCH, PORT, WAIT_MS, WORKERS, Engine


class Classifier(ls.LitAPI):
    """Takes a list of requests where it may batch them, one request where it may not."""

    def setup(self, device):  # noqa: ARG002 - LitServe's signature
        self.engine = Engine()

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]):
        return self.engine.tiles(request)

    def batch(self, inputs):
        return inputs

    def predict(self, x):
        return self.engine.each(x) if isinstance(x, list) else self.engine(x)

    def unbatch(self, output):
        return output

    def encode_response(self, output) -> Response:
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    api = Classifier(max_batch_size=BATCH, batch_timeout=WAIT_MS / 1000 if BATCH > 1 else 0.0)
    server = ls.LitServer(api, accelerator="cpu", devices=1, workers_per_device=WORKERS, fast_queue=True, timeout=60)
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False, log_level="warning")
