"""One HTTP connection to a room, with the standard library.

`http.client` loads in a fifth of the time of httpx2, and a shell command makes only a call or two. It loads when the
first request is sent, so that a command that only prints help does not load it.
"""

import base64
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, unquote, urlsplit

from teamroom.clients.session.failure import NOT_AUTHORISED, Failure, UnreachableError
from teamroom.clients.session.protocol import ENDPOINT, bearer_of

if TYPE_CHECKING:
    from http.client import HTTPConnection

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""The timeouts of a connection and of an answer."""

IDLE_SECONDS = 2.0
"""A connection that was idle for longer is reopened. The room closes idle connections after 5 seconds."""

RECEIVE_BYTES = 4096

OTHERS_WRITE = 0o022
"""Modes of a folder in which other users could put a socket of theirs."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: its status, its content type, its body, and after how many seconds to call again if it says."""

    status: int
    kind: str
    body: bytes
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status says that the request succeeded."""
        return 200 <= self.status < 300


class Connection:
    """A connection to the host of a URL, opened by the first request. Requests raise Failure.

    With `socket_folder`, it is a connection to the socket in that folder instead, if a server listens there. With
    `only_socket`, nothing else will do.

    A request's token is sent over that socket, over TLS, or to a server that has proven on this very connection that
    it knows the token. See `handshake`.
    """

    def __init__(
        self,
        url: str,
        answer_seconds: float = ANSWER_SECONDS,
        socket_folder: Path | None = None,
        only_socket: bool = False,
    ) -> None:
        self._socket_folder, self._only_socket = socket_folder, only_socket
        self._url, self._parts, self._answer_seconds = url, urlsplit(url), answer_seconds
        self._http: HTTPConnection | None = None
        self._is_private = False
        """Whether nobody else can be at the other end: the folder's socket, or TLS."""
        self._proven: str | None = None
        """The token that the server has proven to know."""
        self._used_at = 0.0

    def post(self, body: bytes, headers: Mapping[str, str], path: str | None = None) -> Answer:
        """POST a body to the URL, or to another path of the same room."""
        prefix = self._parts.path.removesuffix(ENDPOINT)
        url = self._parts if path is None else self._parts._replace(path=prefix + path)
        return self._send("POST", url, body, headers)

    def get(self, path: str) -> Answer:
        """GET a path of the same host."""
        return self._send("GET", self._parts._replace(path=path, query="", fragment=""), None, {})

    def require_proof(self, token: str) -> None:
        """Connect, and have the server prove that it knows a token, which is not sent. Raises Failure."""
        try:
            self._connect(token)
        except OSError as error:
            self.close()
            raise UnreachableError(self._url, type(error).__name__) from None

    def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            self._http.close()
        self._http, self._is_private, self._proven = None, False, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, method: str, url: SplitResult, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        from http.client import HTTPException

        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
        try:
            http = self._connect(bearer_of(headers))
            http.request(method, url._replace(scheme="", netloc="").geturl() or "/", body, dict(headers))
            response = http.getresponse()
            retry_after = seconds_of(response.headers.get("retry-after"))
            answer = Answer(response.status, response.headers.get("content-type", ""), response.read(), retry_after)
        except (OSError, HTTPException) as error:
            self.close()
            raise UnreachableError(self._url, type(error).__name__) from None
        self._used_at = time.monotonic()
        return answer

    def _connect(self, token: str | None) -> "HTTPConnection":
        """Return an open connection that may carry the token: this one, or a new one."""
        if self._http is not None and self._http.sock is not None and self._may_carry(token):
            return self._http
        self.close()
        http = self._http = self._open_socket()
        if http is None and self._only_socket:
            raise ConnectionRefusedError
        http = self._http = http or self._open()
        http.auto_open = 0  # a connection that it reopened would carry the token to an unproven server
        if not self._may_carry(token):
            self._shake_hands(http.sock, token or "")
        http.sock.settimeout(self._answer_seconds)
        return http

    def _may_carry(self, token: str | None) -> bool:
        return token is None or self._is_private or token == self._proven

    def _shake_hands(self, connected: socket.socket, token: str) -> None:
        """Have the server prove that it knows the token. Raises Failure, OSError."""
        from teamroom.clients.session.handshake import Handshake

        host, port = self._parts.hostname or "", _port(self._parts)
        try:
            handshake = Handshake(self._url, token, host, port, connected.getpeername())
            connected.sendall(handshake.request)
            while True:
                connected.settimeout(handshake.seconds_left)
                if handshake.receive(connected.recv(RECEIVE_BYTES)):
                    break
        except BaseException:
            self.close()
            raise
        self._proven = token

    def _open(self) -> "HTTPConnection":
        """Connect to the host; with TLS, through the proxy that the environment names, which only passes bytes on."""
        from http.client import HTTPConnection, HTTPSConnection

        host, port = self._parts.hostname or "", _port(self._parts)
        if self._parts.scheme == "https":
            from httpx2 import create_ssl_context  # loads slowly; knows the trusted certificates of each system

            proxy = None if is_this_machine(self._url) else _proxy(self._parts)
            first = (host, port) if proxy is None else (proxy.hostname or "", _port(proxy))
            http: HTTPConnection = HTTPSConnection(*first, timeout=CONNECT_SECONDS, context=create_ssl_context())
            if proxy is not None:
                http.set_tunnel(host, port, _proxy_headers(proxy))
        else:
            http = HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        http.connect()
        self._is_private = self._parts.scheme == "https"
        return http

    def _open_socket(self) -> "HTTPConnection | None":
        """Connect to the room's own socket in the folder; None if there is none, or if it may be another user's.

        Raises Failure if it is another user's.
        """
        from http.client import HTTPConnection

        from teamroom.server.own_socket import connect
        from teamroom.server.private import NotPrivateError

        if self._socket_folder is None:
            return None
        try:
            folder = self._socket_folder.stat()
            if folder.st_uid != os.geteuid() or folder.st_mode & OTHERS_WRITE:
                return None
            connected = connect(self._socket_folder, CONNECT_SECONDS)
        except NotPrivateError as error:
            raise Failure(f"{error}.", error.fix, NOT_AUTHORISED) from None
        except OSError:
            return None
        http = HTTPConnection(self._parts.hostname or "", _port(self._parts))
        http.sock = connected
        self._is_private = True
        return http


def seconds_of(header: str | None) -> float | None:
    """Return the seconds in a retry-after header; None for a date, and for a missing header."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else None


def is_this_machine(url: str) -> bool:
    """Whether a URL leads to this machine. A token for this machine never goes through a proxy."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(parts: SplitResult) -> SplitResult | None:
    """Return the proxy that the environment names for a URL."""
    from urllib.request import getproxies, proxy_bypass  # loads slowly, and most rooms are on this machine

    found = getproxies().get(parts.scheme)
    if not found or proxy_bypass(parts.hostname or ""):
        return None
    return urlsplit(found if "://" in found else f"http://{found}")


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode('ascii')}"}
