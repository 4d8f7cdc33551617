"""The folder of a demo's room: a demo never uses the folder of a real room, nor of a running one."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from teamroom.clients.local.demo.mark import is_demo, mark_demo
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import MEMBERS, OWNER_TOKEN, TOKENS
from teamroom.server.announcement import SERVER
from teamroom.server.logs import FORMER_LOG, LOG
from teamroom.server.own_socket import SOCKET
from teamroom.server.record.backups import BACKUPS
from teamroom.server.record.journal import JOURNAL
from teamroom.server.record.seal import HISTORY, NEXT
from teamroom.server.settings import KEPT_PORT
from teamroom.server.store.folder import DATABASE, KEY, SEAL, find_holder, locked, make_private
from teamroom.server.store.sqlite.connect import SUFFIXES
from teamroom.server.store.sqlite.reserve import RESERVE

PREFIX = "teamroom-demo-"
"""How the name of a temporary folder of a demo begins."""

ROOM = "room"
"""The folder of the room in it."""

LEFTOVERS = 100
"""How many folders one demo looks at to find those that killed demos left."""

FILES = (
    *(f"{DATABASE}{suffix}" for suffix in ("", *SUFFIXES)),
    *(KEY, SEAL, HISTORY, NEXT, JOURNAL, OWNER_TOKEN, LOG, FORMER_LOG, RESERVE, SERVER, SOCKET, KEPT_PORT),
)
"""What a room leaves in its folder. The lock stays, as a program may wait for it."""


def prepare_folder(folder: Path) -> None:
    """Make a folder ready for a new demo, and mark it. An earlier demo's room in it is removed.

    Raises Failure if it holds a real room or a running server, FolderError or OSError if it cannot be used.
    """
    _refuse_running(folder)
    _refuse_real(folder)
    make_private(folder)
    with locked(folder, "teamroom demo"):
        _refuse_real(folder)  # a room may have been made or opened there in the meantime
        mark_demo(folder)
        for path in (*(folder / name for name in FILES), *sorted((folder / MEMBERS).glob(TOKENS))):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """Yield a private folder for a demo, which is removed at the end. What demos left that were killed goes first."""
    _remove_leftovers(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as home, _held(Path(home)):
        yield Path(home)


def _remove_leftovers(parent: Path) -> None:
    """Remove the folders of this user's demos whose process is dead: nobody holds them."""
    for home in islice(parent.glob(f"{PREFIX}*"), LEFTOVERS):
        with contextlib.suppress(OSError, Failure):
            found = home.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700:
                with _held(home):
                    if is_demo(home / ROOM):
                        shutil.rmtree(home)


@contextlib.contextmanager
def _held(home: Path) -> Iterator[None]:
    """Hold a demo's folder for as long as this process lives. Raises BlockingIOError if another one does."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _refuse_running(folder: Path) -> None:
    """Refuse a folder that another program uses now. Raises Failure, OSError."""
    holder = find_holder(folder) if folder.is_dir() else None
    if holder is not None:
        raise _refusal(
            f"A room is running in {folder}: {holder.purpose} (process {holder.process}).",
            "Name another folder with --data, or leave --data out: the demo then uses a temporary one.",
        )


def _refuse_real(folder: Path) -> None:
    """Refuse a folder that holds a real room, or what is left of one. Raises Failure, NotPrivateError."""
    if not is_demo(folder) and (found := _found_of_room(folder)) is not None:
        raise _refusal(
            f"{folder} holds a room that is not a demo: it has {found}.",
            "Name a new folder with --data, or leave --data out: the demo then uses a temporary one.",
        )


def _found_of_room(folder: Path) -> str | None:
    """The first thing in a folder that belongs to a room; None if nothing does."""
    return next((name for name in (*FILES, MEMBERS, BACKUPS) if (folder / name).exists()), None)


def _refusal(why: str, fix: str) -> Failure:
    return Failure(why, fix, USAGE, {"code": "conflict", "why": why, "fix": fix})
