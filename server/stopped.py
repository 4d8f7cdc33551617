"""A room that no server has open, in the engine that its settings name: looked at, and changed in one transaction."""

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, TypeVar

from teamroom.server.app import postgres_address
from teamroom.server.clock import Clock, WallTime
from teamroom.server.settings import Settings
from teamroom.server.store.engine import StorageError, Vouch
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite.connect import connect_writer, migrate, saved_clock
from teamroom.server.store.sqlite.damage import find_damage
from teamroom.server.store.sqlite.store import in_one_transaction
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context, Writing

T = TypeVar("T")


class StoppedRoom(Protocol):
    """A room whose servers are stopped."""

    @property
    def place(self) -> str:
        """Where its database is, as people see it."""
        ...

    def look(self, vouch: Vouch) -> str | None:
        """What is wrong with it, in words. Changes nothing. Raises StorageError."""
        ...

    def change(self, now: WallTime, work: Callable[[Writing], T]) -> T:
        """Bring it up to this release, and run an act in one transaction. Raises StorageError."""
        ...


def stopped_room(folder: Path, settings: Settings) -> StoppedRoom:
    """The room of a folder. Raises FolderError."""
    address = postgres_address(settings)
    return InFile(folder, settings) if address is None else InPostgres(address, settings)


class InFile:
    """A room in one SQLite file in its data folder."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._file, self._settings = folder / DATABASE, settings

    @property
    def place(self) -> str:
        """The file."""
        return str(self._file)

    def look(self, vouch: Vouch) -> str | None:
        """What is wrong with it, in words."""
        context = Context(sqlite_statements(), self._settings, secrets.token_bytes)
        try:
            return find_damage(self._file, context, vouch).damage
        except sqlite3.Error as error:
            raise StorageError(str(error)) from error

    def change(self, now: WallTime, work: Callable[[Writing], T]) -> T:
        """Run an act in one transaction, and copy the write-ahead log into the file."""
        try:
            with closing(connect_writer(self._file)) as connection:
                migrate(connection, now)
                clock = saved_clock(connection, lambda: now)
                context = Context(sqlite_statements(), self._settings, secrets.token_bytes, clock)
                done = in_one_transaction(connection, context, work)
                connection.execute(context.statements["checkpoint_and_cut"]).fetchall()
                return done
        except sqlite3.Error as error:
            raise StorageError(str(error)) from error


class InPostgres:
    """A room in a PostgreSQL database."""

    def __init__(self, address: Any, settings: Settings) -> None:
        self._address, self._settings = address, settings

    @property
    def place(self) -> str:
        """The address, without its password."""
        return str(self._address)

    def look(self, vouch: Vouch) -> str | None:
        """What is wrong with it, in words."""
        from teamroom.server.store.postgres.stopped import look

        return look(self._address, Context(postgres_statements(), self._settings, secrets.token_bytes), vouch)

    def change(self, now: WallTime, work: Callable[[Writing], T]) -> T:
        """Run an act in one transaction."""
        from teamroom.server.store.postgres.stopped import change

        def context(clock: Clock) -> Context:
            return Context(postgres_statements(), self._settings, secrets.token_bytes, clock)

        return change(self._address, now, context, work)
