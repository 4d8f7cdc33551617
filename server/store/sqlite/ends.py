"""A room in one SQLite file as the source or the target of a copy."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from teamroom.server.private import open_private
from teamroom.server.store.copying import PAGE_ROWS, CopyError, Row
from teamroom.server.store.folder import DATABASE, locked
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.sqlite.copy import open_to_read
from teamroom.server.store.transaction import Context, Reading

INDEXES = ("message_text", "task_text")
"""The search indexes, which SQLite keeps in tables of these names and in others that begin with them."""

COPYING = "copying.db"
"""The new file until it is whole."""


@contextmanager
def open_source(folder: Path, context: Context) -> Iterator["SqliteSource"]:
    """The room of a folder, to be copied. Raises CopyError, FolderError, sqlite3.Error."""
    file = folder / DATABASE
    if not file.exists():
        raise CopyError(f"There is no room in {folder}")
    with locked(folder, "copying the room"), closing(open_to_read(file)) as connection:
        yield SqliteSource(connection, context)


@contextmanager
def open_target(folder: Path, context: Context, now: float) -> Iterator["SqliteTarget"]:
    """A folder without a room, into which one is copied: kept if the block succeeds.

    Raises CopyError, FolderError, OSError, sqlite3.Error.
    """
    if (folder / DATABASE).exists():
        raise CopyError(f"There is a room in {folder} already. Name another folder")
    draft, run = folder / COPYING, context.statements
    with locked(folder, "copying the room"):
        draft.unlink(missing_ok=True)
        os.close(open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            with closing(connect_writer(draft)) as connection:
                migrate(connection, now)
                yield SqliteTarget(connection, context)
                connection.execute(run["commit"])
                connection.execute(run["checkpoint_and_cut"]).fetchall()
            draft.replace(folder / DATABASE)
        finally:
            for suffix in ("", "-wal", "-shm"):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)


class SqliteSource:
    """A file that is read in one snapshot."""

    def __init__(self, connection: sqlite3.Connection, context: Context) -> None:
        self.connection, self._context = connection, context
        connection.execute(context.statements["begin_read"])

    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of each table."""
        found: dict[str, tuple[str, ...]] = {}
        for (place,) in map(tuple, self.connection.execute(self._context.statements["places"])):
            table, _, column = place.partition(".")
            if not table.startswith((*INDEXES, "sqlite_")):
                found[table] = (*found.get(table, ()), column)
        return found

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.connection.execute(f"select count(*) from {table}").fetchone()[0])

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[list[Row]]:
        """The rows of a table, a page at a time."""
        cursor = self.connection.execute(f"select {', '.join(columns)} from {table}")
        while page := cursor.fetchmany(PAGE_ROWS):
            yield list(map(tuple, page))


class SqliteTarget(SqliteSource):
    """A new file of this release, in a transaction that writes."""

    def __init__(self, connection: sqlite3.Connection, context: Context) -> None:
        self.connection, self._context = connection, context
        connection.execute(context.statements["begin_write"])
        connection.execute(context.statements["refer_later"])

    def clear(self, table: str) -> None:
        """Delete the rows that the engine has made in a table."""
        self.connection.execute(f"delete from {table}")

    def insert(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Add rows to a table."""
        places = ", ".join("?" * len(columns))
        self.connection.executemany(f"insert into {table} ({', '.join(columns)}) values ({places})", rows)

    def put(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Set columns of the rows with an id; each row begins with it."""
        sets = ", ".join(f"{column} = ?" for column in columns[1:])
        self.connection.executemany(
            f"update {table} set {sets} where {columns[0]} = ?", [(*row[1:], row[0]) for row in rows]
        )

    def index_words(self) -> None:
        """Make the words of all texts searchable."""
        run, tasks = self._context.statements, self.count("task")
        self.connection.execute(run["index_messages"], {"after": 0})
        for name in ("index_tasks", "note_indexed_tasks"):
            self.connection.execute(run[name], {"limit": tasks})

    def reading(self) -> Reading:
        """What was written so far, to be verified."""
        return Reading(self.connection, self._context)
