"""The data folder: private to its user, and locked by one server, which others can identify."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from teamroom.server.private import NotPrivateError, decode_text, make_private_folder, open_private, read_private

DATABASE = "room.db"
OWNER_TOKEN = "owner.token"
KEY = "room.key"
SEAL = "seal.json"
LOCK = "room.lock"

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


@contextmanager
def locked(folder: Path, holder: str) -> Iterator[None]:
    """Lock the folder for one server while the block runs; a crash releases the lock.

    `holder` describes this server to a second one. Raises FolderError, which names the first server, and OSError.
    """
    descriptor = open_private(folder / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            first = os.read(descriptor, 1000).decode("utf-8", "replace").strip()
            raise FolderError(
                f"Another server has the room in {folder}: {first}. Use that one, or stop it first."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}, {holder}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
