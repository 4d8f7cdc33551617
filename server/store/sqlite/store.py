"""A room's store on SQLite: one writer, a few readers, and a connection for small reads on the event loop."""

import os
import sqlite3
from collections.abc import Callable, Set
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from teamroom.server.private import open_private
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
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite.commit import Committer
from teamroom.server.store.sqlite.connect import check_database, connect_reader, connect_writer, migrate
from teamroom.server.store.sqlite.copy import open_to_read
from teamroom.server.store.sqlite.damage import find_damage
from teamroom.server.store.sqlite.faults import as_storage_error, is_damage
from teamroom.server.store.sqlite.reads import Reads
from teamroom.server.store.sqlite.rebuild import rebuild
from teamroom.server.store.sqlite.reserve import Reserve
from teamroom.server.store.transaction import Context, Head, Reading, Writing
from teamroom.server.store.writer import Writer

T = TypeVar("T")

NEEDED_TO_READ: tuple[tuple[str, dict[str, Any]], ...] = (
    ("read_head", {}),
    ("token_by_hash", {"hash": ""}),
    ("principal", {"token": ""}),
)
"""Statements that each read begins with. A damaged room is useless if one of them fails."""


MakeCommitter = Callable[[Path, Context, Reserve], Committer]
MakeWriter = Callable[[Committer, Settings, CarryOut], Writer]


class SqliteStore:
    """One room in one SQLite file. Exactly one server has it open: that one has locked the folder.

    `make_committer` and `make_writer` are for tests that build a fault into them.
    """

    def __init__(
        self,
        folder: Path,
        context: Context,
        carry_out: CarryOut,
        make_committer: MakeCommitter = Committer,
        make_writer: MakeWriter = Writer,
    ) -> None:
        self.path = folder / DATABASE
        self.log_path = folder / f"{DATABASE}-wal"
        self.context = context
        self._reserve = Reserve(folder, context.settings.reserve_bytes)
        self.committer = make_committer(self.path, context, self._reserve)
        self.writer = make_writer(self.committer, context.settings, carry_out)
        self.reads = Reads(context, self._note_failure)
        self._connect: Callable[[Path], sqlite3.Connection] = connect_reader

    async def open(self, vouch: Vouch = lambda tx: None, before_migrating: Callable[[], None] = lambda: None) -> None:
        """Migrate, then start the writer and the readers; a damaged database is opened for reading only."""
        try:
            check_database(self.path)
            self._reserve.open()
            found = find_damage(self.path, self.context, vouch)
            if found.damage is None:
                self.committer.vouched = found.head
                await self._open_to_write(before_migrating)
            else:
                self.committer.damage = found.damage
                await self._open_to_read()
        except BaseException as error:
            await self.close()
            if isinstance(error, sqlite3.Error):
                raise as_storage_error(error, f"{self.path} cannot be opened: {error}") from error
            raise

    async def _open_to_write(self, before_migrating: Callable[[], None]) -> None:
        if not self.path.exists():
            os.close(open_private(self.path, os.O_WRONLY | os.O_CREAT))
        with closing(connect_writer(self.path)) as setup:
            migrate(setup, self.context.clock(), before_migrating)
        rebuild(self.path, self.context.report)
        self.writer.start()
        await self.reads.open(lambda: connect_reader(self.path))

    async def _open_to_read(self) -> None:
        """Open only what reads. Nothing is written, not even a checkpoint."""
        self._connect = open_to_read
        try:
            with closing(open_to_read(self.path)) as connection:
                found = {
                    name: connection.execute(self.context.statements[name], parameters).fetchone()
                    for name, parameters in NEEDED_TO_READ
                }
            if found["read_head"] is None:
                raise DamagedError(f"{self.damage}, and what is left holds no room")
            await self.reads.open(lambda: open_to_read(self.path))
        except sqlite3.Error as error:
            raise DamagedError(f"{self.damage}, and what is left cannot be read") from error

    async def create(self, work: Callable[[Writing], T], first_hash: str) -> T:
        """Write a new room's head row and its first acts, in one transaction."""
        head = self.context.statements["open_head"], {"created_at": self.context.clock(), "hash": first_hash}

        def create(tx: Writing) -> tuple[T, Head]:
            return work(tx), tx.head

        try:
            with closing(connect_writer(self.path)) as setup:
                result, self.committer.last = in_one_transaction(setup, self.context, create, first=head)
            return result
        except sqlite3.Error as error:
            raise as_storage_error(error) from error

    async def write(
        self, work: Work, recover: Recover, when_full: bool = False, turn: Turn = ROOMS_TURN
    ) -> tuple[Any, int]:
        """Run an act on the writer's thread."""
        return await self.writer.run(work, recover, when_full, turn)

    async def read(self, work: Callable[[Reading], T], is_small: bool, member: int | None = None) -> T:
        """Run a read in one snapshot."""
        return await self.reads.read(work, is_small, member)

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows."""
        return await self.reads.look_up(work)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running."""
        self.reads.end_reads(members)

    async def attach(self) -> "AttachedStore":
        """This store for the event loop of the caller."""
        reads = Reads(self.context, self._note_failure)
        try:
            await reads.open(lambda: self._connect(self.path))
        except sqlite3.Error as error:
            await reads.close()
            raise as_storage_error(error) from error
        return AttachedStore(self, reads)

    def _note_failure(self, error: sqlite3.Error) -> None:
        """Damage that a read meets stops the writer too."""
        if is_damage(error) and self.committer.damage is None:
            self.committer.damage = str(error)

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
    def changes(self) -> int:
        """How many transactions have changed what reads find."""
        return self.committer.changes

    @property
    def committed(self) -> Head | None:
        """The head as of the last commit of this process that moved it."""
        return self.committer.committed

    async def close(self) -> None:
        """Finish the acts that wait, and close the file."""
        self.writer.stop()
        await self.reads.close()


class AttachedStore:
    """A store for another event loop: it reads with connections of its own, and writes through the store's own line."""

    def __init__(self, store: SqliteStore, reads: Reads) -> None:
        self._store, self._reads = store, reads

    async def write(
        self, work: Work, recover: Recover, when_full: bool = False, turn: Turn = ROOMS_TURN
    ) -> tuple[Any, int]:
        """Run an act on the writer's thread."""
        return await self._store.write(work, recover, when_full, turn)

    async def read(self, work: Callable[[Reading], T], is_small: bool, member: int | None = None) -> T:
        """Run a read in one snapshot."""
        return await self._reads.read(work, is_small, member)

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows."""
        return await self._reads.look_up(work)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running on this loop."""
        self._reads.end_reads(members)

    @property
    def is_writing(self) -> bool:
        """Whether the store takes acts."""
        return self._store.is_writing

    @property
    def waiting(self) -> int:
        """How many acts of all event loops wait for the writer."""
        return self._store.waiting

    @property
    def changes(self) -> int:
        """How many transactions have changed what reads find."""
        return self._store.changes

    async def close(self) -> None:
        """Close the connections of this loop."""
        await self._reads.close()


def in_one_transaction(
    connection: sqlite3.Connection,
    context: Context,
    work: Callable[[Writing], T],
    first: tuple[str, dict[str, Any]] | None = None,
) -> T:
    """Run an act on a database that no server has open, in one transaction; `first` is a statement that precedes it."""
    execute, statements = connection.execute, context.statements
    execute(statements["begin_write"])
    if first is not None:
        execute(*first)
    head = Head(**execute(statements["lock_head"]).fetchone())
    tx = Writing(connection, context, head)
    result = work(tx)
    tx.end()
    execute(statements["save_head"], head.values())
    execute(statements["commit"])
    return result
