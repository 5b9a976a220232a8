"""BentoML: raw bytes over HTTP, by an ASGI route of the service; its own endpoint, which batches, takes arrays as JSON.

A second service in front, that would take raw bytes and hand arrays on as pickles, lost requests under load here.
"""

import asyncio

import bentoml
import numpy as np
from peer_engine import BATCH, WORKERS, Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MOST_MS = 1_000


async def raw(request: Request) -> Response:
    """Probabilities of the tiles in the body: a request is a batch."""
    scores = await bentoml.get_current_service().scores(await request.body())
    return Response(scores.tobytes(), media_type="application/octet-stream")


@bentoml.service(
    workers=WORKERS,
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(Starlette(routes=[Route("/raw", raw, methods=["POST"])]))
class Classifier:
    """One engine a worker, one batch at a time."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.turn = asyncio.Lock()

    async def scores(self, data: bytes) -> np.ndarray:
        async with self.turn:
            return await asyncio.to_thread(self.engine, self.engine.tiles(data))

    @bentoml.api(batchable=True, max_batch_size=max(2, BATCH), max_latency_ms=MOST_MS)
    def classify(self, tiles: np.ndarray) -> np.ndarray:
        return self.engine(tiles.astype(np.uint8))
