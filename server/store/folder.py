"""The data folder: private to its user, and locked by one server, which others can identify."""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from teamroom.server.private import NotPrivateError, decode_text, make_private_folder, open_private, read_private

DATABASE = "room.db"
OWNER_TOKEN = "owner.token"
KEY = "room.key"
SEAL = "seal.json"
LOCK = "room.lock"
CHANNELS = "channels.json"
"""The addresses of the channels that people added. They are in no other file, and in no backup."""

RECORD_BYTES = 1000
"""The longest record of who holds the lock."""

TRIES, TRY_SECONDS = 5, 0.02
"""A program that only looks who holds the lock has it for a moment, so it is tried again before it is refused."""

CONTENTS = ("room.*", OWNER_TOKEN)
"""Patterns of files that show that a folder is a room's."""


class FolderError(Exception):
    """The data folder cannot be used. The text says why, and what to do."""


def make_private(folder: Path) -> None:
    """Create the data folder so that only its user can read it. The user's own folder is tightened.

    Raises FolderError, with what fixes it, if the folder is another user's, is a link or contains something else.
    """
    try:
        make_private_folder(folder, *CONTENTS)
    except NotPrivateError as error:
        raise FolderError(f"{error}. {error.fix}") from None
    except OSError as error:
        raise FolderError(f"{folder} cannot be created: {error.strerror}.") from None


def held_token(path: Path) -> str | None:
    """The token in a private file; None if there is no file, or nothing that can be one in it. Raises OSError."""
    try:
        return decode_text(read_private(path)).strip() or None
    except (FileNotFoundError, UnicodeDecodeError):
        return None


class Holder(NamedTuple):
    """The process that has the folder locked, and what it does: a server writes its address."""

    process: int
    purpose: str


@contextmanager
def locked(folder: Path, holder: str) -> Iterator[None]:
    """Lock the folder for one server while the block runs; a crash releases the lock.

    `holder` describes this server to a second one. Raises FolderError, which names the first server, and OSError.
    """
    descriptor = open_private(folder / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        if not _lock(descriptor):
            first = _record(descriptor)
            raise FolderError(f"Another server has the room in {folder}: {first}. Use that one, or stop it first.")
        if os.fstat(descriptor).st_nlink == 0:
            raise FolderError(f"A first start of the room in {folder} failed just now. Start it again.")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}, {holder}\n".encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):  # a full disk, for example: the lock is released anyway
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file; returns False if another program keeps it locked."""
    for number in range(TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if number < TRIES - 1:
                time.sleep(TRY_SECONDS)
        else:
            return True
    return False


def find_holder(folder: Path) -> Holder | None:
    """Return who has the folder locked; None if no program has. Raises OSError, also for a record that names nobody."""
    try:
        descriptor = open_private(folder / LOCK)
    except FileNotFoundError:
        return None
    try:
        for _ in range(TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = re.fullmatch(r"process (\d{1,10}), (.+)", _record(descriptor))
                if found is not None:
                    return Holder(int(found[1]), found[2])
                time.sleep(TRY_SECONDS)  # it has just locked it, and writes its record
            else:
                return None
    finally:
        os.close(descriptor)
    raise OSError(f"{folder / LOCK} is locked, but does not say by which process")


def _record(descriptor: int) -> str:
    return os.pread(descriptor, RECORD_BYTES, 0).decode("utf-8", "replace").strip()
