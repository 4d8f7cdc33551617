"""Assembles the parts into a room that serves a data folder over HTTP. Only this file knows all parts."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path

import uvicorn
from mcp.server.lowlevel import Server
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from teamroom.resources.listen import ListenServer
from teamroom.resources.serve import ResourceServer
from teamroom.resources.serve_prompts import PromptServer
from teamroom.server.acts.members.members import open_room
from teamroom.server.clock import Clock, Moment, RoomClock, awake_clock, steady_clock, wall_clock
from teamroom.server.door.door import Door
from teamroom.server.door.rates import Rates
from teamroom.server.faults import Faults
from teamroom.server.gauges import gauges
from teamroom.server.http.accepting import Accepting
from teamroom.server.http.connections import Connections
from teamroom.server.http.files import raise_file_limit
from teamroom.server.http.gate import Gate
from teamroom.server.http.protocol import RECEIVE_BYTES, Protocol
from teamroom.server.http.strangers import Rejections
from teamroom.server.http.transports import Transports, caller_of, mcp_server, session_of
from teamroom.server.identity import Entropy
from teamroom.server.metrics import Metrics
from teamroom.server.notify.deliver import Deliverer
from teamroom.server.record import chain as log
from teamroom.server.record import journal
from teamroom.server.record import seal as sealing
from teamroom.server.record.backups import BACKUPS, BackupError, make_backup, restore_command
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.engine import CarryOut, StorageError, Store
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Effects, Head, Reading, Writing
from teamroom.server.supervisor.loop import Supervisor
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.listeners import Listeners
from teamroom.server.wake.push import Push
from teamroom.server.wake.waiting import Waiting
from teamroom.tools.asking import Asking, seal_answers
from teamroom.tools.instructions import INSTRUCTIONS
from teamroom.tools.serve import WAITING_TOOLS, ToolServer

logger = logging.getLogger("teamroom")

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75

SUPERVISOR_BYTES = 8
"""The length of the random name under which a server supervises its room."""

MakeContext = Callable[[Mapping[str, str]], Context]
"""Makes a context of an engine's statements."""

ChooseEngine = Callable[[Path, MakeContext, CarryOut], Store]
"""Makes the store of a folder's room; it is not open yet."""


def sqlite_engine(folder: Path, make_context: MakeContext, carry_out: CarryOut) -> Store:
    """The room in one SQLite file in its data folder. A second engine would be chosen here, and nowhere else."""
    return SqliteStore(folder, make_context(sqlite_statements()), carry_out)


class Room:
    """One room: its store, its door, and the MCP server in front of it."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        clock: Clock = wall_clock,
        entropy: Entropy = secrets.token_bytes,
        steady: Clock = steady_clock,
        choose_engine: ChooseEngine = sqlite_engine,
        awake: Clock | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings
        awake = awake or (awake_clock if steady is steady_clock else steady)
        self.clock = RoomClock(clock, steady, settings.clock_step_seconds, awake)
        self.bus = Bus()
        self.push = Push(settings)
        make_context = partial(
            Context,
            settings=settings,
            entropy=entropy,
            clock=self.clock,
            listens=self.bus.is_open,
            write_down=self._write_down,
        )
        self.store = choose_engine(folder, make_context, self._carry_out)
        self.metrics = Metrics()
        self.faults = Faults(self.metrics, entropy)
        self.rates = Rates(settings, steady)
        self.door = Door(self.store, self.clock, self.metrics, lambda: restore_command(folder), self.rates)
        self.listeners = Listeners(self.door, self.store, self.clock, steady, settings)
        self.waiting = Waiting(self.door, self.bus, self.listeners, settings)
        self.supervisor = Supervisor(
            self.door, self.store, self.clock, settings, self.metrics, entropy(SUPERVISOR_BYTES).hex()
        )
        self.deliverer = Deliverer(self.door, self.store, self.clock, settings, self.metrics)
        self._entropy = entropy
        self._made_at = 0.0
        self._sealed = 0
        self._seals = True

    async def open(self, owner: str) -> str | None:
        """Open the folder's room, or create it with its first room owner; returns that owner's token if it is new.

        The caller must have locked the folder. A damaged room is opened for reading only: see `store.damage`.
        Raises StorageError, FolderError; nothing stays open then.
        """
        self._key = sealing.read_key(self.folder, self._entropy)
        await self.store.open(self._missed, self._back_up)
        try:
            token = None
            await self._resume_clock()
            if (head := await self._read_head()) is None:
                token = await self.store.create(lambda tx: self._make(tx, owner), log.FIRST_HASH)
                head = await self._read_head()
            self._made_at = 0.0 if head is None else head.created_at
            if self.store.damage is None:
                await self.store.look_up(self._bring_files_up)
                self.clock.was_away_since(await self.store.look_up(_last_sign))
            return token
        except BaseException:
            await self.store.close()
            raise

    async def _resume_clock(self) -> None:
        """Go on from the clock that the room saved. A damaged room that has none goes by the wall clock."""
        try:
            then = await self.store.look_up(lambda tx: tx.one(Moment, "clock_state"))
        except StorageError:
            if self.store.damage is None:
                raise
            return
        if then is not None:
            self.clock.resume(then)

    async def _read_head(self) -> ReadHead | None:
        return await self.store.look_up(lambda tx: tx.one(ReadHead, "read_head"))

    def _missed(self, head: ReadHead | None) -> str | None:
        return sealing.missed(self.folder, self._key, head)

    def _back_up(self) -> None:
        """Make a verified backup of the room before this release upgrades it. Raises FolderError."""
        into, kept = self.folder / BACKUPS, self.settings.backups_kept
        try:
            made = make_backup(self.folder, into, self.clock.wall(), kept, _silent, _silent)
        except (BackupError, data_folder.FolderError) as error:
            raise data_folder.FolderError(
                f"The room must be upgraded to this release, but no backup can be made first: {error}. "
                "Nothing was changed."
            ) from None
        logger.warning("the room is being upgraded to this release; the backup made before is at %s", made.path)

    def _bring_files_up(self, tx: Reading) -> None:
        """Update the journal from the database, and seal a room that is new, or was restored but not sealed."""
        journal.reconcile(self.folder, tx)
        head = tx.only(Head, "lock_head")
        if sealing.epoch_of(self.folder) != head.epoch:
            self._seal(head)

    def _make(self, tx: Writing, owner: str) -> str:
        """Write the room's first entries. The owner's token is in its file before the commit, so it is never lost."""
        token = open_room(tx, owner)
        data_folder.write_private(self.folder / data_folder.OWNER_TOKEN, f"{token}\n")
        return token

    def mcp(self) -> Server[object]:
        """The MCP server of this room: tools and resources over the one door."""
        asking = Asking(self.door, self.bus, self.settings)
        tools = ToolServer(self.door, self.waiting, asking, caller_of, session_of, self.faults)
        resources = ResourceServer(self.door, caller_of, self.faults)
        prompts = PromptServer(self.door, caller_of, self.faults)
        listening = ListenServer(self.door, self.push, self.bus, self.listeners, caller_of, session_of, self.faults)
        return mcp_server(
            INSTRUCTIONS,
            seal_answers(self._key, f"teamroom {self._made_at}", caller_of, self.settings.confirm_seconds),
            on_list_tools=tools.list,
            on_call_tool=tools.call,
            on_list_resources=resources.list,
            on_list_resource_templates=resources.templates,
            on_read_resource=resources.read,
            on_list_prompts=prompts.list,
            on_get_prompt=prompts.get,
            on_completion=prompts.complete,
            on_subscriptions_listen=listening.listen,
            on_subscribe_resource=listening.subscribe,
            on_unsubscribe_resource=listening.unsubscribe,
        )

    def _carry_out(self, effects: Effects) -> None:
        """Carry out what an act causes outside the store, after its commit and before its reply."""
        for member in effects.woken:
            self.bus.nudge(member)
        self.push.changed(effects.changed)
        self.supervisor.nudge(effects.due)
        if effects.letters:
            self.deliverer.nudge()
        if effects.ended:
            self.bus.end(effects.ended, effects.killed)
        if effects.revoked:
            self.bus.revoke(effects.revoked)

    def _write_down(self, effects: Effects) -> None:
        """Write to the journal. If that fails, the stop still counts: the room updates the journal when it opens."""
        try:
            journal.append(self.folder, effects.journal)
        except OSError:
            logger.exception("the control journal cannot be written; a backup restored now would undo this")
        for note in effects.journal:
            logger.info("%s", journal.line(note))

    async def keep_sealed(self) -> None:
        """Write the signed head outside the database after commits, at most once every `seal_seconds`."""
        while True:
            await asyncio.sleep(self.settings.seal_seconds)
            await asyncio.to_thread(self.seal)

    async def supervise(self) -> None:
        """Run the supervisor, unless the room is read-only."""
        if self.store.is_writing:
            await self.supervisor.run()

    async def deliver(self) -> None:
        """Send letters to people outside the room, unless it is read-only."""
        if self.store.is_writing:
            await self.deliverer.run()

    def seal(self) -> None:
        """Write the signed head now, if the log has moved since."""
        head = self.store.committed
        if head is None or head.seq == self._sealed:
            return
        try:
            self._seal(head)
            self._seals = True
        except OSError as error:
            if self._seals:
                logger.error("the seal cannot be written (%s); the room keeps trying", error)
            self._seals = False

    def _seal(self, head: Head) -> None:
        sealing.write(self.folder, self._key, head, self.clock.wall())
        self._sealed = head.seq

    async def close(self) -> None:
        """Finish the acts that wait, save the clock, close the store, and seal the log.

        It may be called again, or before `open`.
        """
        if self.store.is_writing:
            with contextlib.suppress(Refusal, StorageError):
                await self.door.act_as_room(Writing.save_clock)
        await self.store.close()
        self.seal()


def _last_sign(tx: Reading) -> float:
    """When the room last gave a sign of life."""
    return tx.value(float, "last_sign") or 0.0


def _silent(done: int, total: int) -> None:
    """Report no progress."""


class WebRoom:
    """A room as an ASGI application, with everything that lives as long as the server."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.connections = Connections(room.settings, Rejections(room.metrics), raise_file_limit())
        room.bus.on_ended.append(self.connections.end_members)
        room.bus.on_revoked.append(self.connections.end_tokens)
        self._transports = Transports(room.mcp(), room.settings, WAITING_TOOLS)
        room.bus.on_ended.append(self._transports.end_sessions)
        room.bus.on_ended.append(lambda members, killed: room.store.end_reads(members))
        self._gate = Gate(self._transports, room.door, self.connections, room.settings, room.metrics)
        room.metrics.measure(
            lambda: gauges(room.folder, room.store, room.bus, room.push, self.connections, room.clock.wall())
        )
        self._lifespan: ASGIApp = Starlette(lifespan=self._running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or run the server's lifespan."""
        await (self._lifespan if scope["type"] == "lifespan" else self._gate)(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _running(self, app: Starlette) -> AsyncIterator[None]:
        duties = [
            asyncio.create_task(self.room.keep_sealed()),
            asyncio.create_task(self.connections.cut_stalled()),
            asyncio.create_task(self.room.supervise()),
            asyncio.create_task(self.room.deliver()),
        ]
        try:
            async with self._transports.running():
                yield
        finally:
            for duty in duties:
                duty.cancel()
            await asyncio.gather(*duties, return_exceptions=True)
            await self.room.close()

    def end_streams(self) -> None:
        """Answer waiting calls and close streams, because the server stops."""
        self.room.bus.stop()
        self.room.push.stop()
        self.connections.end_streams()


class WebServer(uvicorn.Server):
    """uvicorn waits for open responses before it ends the application: end our streams first."""

    def __init__(self, config: uvicorn.Config, web: WebRoom, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._web = web
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so. Uvicorn would accept whatever comes, so it is given nothing to listen on."""
        await super().startup([])
        for listener in sockets or []:
            accepting = Accepting(listener, self._make_protocol, self._web.connections)
            accepting.start(self.config.backlog)
            self.servers.append(accepting)  # type: ignore[arg-type]
        if not self.should_exit:
            self._opened()

    def _make_protocol(self) -> Protocol:
        return Protocol(
            self._web.connections,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop within two seconds, with streams open or not."""
        self._web.end_streams()
        await super().shutdown(sockets)


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """Bind the room's address; returns the socket, and the settings with the port that it got if port 0 was asked for.

    Raises OSError if the port is taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # If the protocol is named, asyncio sends small answers at once. Otherwise, each waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)  # what is accepted inherits it
    try:
        listener.bind((settings.host, settings.port))
    except OSError:
        listener.close()
        raise
    return listener, settings.model_copy(update={"port": listener.getsockname()[1]})


async def serve(
    room: Room, listener: socket.socket, opened: Callable[[], None], stop: asyncio.Event | None = None
) -> None:
    """Answer over HTTP until a signal, or `stop`, ends the server; closes the room."""
    web = WebRoom(room)
    config = uvicorn.Config(
        web,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(room.settings.stop_seconds)),
    )
    server = WebServer(config, web, opened)
    if stop is None:
        await server.serve([listener])
        return
    serving = asyncio.create_task(server.serve([listener]))
    await stop.wait()
    server.should_exit = True
    await serving
