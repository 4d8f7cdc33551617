"""Reads of a room's database from outside its server."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from teamroom.clients.session.failure import Failure
from teamroom.server.clock import wall_clock
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.connect import check_database, saved_clock
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Reading


@contextmanager
def snapshot(folder: Path, settings: Settings | None = None) -> Iterator[Reading]:
    """Open a read-only snapshot of the folder's database. It writes nothing, not even a checkpoint.

    Raises Failure if the database cannot be read, NotPrivateError if it is another user's.
    """
    path, run = folder / DATABASE, sqlite_statements()
    check_database(path)
    if not path.exists():
        raise Failure(f"There is no room in {folder}.", "Name its folder with --data, or create a room: `teamroom up`")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute(run["temporary_in_memory"])
            connection.execute(run["begin_read"])
            clock = saved_clock(connection, wall_clock)
            tx = Reading(connection, Context(run, settings or Settings(), secrets.token_bytes, clock))
            if tx.one(ReadHead, "read_head") is None:
                raise Failure(
                    f"{path} contains no room yet.", "Its first start did not finish. Run `teamroom up` again."
                )
            yield tx
    except sqlite3.Error as error:
        raise Failure(f"{path} cannot be read: {error}.", "Put back a readable copy of the folder.") from None
