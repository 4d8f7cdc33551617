"""A room's store on PostgreSQL: one connection that writes, a few that read, and one that listens to other servers.

Every server of the room has these. They meet in the database only.
"""

import asyncio
import contextlib
from collections.abc import Callable, Set
from typing import Any, TypeVar

import psycopg

from teamroom.server.clock import RoomClock
from teamroom.server.settings import Settings
from teamroom.server.store.engine import (
    ROOMS_TURN,
    CarryOut,
    DamagedError,
    Recover,
    Turn,
    Vouch,
    Work,
)
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.connect import connect_reader, connect_writer, has_room, migrate, snapshot
from teamroom.server.store.postgres.faults import as_storage_error, is_damage
from teamroom.server.store.postgres.link import Link
from teamroom.server.store.postgres.news import News
from teamroom.server.store.postgres.reads import Reads
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Context, Effects, Head, Reading, Writing
from teamroom.server.store.writer import Writer

T = TypeVar("T")

NAME_BYTES = 8
"""The length of the random name under which a server speaks to the others."""

MakeCommitter = Callable[[Address, Context, News], Committer]
MakeWriter = Callable[[Committer, Settings, CarryOut], Writer]


class PostgresStore:
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
        self.committer = make_committer(address, context, self.news)
        self.writer = make_writer(self.committer, context.settings, carry_out)
        self.link = Link(address, context, self.news, self._tell, self._cut_off)
        self.committer.is_cut_off = lambda: self.link.is_cut_off
        self.reads = Reads(address, context, self._note_failure)
        self._attached: set[AttachedStore] = set()
        self._is_open = False

    async def open(self, vouch: Vouch = lambda tx: None, before_migrating: Callable[[], None] = lambda: None) -> None:
        """Migrate, then start the writer, the readers and the link; a contradicted room is opened for reading only."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._look_and_migrate, vouch, before_migrating)
            if self.damage is None:
                await asyncio.to_thread(self.link.start)
                await self.writer.start_remote()
            self._is_open = True
        except BaseException as error:
            await self.close()
            if isinstance(error, psycopg.Error):
                raise as_storage_error(error, f"{self.address}: {str(error).strip()}") from error
            raise

    def _look_and_migrate(self, vouch: Vouch, before_migrating: Callable[[], None]) -> None:
        with contextlib.closing(connect_reader(self.address, self.context.settings.read_seconds)) as session:
            wall = session.execute(self.context.statements["wall_clock"], {}).fetchall()[0][0]
            if isinstance(self.context.clock, RoomClock):
                self.context.clock.share_wall(wall)
            self._look(session, vouch)
        if self.damage is None:
            with contextlib.closing(connect_writer(self.address, self.context.settings.read_seconds)) as session:
                migrate(session, self.context.clock(), before_migrating)

    def _look(self, session: Any, vouch: Vouch) -> None:
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
            with contextlib.closing(connect_writer(self.address, self.context.settings.read_seconds)) as session:
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

    async def write(
        self, work: Work, recover: Recover, when_full: bool = False, turn: Turn = ROOMS_TURN
    ) -> tuple[Any, int]:
        """Run an act on the writer's thread."""
        self.link.require()
        return await self.writer.run(work, recover, when_full, turn)

    async def read(self, work: Callable[[Reading], T], is_small: bool, member: int | None = None) -> T:
        """Run a read in one snapshot."""
        self.link.require()
        return await self.reads.read(work, is_small, member)

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows."""
        self.link.require()
        return await self.reads.look_up(work)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running."""
        self.reads.end_reads(members)

    async def attach(self) -> "AttachedStore":
        """This store for the event loop of the caller."""
        self.link.require()
        attached = AttachedStore(self, Reads(self.address, self.context, self._note_failure))
        self._attached.add(attached)
        return attached

    def detach(self, attached: "AttachedStore") -> None:
        """Forget the store of an event loop that ends."""
        self._attached.discard(attached)

    def _note_failure(self, error: Exception) -> None:
        """Damage that a read meets stops the writer too."""
        if is_damage(error) and self.damage is None:
            self.committer.damage = str(error)

    def _tell(self, effects: Effects) -> None:
        """On the link's thread: let the event loop carry out what another server's act causes."""
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(self.writer.carry_out, effects)

    def _cut_off(self) -> None:
        """On a thread of the link: the database does not answer, so nothing waits for it any longer."""
        if self.writer.is_alive:
            self.committer.session.is_given_up = True
        for reads in (self.reads, *(attached.reads for attached in list(self._attached))):
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

    @property
    def is_writing(self) -> bool:
        """Whether the writer's thread runs and has found no damage."""
        return self.writer.is_alive and self.damage is None

    @property
    def damage(self) -> str | None:
        """What is wrong with the database, in words."""
        return self.committer.damage

    @property
    def waiting(self) -> int:
        """How many acts wait for the writer."""
        return self.writer.waiting

    @property
    def commits(self) -> int:
        """How many batches the writer has committed since it was started."""
        return self.committer.commits

    @property
    def acts_committed(self) -> int:
        """How many acts these batches held."""
        return self.committer.acts

    @property
    def batch_sizes(self) -> list[int]:
        """How many batches held up to so many acts."""
        return self.committer.sizes

    @property
    def lock_seconds(self) -> float:
        """How long the writer waited for the room's one lock, in all."""
        return self.committer.lock_seconds

    @property
    def committed(self) -> Head | None:
        """The head as of the last commit that moved it, of this server or of one whose entries it has checked."""
        return self.committer.committed

    async def close(self) -> None:
        """Finish the acts that wait, and disconnect."""
        await asyncio.to_thread(self.link.close)
        await self.writer.stop_remote()
        await self.reads.close()


class AttachedStore:
    """A store for another event loop: it reads with connections of its own, and writes through the store's own line."""

    def __init__(self, store: PostgresStore, reads: Reads) -> None:
        self._store, self.reads = store, reads

    async def write(
        self, work: Work, recover: Recover, when_full: bool = False, turn: Turn = ROOMS_TURN
    ) -> tuple[Any, int]:
        """Run an act on the writer's thread."""
        return await self._store.write(work, recover, when_full, turn)

    async def read(self, work: Callable[[Reading], T], is_small: bool, member: int | None = None) -> T:
        """Run a read in one snapshot."""
        self._store.link.require()
        return await self.reads.read(work, is_small, member)

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows."""
        self._store.link.require()
        return await self.reads.look_up(work)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running on this loop."""
        self.reads.end_reads(members)

    @property
    def is_writing(self) -> bool:
        """Whether the store takes acts."""
        return self._store.is_writing

    @property
    def waiting(self) -> int:
        """How many acts of all event loops wait for the writer."""
        return self._store.waiting

    async def close(self) -> None:
        """Close the connections of this loop."""
        self._store.detach(self)
        await self.reads.close()
