"""A room's store on PostgreSQL: one connection that writes, a few that read, and one that listens to other servers.

Every server of the room has these. They meet in the database only.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import psycopg

from teamroom.server.clock import RoomClock
from teamroom.server.settings import Settings
from teamroom.server.store.engine import CarryOut, DamagedError, StorageError, Vouch
from teamroom.server.store.on_loop import AttachedStore, CommittingStore
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.connect import connect_reader, connect_writer, has_room, migrate, snapshot
from teamroom.server.store.postgres.faults import as_storage_error
from teamroom.server.store.postgres.link import Link
from teamroom.server.store.postgres.news import News
from teamroom.server.store.postgres.reads import Reads
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Context, Effects, Head, Reading, Writing
from teamroom.server.store.writer import Writer

T = TypeVar("T")

NAME_BYTES = 8
"""The length of the random name under which a server speaks to the others."""

FINISH_SECONDS = 3.0
"""How long `close` lets the writer finish the acts that wait. No longer: then they are given up."""

MakeCommitter = Callable[[Address, Context, News], Committer]
MakeWriter = Callable[[Committer, Settings, CarryOut], Writer]


class PostgresStore(CommittingStore):
    """One room in one schema of a PostgreSQL database, which other servers may have open too.

    `make_committer` and `make_writer` are for tests that build a fault into them.
    """

    def __init__(
        self,
        address: Address,
        context: Context,
        carry_out: CarryOut,
        make_committer: MakeCommitter = Committer,
        make_writer: MakeWriter = Writer,
    ) -> None:
        self.address, self.context = address, context
        self.news = News(context.entropy(NAME_BYTES).hex())
        self.committer: Committer = make_committer(address, context, self.news)
        self.writer = make_writer(self.committer, context.settings, carry_out)
        self.link = Link(address, context, self.news, self._tell, self._cut_off)
        self.committer.is_cut_off = lambda: self.link.is_cut_off
        self.reads: Reads = Reads(address, context, self.committer.note_damage)
        self._open_reads: set[Reads] = {self.reads}
        """What all event loops read with."""
        self._opening: Session | None = None
        self._is_closing = False

    async def open(self, vouch: Vouch = lambda tx: None, before_migrating: Callable[[], None] = lambda: None) -> None:
        """Migrate, then start the writer, the readers and the link; a contradicted room is opened for reading only."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._look_and_migrate, vouch, before_migrating)
            if self.damage is None:
                await asyncio.to_thread(self.link.start)
                await self.writer.start_remote()
        except BaseException as error:
            await self.close()
            if isinstance(error, psycopg.Error):
                raise as_storage_error(error, f"{self.address}: {str(error).strip()}") from error
            raise

    def _look_and_migrate(self, vouch: Vouch, before_migrating: Callable[[], None]) -> None:
        with self._connected(connect_reader) as session:
            wall = session.execute(self.context.statements["wall_clock"], {}).fetchall()[0][0]
            if isinstance(self.context.clock, RoomClock):
                self.context.clock.share_wall(wall)
            self._look(session, vouch)
        if self.damage is None:
            with self._connected(connect_writer) as session:
                migrate(session, self.context.clock(), before_migrating)

    @contextlib.contextmanager
    def _connected(self, connect: Callable[[Address, float], Session]) -> Iterator[Session]:
        """A connection for what is done before the room is open, which `close` gives up.

        Raises StorageError if the store was closed meanwhile: a thread cannot be cancelled.
        """
        with contextlib.closing(connect(self.address, self.context.settings.read_seconds)) as session:
            self._opening = session
            if self._is_closing:
                raise StorageError("the store is closed")
            yield session

    def _look(self, session: Session, vouch: Vouch) -> None:
        """Let the room be vouched for, before anything is changed. Raises DamagedError if nothing can be read."""
        if not has_room(session):
            self.committer.damage = vouch(None)
        else:
            with snapshot(session):
                session.lift_limit()
                tx = Reading(session, self.context)
                head = tx.one(ReadHead, "read_head")
                self.committer.vouched = head
                self.committer.damage = vouch(None if head is None else tx)
        if self.damage is not None and self.committer.vouched is None:
            raise DamagedError(f"{self.damage}, and what is left holds no room")

    async def create(self, work: Callable[[Writing], T], first_hash: str) -> T:
        """Write a new room's head row and its first acts, in one transaction."""
        return await asyncio.to_thread(self._create, work, first_hash)

    def _create(self, work: Callable[[Writing], T], first_hash: str) -> T:
        run = self.context.statements
        try:
            with self._connected(connect_writer) as session:
                session.script("begin")
                session.execute(run["open_head"], {"created_at": self.context.clock(), "hash": first_hash})
                row = session.execute(run["lock_head"], {}).fetchall()[0]
                tx = Writing(session, self.context, Head(*row))
                result = work(tx)
                tx.end()
                session.execute(run["save_head"], tx.head.values())
                session.script(run["commit"])
                self.committer.last = tx.head.copy()
            return result
        except psycopg.Error as error:
            raise as_storage_error(error) from error

    def require(self) -> None:
        """Raise UnreachableError if this server is cut off from the database."""
        self.link.require()

    async def attach(self) -> "AttachedPostgresStore":
        """This store for the event loop of the caller."""
        self.require()
        reads = Reads(self.address, self.context, self.committer.note_damage)
        self._open_reads.add(reads)
        return AttachedPostgresStore(self, reads)

    def detach(self, reads: Reads) -> None:
        """Forget what an event loop that ends reads with."""
        self._open_reads.discard(reads)

    def _tell(self, effects: Effects) -> None:
        """On the link's thread: let the event loop carry out what another server's act causes."""
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self.writer.carry_out, effects)

    def _cut_off(self) -> None:
        """On a thread of the link: the database does not answer, so nothing waits for it any longer."""
        if self.writer.is_alive:
            self.committer.cut_off()
        for reads in list(self._open_reads):
            reads.abandon()
        self._tell(Effects(is_cut_off=True))

    @property
    def lost_messages(self) -> int:
        """How often messages of other servers were found to be lost."""
        return self.link.lost

    @property
    def is_cut_off(self) -> bool:
        """Whether the database does not answer."""
        return self.link.is_cut_off

    async def close(self) -> None:
        """Finish the acts that wait, and disconnect. A database that stands still holds it up for a few seconds."""
        self._is_closing = True
        if self._opening is not None:
            self._opening.is_given_up = True
        await asyncio.to_thread(self.link.close)
        await self.writer.stop_remote(0 if self.link.is_cut_off else FINISH_SECONDS, self.committer.give_up)
        await self.reads.close()


class AttachedPostgresStore(AttachedStore):
    """A store for another event loop, which the link can cut off."""

    def __init__(self, store: PostgresStore, reads: Reads) -> None:
        super().__init__(store, reads)
        self._detach = partial(store.detach, reads)

    async def close(self) -> None:
        """Close the connections of this loop."""
        self._detach()
        await super().close()
