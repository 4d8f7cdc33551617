"""Connections to the room's SQLite file, and the migrations that bring it up to this release."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from teamroom.server.store.statements import SQLITE, missing_migrations, split_script, sqlite_statements

OWN_MIGRATIONS = SQLITE / "migrations"
"""What only SQLite understands of a migration, in a file of the same name; it runs right after the shared one."""
CACHED_STATEMENTS = 512
LOCK_WAIT_SECONDS = 5.0


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes: durable at each commit, and never checkpointing by itself."""
    connection = _connect(path)
    for name in ("write_ahead", "durable", "foreign_keys", "overwrite_what_goes", "no_checkpoint_by_itself"):
        connection.execute(sqlite_statements()[name])
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = _connect(path)
    for name in ("only_reads", "no_checkpoint_by_itself"):
        connection.execute(sqlite_statements()[name])
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=LOCK_WAIT_SECONDS, isolation_level=None, cached_statements=CACHED_STATEMENTS
    )
    connection.row_factory = sqlite3.Row
    return connection


def migrate(connection: sqlite3.Connection, now: float, before: Callable[[], None] = lambda: None) -> list[str]:
    """Bring the database up to this release, forward only, one transaction each; returns what was applied.

    `before` runs first where a room is to be changed. Raises NewerRoomError when the database is ahead of this release.
    """
    run = sqlite_statements()
    connection.execute(run["create_migrations"])
    applied = [row["number"] for row in connection.execute(run["migrations"])]
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
