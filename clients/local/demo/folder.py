"""The folder of a demo's room: a demo never uses the folder of a real room, nor of a running one."""

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
