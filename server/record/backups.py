"""Backups: copies of the room's database, each opened and verified before it counts.

A backup is a database file with a description beside it. It contains no token, no key and no seal.
"""

import hashlib
import json
import secrets
import shlex
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from teamroom.server.clock import WallTime, rfc3339
from teamroom.server.record.chain import Verification, Verifier
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE, make_private, write_private
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.copy import Progress, checked, copy_database
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Reading

BACKUPS = "backups"
"""The folder for backups inside the data folder, unless another one is named."""

FOUND = ".json"


class BackupError(Exception):
    """A backup could not be made, or a file is not a backup; the text says why."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup and what was found in it when it was verified.

    `room` is when the room was created, which identifies it; `at` is when the copy was taken. Times are seconds since
    1970-01-01 UTC.
    """

    path: Path
    room: float
    at: WallTime
    epoch: int
    seq: int
    hash: str
    sha256: str


def make_backup(folder: Path, into: Path, now: WallTime, kept: int, copying: Progress, verifying: Progress) -> Backup:
    """Copy the folder's room, verify the copy, and keep the newest `kept` backups of this room.

    The server may be running. Raises BackupError, and leaves no part of a copy behind.
    """
    try:
        make_private(into)
        draft = into / f".copy-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        try:
            copy_database(folder / DATABASE, draft, copying)
            made = _named(draft, verified(draft, now, verifying))
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(str(error)) from error
    for old in backups(into, made.room)[kept:]:
        forget(old)
    return made


def verified(path: Path, at: WallTime, progress: Progress) -> Backup:
    """Check every page of a copy and every entry of its log; returns the backup with what was found.

    Raises BackupError if anything is wrong.
    """
    try:
        with checked(path) as connection:
            tx = Reading(connection, Context(sqlite_statements(), Settings(), secrets.token_bytes))
            head = tx.only(ReadHead, "read_head")
            if head is None:
                raise BackupError(f"{path.name} contains no room")
            result = _walk(tx, head.seq, progress)
            if not result.good:
                raise BackupError(f"entry {result.first_bad}: {result.why}")
            return Backup(path, head.created_at, at, head.epoch, head.seq, head.hash, _digest(path))
    except sqlite3.Error as error:
        raise BackupError(f"{path.name} is damaged: {error}") from error


def backups(into: Path, room: float | None = None) -> list[Backup]:
    """The backups in a folder, newest first. Each was verified when it was made.

    `room`: when their room was created; None: any room.
    """
    found = filter(None, map(_read, into.glob(f"*{FOUND}")))
    return sorted(
        (b for b in found if room in (None, b.room)), key=lambda backup: (backup.at, backup.seq), reverse=True
    )


def restore_command(folder: Path) -> str:
    """What to do about a damaged room, in words, with the command that restores its newest backup."""
    where = shlex.quote(str(folder))
    if newest := next(iter(backups(folder / BACKUPS)), None):
        contents = f"{newest.seq} log entries, made at {rfc3339(newest.at)}"
        return f"Stop the room and run `teamroom restore {shlex.quote(str(newest.path))} --data {where}` ({contents})."
    return (
        f"There is no backup in {folder / BACKUPS}. Stop the room and run `teamroom restore BACKUP --data {where}` "
        f"with a backup from elsewhere, or with one that `teamroom backup --data {where}` can still make."
    )


def known(path: Path) -> Backup:
    """The backup in a file. Raises BackupError if the file has no description beside it, or was changed."""
    backup = _read(path.with_suffix(FOUND))
    if backup is None or not path.exists():
        raise BackupError(f"{path} is not a backup: `teamroom backup` did not make it, or a part of it is missing")
    if _digest(path) != backup.sha256:
        raise BackupError(f"{path} was changed since it was made")
    return backup


def forget(backup: Backup) -> None:
    """Delete a backup."""
    backup.path.unlink(missing_ok=True)
    backup.path.with_suffix(FOUND).unlink(missing_ok=True)


def _named(draft: Path, found: Backup) -> Backup:
    """Give a verified copy its name. Its description is written last: only that makes the file a backup."""
    name = f"room-{datetime.fromtimestamp(found.at, UTC):%Y%m%dT%H%M%SZ}-{found.seq}.db"
    path = draft.with_name(name)
    draft.replace(path)
    values = {key: value for key, value in asdict(found).items() if key != "path"}
    write_private(path.with_suffix(FOUND), json.dumps(values) + "\n")
    return Backup(path, **values)


def _read(found: Path) -> Backup | None:
    try:
        return Backup(found.with_suffix(".db"), **json.loads(found.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _walk(tx: Reading, end: int, progress: Progress) -> Verification:
    verifier = Verifier(seal=None, key=None)
    while (result := verifier.step(tx)) is None:
        progress(verifier.seq, end)
    return result


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
