"""New rooms' databases, whose migrations run once for all tests: they cost more than most tests do."""

import contextlib
import os
import tempfile
from functools import cache
from pathlib import Path

from teamroom.server.private import PRIVATE_FILE
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite.connect import connect_writer, migrate


def lay_down(folder: Path) -> None:
    """Put a database of this release, in which no room was made yet, into a folder without one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with (
        contextlib.suppress(FileExistsError),
        os.fdopen(os.open(folder / DATABASE, flags, PRIVATE_FILE), "wb") as database,
    ):
        database.write(_migrated())


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, DATABASE)
        with contextlib.closing(connect_writer(database)) as connection:
            migrate(connection, 0.0)
        return database.read_bytes()
