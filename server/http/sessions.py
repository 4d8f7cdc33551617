"""The sessions of older clients: counted for each member, and continued where the room does not know them.

The token alone says who calls, so no call needs its session. After a restart, an idle hour or too many sessions, a
client goes on with the id that it has. The room serves it in a session that lives only while a request of it is open,
so ids that mean nothing leave nothing behind. The room makes its ids so that it can tell later, without storing them,
which member an id was made for: another member's token gets 404 for it, as before.

The SDK's manager keeps sessions and owners private; the tests of clients that never read hold that they are there.
"""

import hashlib
import hmac
import logging
import math
from typing import Any
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskStatus
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext, authorization_context
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_connection
from mcp.server.streamable_http import (
    MCP_SESSION_ID_HEADER,
    SESSION_ID_PATTERN,
    StreamableHTTPServerTransport,
)
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp_types import DEFAULT_NEGOTIATED_VERSION
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from teamroom.server.identity import Entropy
from teamroom.server.settings import Settings

logger = logging.getLogger("teamroom.sessions")

SESSION_IDS = b"session ids"
"""What the key of session ids is derived for."""

NONCE_BYTES = 16
ID_CHARACTERS = 200
"""The longest session id that is continued. Ids of the SDKs have at most 36 characters."""

LINGER_SECONDS = 0.1
"""How long a continued session stays after the last of its requests, as an open stream is one."""

ENDED_KNOWN = 1024
"""The room remembers so many of the sessions that their own clients ended: their ids get 404, as the protocol says."""

BEHIND_THE_GATE = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""The gate has checked Host and Origin of every request before the SDK sees it."""


class SessionIds:
    """Makes session ids that say which member they are for, and recognises its own after any restart."""

    def __init__(self, secret: bytes, entropy: Entropy) -> None:
        self._key = hmac.new(secret, SESSION_IDS, hashlib.sha256).digest()
        self._entropy = entropy

    def make(self, member: str) -> str:
        """A new session id for a member."""
        nonce = self._entropy(NONCE_BYTES).hex()
        return f"{member}.{nonce}.{self._mark(member, nonce)}"

    def member_of(self, id_: str) -> str | None:
        """The member that an id was made for; None for an id that the room did not make."""
        member, _, rest = id_.partition(".")
        nonce, _, mark = rest.partition(".")
        is_ours = hmac.compare_digest(mark.encode(), self._mark(member, nonce).encode())
        return member if is_ours else None

    def _mark(self, member: str, nonce: str) -> str:
        return hmac.new(self._key, f"{member}.{nonce}".encode(), hashlib.sha256).hexdigest()[: 2 * NONCE_BYTES]


class Sessions(StreamableHTTPSessionManager):
    """The sessions of older clients.

    The SDK counts them all together and refuses the next one, so that one member could lock out every other. Here a
    member that opens one too many ends its own, the longest unused one first.
    """

    def __init__(self, server: Server[Any], settings: Settings, ids: SessionIds) -> None:
        super().__init__(
            server,
            security_settings=BEHIND_THE_GATE,
            max_request_body_size=settings.body_bytes,
            max_sessions=None,
            session_idle_timeout=settings.session_idle_seconds,
        )
        self._ids = ids
        self._most_of_member = settings.sessions
        self._ended: dict[str, None] = {}
        self._connections: WeakValueDictionary[str, Connection] = WeakValueDictionary()

    def of_member(self, member: str) -> list[str]:
        """The ids of a member's sessions."""
        return [id_ for id_, owner in self._session_owners.items() if owner["client_id"] == member]

    def find(self, id_: str) -> StreamableHTTPServerTransport | None:
        """A session by its id."""
        return self._server_instances.get(id_)

    def note_connection(self, connection: Connection) -> None:
        """Remember the connection behind a session, as long as it lives."""
        if connection.session_id is not None:
            self._connections[connection.session_id] = connection

    def connection_of(self, id_: str, member: str) -> Connection | None:
        """The connection behind a member's session that has shaken hands and does not end; None if there is none."""
        connection, session = self._connections.get(id_), self._server_instances.get(id_)
        if connection is None or session is None or self._session_owners[id_]["client_id"] != member:
            return None
        return connection if connection.initialize_accepted and not _is_ending(session) else None

    def note_use(self, id_: str) -> None:
        """Let the idle time of a session begin again, unless a request of it is open."""
        session = self._server_instances[id_]
        if session.idle_scope is not None and math.isfinite(session.idle_scope.deadline):
            session.idle_scope.deadline = anyio.current_time() + (session._idle_timeout or 0.0)

    async def _handle_stateful_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of an older client. The SDK knows the sessions of this process; others are continued."""
        headers, method = Request(scope).headers, scope["method"]
        id_ = headers.get(MCP_SESSION_ID_HEADER)
        user = scope.get("user")
        if id_ is None or not isinstance(user, AuthenticatedUser):
            await super()._handle_stateful_request(scope, receive, send)
            return
        owner = authorization_context(user)
        known = self._server_instances.get(id_)
        if known is not None and _is_ending(known) and self._session_owners.get(id_) == owner:
            await self._discard_session(id_, known)
        if id_ not in self._server_instances and self._may_continue(id_, owner):
            if method == "DELETE":
                self._remember_end(id_, owner)
                await Response(status_code=200)(scope, receive, send)
                return
            if method in ("POST", "GET"):
                await self._continue(id_, owner, headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION))
        was_known = id_ in self._server_instances
        await super()._handle_stateful_request(scope, receive, send)
        if method == "DELETE" and was_known and id_ not in self._server_instances:
            self._remember_end(id_, owner)

    async def _discard_session(self, session_id: str, transport: StreamableHTTPServerTransport) -> None:
        """Forget a session that ends, unless another one goes on under its id, and end its streams."""
        if self._server_instances.get(session_id) is transport:
            await super()._discard_session(session_id, transport)
        elif not transport.is_terminated:
            with anyio.CancelScope(shield=True):
                await transport.terminate()

    def _may_continue(self, id_: str, owner: AuthorizationContext) -> bool:
        """Whether an unknown id can be a session of the caller: not one that its client ended, or another member's."""
        if len(id_) > ID_CHARACTERS or not SESSION_ID_PATTERN.fullmatch(id_) or id_ in self._ended:
            return False
        return self._ids.member_of(id_) in (None, owner["client_id"])

    async def _continue(self, id_: str, owner: AuthorizationContext, version: str) -> None:
        """Open a session under an id that a client has from before. Of several calls at once, the first opens it."""
        async with self._session_creation_lock:
            if id_ in self._server_instances or self._task_group is None:
                return
            self._make_way(owner)
            session = self.make(id_, LINGER_SECONDS)
            await self._task_group.start(self._run, session, version)
            self._register(session, owner)  # only now: others would find a session that cannot take requests yet

    async def _run(
        self,
        session: StreamableHTTPServerTransport,
        version: str,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run a continued session until it ends. Its client shook hands long ago, so it is ready from the start."""
        id_ = session.mcp_session_id
        assert id_ is not None
        async with session.connect() as (read, write):
            task_status.started()
            try:
                with session.idle_scope or anyio.CancelScope():
                    dispatcher: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(
                        read, write, inline_methods=frozenset({"initialize"})
                    )
                    connection = Connection.for_loop(dispatcher, session_id=id_, protocol_version_hint=version)
                    connection.initialized.set()
                    await serve_connection(
                        self.app, dispatcher, connection=connection, lifespan_state=self._lifespan_state
                    )
            except Exception:
                logger.exception("a continued session failed")
            finally:
                await self._discard_session(id_, session)

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        """Called for each new session, one at a time. None refuses it."""
        if requestor is None:
            return super()._admit_session(requestor)
        self._make_way(requestor)
        session = self.make(self._ids.make(str(requestor["client_id"])), self.session_idle_timeout)
        self._register(session, requestor)
        return session

    def _make_way(self, owner: AuthorizationContext) -> None:
        own = [self._server_instances[id_] for id_ in self.of_member(str(owner["client_id"]))]
        live = [one for one in own if one.idle_scope is None or not one.idle_scope.cancel_called]
        if len(live) >= self._most_of_member:
            _end_unused(live)

    def make(self, id_: str, idle_seconds: float | None) -> StreamableHTTPServerTransport:
        """A new session, which ends when nobody has called in it for so long."""
        return StreamableHTTPServerTransport(
            mcp_session_id=id_, security_settings=self.security_settings, idle_timeout=idle_seconds
        )

    def _register(self, session: StreamableHTTPServerTransport, owner: AuthorizationContext) -> None:
        assert session.mcp_session_id is not None
        self._session_owners[session.mcp_session_id] = owner
        self._server_instances[session.mcp_session_id] = session

    def _remember_end(self, id_: str, owner: AuthorizationContext) -> None:
        """Remember that a client ended its session. Ids that the room did not make mean nothing, also afterwards."""
        if self._ids.member_of(id_) != owner["client_id"]:
            return
        self._ended[id_] = None
        if len(self._ended) > ENDED_KNOWN:
            del self._ended[next(iter(self._ended))]


def _end_unused(sessions: list[StreamableHTTPServerTransport]) -> None:
    """End the session that is unused for the longest time; of those that are all in use, the oldest."""
    scopes = [session.idle_scope for session in sessions if session.idle_scope is not None]
    if scopes:
        min(scopes, key=lambda scope: scope.deadline).cancel()  # endless while a request or a stream is open


def _is_ending(session: StreamableHTTPServerTransport) -> bool:
    return session.is_terminated or (session.idle_scope is not None and session.idle_scope.cancel_called)


def client_of(connection: Connection | None) -> dict[str, str] | None:
    """How an older client introduced itself; None for one of the newest protocol, which says it with each request."""
    if connection is None or connection.client_params is None:
        return None
    client = connection.client_params.client_info
    return {"name": client.name, "version": client.version}
