"""The fault proxy does to connections what it says: seen from plain sockets on both sides."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.proxy import FaultProxy, Faults
from stripwatch.errors import StreamUnavailable
from stripwatch.local import EmbeddedRedis
from stripwatch.stream import connect


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says everything back; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    with FaultProxy(echo) as found:
        yield found


def dial(proxy: FaultProxy, timeout_s: float = 10.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout_s)


def said_back(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    got = b""
    while len(got) < len(data):
        part = connection.recv(65536)
        if not part:
            break
        got += part
    return got


def test_without_faults_everything_passes(proxy: FaultProxy) -> None:
    data = bytes(range(256)) * 1000
    with dial(proxy) as connection:
        assert said_back(connection, data) == data


@pytest.mark.parametrize(
    "faults", [Faults(latency_s=0.02, jitter_s=0.02), Faults(bytes_per_s=5000)], ids=["latency", "trickle"]
)
def test_a_slow_connection_loses_nothing(proxy: FaultProxy, faults: Faults) -> None:
    proxy.set(faults)
    with dial(proxy) as connection:
        assert said_back(connection, b"x" * 700) == b"x" * 700


def test_a_cut_connection_is_reset_and_the_next_one_works(proxy: FaultProxy) -> None:
    with dial(proxy) as connection:
        assert said_back(connection, b"a") == b"a"
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with dial(proxy) as connection:
        assert said_back(connection, b"b") == b"b"


def test_a_half_open_connection_takes_bytes_and_never_answers_again(proxy: FaultProxy) -> None:
    with dial(proxy, 0.3) as connection:
        assert said_back(connection, b"a") == b"a"
        proxy.set(Faults(half_open=True))
        connection.sendall(b"b")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        proxy.heal()
        connection.sendall(b"c")
        with pytest.raises(TimeoutError):
            connection.recv(1)
    with dial(proxy) as connection:
        assert said_back(connection, b"d") == b"d"


def test_a_corrupt_answer_has_its_length_and_nothing_else(proxy: FaultProxy) -> None:
    with dial(proxy) as connection:
        proxy.set(Faults(corrupt=True))
        assert said_back(connection, b"+OK\r\n") == b"\xff" * 5
        proxy.heal()
        assert said_back(connection, b"+OK\r\n") == b"\xff" * 5
    with dial(proxy) as connection:
        assert said_back(connection, b"+OK\r\n") == b"+OK\r\n"


def test_a_refused_connect_fails_until_it_is_healed(proxy: FaultProxy) -> None:
    proxy.set(Faults(refuse=True))
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    proxy.heal()
    with dial(proxy) as connection:
        assert said_back(connection, b"a") == b"a"


def test_a_close_is_heard_in_the_end_also_by_a_slow_one(proxy: FaultProxy) -> None:
    proxy.set(Faults(slow_close_s=0.2))
    with dial(proxy) as connection:
        assert said_back(connection, b"a") == b"a"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_a_server_that_is_away_resets_whoever_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobody = probe.getsockname()[1]
    with FaultProxy(nobody) as proxy, pytest.raises(ConnectionResetError), dial(proxy) as connection:
        connection.recv(1)


def test_a_redis_whose_answers_are_garbage_is_away_until_they_are_not(tmp_path: Path) -> None:
    """Found by chaos seed 2: an answer that is no answer of Redis ended every process that got one."""
    with EmbeddedRedis(tmp_path) as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        with FaultProxy(port) as proxy:
            stream = connect(f"redis://127.0.0.1:{proxy.port}", timeout_s=5.0)
            stream.ping()
            proxy.set(Faults(corrupt=True))
            with pytest.raises(StreamUnavailable, match="does not speak its protocol"):
                stream.ping()
            proxy.heal()
            stream.ping()
            stream.close()
