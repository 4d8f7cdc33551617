"""A room's store on SQLite: one writer, a few readers, and a connection for small reads on the event loop."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from teamroom.server.private import open_private
from teamroom.server.settings import Settings
from teamroom.server.store.engine import CarryOut, DamagedError, Vouch
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.on_loop import AttachedStore, CommittingStore
from teamroom.server.store.sqlite.commit import Committer
from teamroom.server.store.sqlite.connect import check_database, connect_reader, connect_writer, migrate
from teamroom.server.store.sqlite.copy import open_to_read
from teamroom.server.store.sqlite.damage import find_damage
from teamroom.server.store.sqlite.faults import as_storage_error
from teamroom.server.store.sqlite.reads import Reads
from teamroom.server.store.sqlite.rebuild import rebuild
from teamroom.server.store.sqlite.reserve import Reserve
from teamroom.server.store.transaction import Context, Head, Writing
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


class SqliteStore(CommittingStore):
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
        self.committer: Committer = make_committer(self.path, context, self._reserve)
        self.writer = make_writer(self.committer, context.settings, carry_out)
        self.reads: Reads = Reads(context, self.committer.note_damage, self._changes, self._identities)
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

    async def attach(self) -> AttachedStore:
        """This store for the event loop of the caller."""
        reads = Reads(self.context, self.committer.note_damage, self._changes, self._identities)
        try:
            await reads.open(lambda: self._connect(self.path))
        except sqlite3.Error as error:
            await reads.close()
            raise as_storage_error(error) from error
        return AttachedStore(self, reads)

    def _changes(self) -> int:
        return self.committer.changes

    def _identities(self) -> int:
        return self.committer.identity_changes

    async def close(self) -> None:
        """Finish the acts that wait, and close the file."""
        self.writer.stop()
        await self.reads.close()


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
