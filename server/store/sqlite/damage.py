"""Finds damage in a room's database before anything is written to it."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from teamroom.server.store.engine import Vouch
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.copy import open_to_read
from teamroom.server.store.sqlite.faults import code_of, is_damage, is_no_text
from teamroom.server.store.statements import sqlite_statements

CHECK_SECONDS = 1.0
"""The check of pages ends after this long, so that a large room opens in time. A backup checks every page."""

STEPS = 10_000
"""Instructions of SQLite between two checks of the time."""

SEARCH_INDEX = "fts5"
"""What SQLite reports about the search index is not damage, because the index can be rebuilt."""


def find_damage(path: Path, vouch: Vouch) -> str | None:
    """Returns what is wrong with a room's database, in words; None if nothing was found. Changes nothing.

    Raises sqlite3.Error if the check is not possible.
    """
    if not path.exists():
        return vouch(None)
    try:
        with closing(open_to_read(path)) as connection:
            return vouch(_head(connection)) or _bad_page(connection)
    except sqlite3.Error as error:
        if not (is_damage(error) or is_no_text(error)):
            raise
        return str(error)


def _head(connection: sqlite3.Connection) -> ReadHead | None:
    try:
        row = connection.execute(sqlite_statements()["read_head"]).fetchone()
        return None if row is None else ReadHead(**row)
    except sqlite3.Error as error:
        if code_of(error) != sqlite3.SQLITE_ERROR:
            raise
        return None  # a database without tables: no room was made in it yet


def _bad_page(connection: sqlite3.Connection) -> str | None:
    end = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        found = [row["quick_check"] for row in connection.execute(sqlite_statements()["look_at_pages"])]
    except sqlite3.OperationalError as error:
        if code_of(error) != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    faults = [line for line in found if line != "ok" and SEARCH_INDEX not in line.lower()]
    return " ".join(faults[0].split()) if faults else None
