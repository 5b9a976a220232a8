"""An MES at the port that the compose file publishes: watches, keeps its cursor, comes back (docs/mes.md)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from containers.strips import LINE
from stripwatch.rpc.v1 import verdict_pb2 as pb
from stripwatch.rpc.v1 import verdict_pb2_grpc

ADDRESS = "127.0.0.1:50051"
AGAIN_S = 0.5


class Mes:
    """What it was given, by (strip, run), in order; and how often it had to come back."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []
        self.returns = 0
        self.fault = ""
        self._cursor = ""
        self._stopped = threading.Event()

    def follow(self) -> None:
        """Until stopped. Any other end of a watch than UNAVAILABLE is a fault."""
        while not self._stopped.is_set():
            with grpc.insecure_channel(ADDRESS) as channel:
                try:
                    self._watch(verdict_pb2_grpc.VerdictsStub(channel))
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        self.fault = f"{error.code().name}: {error.details()}"
                        return
            self.returns += 1
            time.sleep(AGAIN_S)

    def _watch(self, verdicts: verdict_pb2_grpc.VerdictsStub) -> None:
        for answer in verdicts.Watch(pb.WatchRequest(line=LINE, cursor=self._cursor, heartbeat_seconds=1)):
            if answer.HasField("verdict"):
                data = json.loads(answer.event)["data"]
                self.given.append((data["partId"], data["jobId"]))
                self._cursor = answer.cursor
            if self._stopped.is_set():
                return

    def stop(self) -> None:
        self._stopped.set()


@contextmanager
def watching() -> Iterator[Mes]:
    mes = Mes()
    thread = threading.Thread(target=mes.follow, daemon=True)
    thread.start()
    try:
        yield mes
    finally:
        mes.stop()
        thread.join(30.0)
    assert not mes.fault, mes.fault
