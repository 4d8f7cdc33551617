"""Connections that stay open for one call after the other, at a third of what the SDK's own client costs."""

import asyncio
import itertools
from typing import Any

import httptools

from tests.support.raw import ENVELOPE, Answer, message, modern_headers, posted

CALL_SECONDS = 30.0
"""How long a caller waits for one answer before its test or campaign fails."""


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.open = False
        self._answer = Answer()
        self._parser = httptools.HttpResponseParser(self._answer)
        self._waiting: asyncio.Future[Answer] | None = None

    async def exchange(self, sent: bytes) -> Answer:
        """Send a request and wait for its whole answer. Raises ConnectionError when the server goes away first."""
        if not self.open:
            raise ConnectionResetError("the server closed the connection")
        self._answer = Answer()
        self._parser = httptools.HttpResponseParser(self._answer)
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(sent)
        async with asyncio.timeout(CALL_SECONDS):
            return await self._waiting

    # what asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport, self.open = transport, True

    def data_received(self, data: bytes) -> None:
        if self._answer.complete:
            return
        self._parser.feed_data(data)
        if self._answer.complete and self._waiting is not None and not self._waiting.done():
            self._answer.status = self._parser.get_status_code()
            self._waiting.set_result(self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("the server went away before it had answered"))


async def connect(port: int) -> Connection:
    """Open a connection. Raises ConnectionError when nobody listens."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


class KeptAlive:
    """A member's calls of the newest protocol, as many at once as a test makes."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._ids = itertools.count(1)
        self._idle: list[Connection] = []

    async def call(self, tool: str, arguments: dict[str, Any], meta: dict[str, Any]) -> Any:
        """The result of a call, as JSON. Raises MCPError."""
        params = {"name": tool, "arguments": arguments, "_meta": ENVELOPE | meta}
        body = message("tools/call", params, next(self._ids))
        answer = await self._exchange(posted(self._port, self._token, body, modern_headers("tools/call", tool)))
        if (error := answer.json.get("error")) is not None:
            from mcp.shared.exceptions import MCPError  # only now: campaigns need nothing else of the SDK

            raise MCPError(error["code"], error["message"], error.get("data"))
        return answer.json["result"]

    def hang_up(self) -> None:
        """Close what is open and idle."""
        while self._idle:
            self._idle.pop().transport.abort()

    async def _exchange(self, sent: bytes) -> Answer:
        connection = await self._connected()
        try:
            answer = await connection.exchange(sent)
        except BaseException:
            connection.transport.abort()
            raise
        self._idle.append(connection)
        return answer

    async def _connected(self) -> Connection:
        while self._idle:
            if (connection := self._idle.pop()).open:
                return connection
        return await connect(self._port)
