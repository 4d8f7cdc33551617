"""Every open HTTP connection with its tasks, so that the server can end streams even if the client does nothing.

Connections are counted: all strangers, who have shown no valid token, together, and each member separately. At the
limit, a new connection closes the one of the same group that has been idle longest. So the server can always accept,
and a flood costs only its own sender connections.

A client that stops reading would keep a task, a socket and a full buffer indefinitely, even after its handler was
cancelled. Only aborting the transport ends it.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from weakref import ReferenceType, ref

from starlette.types import Scope

from teamroom.server.http.files import FILES, shares
from teamroom.server.http.strangers import Rejections
from teamroom.server.identity import Caller
from teamroom.server.settings import Settings

logger = logging.getLogger("teamroom.connections")

GRACE_SECONDS = 1.0
"""How long an ended stream has to send its last frame. So everything ends within 2 s (CTL4)."""

ARRIVAL_SECONDS = 0.1
"""How long a new connection is left to send its first request, however many wait behind it."""

STATE_KEY = "connection"


@dataclass(eq=False, slots=True)
class Request:
    """A request that is being answered."""

    caller: Caller
    is_stream: bool


@dataclass(eq=False, slots=True, weakref_slot=True)
class Connection:
    """One TCP connection. HTTP/1.1 answers one request at a time."""

    transport: asyncio.Transport
    request: Request | None = None
    caller: Caller | None = None
    """The last caller on this connection; None of a stranger."""
    is_checked: bool = False
    """Whether its request waits for the room and not for the client. It is not idle then."""
    has_arrived: bool = False
    """Whether its newest request has arrived as a whole."""
    has_shaken_hands: bool = False
    """Whether the room has proven something on it, after which it may stay open once without a token."""
    when_lost: set[Callable[[], object]] = field(default_factory=set)
    """What is called once the connection is lost."""
    since: float = field(default_factory=time.monotonic)
    waiting_bytes: int = 0
    moved_at: float = field(default_factory=time.monotonic)


_ANSWERED: ContextVar[ReferenceType[Connection] | None] = ContextVar("answered", default=None)
"""The connection of the request that is being answered. Tasks that outlive the request do not hold it."""

ByAge = dict[Connection, None]
"""Connections, the one that is idle longest first."""


class Connections:
    """All connections of this server. `files`: how many descriptors the process may have open."""

    def __init__(self, settings: Settings, rejections: Rejections, files: int = FILES[0]) -> None:
        self.open: set[Connection] = set()
        self.rejections = rejections
        self.head_seconds = settings.body_seconds
        self.shares = shares(files, settings.strangers)
        self.displaced = 0
        self.cut = 0
        self._stall_seconds = settings.stall_seconds
        self._most_of_member = settings.connections
        self._strangers: ByAge = {}
        self._of_member: dict[int, ByAge] = {}
        self._answering: Counter[int] = Counter()
        self._endings: set[asyncio.Task[None]] = set()

    # -------------------------------------------------------------- who may be connected

    @property
    def strangers(self) -> int:
        """How many connections have shown no valid token."""
        return len(self._strangers)

    def make_room(self) -> bool:
        """Close strangers that are idle until one more has room; False if all are new, or busy through the room."""
        arrived = time.monotonic() - ARRIVAL_SECONDS
        while len(self._strangers) >= self.shares.strangers:
            idle = next((connection for connection in self._strangers if not connection.is_checked), None)
            if idle is None or idle.since > arrived:
                return False
            self._displace(idle)
        return True

    def add(self, connection: Connection) -> None:
        """A connection was accepted; it is a stranger's until it shows a token."""
        self.open.add(connection)
        self._strangers[connection] = None

    def remove(self, connection: Connection) -> None:
        """A connection is gone; once is enough."""
        self.open.discard(connection)
        self._disown(connection)
        while connection.when_lost:
            connection.when_lost.pop()()

    def admit(self, scope: Scope, caller: Caller) -> None:
        """A valid token was shown on a request's connection."""
        if (connection := _connection_of(scope)) is not None:
            self._own(connection, caller)

    def has_arrived(self, scope: Scope) -> bool:
        """Whether a request has arrived as a whole, so that nothing of it is waited for."""
        connection = _connection_of(scope)
        return connection is not None and connection.has_arrived

    def begin_handshake(self, scope: Scope) -> bool:
        """Note a handshake on a request's connection; returns whether it is the first one there."""
        connection = _connection_of(scope)
        if connection is None or connection.has_shaken_hands:
            return False
        connection.has_shaken_hands = True
        return True

    def turn_away(self, scope: Scope) -> None:
        """What the client still sends is not worth waiting for: its connection may be closed for another."""
        if (connection := _connection_of(scope)) is not None:
            connection.is_checked = False

    def _own(self, connection: Connection, caller: Caller) -> None:
        """The connection is a member's, and the one that it used last."""
        if connection not in self.open:
            return  # it is gone already
        own = self._of_member.setdefault(caller.member, {})
        if connection in own:
            connection.caller = caller
            own[connection] = own.pop(connection)
            return
        self._disown(connection)
        connection.caller = caller
        own[connection] = None
        if len(own) > self._most_of_member:
            self._displace_one_of(own)
        if len(self.open) - len(self._strangers) > self.shares.members:
            self._displace_one_of(max(self._of_member.values(), key=len))

    def _disown(self, connection: Connection) -> None:
        self._strangers.pop(connection, None)
        if connection.caller is not None and (own := self._of_member.get(connection.caller.member)) is not None:
            own.pop(connection, None)
            if not own:
                del self._of_member[connection.caller.member]

    def _displace_one_of(self, own: ByAge) -> None:
        """Close what is idle longest of a member; if all of its connections work, the oldest of them."""
        self._displace(next((connection for connection in own if connection.request is None), next(iter(own))))

    def _displace(self, connection: Connection) -> None:
        self.displaced += 1
        whose = "without a valid token" if connection.caller is None else "of a member with many"
        logger.warning("too many connections: the longest idle one %s was closed", whose)
        self.remove(connection)
        connection.transport.abort()

    # -------------------------------------------------------------- what is being answered

    @contextmanager
    def answering(self, scope: Scope, caller: Caller, is_stream: bool) -> Iterator[None]:
        """Count a caller's request, and note its connection, while it is being answered."""
        connection = _connection_of(scope)
        if connection is not None:
            connection.request = Request(caller, is_stream)
        self._answering[caller.member] += 1
        answered = _ANSWERED.set(None if connection is None else ref(connection))
        try:
            yield
        finally:
            _ANSWERED.reset(answered)
            self._answering[caller.member] -= 1
            if not self._answering[caller.member]:
                del self._answering[caller.member]
            if connection is not None:
                connection.request = None
                self._own(connection, caller)  # from now on it is idle

    @contextmanager
    def on_lost(self, left: Callable[[], object]) -> Iterator[None]:
        """Call a function if the connection of the request that is being answered is lost in this block."""
        answered = _ANSWERED.get()
        connection = None if answered is None else answered()
        if connection is None:
            yield
            return
        connection.when_lost.add(left)
        try:
            yield
        finally:
            connection.when_lost.discard(left)

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


def _connection_of(scope: Scope) -> Connection | None:
    """What a request came on; None where it came on no connection of this server."""
    connection: Connection | None = scope.get("state", {}).get(STATE_KEY)
    return connection


def _close(transport: asyncio.Transport) -> None:
    """Close at once, without losing what the operating system has already accepted."""
    if transport.get_write_buffer_size():
        transport.abort()
    else:
        transport.close()
