"""The HTTP client of programs that wait long or carry streams."""

from collections.abc import Iterable

import httpcore2
import httpx2
from httpcore2 import AsyncNetworkStream

from teamroom.clients.session.connection import RECEIVE_BYTES, is_this_machine
from teamroom.clients.session.handshake import Handshake
from teamroom.clients.session.protocol import bearer_of

TOKENS = 4
"""How many tokens one client has connections for. A member has two for a moment, when its token is replaced."""

SocketOption = httpcore2.SOCKET_OPTION


def http_client(url: str, timeout: httpx2.Timeout, limits: httpx2.Limits | None = None) -> httpx2.AsyncClient:
    """Create an HTTP client for one room's endpoint. It never uses a proxy for this machine, or in plain HTTP.

    In plain HTTP, each connection is for one token, which the server must have proven to know. Requests raise Failure.
    """
    limits = limits or httpx2.Limits()
    if url.startswith("https:"):
        return httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=not is_this_machine(url))
    return httpx2.AsyncClient(timeout=timeout, transport=ProvenTransport(url, limits), trust_env=False)


class ProvenTransport(httpx2.AsyncBaseTransport):
    """Sends a token only on connections whose server has proven to know it. `url` is the room's endpoint."""

    def __init__(self, url: str, limits: httpx2.Limits) -> None:
        self._url, self._limits = url, limits
        self._transports: dict[str | None, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request on a connection for its token."""
        token = bearer_of(request.headers)
        transport = self._transports.pop(token, None) or _OneTokensTransport(self._url, token, self._limits)
        self._transports[token] = transport  # the newest is last
        if len(self._transports) > TOKENS:
            await self._transports.pop(next(iter(self._transports))).aclose()
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            await transport.aclose()


class _OneTokensTransport(httpx2.AsyncHTTPTransport):
    """Connections for one token; for requests without one, the server proves nothing."""

    def __init__(self, url: str, token: str | None, limits: httpx2.Limits) -> None:
        super().__init__(verify=False, trust_env=False)  # certificates load slowly, and plain HTTP needs none
        # The transport has no parameter for the way to connect, so it gets another pool.
        self._pool = httpcore2.AsyncConnectionPool(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=None if token is None else _ProvingBackend(url, token),
        )


class _ProvingBackend(httpcore2.AnyIOBackend):
    """Connects, and has the server prove that it knows the token before anything else is sent."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as in the base class
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to a server that knows the token. Raises Failure."""
        stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            await self._shake_hands(stream, host, port)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def _shake_hands(self, stream: AsyncNetworkStream, host: str, port: int) -> None:
        """Have the server prove that it knows the token. A fault of the network counts as one while connecting."""
        handshake = Handshake(self._url, self._token, host, port, stream.get_extra_info("server_addr"))
        try:
            await stream.write(handshake.request, handshake.seconds_left)
            while not handshake.receive(await stream.read(RECEIVE_BYTES, handshake.seconds_left)):
                pass
        except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
            raise httpcore2.ConnectError(str(error)) from None
