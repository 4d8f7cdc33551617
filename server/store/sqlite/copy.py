"""Online copies of the room's database, and their check."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from teamroom.server.private import open_private
from teamroom.server.store.sqlite.connect import check_database
from teamroom.server.store.statements import sqlite_statements

COPIED_PAGES = 1024
"""Pages between two reports of how far a copy is."""

Progress = Callable[[int, int], None]
"""Gets how much is done, and how much there is."""


def copy_database(source: Path, target: Path, progress: Progress) -> None:
    """Copy the database as it is now into a new file. Its server can write meanwhile.

    Raises sqlite3.Error or OSError; `target` may then contain a part.
    """
    run = sqlite_statements()
    os.close(open_private(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    with closing(open_to_read(source)) as live, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        live.execute(run["begin_read"])  # one snapshot: without it the copy starts over with every commit
        live.execute(run["snapshot"]).fetchall()
        live.backup(copy, pages=COPIED_PAGES, progress=lambda _, left, total: progress(total - left, total))
        copy.execute(run["one_file"]).fetchall()


def open_to_read(path: Path) -> sqlite3.Connection:
    """Returns a connection that cannot write, not even a checkpoint. Raises NotPrivateError."""
    check_database(path, folders=0)
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute(sqlite_statements()["temporary_in_memory"])
    return connection


@contextmanager
def checked(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database file after a check of every page. Raises sqlite3.DatabaseError if a page is damaged."""
    with closing(open_to_read(path)) as connection:
        found = connection.execute(sqlite_statements()["check_pages"]).fetchone()["integrity_check"]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        yield connection
