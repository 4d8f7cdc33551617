"""One HTTP connection to a room, with the standard library.

`http.client` loads in a fifth of the time of httpx2, and a shell command makes only a call or two. It loads when the
first request is sent, so that a command that only prints help does not load it.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, unquote, urlsplit

from teamroom.clients.session.failure import NOT_AUTHORISED, Failure, UnreachableError

if TYPE_CHECKING:
    from http.client import HTTPConnection

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""The timeouts of a connection and of an answer."""

IDLE_SECONDS = 2.0
"""A connection that was idle for longer is reopened. The room closes idle connections after 5 seconds."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: its status, its content type and its body."""

    status: int
    kind: str
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status says that the request succeeded."""
        return 200 <= self.status < 300


class Connection:
    """A connection to the host of a URL, opened by the first request. Requests raise UnreachableError.

    With `socket_folder`, it is a connection to the socket in that folder instead, if a server listens there.
    """

    def __init__(self, url: str, answer_seconds: float = ANSWER_SECONDS, socket_folder: Path | None = None) -> None:
        self._socket_folder = socket_folder
        self._url, self._parts, self._answer_seconds = url, urlsplit(url), answer_seconds
        self._proxy = None if is_this_machine(url) else _proxy(self._parts)
        self._http: HTTPConnection | None = None
        self._used_at = 0.0

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST a body to the URL."""
        return self._send("POST", self._url, body, headers)

    def get(self, path: str) -> Answer:
        """GET a path of the same host."""
        return self._send("GET", self._parts._replace(path=path, query="", fragment="").geturl(), None, {})

    def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        from http.client import HTTPException

        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
        try:
            if self._http is None:
                self._http = self._open()
            parts = urlsplit(url)
            target = url if self._asks_proxy else parts._replace(scheme="", netloc="").geturl() or "/"
            self._http.request(method, target, body, {**self._proxy_headers, **headers})
            response = self._http.getresponse()
            answer = Answer(response.status, response.headers.get("content-type", ""), response.read())
        except (OSError, HTTPException) as error:
            self.close()
            raise UnreachableError(self._url, type(error).__name__) from None
        self._used_at = time.monotonic()
        return answer

    def _open(self) -> "HTTPConnection":
        """Connect to the folder's socket, else to the host or to its proxy."""
        from http.client import HTTPConnection, HTTPSConnection

        if (own := self._open_socket()) is not None:
            return own

        first = self._proxy or self._parts
        if self._parts.scheme == "https":
            from httpx2 import create_ssl_context  # loads slowly; knows the trusted certificates of each system

            trust = create_ssl_context()
            http: HTTPConnection = HTTPSConnection(
                first.hostname or "", _port(first), timeout=CONNECT_SECONDS, context=trust
            )
            if self._proxy is not None:
                http.set_tunnel(self._parts.hostname or "", _port(self._parts), _proxy_headers(self._proxy))
        else:
            http = HTTPConnection(first.hostname or "", _port(first), timeout=CONNECT_SECONDS)
        http.connect()
        http.sock.settimeout(self._answer_seconds)
        return http

    def _open_socket(self) -> "HTTPConnection | None":
        """Connect to the room's own socket in the folder; None if no server has one. Raises Failure."""
        from http.client import HTTPConnection

        from teamroom.server.own_socket import connect
        from teamroom.server.private import NotPrivateError

        if self._socket_folder is None:
            return None
        try:
            connected = connect(self._socket_folder, CONNECT_SECONDS)
        except NotPrivateError as error:
            raise Failure(f"{error}.", error.fix, NOT_AUTHORISED) from None
        except OSError:
            return None
        http = HTTPConnection(self._parts.hostname or "", _port(self._parts))
        http.sock = connected
        http.sock.settimeout(self._answer_seconds)
        return http

    @property
    def _asks_proxy(self) -> bool:
        """Whether the proxy reads the requests. For https it only passes bytes on."""
        return self._proxy is not None and self._parts.scheme == "http"

    @property
    def _proxy_headers(self) -> dict[str, str]:
        return _proxy_headers(self._proxy) if self._asks_proxy and self._proxy is not None else {}


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
