"""mosec: raw bytes over HTTP; its Rust front hands requests to worker processes over unix sockets."""

from mosec import Server, Worker
from peer_engine import BATCH, WAIT_MS, WORKERS, Engine


class Classifier(Worker):
    """Takes a list of requests where it may batch them, one request where it may not."""

    resp_mime_type = "application/octet-stream"

    def __init__(self):
        super().__init__()
        self.engine = Engine()

    def deserialize(self, data):
        return self.engine.tiles(data)

    def forward(self, data):
        return self.engine.each(data) if isinstance(data, list) else self.engine(data)

    def serialize(self, data):
        return data.tobytes()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Classifier, num=WORKERS, max_batch_size=BATCH, max_wait_time=WAIT_MS if BATCH > 1 else 0)
    server.run()
