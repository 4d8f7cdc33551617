"""The data folder: private to its user, and locked by one server, which others can identify."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATABASE = "room.db"
OWNER_TOKEN = "owner.token"
KEY = "room.key"
SEAL = "seal.json"
LOCK = "room.lock"

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


class FolderError(Exception):
    """The data folder cannot be used. The text says why, and what to do."""


def make_private(folder: Path) -> None:
    """Create the data folder so that only its user can read it.

    Raises FolderError, with the command that fixes it, if others can read an existing folder.
    """
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"{folder} cannot be created: {error.strerror}.") from None
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        raise FolderError(
            f"{folder} can be read by other users of this machine (mode {mode:03o}). Run: chmod 700 {folder}"
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its user can read, in full or not at all. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def locked(folder: Path, holder: str) -> Iterator[None]:
    """Lock the folder for one server while the block runs; a crash releases the lock.

    `holder` describes this server to a second one. Raises FolderError, which names the first server.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
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
