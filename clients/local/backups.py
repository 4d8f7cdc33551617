"""`teamroom backup` and `teamroom restore`, which open the data folder themselves."""

import os
import shlex
from pathlib import Path

from teamroom.clients.local.snapshot import require_file
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.program import own_name
from teamroom.clients.session.progress import progress
from teamroom.clients.session.spans import span
from teamroom.clients.session.terminal import aligned, plain, print_json
from teamroom.clients.session.times import date_and_time, with_local_times
from teamroom.server.clock import rfc3339, wall_clock
from teamroom.server.policy import SettingsError
from teamroom.server.private import make_private_folder
from teamroom.server.record.backups import BACKUPS, DESCRIPTIONS, Backup, BackupError, backups, make_backup
from teamroom.server.restore import Restored, RestoreError
from teamroom.server.restore import restore as restore_backup
from teamroom.server.settings import load
from teamroom.server.store.folder import CONTENTS, FolderError, locked, make_private


def backup(folder: Path, into: Path | None, as_json: bool) -> int:
    """Back up the folder's room, which may be running; returns the exit code. Raises Failure."""
    require_file(folder, "Back the database up with PostgreSQL's own tools, as docs/postgresql.md shows.")
    try:
        kept = load(folder).backups_kept
        with progress("Copying", "Verifying") as (copying, verifying):
            made = make_backup(folder, into or folder / BACKUPS, wall_clock(), kept, copying, verifying)
    except (BackupError, FolderError) as error:
        raise Failure(f"The backup failed: {error}.", "Fix that, then run the command again.") from None
    except SettingsError as error:
        raise Failure(str(error), "Correct it. `teamroom doctor` shows every value.") from None
    if as_json:
        print_json(_data(made))
    else:
        print(f"{plain(str(made.path))}")
        print(f"{made.seq} entries and every page verified, signed with the room's key. Keep a copy elsewhere.")
        for line in made.named:
            print(f"NOTE: {plain(line)}.")
        where = f"{shlex.quote(str(made.path))} --data {shlex.quote(str(folder))}"
        print(f"To restore it, stop the room, then run: {own_name()} restore {plain(where)}")
    return 0


def list_backups(folder: Path, into: Path | None, as_json: bool) -> int:
    """List the backups, newest first; returns the exit code. Raises NotPrivateError for another user's folder."""
    into = into or folder / BACKUPS
    for here, contents in ((folder, CONTENTS), (into, (DESCRIPTIONS,))):
        if os.path.lexists(here):
            make_private_folder(here, *contents)
    found = backups(into)
    if as_json:
        print_json([_data(b) for b in found])
    elif found:
        now = wall_clock()
        rows = [
            [date_and_time(rfc3339(b.at)), f"{span(now - b.at)} ago", f"{b.seq} entries", plain(str(b.path))]
            for b in found
        ]
        print("\n".join(aligned(rows)))
    else:
        print(f"There are no backups. To create one, run: {own_name()} backup --data {shlex.quote(str(folder))}")
    return 0


def restore(folder: Path, path: Path, without_journal: bool, unsigned: bool, as_json: bool) -> int:
    """Replace the folder's room by a backup; returns the exit code. Raises Failure, also if the room is running."""
    if path.suffix != ".db":
        raise Failure(f"{path} is not a backup.", "Name the .db file that `teamroom backup` wrote.", USAGE)
    try:
        make_private(folder)
        with locked(folder, "restoring a backup"), progress("Restoring") as (report,):
            done = restore_backup(
                folder,
                path,
                wall_clock(),
                without_journal=without_journal,
                unsigned=unsigned,
                settings=load(folder),
                progress=report,
            )
    except RestoreError as error:
        raise Failure(error.why, error.fix) from None
    except FolderError as error:
        raise Failure(str(error), "Stop that server first, then restore.") from None
    except SettingsError as error:
        raise Failure(str(error), "Correct it. `teamroom doctor` shows every value.") from None
    _show(folder, done, as_json)
    return 0


def _show(folder: Path, done: Restored, as_json: bool) -> None:
    if as_json:
        replaced = None if done.replaced is None else str(done.replaced)
        print_json(
            {
                "epoch": done.epoch,
                "entries": done.seq,
                "stopped": done.stopped,
                "replaced": replaced,
                "new_owner_token": done.new_owner_token,
                "revoked": done.revoked,
            }
        )
        return
    print(f"The room is restored to {date_and_time(rfc3339(done.backup.at))}. Epoch {done.epoch} begins.")
    print("Tasks that were in progress are open again. Earlier cursors, fences and offers are void.")
    for line in done.stopped:
        print(f"- {plain(with_local_times(line))}")
    if done.revoked:
        print(f"The backup is not signed with this room's key, so all {done.revoked} tokens are revoked.")
    if done.new_owner_token:
        print(f"{plain(str(folder / 'owner.token'))} contains a new token of the owner.")
    if done.replaced is not None:
        print(f"The replaced room is in {plain(str(done.replaced))}. Remove it when you no longer need it.")
    print(f"To start the room, run: {own_name()} up --data {plain(shlex.quote(str(folder)))}")


def _data(backup: Backup) -> dict[str, object]:
    return {
        "path": str(backup.path),
        "at": rfc3339(backup.at),
        "epoch": backup.epoch,
        "entries": backup.seq,
        "hash": backup.hash,
        "sha256": backup.sha256,
        "named": list(backup.named),
    }
