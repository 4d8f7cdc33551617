"""Assembles the parts into the room of a data folder. `server/web.py` serves it."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from teamroom.resources.listen import ListenServer
from teamroom.resources.page.page import Offered, Page
from teamroom.resources.serve import ResourceServer
from teamroom.resources.serve_prompts import PromptServer
from teamroom.server.acts.act import Act
from teamroom.server.acts.control.mend import mend, needs_mending
from teamroom.server.acts.members.members import open_room
from teamroom.server.acts.members.recover import Recovered, end_recovered, recover
from teamroom.server.acts.members.sign_in import LINK_SECONDS, offer_sign_in
from teamroom.server.acts.messages.older import INDEX, index_older
from teamroom.server.acts.receipts.retention import is_retention_idle, start_retention
from teamroom.server.clock import Clock, Moment, RoomClock, awake_clock, steady_clock, wall_clock
from teamroom.server.door.door import Door
from teamroom.server.door.hooks import Hooks
from teamroom.server.door.rates import Rates
from teamroom.server.door.repeats import start_forgetting
from teamroom.server.facts.channels import ROOM_CHANNELS
from teamroom.server.facts.timers import find_timer
from teamroom.server.faults import Faults
from teamroom.server.health import LETTERS, SEAL, SUPERVISOR, Health
from teamroom.server.http.sessions import SessionIds
from teamroom.server.http.transports import RoomServer, caller_of, mcp_server, session_of
from teamroom.server.http.visits import Visits
from teamroom.server.identity import Entropy
from teamroom.server.metrics import Metrics
from teamroom.server.notify.addresses import AddressFile, UnreadableError
from teamroom.server.notify.deliver import Deliverer
from teamroom.server.private import NotPrivateError, write_private
from teamroom.server.record import chain as log
from teamroom.server.record import journal
from teamroom.server.record.backups import (
    BACKUPS,
    BackupError,
    accept_command,
    make_backup,
    restore_command,
    restore_database_command,
)
from teamroom.server.record.keys import copy_key
from teamroom.server.record.notary import Notary
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.engine import CHANGED, CarryOut, InOneFile, Shared, StorageError, Store, Transactions
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.copy import Progress
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context, Effects, Reading, Spent, Writing
from teamroom.server.supervisor.loop import Supervisor
from teamroom.server.supervisor.servers import LEASE_SECONDS, LETTERS_DUTY, SEAL_DUTY, Servers, name_of_server
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.calls import Calls
from teamroom.server.wake.listeners import ONLY_SERVER, Listeners
from teamroom.server.wake.push import Push
from teamroom.server.wake.waiting import Waiting
from teamroom.tools.asking import Asking, seal_answers
from teamroom.tools.instructions import instructions_for
from teamroom.tools.serve import TOOLS, ToolServer

logger = logging.getLogger("teamroom")

PAGES_AT_START = 20
"""How many pages of an older room's messages are indexed before it opens; a page takes some milliseconds."""

SUPERVISOR_BYTES = 8
"""The length of the random name of this start of the server: it supervises its room and counts calls under it."""

GOODBYE_SECONDS = 3.0
"""How long the last acts of a server that stops may take. A database can stand still."""

Reports = Sequence[Progress]
"""Three functions that get how far an upgrade is: the copy for the backup, its check, and the rebuild of the file."""

MakeContext = Callable[[Mapping[str, str]], Context]
"""Makes a context of an engine's statements."""

ChooseEngine = Callable[[Path, MakeContext, CarryOut], Store]
"""Makes the store of a folder's room; it is not open yet."""


def postgres_address(settings: Settings) -> Any:
    """The address of PostgreSQL that the settings name; None if the room is in a file. Raises FolderError."""
    if not settings.database.get_secret_value():
        return None
    try:
        from teamroom.server.store.postgres.address import Address, AddressError
    except ImportError:
        raise data_folder.FolderError(
            "A room in PostgreSQL needs psycopg. Install it with: pip install 'teamroom[postgres]'"
        ) from None
    try:
        return Address.parse(settings.database.get_secret_value())
    except AddressError as error:
        raise data_folder.FolderError(f"The setting database is no address of PostgreSQL: {error}.") from None


def engine_of(settings: Settings) -> ChooseEngine:
    """The engine that the settings name. Engines are chosen here, and nowhere else. Raises FolderError."""
    address = postgres_address(settings)
    if address is None:
        return sqlite_engine
    from teamroom.server.store.postgres.store import PostgresStore

    def postgres_engine(folder: Path, make_context: MakeContext, carry_out: CarryOut) -> Store:
        if (folder / data_folder.DATABASE).exists():
            raise data_folder.FolderError(
                f"{folder} holds a room in {data_folder.DATABASE}. Give the server of a room in PostgreSQL a folder of "
                "its own with --data; `teamroom copy` copies the room."
            )
        return PostgresStore(address, make_context(postgres_statements()), carry_out)

    return postgres_engine


def sqlite_engine(folder: Path, make_context: MakeContext, carry_out: CarryOut) -> Store:
    """The room in one SQLite file in its data folder."""
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
        choose_engine: ChooseEngine | None = None,
        awake: Clock | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings
        awake = awake or (awake_clock if steady is steady_clock else steady)
        self.clock = RoomClock(clock, steady, settings.clock_step_seconds, awake)
        self.health = Health(wall=self.clock.wall)
        self.bus = Bus()
        self.push = Push(settings)
        make_context = partial(
            Context,
            settings=settings,
            entropy=entropy,
            clock=self.clock,
            listens=self._listens,
            is_connected=self._is_connected,
            take_spent=self._take_spent,
            health=self.health.parts,
            write_down=self._write_down,
            report=lambda done, total: self._reports[2](done, total),
        )
        self._reports: Reports = (_silent, _silent, _silent)
        self._entropy = entropy
        self.store = (choose_engine or engine_of(settings))(folder, make_context, self._carry_out)
        self.notary = Notary(folder, self.clock.wall, entropy, is_shared=self.is_shared)
        self.metrics = Metrics()
        self.faults = Faults(self.metrics, entropy)
        self.rates = Rates(settings, steady)
        self.door = Door(self.store, self.clock, self.metrics, self.remedy, self.rates)
        self.addresses = AddressFile(folder, entropy, settings.notify_private)
        self.door.addresses = self.addresses
        mark = entropy(SUPERVISOR_BYTES).hex()
        server = name_of_server(socket.gethostname(), settings.port, mark) if self.is_shared else ONLY_SERVER
        self.listeners = Listeners(self.door, self.store, self.clock, steady, settings, server)
        self.servers = Servers(self.door, steady, server, is_shared=self.is_shared)
        self.servers.listening = self.listeners.listening_members
        self.servers.connected = lambda: self.bus.open_members
        self.calls = Calls(mark)
        self.waiting = Waiting(self.door, self.bus, self.listeners, settings)
        self.supervisor = Supervisor(
            self.door, self.store, self.clock, settings, self.metrics, server if self.is_shared else mark
        )
        self.door.on_refused = self.door.on_delivered = self.supervisor.nudge
        self.deliverer = Deliverer(self.door, self.store, self.clock, settings, self.metrics, self.addresses)
        self.supervisor.alive = partial(self.health.alive, SUPERVISOR)
        if self.is_shared:
            self.supervisor.lease_seconds = LEASE_SECONDS
        self.rates.is_shared = self.is_shared
        self.deliverer.is_mine = partial(self.servers.does, LETTERS_DUTY)
        self.deliverer.fenced = partial(self.servers.fenced, LETTERS_DUTY)
        self.deliverer.alive = partial(self.health.alive, LETTERS)
        self._made_at = 0.0
        self._looking: set[asyncio.Future[None]] = set()
        self.on_changed: Callable[[set[str]], object] = lambda changed: None
        """Gets the topics that an act changed, once it is committed."""
        self.on_lost: Callable[[], object] = lambda: None
        """Called when it is not known what changed."""

    @property
    def is_shared(self) -> bool:
        """Whether other servers may have the room open, too."""
        return isinstance(self.store, Shared)

    def _listens(self, member: int) -> bool:
        """Whether a member has a live listener, here or on another server."""
        return self.listeners.listens(member) or self.servers.listens_elsewhere(member)

    def _take_spent(self) -> dict[int, Spent]:
        """What members sent to this server, to be told to others."""
        return self.rates.take_spent()

    def _is_connected(self, member: int) -> bool:
        """Whether a member has a call or a stream open, here or on another server."""
        return self.bus.is_open(member) or self.servers.is_connected_elsewhere(member)

    async def open(self, owner: str, reports: Reports | None = None) -> str | None:
        """Open the folder's room, or create it with its first room owner; returns that owner's token if it is new.

        The caller must have locked the folder. A damaged room is opened for reading only: see `store.damage`.
        `reports`: get how far an upgrade is; see `Reports`.
        Raises StorageError, FolderError; nothing stays open then.
        """
        self._reports = reports or self._reports
        if self.settings.key_file:
            copy_key(Path(self.settings.key_file), self.folder)
        await self.store.open(self.notary.vouch, self._upgrade)
        try:
            token = None
            await self._resume_clock()
            if (head := await self._read_head()) is None:
                self.notary.begin_new()
                token = await self.store.create(lambda tx: self._make(tx, owner), log.FIRST_HASH)
                head = await self._read_head()
            self._made_at = 0.0 if head is None else head.created_at
            if self.store.damage is None:
                await self.store.look_up(partial(journal.reconcile, self.folder))
                self.notary.begin()
                self.clock.was_away_since(await self.store.look_up(_last_sign))
                await self._mend()
                await self._retain()
                await self._index_older()
                await self._drop_addresses()
            return token
        except BaseException:
            await self.store.close()
            raise

    async def _mend(self) -> None:
        """Repair what an earlier release left wrong. If that cannot be written, the room opens anyway."""
        if not await self.store.look_up(needs_mending):
            return
        try:
            await self.door.act_as_room(self._mended)
        except Refusal as refusal:
            logger.error("what an earlier release left wrong cannot be repaired now: %s", refusal)

    async def _retain(self) -> None:
        """Begin the redaction by age that the settings want. A policy of the room's begins it when it is set."""
        if await self.store.look_up(is_retention_idle):
            await self.door.act_as_room(start_retention)

    async def _index_older(self) -> None:
        """Index the newest of what an earlier release did not index for the search; a duty indexes the rest."""
        for _ in range(PAGES_AT_START):
            if (due := await self.store.look_up(lambda tx: find_timer(tx, INDEX, 0, log.ROOM_MEMBER))) is None:
                return
            await self.door.act_as_room(partial(index_older, due=due))

    async def _drop_addresses(self) -> None:
        """Remove the addresses that no channel has. If that cannot be done, the room opens anyway."""
        marks = await self.store.look_up(lambda tx: tx.column(str, "channel_marks", limit=ROOM_CHANNELS))
        try:
            self.addresses.keep_only(marks)
        except (UnreadableError, OSError) as error:
            logger.error("the addresses of people's channels: %s", error)

    def _mended(self, tx: Writing) -> None:
        """Repair it. An owner's new token is in its file before the commit; if that fails, the next start retries."""
        if (token := mend(tx)) is not None:
            write_private(self.folder / data_folder.OWNER_TOKEN, f"{token}\n")

    async def recover(self, name: str | None, door: Door | None = None) -> Recovered:
        """Put a new token of a room owner into the folder, for the person who has the folder. Raises Refusal.

        The tokens that it replaces end last: wherever this stops, the folder has a token that works.
        `door`: the one of another event loop.
        """
        door, file = door or self.door, self.folder / data_folder.OWNER_TOKEN
        with _refusing(file):
            held = data_folder.held_token(file)
        done = await door.act_as_room(partial(recover, held=held, name=name))
        with _refusing(file):
            write_private(file, f"{done.token}\n")
        await door.act_as_room(partial(end_recovered, done=done))
        return done

    async def offer_sign_in(self, seconds: float = LINK_SECONDS) -> str | None:
        """Make a link for the first owner, who has not signed in yet; None if there is none to make.

        `seconds`: for how long it can be opened.
        """
        if self.store.damage is not None:
            return None
        try:
            made = await self.door.act_as_room(partial(offer_sign_in, seconds=seconds))
        except Refusal as refusal:
            logger.error("no link to sign in can be made now: %s", refusal)
            return None
        return None if made is None else made.url

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

    def remedy(self) -> str:
        """What a person does about the room's damage: the commands."""
        command = (restore_command if isinstance(self.store, InOneFile) else restore_database_command)(self.folder)
        if self.notary.contradiction is None and self.store.damage != CHANGED:
            return command
        return f"{command} {accept_command(self.folder)}"

    def _upgrade(self) -> None:
        """A verified backup of the room as the release before wrote it, and its first seal of this release.

        Raises FolderError.
        """
        if isinstance(
            self.store, InOneFile
        ):  # elsewhere, the person who upgrades backs up with the database's own tools
            self._back_up()
        self.notary.begin()

    def _back_up(self) -> None:
        """Make a verified backup of the room before this release upgrades it. Raises FolderError."""
        into, kept = self.folder / BACKUPS, self.settings.backups_kept
        copying, verifying, _ = self._reports
        try:
            made = make_backup(self.folder, into, self.clock.wall(), kept, copying, verifying, True)
        except (BackupError, data_folder.FolderError) as error:
            raise data_folder.FolderError(
                f"The room must be upgraded to this release, but no backup can be made first: {error}. "
                "Nothing was changed."
            ) from None
        logger.warning("the room is being upgraded to this release; the backup made before is at %s", made.path)

    def _make(self, tx: Writing, owner: str) -> str:
        """Write the room's first entries. The owner's token and the seal are in their files before the commit."""
        token = open_room(tx, owner)
        write_private(self.folder / data_folder.OWNER_TOKEN, f"{token}\n")
        start_forgetting(tx)
        tx.end()  # which writes the newest entry
        self.notary.prepare(tx.head)
        return token

    def session_ids(self) -> SessionIds:
        """What makes the ids of older clients' sessions, the same after every start."""
        return SessionIds(self.notary.secret, self._entropy)

    def hooks(self, store: Transactions, door: Door, nudge: Callable[[float], object]) -> Hooks:
        """What the hooks of harnesses are answered. `nudge`: tells the supervisor when something is due."""
        reports, runtimes = self.supervisor.reports, self.supervisor.runtimes
        return Hooks(store, door, self.clock, self.settings, reports, runtimes, nudge)

    def mcp(self) -> RoomServer:
        """The MCP server of this room: tools and resources over the one door."""
        listening = ListenServer(self.door, self.push, self.bus, self.listeners, caller_of, session_of, self.faults)
        return self._mcp(
            self.door,
            self.waiting,
            self.supervisor.nudge,
            on_subscriptions_listen=listening.listen,
            on_subscribe_resource=listening.subscribe,
            on_unsubscribe_resource=listening.unsubscribe,
        )

    def mcp_without_streams(self, door: Door, nudge: Callable[[float], object]) -> RoomServer:
        """The same over a door of another event loop, without what waits or streams.

        `nudge`: tells the supervisor when something is due.
        """
        return self._mcp(door, None, nudge)

    def visits(self) -> Visits:
        """What browsers are answered: the page, over the one door."""
        asking = Asking(self.door, self.bus, self.settings)
        tools = ToolServer(self.door, None, asking, caller_of, session_of, self.faults)
        page = Page(
            self.door, self.push, self.bus, self.faults, self.settings, tools.call_on_page, _offered(), self.clock.wall
        )
        self.on_changed, self.on_lost = page.changed, page.all_changed
        return Visits(page.answer, page.refuse, page.serves, self.door, self.settings, self.notary.secret)

    def _mcp(self, door: Door, waiting: Waiting | None, nudge: Callable[[float], object], **streams: Any) -> RoomServer:
        asking = Asking(door, self.bus, self.settings)
        tools = ToolServer(door, waiting, asking, caller_of, session_of, self.faults, self.calls)
        resources = ResourceServer(door, caller_of, self.faults)
        prompts = PromptServer(door, caller_of, self.faults)
        return mcp_server(
            instructions_for,
            seal_answers(self.notary.secret, f"teamroom {self._made_at}", caller_of),
            partial(self.supervisor.runtimes.hear, on_due=nudge),
            on_list_tools=tools.list,
            on_call_tool=tools.call,
            on_list_resources=resources.list,
            on_list_resource_templates=resources.templates,
            on_read_resource=resources.read,
            on_list_prompts=prompts.list,
            on_get_prompt=prompts.get,
            on_completion=prompts.complete,
            **streams,
        )

    def _carry_out(self, effects: Effects) -> None:
        """Carry out what an act causes outside the store, after its commit and before its reply."""
        if effects.is_cut_off:
            self.bus.end(self.bus.open_members, set())
            return
        if effects.are_lost:
            self.bus.nudge_all()
            self.push.all_changed()
            self.on_lost()
        for member in effects.woken:
            self.bus.nudge(member)
        self.on_changed(effects.changed)
        self.push.changed(effects.changed)
        self.supervisor.nudge(effects.due)
        if effects.letters:
            self.deliverer.nudge()
        if effects.spent:
            self.rates.spend(effects.spent)
        if effects.listening and self.is_shared:
            looking = asyncio.ensure_future(self.listeners.look_again(effects.listening))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)
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
            if self.servers.does(SEAL_DUTY):
                await asyncio.to_thread(self.seal)
                self.health.alive(SEAL, fault=self.notary.fault)
            else:
                self.health.alive(SEAL, detail="another server seals the log")

    async def keep_leases(self) -> None:
        """Renew this server's leases, where several servers have the room open; unless the room is read-only."""
        if self.store.is_writing:
            if self.notary.has_key:
                self.servers.duties = (LETTERS_DUTY, SEAL_DUTY)
            await self.servers.run()

    async def supervise(self) -> None:
        """Run the supervisor, unless the room is read-only."""
        if self.store.is_writing:
            await self.supervisor.run()

    async def deliver(self) -> None:
        """Send letters to people outside the room, unless it is read-only."""
        if self.store.is_writing:
            await self.deliverer.run()

    def seal(self, *, stops: bool = False) -> None:
        """Write the signed head now, if the log has moved since; `stops`: the room stops."""
        self.notary.seal(self.store.committed, self.store.damage, stops=stops)

    async def close(self) -> None:
        """Finish the acts that wait, save the clock, close the store, and seal the log.

        It may be called again, or before `open`.
        """
        does_seal = self.servers.does(SEAL_DUTY)
        try:
            if self.store.is_writing:
                await self._say_goodbye()
        finally:  # a fault in the last acts must not keep the process
            await self.store.close()
            if does_seal:
                self.seal(stops=True)

    async def _say_goodbye(self) -> None:
        """The last acts of this server, as far as the database carries them out in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                with contextlib.suppress(Refusal, StorageError):
                    await self.door.act_as_room(Writing.save_clock)
                await self.servers.leave()
                await self.door.write_refused_calls()


def _offered() -> dict[str, Offered]:
    """The acts that people can do on the page, by the names of their tools."""
    return {
        name: Offered(tool.does, tool.description, tool.danger is not None and tool.danger.typed is not None)
        for name, tool in TOOLS.items()
        if isinstance(tool.does, Act) and not tool.waits
    }


def _last_sign(tx: Reading) -> float:
    """When the room last gave a sign of life."""
    return tx.value(float, "last_sign") or 0.0


@contextlib.contextmanager
def _refusing(token_file: Path) -> Iterator[None]:
    """Refuse what reads or writes the owner's token if its file does not allow that. Raises Refusal."""
    try:
        yield
    except NotPrivateError as error:
        raise Refusal("not_allowed", f"{error}.", error.fix) from None
    except OSError as error:
        raise Refusal(
            "storage",
            f"The token's file {token_file} cannot be used: {error.strerror or error}. Earlier tokens remain valid.",
            "Correct that, then run this again: teamroom recover",
        ) from None


def _silent(done: int, total: int) -> None:
    """Report no progress."""
