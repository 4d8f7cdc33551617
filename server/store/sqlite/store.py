"""A room's store on SQLite: the folder's lock, the writer, the readers."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from teamroom.server.store.engine import Recover, Work
from teamroom.server.store.folder import DATABASE, PRIVATE_FILE
from teamroom.server.store.reserve import Reserve
from teamroom.server.store.sqlite.connect import connect_reader, connect_writer, migrate
from teamroom.server.store.sqlite.copy import open_to_read
from teamroom.server.store.sqlite.damage import Vouch, find_damage
from teamroom.server.store.sqlite.faults import as_storage_error, is_damage
from teamroom.server.store.sqlite.readers import Readers
from teamroom.server.store.sqlite.writer import Writer
from teamroom.server.store.transaction import Context, DamagedError, Effects, Head, Reading, StorageError, Writing

T = TypeVar("T")

NEEDED_TO_READ: tuple[tuple[str, dict[str, Any]], ...] = (
    ("read_head", {}),
    ("token_by_hash", {"hash": ""}),
    ("principal", {"token": ""}),
)
"""Statements that each read begins with: without them, a damaged room is of no use."""


class SqliteStore:
    """One room in one SQLite file. Exactly one server has it open (the folder is locked by who opens it)."""

    def __init__(self, folder: Path, context: Context, effects: Callable[[Effects], None]) -> None:
        self.path = folder / DATABASE
        self._context = context
        self._reserve = Reserve(folder, context.settings.reserve_bytes)
        self._writer = Writer(self.path, context, effects, self._reserve)
        self._readers = Readers(context)
        self._direct: sqlite3.Connection | None = None

    async def open(
        self, now: float, vouch: Vouch = lambda head: None, before_migrating: Callable[[], None] = lambda: None
    ) -> None:
        """Migrate, then start the writer and the readers; a damaged database is opened to be read only.

        `before_migrating` runs if a room is there that is to be changed. Raises DamagedError when not even reading
        works, StorageError when the file cannot be opened, NewerRoomError when a newer release wrote it.
        """
        try:
            self._reserve.open()
            if (damage := find_damage(self.path, vouch)) is None:
                await self._open_to_write(now, before_migrating)
            else:
                self._writer.damage = damage
                await self._open_to_read()
        except BaseException as error:
            await self.close()
            if isinstance(error, sqlite3.Error):
                raise as_storage_error(error, f"{self.path} cannot be opened: {error}") from error
            raise

    async def _open_to_write(self, now: float, before_migrating: Callable[[], None]) -> None:
        with closing(connect_writer(self.path)) as setup:
            self.path.chmod(PRIVATE_FILE)
            migrate(setup, now, before_migrating)
        self._writer.start()
        await self._readers.open(lambda: connect_reader(self.path))
        self._direct = connect_reader(self.path)

    async def _open_to_read(self) -> None:
        """Read what can be read, and write nothing, not even a checkpoint."""
        try:
            self._direct = open_to_read(self.path)
            for name, parameters in NEEDED_TO_READ:
                self._direct.execute(self._context.statements[name], parameters).fetchone()
            await self._readers.open(lambda: open_to_read(self.path))
        except sqlite3.Error as error:
            raise DamagedError(f"{self.damage}, and what is left cannot be read") from error

    async def create(self, work: Callable[[Writing], T], now: float, first_hash: str) -> T:
        """Write the head row of a new room and what it opens with, in one transaction or not at all."""
        with closing(connect_writer(self.path)) as setup:
            head = self._context.statements["open_head"], {"created_at": now, "hash": first_hash}
            return in_one_transaction(setup, self._context, work, first=head)

    async def write(self, work: Work, recover: Recover, when_full: bool = False) -> tuple[Any, int]:
        """Run an act; returns its result and the end of the log, once both are durable."""
        return await self._writer.run(work, recover, when_full)

    async def read(self, work: Callable[[Reading], T], is_small: bool) -> T:
        """Run a read in one snapshot: a small one here, what may scan on a reader's thread.

        A thread gives up the interpreter with every row it fetches, and waits to get it back: a page of
        fifty rows costs three times as much there as here.
        """
        if not is_small:
            try:
                return await self._readers.run(work)
            except sqlite3.Error as error:
                raise self._failed(error) from error
        statements, connection = self._context.statements, self._open_connection()
        try:
            connection.execute(statements["begin_read"])
            try:
                return work(Reading(connection, self._context))
            finally:
                connection.execute(statements["rollback"])
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a tiny indexed read on the event loop itself: cheaper than the way to a thread and back."""
        try:
            return work(Reading(self._open_connection(), self._context))
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> StorageError:
        """What a read raises; one that met damage stops the writer, too."""
        if is_damage(error) and self._writer.damage is None:
            self._writer.damage = str(error)
        return as_storage_error(error)

    def _open_connection(self) -> sqlite3.Connection:
        if self._direct is None:
            raise StorageError("the store is closed")
        return self._direct

    @property
    def is_writing(self) -> bool:
        """Whether acts can be carried out: the writer's thread runs, and found no damage."""
        return self._writer.is_alive and self.damage is None

    @property
    def damage(self) -> str | None:
        """What is wrong with the database, in words; nothing is written to it then."""
        return self._writer.damage

    @property
    def waiting(self) -> int:
        """How many acts wait for the writer."""
        return self._writer.waiting

    @property
    def commits(self) -> int:
        """How many commits there were since the start."""
        return self._writer.commits

    @property
    def committed(self) -> Head | None:
        """The head as of the last commit of this process that moved it."""
        return self._writer.committed

    async def close(self) -> None:
        """Finish what waits, and close the file."""
        self._writer.stop()
        await self._readers.close()
        if self._direct is not None:
            self._direct.close()


def in_one_transaction(
    connection: sqlite3.Connection,
    context: Context,
    work: Callable[[Writing], T],
    first: tuple[str, dict[str, Any]] | None = None,
) -> T:
    """Run an act on a database that no server has open, durably or not at all; `first` is a statement before it."""
    execute, statements = connection.execute, context.statements
    execute(statements["begin_write"])
    if first is not None:
        execute(*first)
    head = Head(*execute(statements["lock_head"]).fetchone())
    result = work(Writing(connection, context, head))
    execute(statements["save_head"], asdict(head))
    execute(statements["commit"])
    return result
