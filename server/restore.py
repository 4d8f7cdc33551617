"""Restores a room from a backup: prepares it next to the current room, and replaces that in one step.

If the process dies at any point, the folder has the old room or the new one, never a mixture and never none.
"""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from teamroom.server.acts.control.mend import mend, owner_token
from teamroom.server.acts.control.restore import revoke_everything, start_new_epoch
from teamroom.server.clock import Moment, WallTime
from teamroom.server.private import (
    NotPrivateError,
    make_private_folder,
    open_private,
    write_private,
)
from teamroom.server.record import journal
from teamroom.server.record.backups import Backup, BackupError, known, verified
from teamroom.server.record.journal import Journal
from teamroom.server.record.keys import find_key, renew_key
from teamroom.server.record.seal import Sealer, Seals, read_seals
from teamroom.server.settings import Settings
from teamroom.server.store.folder import (
    DATABASE,
    KEY,
    OWNER_TOKEN,
    FolderError,
    held_token,
)
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.connect import SUFFIXES, connect_writer, migrate, saved_clock
from teamroom.server.store.sqlite.copy import Progress, open_to_read
from teamroom.server.store.sqlite.store import in_one_transaction
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Head, Reading, Writing

T = TypeVar("T")

DRAFT = "restoring.db"


class RestoreError(Exception):
    """The restore failed; the text says why. The room in the folder is unchanged."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why, self.fix = why, fix


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: the new epoch, what stays stopped, and where the replaced room lies.

    `revoked`: how many tokens ended because the backup is not signed with the room's key.
    """

    backup: Backup
    epoch: int
    seq: int
    stopped: list[str]
    replaced: Path | None
    new_owner_token: bool
    revoked: int = 0


def restore(
    folder: Path,
    path: Path,
    now: WallTime,
    *,
    without_journal: bool,
    settings: Settings,
    progress: Progress,
    unsigned: bool = False,
) -> Restored:
    """Restore a backup into the folder, which the caller has locked. Raises RestoreError."""
    draft = folder / DRAFT
    try:
        backup = known(path)
        here = _epoch_here(folder, backup)
        is_signed = _is_signed(folder, backup, unsigned)
        stops = _stops(folder, without_journal, now)
        seals = read_seals(folder)
        epoch = max(backup.epoch, here, seals.epoch) + 1
        _copy(backup.path, draft, progress)
        done = _begin(folder, draft, backup, Start(epoch, stops, not is_signed), now, settings)
        verified(draft, now, progress)
        sealer = prepare_seal(folder, seals, done.head, now, "the room was restored from a backup")
        replaced = _put_in_place(folder, draft, now)
        if done.token is not None:
            write_private(folder / OWNER_TOKEN, f"{done.token}\n")
        sealer.settle(done.head, now)
    except NotPrivateError as error:
        raise RestoreError(f"{error}.", error.fix) from error
    except (BackupError, FolderError) as error:
        raise RestoreError(f"{error}.", "Choose another backup: `teamroom backup --list` shows them.") from error
    except (OSError, sqlite3.Error) as error:
        raise RestoreError(
            f"The backup cannot be put in place: {error}.", "Fix the cause, then restore again."
        ) from error
    finally:
        for name in (draft, *(draft.with_name(draft.name + end) for end in SUFFIXES)):
            name.unlink(missing_ok=True)
    return Restored(backup, epoch, done.head.seq, done.stopped, replaced, done.token is not None, done.revoked)


def prepare_seal(
    folder: Path, seals: Seals, head: Head, now: WallTime, why: str, accepted: str | None = None
) -> Sealer:
    """Seal a log that is about to take the place of another; returns what puts the seal in force. Raises OSError.

    What was wrong with the folder's seals, and `accepted`, is named by every later check.
    """
    key = find_key(folder)
    wrong = accepted or (seals.fault(key) if seals.is_there and not seals.is_of_first_form else None)
    sealer = Sealer(folder, renew_key(folder, secrets.token_bytes), seals.history)
    sealer.prepare(head, now, note="" if wrong is None else f"{why}, although {wrong}", accepts=wrong is not None)
    return sealer


def _is_signed(folder: Path, backup: Backup, unsigned: bool) -> bool:
    """Whether the room's key signed a backup. Raises RestoreError if it did not and nobody asked for it."""
    key = find_key(folder)
    if backup.is_signed_by(key):
        return True
    if unsigned:
        return False
    raise RestoreError(
        f"{folder / KEY} is missing, so nobody can tell whether this room made the backup."
        if key is None
        else "The backup is not signed with this room's key, so it may have been changed.",
        f"Put {KEY} of that room's folder there, or choose a backup that this room made; or restore with --unsigned, "
        "which revokes every token.",
    )


def _stops(folder: Path, without_journal: bool, now: WallTime) -> Journal | None:
    """What the journal says was stopped, and what is stopped in the room that is to be replaced."""
    stops = journal.read(folder)
    if stops is None and not without_journal:
        raise RestoreError(
            f"{folder / journal.JOURNAL} is missing, so the room cannot tell who was killed after the backup was made.",
            "Put that room's journal there; or restore with --without-journal, and repeat the kills that must last.",
        )
    here = _read_here(folder, journal.stopped)
    clock = _read_here(folder, lambda tx: tx.one(Moment, "clock_state"))
    at = now if clock is None else max(clock.now, now - clock.ahead)
    return stops if here is None else journal.stricter(stops, here, at)


def _read_here(folder: Path, work: Callable[[Reading], T]) -> T | None:
    """Read the room that is in the folder; None where there is none that can be read."""
    if not (folder / DATABASE).exists():
        return None
    try:
        with closing(open_to_read(folder / DATABASE)) as connection:
            return work(Reading(connection, Context(sqlite_statements(), Settings(), secrets.token_bytes)))
    except sqlite3.Error:
        return None


def _epoch_here(folder: Path, backup: Backup) -> int:
    """The epoch of the room that is in the folder, 0 where none can be read. Raises RestoreError for another room."""
    head = _read_here(folder, lambda tx: tx.one(ReadHead, "read_head"))
    if head is not None and head.created_at != backup.room:
        raise RestoreError("The folder contains a different room than the backup.", "Restore into an empty folder.")
    return 0 if head is None else head.epoch


def _copy(source: Path, draft: Path, progress: Progress) -> None:
    draft.unlink(missing_ok=True)
    _copy_file(source, draft)
    progress(1, 1)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a private file into a new one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(open_private(source, folders=0), "rb") as old, os.fdopen(open_private(target, flags), "wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)


@dataclass(frozen=True, slots=True)
class Begun:
    """What the first transaction of the new epoch did."""

    head: Head
    stopped: list[str]
    token: str | None
    revoked: int


@dataclass(frozen=True, slots=True)
class Start:
    """How the new epoch starts: its number, what stays stopped, and whether no token is to remain valid."""

    epoch: int
    stops: Journal | None
    revokes: bool


def _begin(folder: Path, draft: Path, backup: Backup, start: Start, now: WallTime, settings: Settings) -> Begun:
    """Bring the copy up to this release, and begin its new epoch in one transaction."""
    file = folder / OWNER_TOKEN
    current = held_token(file)

    def work(tx: Writing) -> Begun:
        stopped = start_new_epoch(tx, start.epoch, backup.at, start.stops)
        revoked = revoke_everything(tx) if start.revokes else 0
        token = mend(tx) or owner_token(tx, current)
        return Begun(tx.head, stopped, token, revoked)

    with closing(connect_writer(draft)) as connection:
        migrate(connection, now)
        clock = saved_clock(connection, lambda: now)
        here = _read_here(folder, lambda tx: tx.one(Moment, "clock_state"))
        if here is not None:  # room time is the room's, whichever copy of it is used
            clock.resume(here)
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
        make_private_folder(replaced)
        os.link(database, replaced / DATABASE)
        for end in SUFFIXES:
            extra = folder / (DATABASE + end)
            if extra.exists():
                _copy_file(extra, replaced / extra.name)
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
