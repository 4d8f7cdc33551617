"""Finds damage in a room's database before anything is written to it."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from teamroom.server.store.engine import Vouch
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.copy import open_to_read
from teamroom.server.store.sqlite.faults import code_of, is_damage, is_no_text
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Reading

CHECK_SECONDS = 0.5
"""The check of pages ends after this long, so that a large room opens in time. A backup checks every page."""

WHOLE_BYTES = 134_217_728
"""A file of up to this size is checked as a whole, its free pages too; of a larger one, table by table.

SQLite does not look at the clock while it checks the pages of what it is told to.
"""

EVERY_TABLE = None
"""Names no table: the file is checked as a whole."""

STEPS = 10_000
"""Instructions of SQLite between two checks of the time."""

SEARCH_INDEX = "fts5"
"""What SQLite reports about the search index is not damage, because the index can be rebuilt."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a database found: the damage in words, if there is any, and the head that was vouched for."""

    damage: str | None
    head: ReadHead | None = None


def find_damage(path: Path, context: Context, vouch: Vouch) -> Found:
    """Look for what is wrong with a room's database. Changes nothing.

    Raises sqlite3.Error if the check is not possible.
    """
    if not path.exists():
        return Found(vouch(None))
    try:
        with closing(open_to_read(path)) as connection:
            connection.execute(context.statements["begin_read"])
            tx = Reading(connection, context)
            head = _head(tx)
            return Found(vouch(tx if head is not None else None) or _bad_page(connection, path.stat().st_size), head)
    except sqlite3.Error as error:
        if not (is_damage(error) or is_no_text(error)):
            raise
        return Found(str(error))


def _head(tx: Reading) -> ReadHead | None:
    try:
        return tx.one(ReadHead, "read_head")
    except sqlite3.Error as error:
        if code_of(error) != sqlite3.SQLITE_ERROR:
            raise
        return None  # a database without tables: no room was made in it yet


def _bad_page(connection: sqlite3.Connection, size: int) -> str | None:
    """What is wrong with a page of a file of this size, as far as time allows to look."""
    end = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    checks = _check_pages(connection, size, end)
    try:
        fault = next((line for line in checks if line != "ok" and SEARCH_INDEX not in line.lower()), None)
    except sqlite3.OperationalError as error:
        if code_of(error) != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    return None if fault is None else " ".join(fault.split())


def _check_pages(connection: sqlite3.Connection, size: int, end: float) -> Iterator[str]:
    """What SQLite reports of a file of this size: of its tables one after the other until a time, or of all at once."""
    statements, tables = sqlite_statements(), [EVERY_TABLE]
    if size > WHOLE_BYTES:
        tables = [row["name"] for row in connection.execute(statements["tables_to_look_at"])]
    for table in tables:
        if time.monotonic() < end:
            for row in connection.execute(statements["look_at_pages"], {"table": table}):
                yield row["quick_check"]
