"""A room's store on SQLite: one writer, a few readers, and a connection for small reads on the event loop."""

import sqlite3
from collections.abc import Callable, Set
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from teamroom.server.settings import Settings
from teamroom.server.store.engine import (
    ROOMS_TURN,
    CarryOut,
    DamagedError,
    Recover,
    StorageError,
    TooLargeError,
    Turn,
    Vouch,
    Work,
)
from teamroom.server.store.folder import DATABASE, PRIVATE_FILE
from teamroom.server.store.sqlite.commit import Committer
from teamroom.server.store.sqlite.connect import connect_reader, connect_writer, migrate
from teamroom.server.store.sqlite.copy import open_to_read
from teamroom.server.store.sqlite.damage import find_damage
from teamroom.server.store.sqlite.faults import as_storage_error, is_damage
from teamroom.server.store.sqlite.readers import Readers
from teamroom.server.store.sqlite.reserve import Reserve
from teamroom.server.store.sqlite.steps import SteppedConnection
from teamroom.server.store.sqlite.writer import Writer
from teamroom.server.store.transaction import Context, Head, Reading, Writing

T = TypeVar("T")

SMALL_READ_STEPS = 100_000
"""Steps that a read takes on the event loop at most: a few milliseconds."""

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
        self.readers = Readers(context)
        self._direct: sqlite3.Connection | None = None
        self._stepped: SteppedConnection | None = None

    async def open(self, vouch: Vouch = lambda head: None, before_migrating: Callable[[], None] = lambda: None) -> None:
        """Migrate, then start the writer and the readers; a damaged database is opened for reading only."""
        try:
            self._reserve.open()
            if (damage := find_damage(self.path, vouch)) is None:
                await self._open_to_write(before_migrating)
            else:
                self.committer.damage = damage
                await self._open_to_read()
        except BaseException as error:
            await self.close()
            if isinstance(error, sqlite3.Error):
                raise as_storage_error(error, f"{self.path} cannot be opened: {error}") from error
            raise

    async def _open_to_write(self, before_migrating: Callable[[], None]) -> None:
        with closing(connect_writer(self.path)) as setup:
            self.path.chmod(PRIVATE_FILE)
            migrate(setup, self.context.clock(), before_migrating)
        self.writer.start()
        await self.readers.open(lambda: connect_reader(self.path))
        self._direct = connect_reader(self.path)
        self._stepped = SteppedConnection(self._direct, SMALL_READ_STEPS)

    async def _open_to_read(self) -> None:
        """Open only what reads. Nothing is written, not even a checkpoint."""
        try:
            self._direct = open_to_read(self.path)
            found = {
                name: self._direct.execute(self.context.statements[name], parameters).fetchone()
                for name, parameters in NEEDED_TO_READ
            }
            if found["read_head"] is None:
                raise DamagedError(f"{self.damage}, and what is left holds no room")
            await self.readers.open(lambda: open_to_read(self.path))
            self._stepped = SteppedConnection(self._direct, SMALL_READ_STEPS)
        except sqlite3.Error as error:
            raise DamagedError(f"{self.damage}, and what is left cannot be read") from error

    async def create(self, work: Callable[[Writing], T], first_hash: str) -> T:
        """Write a new room's head row and its first acts, in one transaction."""
        head = self.context.statements["open_head"], {"created_at": self.context.clock(), "hash": first_hash}
        try:
            with closing(connect_writer(self.path)) as setup:
                return in_one_transaction(setup, self.context, work, first=head)
        except sqlite3.Error as error:
            raise as_storage_error(error) from error

    async def write(
        self, work: Work, recover: Recover, when_full: bool = False, turn: Turn = ROOMS_TURN
    ) -> tuple[Any, int]:
        """Run an act on the writer's thread."""
        return await self.writer.run(work, recover, when_full, turn)

    async def read(self, work: Callable[[Reading], T], is_small: bool, member: int | None = None) -> T:
        """Run a read in one snapshot: a small one on the event loop, one that may scan on a reader's thread.

        A thread gives up the interpreter with every row it fetches, and waits to get it back. A page of
        fifty rows costs three times as much there as on the event loop. A read that takes more than
        `SMALL_READ_STEPS` on the event loop runs again on a reader's thread.
        """
        connection = self._open_connection()
        if is_small:
            try:
                return self._in_snapshot(connection, work)
            except TooLargeError:
                pass
        try:
            return await self.readers.run(work, member)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read on the event loop itself, which costs less than the way to a thread and back."""
        return self._on_loop(self._open_connection(), work)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running."""
        self.readers.end(members)

    def _in_snapshot(self, connection: SteppedConnection, work: Callable[[Reading], T]) -> T:
        statements = self.context.statements
        try:
            connection.execute(statements["begin_read"], {})
            try:
                return self._on_loop(connection, work)
            finally:
                connection.execute(statements["rollback"], {})
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _on_loop(self, connection: SteppedConnection, work: Callable[[Reading], T]) -> T:
        """Run a read on the event loop, with a budget of steps. Raises TooLargeError, StorageError."""
        connection.begin()
        try:
            return work(Reading(connection, self.context))
        except sqlite3.Error as error:
            if connection.has_ended(error):
                raise TooLargeError(f"it takes more than {SMALL_READ_STEPS} steps of the database") from None
            raise self._failed(error) from error
        finally:
            connection.end()

    def _failed(self, error: sqlite3.Error) -> StorageError:
        """The error of a failed read. Damage that a read meets stops the writer too."""
        if is_damage(error) and self.committer.damage is None:
            self.committer.damage = str(error)
        return as_storage_error(error)

    def _open_connection(self) -> SteppedConnection:
        if self._stepped is None:
            raise StorageError("the store is closed")
        return self._stepped

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
    def committed(self) -> Head | None:
        """The head as of the last commit of this process that moved it."""
        return self.committer.committed

    async def close(self) -> None:
        """Finish the acts that wait, and close the file."""
        self.writer.stop()
        await self.readers.close()
        if self._direct is not None:
            self._direct.close()
            self._direct = self._stepped = None


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
    execute(statements["save_head"], asdict(head))
    execute(statements["commit"])
    return result
