"""Rebuilds a database file of an earlier release into one that can give free space back to the disk.

SQLite copies the whole file for that, so it is done only while no server has the room open. The copy is made beside
the file and takes its place in one step: a crash leaves the old file or the new one.
"""

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from teamroom.server.private import open_private
from teamroom.server.store.sqlite.connect import INCREMENTALLY, connect_writer
from teamroom.server.store.sqlite.copy import Progress
from teamroom.server.store.statements import sqlite_statements

log = logging.getLogger("teamroom.store")

REBUILT = ".rebuilt"
"""The suffix of the copy while it is made."""

KEPT_FREE = 2
"""The rebuild begins only if the disk has this many times the size of the file free."""

REPORTED_STEPS = 100_000
"""Steps of SQLite between two reports of how far the copy is."""


def rebuild(path: Path, progress: Progress) -> bool:
    """Rebuild the file if an earlier release made it; returns whether it was rebuilt.

    If the disk has no space for it, or somebody reads the file, the room opens with the old file, and the next start
    tries again.
    """
    run = sqlite_statements()
    copy = path.with_name(path.name + REBUILT)
    copy.unlink(missing_ok=True)  # of a server that was killed
    with closing(connect_writer(path)) as connection:
        if connection.execute(run["how_space_is_given_back"]).fetchone()[0] == INCREMENTALLY:
            return False
        connection.execute(run["wait_never"])
        connection.execute(run["checkpoint_and_cut"]).fetchall()
        if (why := _obstacle(path)) is not None:
            log.warning("the database file is not rebuilt now: %s", why)
            return False
        try:
            _copy(connection, path, copy, progress)
        except (sqlite3.Error, OSError) as error:
            log.warning("the database file is not rebuilt now: %s", error)
            copy.unlink(missing_ok=True)
            return False
    copy.replace(path)
    _sync(path.parent)
    return True


def _obstacle(path: Path) -> str | None:
    disk, size = os.statvfs(path.parent), path.stat().st_size
    free = disk.f_bavail * disk.f_frsize
    return (
        f"{free / 1e6:.0f} MB are free, and it takes {KEPT_FREE * size / 1e6:.0f} MB"
        if free < KEPT_FREE * size
        else None
    )


def _copy(connection: sqlite3.Connection, path: Path, copy: Path, progress: Progress) -> None:
    """Copy what is stored, in order and without free pages. Raises sqlite3.Error or OSError."""
    run, size = sqlite_statements(), max(path.stat().st_size, 1)
    log.warning("the database file is rebuilt once (%.0f MB), so that it can become smaller later", size / 1e6)
    connection.execute(run["one_file"]).fetchall()  # fails while somebody reads it, who would miss the new file
    os.close(open_private(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL))

    def report() -> int:
        progress(min(copy.stat().st_size, size), size)
        return 0

    connection.set_progress_handler(report, REPORTED_STEPS)
    connection.execute(run["copy_whole"], {"path": str(copy)})
    with closing(sqlite3.connect(copy)) as made:
        if made.execute(run["how_space_is_given_back"]).fetchone()[0] != INCREMENTALLY:
            raise sqlite3.OperationalError("this SQLite cannot make a file that gives space back")
    _sync(copy)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
