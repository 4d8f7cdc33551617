"""Callers that load a room over HTTP: many on one event loop, each with one kept-alive connection of its own."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.support.kept_alive import Connection, connect
from tests.support.raw import ENVELOPE, LEGACY, Answer, Headers, message, modern_headers, posted, request

REQUEST_ID = "teamroom/request-id"


@dataclass(frozen=True, slots=True)
class Called:
    """A call and its answer, with the caller's own clock in seconds."""

    member: str
    tool: str
    started: float
    ended: float
    body: dict[str, Any]
    refused: bool

    @property
    def code(self) -> str:
        """The refusal's code; empty where the call was carried out."""
        return str(self.body.get("code", "broken")) if self.refused else ""

    @property
    def receipt(self) -> int | None:
        """The number that the act has in the log."""
        return self.body.get("receipt")


Connect = Callable[[int], Awaitable[Connection]]
"""Opens a connection to a port. Raises ConnectionError when nobody listens."""


async def is_ready(port: int, connect: Connect = connect) -> bool:
    """Whether a server answers `/readyz` with 200."""
    try:
        connection = await connect(port)
    except OSError:
        return False
    try:
        answer = await connection.exchange(request("GET", "/readyz", [("host", f"127.0.0.1:{port}")]))
    except ConnectionError:
        return False
    finally:
        connection.transport.abort()
    return answer.status == 200


class Caller:
    """A member whose calls are single requests of the newest protocol."""

    def __init__(self, name: str, port: int, token: str, connect: Connect = connect) -> None:
        self.name, self.port, self.token = name, port, token
        self._connect = connect
        self._connection: Connection | None = None
        self._id = 0

    async def call(self, tool: str, /, request_id: str | None = None, **arguments: Any) -> Called:
        """Call a tool. Raises ConnectionError, after which it is not known whether the act was carried out."""
        self._id += 1
        sent = self._request(tool, arguments, {} if request_id is None else {REQUEST_ID: request_id})
        started = time.perf_counter()
        answer = await (await self._connected()).exchange(sent)
        body, refused = _said(answer)
        return Called(self.name, tool, started, time.perf_counter(), body, refused)

    async def carried_out(self, tool: str, /, request_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must not be refused; returns its reply."""
        called = await self.call(tool, request_id, **arguments)
        if called.refused:
            raise AssertionError(f"{tool} of @{self.name} was refused: {called.body}")
        return called.body

    def hang_up(self) -> None:
        """Cut the connection, in the middle of a call or not."""
        if self._connection is not None:
            self._connection.transport.abort()
            self._connection = None

    async def _connected(self) -> Connection:
        if self._connection is None or not self._connection.open:
            self._connection = await self._connect(self.port)
        return self._connection

    def _request(self, tool: str, arguments: dict[str, Any], meta: dict[str, Any]) -> bytes:
        params = {"name": tool, "arguments": arguments, "_meta": {**ENVELOPE, **meta}}
        body = message("tools/call", params, self._id)
        return posted(self.port, self.token, body, modern_headers("tools/call", tool))


class SessionCaller(Caller):
    """A member with a session of the protocol that has a handshake; its calls can be cancelled by their id."""

    def __init__(self, name: str, port: int, token: str) -> None:
        super().__init__(name, port, token)
        self.session: list[tuple[str, str]] = []

    async def open(self) -> None:
        """Shake hands."""
        client = {"name": "load", "version": "0"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        answer = await self._post(message("initialize", params, 0), ())
        self.session = [("mcp-session-id", answer.headers["mcp-session-id"]), ("mcp-protocol-version", LEGACY)]
        await self._post(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', self.session)

    async def cancel(self) -> None:
        """Ask the server, on another connection, to cancel the call that is open now."""
        params = f'{{"requestId":{self._id},"reason":"no longer needed"}}'
        body = f'{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}'.encode()
        other = await connect(self.port)
        try:
            await other.exchange(posted(self.port, self.token, body, self.session))
        finally:
            other.transport.abort()

    async def _post(self, body: bytes, headers: Headers) -> Answer:
        return await (await self._connected()).exchange(posted(self.port, self.token, body, headers))

    def _request(self, tool: str, arguments: dict[str, Any], meta: dict[str, Any]) -> bytes:
        params = {"name": tool, "arguments": arguments, **({"_meta": meta} if meta else {})}
        return posted(self.port, self.token, message("tools/call", params, self._id), self.session)


def _said(answer: Answer) -> tuple[dict[str, Any], bool]:
    """The structured reply, or the refusal, and which of them it is."""
    said = answer.json
    if "result" not in said:
        return said["error"].get("data") or {"code": "broken", "why": str(said["error"])}, True
    result = said["result"]
    body: dict[str, Any] = result.get("structuredContent") or {"code": "broken", "why": str(result)}
    return body, bool(result.get("isError"))
