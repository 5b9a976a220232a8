"""A name server on loopback: what a cluster's DNS says of a headless Service, now one address, then several."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

ADDRESS, INTERNET = 1, 1
"""The type and the class of an A record."""
NAME_AT_12 = b"\xc0\x0c"
ANSWERS, NO_SUCH_NAME = 0x8180, 0x8183


@dataclass
class NameServer:
    """`names` is what it answers from now on; nothing is to be kept by whoever asks."""

    port: int
    names: dict[str, Sequence[str]] = field(default_factory=dict)

    def target(self, name: str, port: int) -> str:
        """A gRPC target whose name is asked of this server."""
        return f"dns://127.0.0.1:{self.port}/{name}:{port}"

    def answer(self, question: bytes) -> bytes:
        """RFC 1035, section 4: a header, the question again, and the name's A records."""
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += 1 + length
        (kind,) = struct.unpack_from(">H", question, at + 1)
        found = self.names.get(".".join(labels))
        records = [socket.inet_aton(one) for one in found or () if kind == ADDRESS]
        code = NO_SUCH_NAME if found is None else ANSWERS
        head = question[:2] + struct.pack(">HHHHH", code, 1, len(records), 0, 0)
        tail = [NAME_AT_12 + struct.pack(">HHIH", ADDRESS, INTERNET, 0, len(one)) + one for one in records]
        return head + question[12 : at + 5] + b"".join(tail)


@contextmanager
def name_server(names: Mapping[str, Sequence[str]]) -> Iterator[NameServer]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        found = NameServer(int(sock.getsockname()[1]), dict(names))

        def serve() -> None:
            while True:
                question, sender = sock.recvfrom(2000)
                if sender == sock.getsockname():
                    return
                sock.sendto(found.answer(question), sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield found
        finally:
            sock.sendto(b"", sock.getsockname())
            thread.join()
