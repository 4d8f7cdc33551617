"""Every open HTTP connection with its tasks, so that the server can end streams even if the client does nothing.

The length and the time of a request's head are limited here, because the head comes before any token.

A client that stops reading would keep a task, a socket and a full buffer indefinitely, even after its handler was
cancelled. Only aborting the transport ends it. Uvicorn's `http=` setting takes the protocol class that reaches the
transport. Its `app_state` is not documented, so a test checks it.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from teamroom.server.identity import Caller
from teamroom.server.refusals import REFUSED
from teamroom.server.settings import Settings

logger = logging.getLogger("teamroom.connections")

GRACE_SECONDS = 1.0
"""How long an ended stream has to send its last frame. So everything ends within 2 s (CTL4)."""

HEAD_BYTES = 65_536
"""The longest head of a request: its line and headers."""

HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n"
    b'{"jsonrpc":"2.0","id":null,"error":{"code":%d,"message":"Refused (too_large): The headers are too long.",'
    b'"data":{"code":"too_large","why":"The headers are too long.","fix":"Send at most 64 KiB of headers."}}}'
) % REFUSED

STATE_KEY = "connection"


@dataclass(eq=False, slots=True)
class Request:
    """A request that is being answered."""

    caller: Caller
    is_stream: bool


@dataclass(eq=False, slots=True)
class Connection:
    """One TCP connection. HTTP/1.1 answers one request at a time."""

    transport: asyncio.Transport
    request: Request | None = None
    caller: Caller | None = None
    """The last caller on this connection."""
    waiting_bytes: int = 0
    moved_at: float = field(default_factory=time.monotonic)


class Connections:
    """All connections of this server."""

    def __init__(self, settings: Settings) -> None:
        self.open: set[Connection] = set()
        self._stall_seconds = settings.stall_seconds
        self._head_seconds = settings.body_seconds
        self.cut = 0
        self._answering: Counter[int] = Counter()
        self._endings: set[asyncio.Task[None]] = set()

    def protocol(self) -> type[asyncio.Protocol]:
        """For `uvicorn.Config(http=…)`: gives each request its connection, as `scope["state"]["connection"]`."""
        connections = self

        class Protocol(HttpToolsProtocol):
            is_in_head = is_refused = False
            head_bytes = 0
            head_end: asyncio.TimerHandle | None = None

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                self.connection = Connection(transport)
                connections.open.add(self.connection)
                self.app_state = {**self.app_state, STATE_KEY: self.connection}
                super().connection_made(transport)
                self._close_in(connections._head_seconds)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.open.discard(self.connection)
                self._keep_open()
                super().connection_lost(exc)

            def data_received(self, data: bytes) -> None:
                if self.is_refused:
                    return  # read and discarded, so that a reset does not lose the refusal
                super().data_received(data)
                if self.is_in_head:
                    self.head_bytes += len(data)
                    if self.head_bytes > HEAD_BYTES:
                        self.is_refused = True
                        self.connection.transport.write(HEAD_TOO_LARGE)
                        self._close_in(GRACE_SECONDS)

            def on_message_begin(self) -> None:
                super().on_message_begin()
                self.is_in_head, self.head_bytes = True, 0
                self._close_in(connections._head_seconds)

            def on_header(self, name: bytes, value: bytes) -> None:
                super().on_header(name, value.strip(b" \t"))  # white space around a value is not part of it (RFC 9110)

            def on_headers_complete(self) -> None:
                self.is_in_head = False
                self._keep_open()
                super().on_headers_complete()

            def _close_in(self, seconds: float) -> None:
                self._keep_open()
                self.head_end = asyncio.get_running_loop().call_later(seconds, self.connection.transport.close)

            def _keep_open(self) -> None:
                if self.head_end is not None:
                    self.head_end.cancel()
                    self.head_end = None

        return Protocol

    @contextmanager
    def answering(self, scope: Scope, caller: Caller) -> Iterator[None]:
        """Count a caller's request, and note its connection, while it is being answered."""
        connection: Connection | None = scope.get("state", {}).get(STATE_KEY)
        if connection is not None:
            connection.request = Request(caller, is_stream=scope["method"] == "GET")
            connection.caller = caller
        self._answering[caller.member] += 1
        try:
            yield
        finally:
            self._answering[caller.member] -= 1
            if not self._answering[caller.member]:
                del self._answering[caller.member]
            if connection is not None:
                connection.request = None

    @property
    def answering_now(self) -> int:
        """How many requests of all members are being answered."""
        return self._answering.total()

    def open_calls(self, member: int) -> int:
        """How many requests of a member are being answered."""
        return self._answering[member]

    def end_members(self, members: Set[int], killed: Set[int]) -> None:
        """End what members have open: streams at once, other requests after the grace period.

        All connections of killed members are closed too, after the answer that says why.
        """
        self._end([c for c in self.open if c.request is not None and c.request.caller.member in members - killed])
        self._end([c for c in self.open if c.caller is not None and c.caller.member in killed], for_good=True)

    def end_tokens(self, tokens: Set[str]) -> None:
        """End what revoked tokens have open."""
        self._end([c for c in self.open if c.caller is not None and c.caller.token_id in tokens], for_good=True)

    def end_streams(self) -> None:
        """Close every stream that only pushes, because the server stops."""
        for connection in self.open:
            if connection.request is not None and connection.request.is_stream:
                connection.transport.close()

    async def cut_stalled(self) -> None:
        """Disconnect clients that read nothing of what waits for them; runs as long as the server."""
        while True:
            await asyncio.sleep(self._stall_seconds / 10)
            now = time.monotonic()
            for connection in list(self.open):
                size = connection.transport.get_write_buffer_size()
                if size == 0 or size < connection.waiting_bytes:
                    connection.moved_at = now
                connection.waiting_bytes = size
                if now - connection.moved_at > self._stall_seconds:
                    self.cut += 1
                    logger.warning("a client read nothing for %.0f s and was disconnected", self._stall_seconds)
                    connection.transport.abort()

    def _end(self, connections: list[Connection], for_good: bool = False) -> None:
        if not connections:
            return
        now = [(connection, connection.request, connection.caller) for connection in connections]
        task = asyncio.get_running_loop().create_task(self._end_after_grace(now, for_good))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _end_after_grace(
        self, connections: list[tuple[Connection, Request | None, Caller | None]], for_good: bool
    ) -> None:
        for connection, request, _ in connections:
            if request is not None and request.is_stream:
                connection.transport.close()
        await asyncio.sleep(GRACE_SECONDS)
        for connection, request, caller in connections:
            if connection not in self.open or connection.caller is not caller:
                continue  # it is closed, or another caller's by now: proxies reuse connections
            if connection.request is not None and connection.request is request:
                connection.transport.abort()
            elif for_good:
                _close(connection.transport)


def _close(transport: asyncio.Transport) -> None:
    """Close at once, without losing what the operating system has already accepted."""
    if transport.get_write_buffer_size():
        transport.abort()
    else:
        transport.close()
