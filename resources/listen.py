"""Serves `subscriptions/listen`, and `resources/subscribe` for older clients: pushes that something changed.

The door authorises each address when a client subscribes, and again before each push. A client of the newest protocol
has one stream for each call of `subscriptions/listen`. An older client has one stream for its session, with everything
that it subscribed to.

A stream or subscription on an agent's inbox is a listener; see `server/wake/listeners.py`. A superseded stream ends,
and its result says that. A superseded session keeps its other subscriptions and loses the one on the inbox, because the
older protocol has no message that ends a subscription. It becomes the newest listener when it subscribes again.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mcp import types
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
    event_to_notification,
)

from teamroom.resources.errors import as_mcp_errors
from teamroom.resources.serve import find
from teamroom.server import topics
from teamroom.server.acts.act import AnyRead
from teamroom.server.acts.presence.me import LISTEN, Nothing
from teamroom.server.door.door import Door
from teamroom.server.faults import Faults
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import inline
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.listeners import Listeners, Listening, Origin
from teamroom.server.wake.newest import listener_name, meta_of
from teamroom.server.wake.push import Follower, Push

logger = logging.getLogger("teamroom.listen")

Context = ServerRequestContext[Any, Any]
Send = Callable[[ServerEvent], Awaitable[None]]

SUPERSEDED_META_KEY = "teamroom/superseded"
"""Marks a stream that ended because the agent has a newer listener."""

FOLLOWED = 64
"""The most addresses that one stream or session can follow."""


@dataclass(frozen=True)
class Followed:
    """A subscription: the event to push, the topics that cause it, and the read that the caller needs."""

    event: ServerEvent
    topics: frozenset[str]
    read: AnyRead


@dataclass(eq=False)
class Session:
    """The session of an older client: its subscriptions, the task that pushes, and its place as a listener."""

    follower: Follower
    followed: dict[str, Followed]
    pushing: asyncio.Task[None]
    listening: Listening | None = None


class ListenServer:
    """The handlers that the SDK calls for subscriptions, in both protocol eras."""

    def __init__(
        self,
        door: Door,
        push: Push,
        bus: Bus,
        listeners: Listeners,
        caller_of: Callable[[Context], Caller],
        session_of: Callable[[Context], Connection | None],
        faults: Faults,
    ) -> None:
        self._door = door
        self._push = push
        self._bus = bus
        self._listeners = listeners
        self._caller_of = caller_of
        self._session_of = session_of
        self._faults = faults
        self._sessions: dict[Connection, Session] = {}

    # -------------------------------------------------------------- 2026-07-28

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream: first the subscriptions that were granted, then a frame for each change.

        Raises MCPError with the refusal, also if the caller is paused or killed while it listens.
        """
        with as_mcp_errors(self._faults, "a stream"):
            return await self._listen(ctx, self._caller_of(ctx), params.notifications)

    async def _listen(
        self, ctx: Context, caller: Caller, asked: types.SubscriptionFilter
    ) -> types.SubscriptionsListenResult:
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        await self._door.read(caller, LISTEN, Nothing())
        origin = _origin(ctx, None)
        follower = self._push.join(caller.member)
        try:
            with self._bus.running(caller.member):
                followed = await self._honoured(caller, asked)
                async with self._as_listener(caller, origin, follower, topics_of(followed)) as listening:
                    await _acknowledge(ctx, followed, meta)

                    async def send(event: ServerEvent) -> None:
                        await ctx.session.send_notification(event_to_notification(event, meta), ctx.request_id)

                    while not self._push.is_stopping and not follower.superseded:
                        await self._push_changes(caller, follower, followed, send, lambda: listening)
                    if follower.superseded:
                        meta[SUPERSEDED_META_KEY] = True
                    return types.SubscriptionsListenResult(_meta=meta)
        finally:
            self._push.leave(follower)
        await self._door.read(caller, LISTEN, Nothing())  # raises the refusal that names who stopped it and why
        raise Refusal(
            "busy",
            "Your standing changed while you listened.",
            "Call subscriptions/listen again.",
            retry_after_seconds=1,
        )

    @contextlib.asynccontextmanager
    async def _as_listener(
        self, caller: Caller, origin: Origin, follower: Follower, wanted: set[str]
    ) -> AsyncIterator[Listening | None]:
        """Follow topics. If the caller's inbox is among them, the stream becomes its newest listener."""
        inbox = topics.inbox(caller.member)
        if inbox not in wanted:
            self._push.follow(follower, wanted)
            yield None
            return
        superseded = partial(self._push.supersede, follower, {inbox})
        async with self._listeners.listening(caller, "stream", origin, superseded) as listening:
            if not listening.superseded:
                self._push.follow(follower, wanted)
            yield listening

    async def _honoured(self, caller: Caller, asked: types.SubscriptionFilter) -> list[Followed]:
        """Return the subscriptions to grant, without addresses that do not exist, never change or are not readable.

        Raises Refusal if no requested address is left.
        """
        addresses = list(dict.fromkeys(asked.resource_subscriptions or ()))
        _limit(len(addresses))
        followed, refused = [], None
        if asked.tools_list_changed:
            followed.append(Followed(ToolsListChanged(), frozenset({topics.tools(caller.member)}), LISTEN))
        for uri in addresses:
            try:
                followed.append(await self._authorised(caller, uri))
            except Refusal as refusal:
                if refusal.code not in ("not_found", "invalid", "not_allowed"):
                    raise
                refused = refused or refusal
        if refused is not None and not followed:
            raise refused
        return followed

    # -------------------------------------------------------------- older clients

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Subscribe a session to a resource. Changes are pushed on the stream that it keeps open. Raises MCPError."""
        caller, connection, uri = self._caller_of(ctx), self._connection(ctx), str(params.uri)
        with as_mcp_errors(self._faults, "a subscription"):
            origin = _origin(ctx, connection)
            followed = await self._authorised(caller, uri)
            session = self._sessions.get(connection)
            if session is None:
                session = self._open(connection, caller, ctx)
            elif uri not in session.followed:
                _limit(len(session.followed) + 1)
            if topics.inbox(caller.member) in followed.topics:
                await self._be_listener(caller, origin, session)
        session.followed[uri] = followed
        self._push.follow(session.follower, followed.topics)
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """End a subscription. Ending one that does not exist is not an error."""
        session = self._sessions.get(self._connection(ctx))
        if session is not None and session.followed.pop(str(params.uri), None) is not None:
            self._unfollow(session)
        return types.EmptyResult()

    def _connection(self, ctx: Context) -> Connection:
        connection = self._session_of(ctx)
        if connection is None:
            raise LookupError("a subscription outside a session reached the server")
        return connection

    async def _be_listener(self, caller: Caller, origin: Origin, session: Session) -> None:
        """Make a session the newest listener of its member. Raises Refusal if a listener that began later is live."""
        if session.listening is not None and not session.listening.superseded:
            return
        superseded = partial(self._forget_inbox, caller, session)
        session.listening = await self._listeners.join(caller, "subscription", origin, superseded)
        if session.listening.superseded:
            raise Refusal(
                "conflict",
                "A newer listener of yours is live.",
                "End this listener: an agent has exactly one.",
            )

    def _forget_inbox(self, caller: Caller, session: Session) -> None:
        """End the session's subscription on the inbox, which a newer listener follows now."""
        inbox = topics.inbox(caller.member)
        for uri in [uri for uri, one in session.followed.items() if inbox in one.topics]:
            del session.followed[uri]
        self._unfollow(session)

    def _unfollow(self, session: Session) -> None:
        """Follow only the topics of the remaining subscriptions. Without the inbox, the session is not a listener."""
        left = topics_of(session.followed.values())
        self._push.unfollow(session.follower, session.follower.topics - left)
        if session.listening is not None and topics.inbox(session.listening.caller.member) not in left:
            self._listeners.leave(session.listening)
            session.listening = None

    def _open(self, connection: Connection, caller: Caller, ctx: Context) -> Session:
        """Start to push to a session, until it ends or its member is no longer allowed to listen. Raises Refusal."""
        self._make_room(caller.member)
        follower = self._push.join(caller.member)
        followed: dict[str, Followed] = {}

        async def send(event: ServerEvent) -> None:
            if isinstance(event, ResourceUpdated):
                await ctx.session.send_resource_updated(event.uri)

        async def push() -> None:
            while not self._push.is_stopping:
                try:
                    await self._push_changes(caller, follower, followed.values(), send, lambda: session.listening)
                except Refusal as refusal:
                    if refusal.code in ("killed", "not_allowed"):
                        return  # a pause ends only its stream; the session continues after it

        def ended(task: asyncio.Task[None]) -> None:
            if self._sessions.get(connection) is session:
                del self._sessions[connection]
            self._push.leave(follower)
            if session.listening is not None:
                self._listeners.leave(session.listening)
            if not task.cancelled() and (fault := task.exception()) is not None:
                logger.error("pushing to a session failed", exc_info=fault)

        session = Session(follower, followed, asyncio.get_running_loop().create_task(push()))
        session.pushing.add_done_callback(ended)
        connection.exit_stack.callback(session.pushing.cancel)
        self._sessions[connection] = session
        return session

    def _make_room(self, member: int) -> None:
        """End the member's oldest session if it has too many: a client that crashed never ends its session."""
        if self._push.is_full(member):
            for connection, session in self._sessions.items():
                if session.follower.member == member:
                    del self._sessions[connection]
                    self._push.leave(session.follower)
                    session.pushing.cancel()
                    return

    # -------------------------------------------------------------- both

    async def _authorised(self, caller: Caller, uri: str) -> Followed:
        """Return the subscription for an address that the caller may read and that can change. Raises Refusal."""
        resource, arguments = find(uri)
        if resource.topics is None:
            raise Refusal(
                "invalid", f"{inline(uri[:80])} does not change.", "Read it once with resources/read.", subject=uri[:80]
            )
        found = await self._door.read(caller, resource.found_by or resource.reads, arguments)
        changes = resource.topics_for(caller, arguments, found)
        return Followed(ResourceUpdated(uri=uri), changes, resource.pushed_by)

    async def _push_changes(
        self,
        caller: Caller,
        follower: Follower,
        followed: Iterable[Followed],
        send: Send,
        listening_now: Callable[[], Listening | None],
    ) -> None:
        """Wait for changes and push them, each only while the caller may still read it. Raises Refusal."""
        due = await self._push.due(follower)
        await self._door.check(caller, LISTEN)
        listening, inbox = listening_now(), topics.inbox(caller.member)
        if listening is not None and (not due or inbox in due) and not await self._listeners.is_live(listening):
            due.discard(inbox)
        if not due:
            return
        for one in list(followed):
            if one.topics.isdisjoint(due):
                continue
            await self._door.check(caller, one.read)
            if listening is None or inbox not in one.topics & due:
                await send(one.event)
                continue
            ends = await self._door.ends(caller)
            await send(one.event)
            self._door.note_delivery(caller, None if listening.live is None else listening.live.name, *ends)
        await self._push.rest()


def _origin(ctx: Context, session: Connection | None) -> Origin:
    return Origin(listener_name(meta_of(ctx.params)), session)


def topics_of(followed: Iterable[Followed]) -> set[str]:
    """Return the topics of all subscriptions."""
    return {topic for one in followed for topic in one.topics}


def _limit(count: int) -> None:
    if count > FOLLOWED:
        raise Refusal(
            "too_large",
            f"You follow {count} addresses; the limit is {FOLLOWED}.",
            "Follow the board or the stream instead.",
        )


async def _acknowledge(ctx: Context, followed: Iterable[Followed], meta: dict[str, Any]) -> None:
    """Send the first frame, which lists the subscriptions that were granted."""
    events = [one.event for one in followed]
    honoured = types.SubscriptionFilter(
        tools_list_changed=True if ToolsListChanged() in events else None,
        resource_subscriptions=[event.uri for event in events if isinstance(event, ResourceUpdated)] or None,
    )
    params = types.SubscriptionsAcknowledgedNotificationParams(notifications=honoured, _meta=meta)
    await ctx.session.send_notification(types.SubscriptionsAcknowledgedNotification(params=params), ctx.request_id)
