"""Checks of the data folder: permissions, files that a server left behind, backups."""

import errno
import json
import os
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from teamroom.clients.local.demo.mark import MARK
from teamroom.clients.local.findings import Finding
from teamroom.clients.local.snapshot import settings_of
from teamroom.clients.session.place import MEMBERS, OWNER_TOKEN, TOKENS, Place
from teamroom.clients.session.spans import span
from teamroom.server.announcement import SERVER
from teamroom.server.clock import wall_clock
from teamroom.server.logs import FORMER_LOG, LOG
from teamroom.server.own_socket import SOCKET
from teamroom.server.private import NotPrivateError, check_private, make_private_folder, read_private
from teamroom.server.record.backups import BACKUPS, DESCRIPTIONS, BackupError, backups, known
from teamroom.server.record.journal import JOURNAL
from teamroom.server.record.keys import find_key
from teamroom.server.record.seal import HISTORY, NEXT
from teamroom.server.settings import KEPT_PORT
from teamroom.server.store.folder import CHANNELS, CONTENTS, DATABASE, KEY, LOCK, SEAL, FolderError, locked
from teamroom.server.store.sqlite.commit import LARGEST_LOG_BYTES
from teamroom.server.store.sqlite.connect import SUFFIXES
from teamroom.server.store.sqlite.reserve import RESERVE

FILES = (
    *(f"{DATABASE}{suffix}" for suffix in ("", *SUFFIXES)),
    *(KEY, SEAL, HISTORY, NEXT, JOURNAL, OWNER_TOKEN, LOCK, LOG, FORMER_LOG, RESERVE, SERVER, KEPT_PORT),
    *(CHANNELS, MARK),
)
"""The files of a data folder."""

FILES_LOOKED_AT = 10_000
"""The most saved tokens, and the most backups, that are checked."""

OLD_BACKUP_SECONDS = 7 * 86_400.0


def check_folder(place: Place) -> Iterator[Finding]:
    """Check that the folder is complete and private to its user. What others can use is tightened, as everywhere."""
    where = place.folder
    if not os.path.lexists(where):
        yield Finding("problem", "folder", f"There is no folder {where}.", "Name it with --data, or run `teamroom up`.")
        return
    found = list(filter(None, _judged(where)))
    yield from found
    is_in_file = not settings_of(where).database.get_secret_value()
    for path in (where / DATABASE, where / KEY) if is_in_file else ():
        if not path.exists():
            yield Finding("problem", "folder", f"{path} is missing.", "Put back a copy of the folder.")
    if not found:
        yield Finding("ok", "folder", f"{where} and its files are private to their user.")
    yield from _left_behind(where)
    yield from _held_log(where)


def _judged(where: Path) -> Iterator[Finding | None]:
    """Judge the folder, the folders in it, and the files of each. Nothing is judged in one that has a problem."""
    yield (found := _finding(make_private_folder, where, *CONTENTS))
    if found is not None and found.level == "problem":
        return
    for name in FILES:
        yield _finding(check_private, where / name)
    yield _finding(partial(check_private, kind="socket"), where / SOCKET)
    for folder, contents in ((where / MEMBERS, TOKENS), (where / BACKUPS, DESCRIPTIONS)):
        if not os.path.lexists(folder):
            continue
        yield (found := _finding(make_private_folder, folder, contents))
        if found is None or found.level != "problem":
            for path in sorted(folder.iterdir())[:FILES_LOOKED_AT]:
                yield _finding(check_private, path)


def _finding(judge: Callable[..., int | None], path: Path, *contents: str) -> Finding | None:
    """Return what is wrong with a path, or that it was tightened; None if it is private."""
    try:
        mode = judge(path, *contents)
    except NotPrivateError as error:
        return Finding("problem", "folder", f"{error}.", error.fix)
    except OSError as error:
        return Finding("problem", "folder", f"{path} cannot be checked: {error.strerror}.", "Correct it, then repeat.")
    if mode is None:
        return None
    return Finding("mended", "folder", f"{path} was open to other users (mode {mode:03o}). It is private now.")


def _left_behind(where: Path) -> Iterator[Finding]:
    """Find the address file of a server that ended without removing it."""
    path = where / SERVER
    try:
        process = int(json.loads(read_private(path))["pid"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        process = 0
    if process > 0 and _runs(process):
        return

    def remove() -> None:
        try:
            with locked(where, "teamroom doctor"):
                path.unlink(missing_ok=True)
        except FolderError:
            raise OSError(errno.EBUSY, "a server uses this folder") from None

    found = f"{path} was left behind by a server that no longer runs."
    yield Finding("warning", "folder", found, f"Run: rm {shlex.quote(str(path))}", remove)


def _held_log(where: Path) -> Iterator[Finding]:
    """Find a write-ahead log that the room would have cut, if nobody read it."""
    path = where / f"{DATABASE}-wal"
    size = path.stat().st_size if path.exists() else 0
    if size > 2 * LARGEST_LOG_BYTES:
        found = f"{path} has {size / 1e6:.0f} MB: another program reads {DATABASE}, so the room cannot cut it."
        yield Finding("warning", "folder", found, f"End that program. To find it, run: lsof {shlex.quote(str(path))}")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def check_backups(place: Place) -> Iterator[Finding]:
    """Check the age of the newest verified backup, and that it has not changed since."""
    if settings_of(place.folder).database.get_secret_value():
        return  # PostgreSQL's own tools make them, where the room cannot see them
    into = place.folder / BACKUPS
    make = f"To create one, run: teamroom backup --data {shlex.quote(str(place.folder))}"
    found = backups(into)
    if not found:
        yield Finding("warning", "backups", f"There are no backups in {into}.", make)
        return
    newest = found[0]
    try:
        known(newest.path)
    except (BackupError, OSError) as error:
        yield Finding("problem", "backups", f"The newest backup cannot be used: {error}.", make)
        return
    age = wall_clock() - newest.at
    words = f"{len(found)} in the folder. The newest was verified {span(age)} ago, with {newest.seq} entries."
    is_signed = newest.is_signed_by(find_key(place.folder))
    if is_signed and age <= OLD_BACKUP_SECONDS:
        yield Finding("ok", "backups", words)
    else:
        unsigned = "" if is_signed else " It is not signed with this room's key."
        yield Finding("warning", "backups", f"{words}{unsigned}", make)
