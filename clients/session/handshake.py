"""The handshake before a token is sent in plain HTTP: the server must prove that it knows the token's hash.

Another program may have taken the room's port while the room was down. It gets a challenge, and never the token.
This file only reads and writes bytes; `connection` and `streams` carry them over their sockets.
"""

import hmac
import json
import re
import time
from urllib.parse import urlsplit

from teamroom.clients.session.failure import Failure, UnprovenError, UnreachableError
from teamroom.clients.session.protocol import ENDPOINT
from teamroom.server.handshake import HANDSHAKE_PATH, new_challenge, written_address
from teamroom.server.identity import token_hash

HANDSHAKE_SECONDS = 5.0
"""How long the whole handshake may take."""

ANSWER_BYTES = 8192
"""The longest answer that is read."""

HTTP_PORT = 80
OK, MISDIRECTED, BUSY = 200, 421, (429, 503)

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,4})(?:\r\n|$)", re.IGNORECASE)


class Handshake:
    """One handshake on a new connection: send `request`, then give what arrives to `receive`. Both raise Failure.

    `url` is the room's endpoint. `host` and `port` are as the client named them, and `peer` is what it is connected to.
    """

    def __init__(self, url: str, token: str, host: str, port: int, peer: tuple[str, int]) -> None:
        self._url, self._hash = url, token_hash(token)
        self._address = written_address(*peer[:2])
        self._challenge = new_challenge(self._hash, self._address)
        self._host = f"[{host}]" if ":" in host else host
        self._host += "" if port == HTTP_PORT else f":{port}"
        self._received = b""
        self._give_up_at = time.monotonic() + HANDSHAKE_SECONDS

    @property
    def request(self) -> bytes:
        """The bytes to send first."""
        path = urlsplit(self._url).path.rstrip("/").removesuffix(ENDPOINT) + HANDSHAKE_PATH
        return f"GET {path}?{self._challenge.query} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode()

    @property
    def seconds_left(self) -> float:
        """How long to wait for more bytes. Raises Failure when the time is over."""
        left = self._give_up_at - time.monotonic()
        if left <= 0:
            raise UnreachableError(self._url, "TimeoutError")
        return left

    def receive(self, data: bytes) -> bool:
        """Take what the server sent; returns whether it has proven itself, or False while more must come."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end:
            status = STATUS.match(head)
            self._check_status(0 if status is None else int(status[1]))
            length = LENGTH.search(head)
            if length is None or len(body) > int(length[1]):
                raise self._no_room()
            if len(body) == int(length[1]):
                self._check_proof(body)
                return True
        if not self._received:
            raise UnreachableError(self._url, "ConnectionResetError")
        if not data or len(self._received) > ANSWER_BYTES:
            raise self._no_room()
        return False

    def _check_status(self, status: int) -> None:
        """Continue only with a proof. What the server says otherwise is not shown: it may be anybody."""
        if status == OK:
            return
        if status == MISDIRECTED:
            named = " and ".join(dict.fromkeys((f'"{self._host}"', f'"{self._address}"')))
            raise Failure(
                f"The room at {self._url} does not know this address, so your token was not sent.",
                f"If you forward this address to the room, add {named} to allowed_hosts in room.toml. Or use TLS.",
            )
        if status in BUSY:
            raise Failure(
                f"The server at {self._url} cannot look up your token now (HTTP {status}), so the token was not sent.",
                "Try again. `teamroom doctor` shows whether the room works.",
            )
        raise self._no_room()

    def _check_proof(self, body: bytes) -> None:
        try:
            proof = json.loads(body)["proof"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._no_room() from None
        if not hmac.compare_digest(str(proof).encode(), self._challenge.proof(self._hash).encode()):
            raise UnprovenError(self._url)

    def _no_room(self) -> Failure:
        return Failure(
            f"The server at {self._url} cannot prove that it is a room, so your token was not sent.",
            "Another program may have taken the room's address: run `teamroom doctor` where the room runs. "
            "If the room is of an earlier release, upgrade it and start it again.",
        )
