"""A room as ASGI applications: at an address for everybody, and on the socket in its folder for the folder's user."""

import asyncio
import contextlib
import hmac
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Set
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from teamroom.server import own_socket
from teamroom.server.app import Room
from teamroom.server.door.door import Door
from teamroom.server.door.hooks import Hooks
from teamroom.server.gauges import gauges
from teamroom.server.http.connections import Connections
from teamroom.server.http.files import raise_file_limit
from teamroom.server.http.gate import Gate, Recover
from teamroom.server.http.serving import LoopThread, serve_web
from teamroom.server.http.strangers import Rejections
from teamroom.server.http.transports import Transports
from teamroom.server.http.turns import Turns, end_turn, share_interpreter
from teamroom.server.http.visits import Visits
from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import AttachedStore, StorageError, Transactions
from teamroom.server.store.folder import held_token
from teamroom.server.watching import Watcher, beat
from teamroom.tools.serve import ASKING_TOOLS, WAITING_TOOLS

logger = logging.getLogger("teamroom")


class WebPart:
    """What answers requests on one event loop, and what runs there as long as it is served."""

    def __init__(
        self,
        room: Room,
        door: Door,
        connections: Connections,
        transports: Transports,
        hooks: Hooks,
        recover: Recover | None = None,
        turns: Turns | None = None,
        visits: Visits | None = None,
    ) -> None:
        self.room = room
        self.connections = connections
        self.transports = transports
        door.on_lost, door.on_waiting = connections.on_lost, end_turn
        secret = room.notary.secret
        self._gate = Gate(
            transports,
            door,
            connections,
            room.settings,
            room.metrics,
            secret,
            hooks,
            room.health,
            recover,
            turns,
            visits,
        )
        self._lifespan: ASGIApp = Starlette(lifespan=self._running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the server's lifespan."""
        await (self._lifespan if scope["type"] == "lifespan" else self._gate)(scope, receive, send)

    def duties(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as this is served."""
        return [self.connections.cut_stalled()]

    @contextlib.asynccontextmanager
    async def _running(self, app: Starlette) -> AsyncIterator[None]:
        duties = [asyncio.create_task(duty) for duty in self.duties()]
        try:
            async with self.transports.running():
                yield
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.gather(*duties, return_exceptions=True)


class WebRoom(WebPart):
    """The room at its address, with everything that lives as long as the server."""

    def __init__(self, room: Room, on_own_socket: bool = False) -> None:
        connections = Connections(room.settings, Rejections(room.metrics), raise_file_limit())
        transports = Transports(room.mcp(), room.settings, WAITING_TOOLS, ASKING_TOOLS, room.session_ids())
        hooks = room.hooks(room.store, room.door, room.supervisor.nudge)
        turns, visits = Turns(share_interpreter), room.visits()
        super().__init__(room, room.door, connections, transports, hooks, turns=turns, visits=visits)
        room.bus.on_ended.append(connections.end_members)
        room.bus.on_revoked.append(connections.end_tokens)
        room.bus.on_ended.append(self.transports.end_sessions)
        room.bus.on_ended.append(lambda members, killed: room.store.end_reads(members))
        room.metrics.measure(
            lambda: gauges(room.folder, room.store, room.servers, room.bus, room.push, connections, room.clock.wall())
        )
        self._own_socket = OwnSocket(room) if on_own_socket else None

    def duties(self) -> list[Coroutine[Any, Any, None]]:
        """The room's own duties too."""
        room = self.room
        watched = [] if self._own_socket is not None else [watcher_of(room, room.store, room.door).run()]
        own = [room.keep_sealed(), room.keep_leases(), room.supervise(), room.deliver(), beat(room.health)]
        return [*own, *super().duties(), *watched]

    def end_streams(self) -> None:
        """Answer waiting calls and close streams, because the server stops."""
        self.room.bus.stop()
        self.room.push.stop()
        self.connections.end_streams()

    @contextlib.asynccontextmanager
    async def _running(self, app: Starlette) -> AsyncIterator[None]:
        try:
            async with super()._running(app), self._on_own_socket():
                yield
        finally:
            await self.room.close()

    @contextlib.asynccontextmanager
    async def _on_own_socket(self) -> AsyncIterator[None]:
        if self._own_socket is None:
            yield
            return
        async with self._own_socket.running():
            yield


class OwnSocket:
    """The room on the Unix socket in its folder, served by a thread and an event loop of its own.

    It carries every call that is answered at once, so the owner can act however busy the first loop is, and whatever
    the network does. It carries no streams, no sessions and no waiting calls.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._thread = LoopThread(self._serve, "teamroom-socket")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve as long as the block runs. If the socket cannot be opened, the room goes on without it."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._thread.start()
        except (OSError, StorageError) as error:
            logger.error("the room's own socket cannot be served (%s); the shell calls the address instead", error)
            yield
            return
        try:
            yield
        finally:
            await self._thread.stop()

    def _nudge(self, at: float) -> None:
        """Tell the supervisor that something is due; it is gone once the room stops."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._room.supervisor.nudge, at)

    async def _serve(self, opened: Callable[[], None], stop: asyncio.Event) -> None:
        room, store = self._room, await self._room.store.attach()
        try:
            with contextlib.closing(own_socket.listen(room.folder)) as listener:
                web = WebOnSocket(room, store, self._nudge)
                watching = asyncio.create_task(watcher_of(room, store, web.door).run())
                room.bus.on_ended.append(lambda *ended: self._thread.call(web.end_members, *ended))
                room.bus.on_revoked.append(lambda tokens: self._thread.call(web.connections.end_tokens, tokens))
                try:
                    await serve_web(web, room.settings, listener, opened, stop)
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
        finally:
            (room.folder / own_socket.SOCKET).unlink(missing_ok=True)
            await store.close()


def watcher_of(room: Room, store: Transactions, door: Door) -> Watcher:
    """What watches the parts of a room, on the event loop of a store and a door."""
    return Watcher(room.folder, room.health, store, door)


class WebOnSocket(WebPart):
    """The room on its own socket, without sessions and streams."""

    def __init__(self, room: Room, store: AttachedStore, nudge: Callable[[float], object]) -> None:
        """`nudge`: tells the supervisor, which is on another event loop, when something is due."""
        door = Door(store, room.clock, room.metrics, room.remedy, room.rates)
        door.addresses = room.addresses
        server, ids = room.mcp_without_streams(door, nudge), room.session_ids()
        transports = Transports(server, room.settings, WAITING_TOOLS, ASKING_TOOLS, ids, streams=False)
        connections = Connections(room.settings, Rejections(room.metrics))
        hooks = room.hooks(store, door, nudge)
        super().__init__(room, door, connections, transports, hooks, self._recover)
        self._store, self.door = store, door

    async def _recover(self, code: str, name: str | None) -> dict[str, Any]:
        """Give a room owner a new token, for who wrote the code into the folder. Raises Refusal, OSError."""
        file = self.room.folder / own_socket.CODE
        written = held_token(file)
        file.unlink(missing_ok=True)  # it counts once
        if written is None or not hmac.compare_digest(written.encode(), code.encode()):
            raise Refusal("not_allowed", "The code is not the one in the room's folder.", "Run `teamroom recover`.")
        done = await self.room.recover(name, self.door)
        return {"name": done.name, "receipt": done.receipt}

    def end_members(self, members: Set[int], killed: Set[int]) -> None:
        """End what stopped members have open here."""
        self.connections.end_members(members, killed)
        self._store.end_reads(members)

    def end_streams(self) -> None:
        """There are none."""


async def serve(
    room: Room,
    listener: socket.socket,
    opened: Callable[[], None],
    stop: asyncio.Event | None = None,
    on_own_socket: bool = False,
) -> None:
    """Answer over HTTP until a signal, or `stop`, ends the server; closes the room.

    `on_own_socket`: answer on the socket in the folder, too.
    """
    await serve_web(WebRoom(room, on_own_socket), room.settings, listener, opened, stop)
