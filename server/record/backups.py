"""Backups: copies of the room's database, each opened and verified before it counts.

A backup is a database file with a description beside it, which is signed with the room's key. It contains no token,
no key and no seal. A log that its seals contradict gets no backup, so none of them carries a forgery unnamed.
"""

import hashlib
import json
import os
import secrets
import shlex
import sqlite3
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from teamroom.server.clock import WallTime, rfc3339
from teamroom.server.private import (
    NotPrivateError,
    check_private,
    make_private_folder,
    open_private,
    read_private,
    write_private,
)
from teamroom.server.record.chain import Verification, Verifier
from teamroom.server.record.keys import Checks, RoomKey, find_key
from teamroom.server.record.seal import read_seals
from teamroom.server.record.sealed import is_genuine
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE, KEY
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.copy import Progress, checked, copy_database
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Reading

BACKUPS = "backups"
"""The folder for backups inside the data folder, unless another one is named."""

FOUND = ".json"

DESCRIPTIONS = f"room-*{FOUND}"
"""The pattern of files that show that a folder is one of backups."""


class BackupError(Exception):
    """A backup could not be made, or a file is not a backup; the text says why."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup and what was found in it when it was verified.

    `room` is when the room was created, which identifies it; `at` is when the copy was taken. Times are seconds since
    1970-01-01 UTC. `named`: what contradicted the log at some time, and was accepted.
    """

    path: Path
    room: float
    at: WallTime
    epoch: int
    seq: int
    hash: str
    sha256: str
    named: tuple[str, ...] = ()
    signature: str = ""

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        found = (self.room, self.at, self.epoch, self.seq, self.hash, self.sha256, self.named)
        return json.dumps(["teamroom backup", *found]).encode()

    def is_signed_by(self, key: Checks | None) -> bool:
        """Whether the room's key signed what was found in this backup."""
        return key is not None and key.has_signed(self.message, self.signature)


def make_backup(
    folder: Path,
    into: Path,
    now: WallTime,
    kept: int,
    copying: Progress,
    verifying: Progress,
    is_vouched: bool = False,
) -> Backup:
    """Copy the folder's room, verify the copy, and keep the newest `kept` backups of this room.

    The server may be running. `is_vouched`: the room is about to be upgraded, and fits the seal of that release.
    Raises BackupError, and leaves no part of a copy behind.
    """
    try:
        verifier, key = _verifier(
            folder, is_vouched
        )  # its seal is read before the copy, which must contain what is sealed
        make_private_folder(into, DESCRIPTIONS)
        draft = into / f".copy-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        try:
            copy_database(folder / DATABASE, draft, copying)
            made = _named(draft, verified(draft, now, verifying, verifier), key)
        finally:
            draft.unlink(missing_ok=True)
    except NotPrivateError as error:
        raise BackupError(f"{error}. {error.fix}".rstrip(".")) from error
    except (OSError, sqlite3.Error) as error:
        raise BackupError(str(error)) from error
    for old in backups(into, made.room)[kept:]:
        forget(old)
    return made


def _verifier(folder: Path, is_vouched: bool) -> tuple[Verifier, RoomKey]:
    """What verifies a copy of the folder's room: its seals and its key. Raises BackupError, OSError."""
    key, seals = find_key(folder), read_seals(folder)
    if key is None:
        raise BackupError(f"{folder / KEY} is missing or contains no key, so the backup cannot be signed")
    if seals.is_of_first_form:
        seal = seals.seal if seals.seal is not None and is_genuine(key, seals.seal) else None
        if is_vouched or seal is not None:
            return Verifier(seal, key), key
    if (fault := seals.fault(key)) is not None:
        raise BackupError(fault)
    return Verifier(seals.seal, key, seals.history), key


def verified(path: Path, at: WallTime, progress: Progress, verifier: Verifier | None = None) -> Backup:
    """Check every page of a copy and every entry of its log; returns the backup with what was found.

    Raises BackupError if anything is wrong.
    """
    verifier = verifier or Verifier(seal=None, key=None)
    try:
        with checked(path) as connection:
            tx = Reading(connection, Context(sqlite_statements(), Settings(), secrets.token_bytes))
            head = tx.only(ReadHead, "read_head")
            if head is None:
                raise BackupError(f"{path.name} contains no room")
            result = _walk(tx, verifier, head.seq, progress)
            if not result.good:
                raise BackupError(f"entry {result.first_bad}: {result.why}")
            return Backup(path, head.created_at, at, head.epoch, head.seq, head.hash, _digest(path), result.named)
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
        how = "" if newest.signature else " --unsigned"
        what = f"{shlex.quote(str(newest.path))}{how}"
        return f"Stop the room and run `teamroom restore {what} --data {where}` ({contents})."
    return (
        f"There is no backup in {folder / BACKUPS}. Stop the room and run `teamroom restore BACKUP --data {where}` "
        "with a backup from elsewhere."
    )


def restore_database_command(folder: Path) -> str:
    """The same for a room in PostgreSQL, whose backups PostgreSQL's own tools make."""
    return (
        "Stop every server of the room, restore its database with PostgreSQL's own tools, and then run "
        f"`teamroom seal --restored --data {shlex.quote(str(folder))}`."
    )


def accept_command(folder: Path) -> str:
    """What else a person can do about a room that its seal contradicts: the command that keeps it as it is."""
    command = f"teamroom seal --accept --data {shlex.quote(str(folder))}"
    return f"Or keep the room as it is: stop it, and run `{command}`. Every later check still names this."


def known(path: Path) -> Backup:
    """The backup in a file. Raises BackupError if the file has no description beside it, or was changed.

    Raises NotPrivateError if one of them is another user's or a link.
    """
    for part in (path, path.with_suffix(FOUND)):
        check_private(part, folders=0)
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


def _named(draft: Path, found: Backup, key: RoomKey) -> Backup:
    """Give a verified copy its name. Its signed description is written last: only that makes the file a backup."""
    name = f"room-{datetime.fromtimestamp(found.at, UTC):%Y%m%dT%H%M%SZ}-{found.seq}.db"
    made = replace(found, path=draft.with_name(name), signature=key.sign(found.message))
    draft.replace(made.path)
    values = {key: value for key, value in asdict(made).items() if key != "path"}
    write_private(made.path.with_suffix(FOUND), json.dumps(values) + "\n")
    return made


def _read(found: Path) -> Backup | None:
    try:
        values = json.loads(read_private(found, folders=0))
        return Backup(**{**values, "path": found.with_suffix(".db"), "named": tuple(values.get("named", ()))})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _walk(tx: Reading, verifier: Verifier, end: int, progress: Progress) -> Verification:
    while (result := verifier.step(tx)) is None:
        progress(verifier.seq, end)
    return result


def _digest(path: Path) -> str:
    with os.fdopen(open_private(path, folders=0), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
