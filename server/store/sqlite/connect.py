"""Connections to the room's SQLite file, and the migrations that update it to this release."""

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

from teamroom.server.clock import Clock, Moment, RoomClock, steady_clock
from teamroom.server.private import check_private
from teamroom.server.rules.search import index_words
from teamroom.server.store.statements import SQLITE, missing_migrations, split_script, sqlite_statements

OWN_MIGRATIONS = SQLITE / "migrations"
"""The part of a migration that only SQLite understands, in a file of the same name. It runs after the shared part."""

SET_UP = (
    *("give_space_back", "write_ahead", "durable", "foreign_keys", "overwrite_deleted", "no_automatic_checkpoint"),
    "temporary_in_memory",
)
"""The statements that set up the connection that writes. The first one takes effect in a new file only."""

INCREMENTALLY = 2
"""What SQLite calls a file from which pages can be given back some at a time."""

SUFFIXES = ("-wal", "-shm", "-journal")
"""The suffixes of the files that SQLite keeps next to a database."""

CACHED_STATEMENTS = 512
LOCK_WAIT_SECONDS = 5.0


def connect_writer(path: Path) -> sqlite3.Connection:
    """Returns the connection that writes. Each commit is durable; it never checkpoints automatically."""
    connection = _connect(path)
    connection.create_function("index_words", 1, index_words, deterministic=True)
    for name in SET_UP:
        connection.execute(sqlite_statements()[name])
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Returns a connection that cannot write."""
    connection = _connect(path)
    for name in ("only_reads", "no_automatic_checkpoint", "temporary_in_memory"):
        connection.execute(sqlite_statements()[name])
    return connection


def check_database(path: Path, folders: int = 1) -> None:
    """Check that a database and SQLite's files next to it are private. Raises NotPrivateError."""
    for suffix in ("", *SUFFIXES):
        check_private(path.with_name(path.name + suffix), folders)


def _connect(path: Path) -> sqlite3.Connection:
    check_database(path)
    connection = sqlite3.connect(
        path, timeout=LOCK_WAIT_SECONDS, isolation_level=None, cached_statements=CACHED_STATEMENTS
    )
    connection.row_factory = sqlite3.Row
    return connection


def saved_clock(connection: sqlite3.Connection, wall: Clock) -> RoomClock:
    """The clock of a room that no server has open here; by the wall clock if an earlier release wrote the room."""
    clock = RoomClock(wall, steady_clock, math.inf)
    try:
        row = connection.execute(sqlite_statements()["clock_state"]).fetchone()
    except sqlite3.OperationalError:
        return clock
    if row is not None:
        clock.resume(Moment(**row))
    return clock


def migrate(connection: sqlite3.Connection, now: float, before: Callable[[], None] = lambda: None) -> list[str]:
    """Apply the missing migrations, each in a transaction; returns their names.

    `before` runs first if the database holds a room. Raises NewerRoomError if a newer release wrote the database.
    """
    run = sqlite_statements()
    connection.execute(run["create_migrations"])
    applied = {row["number"]: row["name"] for row in connection.execute(run["migrations"])}
    missing = missing_migrations(applied)
    if applied and missing and connection.execute(run["read_head"]).fetchone() is not None:
        before()
    for number, path in missing.items():
        connection.execute(run["begin_write"])
        for script in (path, OWN_MIGRATIONS / path.name):
            for statement in split_script(script.read_text(encoding="utf-8")) if script.exists() else ():
                connection.execute(statement)
        connection.execute(run["record_migration"], {"number": number, "name": path.stem, "applied_at": now})
        connection.execute(run["commit"])
    return [path.stem for path in missing.values()]
