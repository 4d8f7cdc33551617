"""Programs that took a room's port while the room was down: they keep every byte that they are sent."""

import json
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from teamroom.server.handshake import HANDSHAKE_PATH, read_challenge
from teamroom.server.identity import token_hash
from tests.support.bounds import BOUND_SECONDS

Answers = Callable[[bytes], bytes | None]
"""What a program answers to a request; None closes the connection."""

RECEIVE_BYTES = 65_536
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Taken:
    """A port that such a program has: what came on each connection."""

    port: int
    received: list[bytearray] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def challenges(self) -> int:
        """How many handshakes were asked for."""
        return sum(bytes(data).count(f"GET {HANDSHAKE_PATH}?".encode()) for data in self.received)

    def has_got(self, token: str) -> bool:
        """Whether anything came from which the token, or its hash, can be read."""
        everything = b"".join(map(bytes, self.received))
        return any(part.encode() in everything for part in (token.removeprefix("tr_")[:16], token_hash(token)))


def http(body: str, status: str = "200 OK", more: str = "") -> bytes:
    """An answer of JSON."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return (head + body).encode()


RESULT = http('{"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"ok": true}, "contents": []}}')


def like_a_room(request: bytes) -> bytes:
    """Answer as a room does, as well as one can without knowing a token."""
    return http(json.dumps({"proof": "0" * 64})) if is_challenge(request) else RESULT


def is_challenge(request: bytes) -> bool:
    return request.startswith(f"GET {HANDSHAKE_PATH}?".encode())


def proof_for(token: str, request: bytes) -> bytes:
    """Answer a challenge as a server that knows the token."""
    found = read_challenge(request.split(b" ", 2)[1].partition(b"?")[2].decode())
    assert found is not None
    return http(json.dumps({"proof": found.proof(token_hash(token))}))


@contextmanager
def taking(port: int = 0, answers: Answers = like_a_room) -> Iterator[Taken]:
    """A program that answers requests on a port until the block ends."""

    def serve(wire: socket.socket, got: bytearray) -> None:
        while (request := _request(wire, got)) and (answer := answers(request)) is not None:
            wire.sendall(answer)

    with _listening(port, serve) as taken:
        yield taken


@contextmanager
def relaying(to: tuple[str, int], change: Callable[[bytes], bytes], at: tuple[str, int]) -> Iterator[Taken]:
    """A program that passes what it gets on to another address, changed, and everything back."""

    def serve(wire: socket.socket, got: bytearray) -> None:
        with socket.create_connection(to, timeout=BOUND_SECONDS) as room:
            back = threading.Thread(target=_pass_on, args=(room, wire), daemon=True)
            back.start()
            while data := wire.recv(RECEIVE_BYTES):
                got += data
                room.sendall(change(data))
            room.shutdown(socket.SHUT_WR)
            back.join(BOUND_SECONDS)

    with _listening(at[1], serve, at[0]) as taken:
        yield taken


@contextmanager
def _listening(
    port: int, serve: Callable[[socket.socket, bytearray], None], host: str = "127.0.0.1"
) -> Iterator[Taken]:
    taken = Taken(port)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            got = bytearray()
            taken.received.append(got)
            self.request.settimeout(BOUND_SECONDS)
            with suppress(OSError):
                serve(self.request, got)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, port), Handler) as server:
        address: Any = server.server_address
        taken.port = int(address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield taken
        finally:
            server.shutdown()


def _request(wire: socket.socket, got: bytearray) -> bytes:
    """The next request; nothing once the client is gone."""
    request = b""
    while b"\r\n\r\n" not in request or len(request.partition(b"\r\n\r\n")[2]) < _length(request):
        data = wire.recv(RECEIVE_BYTES)
        if not data:
            return b""
        got += data
        request += data
    return request


def _length(request: bytes) -> int:
    found = LENGTH.search(request)
    return 0 if found is None else int(found[1])


def _pass_on(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(RECEIVE_BYTES):
            to.sendall(data)
