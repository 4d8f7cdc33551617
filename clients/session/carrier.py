"""Carries the requests of a program with an event loop. Its connections stay open while the client is."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

import anyio

from teamroom.clients.session.connection import CONNECT_SECONDS, IDLE_SECONDS, Answer, seconds_of
from teamroom.clients.session.failure import UnreachableError
from teamroom.clients.session.protocol import Request

if TYPE_CHECKING:
    from httpx2 import AsyncClient

CONNECTIONS = 20
"""The most connections of one client at a time."""


class HttpCarrier:
    """Carries requests to the endpoint that `find_url` returns at that moment, at several at once.

    Between `keep` and `close`, it keeps connections for the next request. `httpx2` loads with the first request.
    """

    def __init__(self, find_url: Callable[[], str]) -> None:
        self._find_url = find_url
        self.url = ""
        self.turn = anyio.Lock()
        self._is_keeping = False
        self._kept: AsyncClient | None = None
        self._kept_for = ""

    def keep(self) -> None:
        """Begin to keep connections."""
        self._is_keeping = True

    async def close(self) -> None:
        """Close the connections that are kept."""
        self._is_keeping = False
        if self._kept is not None:
            await self._kept.aclose()
        self._kept = None

    async def carry(self, request: Request, token: str, answer_seconds: float) -> Answer:
        """Send a request once, and wait for the whole answer."""
        from httpx2 import RequestError, Timeout

        self.url = url = self._find_url()
        try:
            with anyio.fail_after(answer_seconds + CONNECT_SECONDS):
                async with await self._client(url) as http:
                    timeout = Timeout(answer_seconds, connect=CONNECT_SECONDS)
                    answer = await http.post(
                        url, content=request.body(1), headers=request.headers(token), timeout=timeout
                    )
        except (RequestError, TimeoutError) as error:
            raise UnreachableError(url, type(error).__name__) from None
        retry_after = seconds_of(answer.headers.get("retry-after"))
        return Answer(answer.status_code, answer.headers.get("content-type", ""), answer.content, retry_after)

    async def rest(self, seconds: float) -> None:
        """Sleep."""
        await anyio.sleep(seconds)

    async def _client(self, url: str) -> "AbstractAsyncContextManager[AsyncClient]":
        """Return the client that is kept, or one for a single request."""
        from httpx2 import Limits, Timeout

        from teamroom.clients.session.streams import http_client

        def create() -> "AsyncClient":
            limits = Limits(max_connections=CONNECTIONS, keepalive_expiry=IDLE_SECONDS)
            return http_client(url, Timeout(CONNECT_SECONDS), limits)

        if not self._is_keeping:
            return create()
        if self._kept is None or self._kept_for != url:
            before, self._kept, self._kept_for = self._kept, create(), url
            if before is not None:
                await before.aclose()
        return nullcontext(self._kept)
