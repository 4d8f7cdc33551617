"""Restores a room from a backup: prepares it next to the current room, and replaces that in one step.

If the process dies at any point, the folder has the old room or the new one, never a mixture and never none.
"""

import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from teamroom.server.acts.control.restore import owner_token, start_new_epoch
from teamroom.server.clock import WallTime
from teamroom.server.record import journal
from teamroom.server.record import seal as sealing
from teamroom.server.record.backups import Backup, BackupError, known, verified
from teamroom.server.record.journal import Journal
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE, OWNER_TOKEN, PRIVATE_FOLDER, write_private
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.connect import connect_writer, migrate, saved_clock
from teamroom.server.store.sqlite.copy import Progress, open_to_read
from teamroom.server.store.sqlite.store import in_one_transaction
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Head, Reading, Writing

DRAFT = "restoring.db"
SUFFIXES = ("-wal", "-shm")
"""The suffixes of the files that SQLite keeps next to a database."""


class RestoreError(Exception):
    """The restore failed; the text says why. The room in the folder is unchanged."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why, self.fix = why, fix


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: the new epoch, who stays stopped, and the folder of the replaced room."""

    backup: Backup
    epoch: int
    seq: int
    stopped: list[str]
    replaced: Path | None
    new_owner_token: bool


def restore(
    folder: Path, path: Path, now: WallTime, *, without_journal: bool, settings: Settings, progress: Progress
) -> Restored:
    """Restore a backup into the folder, which the caller has locked. Raises RestoreError."""
    draft = folder / DRAFT
    try:
        backup = known(path)
        stops = _stops(folder, without_journal)
        epoch = max(backup.epoch, _epoch_here(folder, backup), sealing.epoch_of(folder) or 0) + 1
        _copy(backup.path, draft, progress)
        head, stopped, token = _begin(folder, draft, backup, epoch, stops, now, settings)
        verified(draft, now, progress)
        replaced = _put_in_place(folder, draft, now)
        if token is not None:
            write_private(folder / OWNER_TOKEN, f"{token}\n")
        sealing.write(folder, sealing.read_key(folder, secrets.token_bytes), head, now)
    except (BackupError, journal.JournalError) as error:
        raise RestoreError(f"{error}.", "Choose another backup: `teamroom backup --list` shows them.") from error
    except (OSError, sqlite3.Error) as error:
        raise RestoreError(
            f"The backup cannot be put in place: {error}.", "Fix the cause, then restore again."
        ) from error
    finally:
        for name in (draft, *(draft.with_name(draft.name + end) for end in SUFFIXES)):
            name.unlink(missing_ok=True)
    return Restored(backup, epoch, head.seq, stopped, replaced, token is not None)


def _stops(folder: Path, without_journal: bool) -> Journal | None:
    stops = journal.read(folder)
    if stops is None and not without_journal:
        raise RestoreError(
            f"{folder / journal.JOURNAL} is missing, so the room cannot tell who was killed after the backup was made.",
            "Put that room's journal there; or restore with --without-journal, and repeat the kills that must last.",
        )
    return stops


def _epoch_here(folder: Path, backup: Backup) -> int:
    """The epoch of the room in the folder; 0 if none can be read. Raises RestoreError for a different room."""
    if not (folder / DATABASE).exists():
        return 0
    try:
        with closing(open_to_read(folder / DATABASE)) as connection:
            tx = Reading(connection, Context(sqlite_statements(), Settings(), secrets.token_bytes))
            head = tx.one(ReadHead, "read_head")
    except sqlite3.Error:
        return 0
    if head is not None and head.created_at != backup.room:
        raise RestoreError("The folder contains a different room than the backup.", "Restore into an empty folder.")
    return 0 if head is None else head.epoch


def _copy(source: Path, draft: Path, progress: Progress) -> None:
    draft.unlink(missing_ok=True)
    with source.open("rb") as old, open(draft, "xb", opener=_private) as new:
        shutil.copyfileobj(old, new, 1 << 20)
    progress(1, 1)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _begin(
    folder: Path, draft: Path, backup: Backup, epoch: int, stops: Journal | None, now: WallTime, settings: Settings
) -> tuple[Head, list[str], str | None]:
    """Upgrade the copy to this release, and begin its new epoch in one transaction."""
    file = folder / OWNER_TOKEN
    current = file.read_text(encoding="ascii").strip() if file.exists() else None

    def work(tx: Writing) -> tuple[Head, list[str], str | None]:
        stopped = start_new_epoch(tx, epoch, backup.at, stops)
        token = owner_token(tx, current)
        return tx.head, stopped, token

    with closing(connect_writer(draft)) as connection:
        migrate(connection, now)
        clock = saved_clock(connection, lambda: now)
        context = Context(sqlite_statements(), settings, secrets.token_bytes, clock)
        done = in_one_transaction(connection, context, work)
        connection.execute(context.statements["checkpoint_and_cut"]).fetchall()
        connection.execute(context.statements["one_file"]).fetchall()
    return done


def _put_in_place(folder: Path, draft: Path, now: WallTime) -> Path | None:
    """Move the current room aside, and put the draft in its place; returns the folder of the old room."""
    database = folder / DATABASE
    replaced = None
    if database.exists():
        _checkpoint(database)
        replaced = folder / f"replaced-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        replaced.mkdir(mode=PRIVATE_FOLDER)
        os.link(database, replaced / DATABASE)
        for end in SUFFIXES:
            extra = folder / (DATABASE + end)
            if extra.exists():
                shutil.copyfile(extra, replaced / extra.name)
    for end in SUFFIXES:  # SQLite would apply the old write-ahead log to the new database
        (folder / (DATABASE + end)).unlink(missing_ok=True)
    _sync(draft)
    draft.replace(database)
    _sync(folder)
    return replaced


def _checkpoint(database: Path) -> None:
    """Copy the old room's write-ahead log into its database; a damaged room stays as it is."""
    try:
        with closing(connect_writer(database)) as connection:
            connection.execute(sqlite_statements()["checkpoint_and_cut"]).fetchall()
    except sqlite3.Error:
        return


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
