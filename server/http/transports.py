"""One MCP server at one URL, for clients of both protocol eras. Uses of the SDK's unstable parts are here.

Most calls of tools take the short way (`short.py`). Of the others, those of 2026-07-28 are stateless and get one JSON
body. Streams and blocking tools send notifications or must notice that the caller left, so they use SSE. All older
versions use SSE too, with sessions and the GET stream. The headers alone decide this. The SDK refuses headers that
contradict the body, so a client cannot abuse them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Set
from contextvars import ContextVar
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.connection import Connection
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary
from mcp.server.runner import ServerRunner
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import ServerCapabilities
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import Receive, Scope, Send

from teamroom import __version__
from teamroom.server.http.answers import GateRefusal
from teamroom.server.http.connections import GRACE_SECONDS
from teamroom.server.http.gate import CALLER_KEY, TURN_KEY
from teamroom.server.http.sessions import BEHIND_THE_GATE, SessionIds, Sessions, client_of
from teamroom.server.http.short import CallTool, Hear, ShortWay
from teamroom.server.http.turns import OWN_TURN
from teamroom.server.identity import Caller
from teamroom.server.settings import Settings

Context = ServerRequestContext[Any, Any]

SESSION_VERSIONS = frozenset(version.encode() for version in HANDSHAKE_PROTOCOL_VERSIONS)
STREAMING_METHODS = frozenset({b"subscriptions/listen", b"events/stream"})

LAST_EVENT_ID = b"last-event-id"
"""No event of the room has an id, so none can be the last one: a client that sends this gets a stream as any other."""

ServerRunner.on_request = property(lambda runner: runner._on_request)  # type: ignore[assignment]
"""The SDK keeps this method of a runner on the runner itself. Such a circle would leave sixteen objects of each call to
the garbage collector, whose pauses stop every thread. Nothing else of a call does."""


in_process_caller: ContextVar[Caller | None] = ContextVar("in_process_caller", default=None)
"""The caller if there is no HTTP request, as in tests that connect to a server in their own process."""


def caller_of(ctx: Context) -> Caller:
    """The caller behind a request, as the gate authenticated it."""
    if ctx.request is not None:
        caller: Caller = ctx.request.scope[CALLER_KEY]
        return caller
    found = in_process_caller.get()
    if found is None:
        raise LookupError("a request without a caller reached the server")
    return found


def mcp_server(
    instructions: Callable[[Caller], str], sealed_answers: RequestStateBoundary, hear: Hear, **handlers: Any
) -> "RoomServer":
    """The MCP server, without the SDK's telemetry, which would only cost time: nothing exports it.

    None of our arguments is sent in a header, so there is no schema to compare headers with.
    """
    server = RoomServer(
        "teamroom",
        version=__version__,
        title="Teamroom",
        get_tool_input_schema=lambda name: None,
        **handlers,
    )
    server.hear = hear
    server.middleware[:] = [_in_turn(instructions, server), sealed_answers]
    return server


INTRODUCTIONS = frozenset({"initialize", "server/discover"})
"""The requests whose results introduce the server, with instructions for the caller."""


def _in_turn(instructions: Callable[[Caller], str], server: "RoomServer") -> ServerMiddleware[Any]:
    """Handles a message with its own turn: the task of an older client's session has the turn of its first request.

    What the message says of its client is heard before.
    """

    async def handle(ctx: Context, call_next: CallNext) -> HandlerResult:
        OWN_TURN.set(ctx.request.scope[TURN_KEY] if ctx.request is not None else None)
        server.hear(caller_of(ctx), (ctx.params or {}).get("_meta"), _client_of(ctx))
        if (connection := session_of(ctx)) is not None:
            server.on_session(connection)
        result = await call_next(ctx)
        if ctx.method in INTRODUCTIONS and isinstance(result, dict):
            return {**result, "instructions": instructions(caller_of(ctx))}
        return result

    return handle


def _client_of(ctx: Context) -> Any:
    """How an older client introduced itself; None for one of the newest protocol, which says it with each request."""
    if ctx.method == "initialize":
        return (ctx.params or {}).get("clientInfo")
    return client_of(session_of(ctx))


def session_of(ctx: Context) -> Connection | None:
    """The connection behind an older client's session; None for a client of the newest protocol, which has none.

    It is the same for all calls of the session, and its exit stack unwinds when the session ends. The SDK keeps it
    private; a test checks that it exists.
    """
    return ctx.session._connection if ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS else None


class RoomServer(Server[Any]):
    """The SDK's server. It does not deep-copy its name for every answer, and announces only what it can do.

    `hear` gets what each message says of its client. `on_session` gets the connection of an older client's session with
    each message of it.
    """

    hear: Hear
    on_session: Callable[[Connection], object] = staticmethod(lambda connection: None)

    @property
    def call_tool(self) -> CallTool:
        """What carries out calls of tools."""
        entry = self.get_request_handler("tools/call")
        assert entry is not None
        handler: CallTool = entry.handler
        return handler

    def get_capabilities(self, *args: Any, **kwargs: Any) -> ServerCapabilities:
        """What the server can do. Its lists of resources and prompts never change for a caller."""
        found = super().get_capabilities(*args, **kwargs)
        for same in (found.resources, found.prompts):
            if same is not None:
                same.list_changed = False
        return found

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """The server's name and version, as a dictionary that the caller may keep."""
        return dict(self._server_info_stamp_source)


class _Answers(StreamableHTTPSessionManager):
    """Calls that get one JSON body."""

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. The gate has read its body, and nothing counts its bytes a second time."""
        await self._handle_request(scope, receive, send)


class Transports:
    """The two transports of one server, the short way past both, and the router. Without `streams`, the SSE is unused.

    `asking_tools`: those that may ask a person before they are carried out.
    """

    def __init__(
        self,
        server: RoomServer,
        settings: Settings,
        waiting_tools: frozenset[str],
        asking_tools: frozenset[str],
        ids: SessionIds,
        streams: bool = True,
    ) -> None:
        self._streams = streams
        self._url = settings.members_url
        self._waiting_tools = frozenset(name.encode() for name in waiting_tools)
        limit = settings.body_bytes
        self._json = _Answers(
            server, json_response=True, security_settings=BEHIND_THE_GATE, max_request_body_size=limit
        )
        self.sessions = Sessions(server, settings, ids)
        server.on_session = self.sessions.note_connection
        self.short_way = ShortWay(
            server.call_tool, server.hear, lambda: server.server_info_stamp, self.sessions, waiting_tools | asking_tools
        )
        self._endings: set[asyncio.Task[None]] = set()

    def sessions_of(self, member: int) -> list[str]:
        """The ids of a member's sessions, the oldest first."""
        return self.sessions.of_member(str(member))

    def end_sessions(self, members: Set[int], killed: Set[int]) -> None:
        """End the sessions of killed members, after a grace period in which their open calls can say why."""
        ended = [id_ for member in killed for id_ in self.sessions_of(member)]
        if ended:
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self._terminate, ended)

    def _terminate(self, sessions: list[str]) -> None:
        for id_ in sessions:
            if (transport := self.sessions.find(id_)) is not None:
                task = asyncio.get_running_loop().create_task(transport.terminate())
                self._endings.add(task)
                task.add_done_callback(self._endings.discard)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve as long as the block runs."""
        async with self._json.run(), self.sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that has passed the gate."""
        if await self.short_way.answer(scope, send):
            return
        if self._is_one_answer(scope):
            await self._json.handle_request(scope, receive, send)
            return
        if not self._streams:
            raise GateRefusal(
                400,
                "invalid",
                "The room's own socket carries only calls of the newest protocol that are answered at once.",
                f"Call {self._url} for streams, sessions and calls that wait.",
            )
        caller: Caller = scope[CALLER_KEY]
        # The SDK binds a session to this principal: another member's token gets 404 for it.
        scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=str(caller.member), scopes=[]))
        scope["headers"] = [header for header in scope["headers"] if header[0] != LAST_EVENT_ID]
        await self.sessions.handle_request(scope, receive, send)

    def _is_one_answer(self, scope: Scope) -> bool:
        if scope["method"] != "POST":
            return False
        version = method = name = None
        for key, value in scope["headers"]:
            if key == b"mcp-protocol-version" and version is None:  # the first one counts, as in the SDK
                version = value
            elif key == b"mcp-method":
                method = value
            elif key == b"mcp-name":
                name = value
        is_modern = version is not None and version not in SESSION_VERSIONS
        return is_modern and method not in STREAMING_METHODS and name not in self._waiting_tools
