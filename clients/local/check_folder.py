"""Checks of the data folder: permissions, files that a server left behind, backups."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

from teamroom.clients.local.findings import Finding
from teamroom.clients.session.place import MEMBERS, OWNER_TOKEN, Place
from teamroom.clients.session.spans import span
from teamroom.server.announcement import SERVER
from teamroom.server.clock import wall_clock
from teamroom.server.record.backups import BACKUPS, BackupError, backups, known
from teamroom.server.record.keys import find_key
from teamroom.server.record.seal import HISTORY
from teamroom.server.store.folder import DATABASE, KEY, SEAL, FolderError, locked

OLD_BACKUP_SECONDS = 7 * 86_400.0


def check_folder(place: Place) -> Iterator[Finding]:
    """Check that the folder is complete and private to its user."""
    where = place.folder
    if not where.is_dir():
        yield Finding("problem", "folder", f"There is no folder {where}.", "Name it with --data, or run `teamroom up`.")
        return
    files = [where / name for name in (DATABASE, KEY, SEAL, HISTORY, OWNER_TOKEN)]
    folders = [where, *(where / name for name in (MEMBERS, BACKUPS) if (where / name).is_dir())]
    kept = [path for name in folders[1:] for path in sorted(name.iterdir()) if path.is_file()]
    loose = [*filter(None, map(_too_open, folders)), *filter(None, map(_too_open, [*files, *kept]))]
    yield from loose
    for path in files[:2]:
        if not path.exists():
            yield Finding("problem", "folder", f"{path} is missing.", "Put back a copy of the folder.")
    if not loose:
        yield Finding("ok", "folder", f"{where} and its files are private to their user.")
    yield from _left_behind(where)


def _too_open(path: Path) -> Finding | None:
    """Return a finding if others can use a path. It can be mended if the user owns it and it is not a link."""
    if not path.exists() or not (mode := path.stat().st_mode & 0o777) & 0o077:
        return None
    safe = not path.is_symlink() and path.stat().st_uid == os.getuid()
    return Finding(
        "problem",
        "folder",
        f"{path} is open to other users (mode {mode:03o}).",
        f"Run: chmod {'700' if path.is_dir() else '600'} {path}",
        (lambda: path.chmod(0o700 if path.is_dir() else 0o600)) if safe else None,
    )


def _left_behind(where: Path) -> Iterator[Finding]:
    """Find the address file of a server that ended without removing it."""
    path = where / SERVER
    try:
        process = int(json.loads(path.read_text(encoding="utf-8"))["pid"])
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
    yield Finding("warning", "folder", found, f"Run: rm {path}", remove)


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
    into = place.folder / BACKUPS
    make = f"To create one, run: teamroom backup --data {place.folder}"
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
