"""Ray Serve: raw bytes over HTTP; its proxy hands requests to replicas, which batch them."""

import asyncio
import signal
import threading

import ray
from peer_engine import BATCH, PORT, WAIT_MS, WORKERS, Engine
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

MOST_ONGOING = 64


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=MOST_ONGOING, ray_actor_options={"num_cpus": 1})
class Classifier:
    """A replica: one engine, one batch at a time."""

    def __init__(self) -> None:
        self.engine = Engine()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT_MS / 1000 if BATCH > 1 else 0.0)
    async def scores(self, requests):
        return await asyncio.to_thread(self.engine.each, requests)

    async def __call__(self, request: Request) -> Response:
        scores = await self.scores(self.engine.tiles(await request.body()))
        return Response(scores.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Classifier.bind(), route_prefix="/")
    stopped.wait()
    serve.shutdown()
    ray.shutdown()
