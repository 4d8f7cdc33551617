"""`teamroom backup` and `teamroom restore`: a room's data kept, and brought back, straight from its folder."""

from pathlib import Path

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.progress import progress
from teamroom.clients.session.spans import span
from teamroom.clients.session.terminal import aligned, plain, print_json
from teamroom.server.clock import rfc3339, wall_clock
from teamroom.server.record.backups import BACKUPS, Backup, BackupError, backups, make_backup
from teamroom.server.restore import Restored, RestoreError
from teamroom.server.restore import restore as put_back
from teamroom.server.settings import SettingsError, load
from teamroom.server.store.folder import DATABASE, FolderError, locked, make_private


def backup(folder: Path, into: Path | None, as_json: bool) -> int:
    """Make a backup of the folder's room, which may run meanwhile, and say what it holds. Raises Failure."""
    if not (folder / DATABASE).exists():
        raise Failure(f"There is no room in {folder}.", "Name its folder with --data, or make one: teamroom up")
    try:
        kept = load(folder).backups_kept
        with progress("Copying", "Verifying") as (copying, verifying):
            made = make_backup(folder, into or folder / BACKUPS, wall_clock(), kept, copying, verifying)
    except (BackupError, FolderError) as error:
        raise Failure(f"No backup was made: {error}.", "Mend that, and make it again.") from None
    except SettingsError as error:
        raise Failure(str(error), "Correct it; `teamroom doctor` shows every value.") from None
    if as_json:
        print_json(_data(made))
    else:
        print(f"{plain(str(made.path))}")
        print(f"{made.seq} entries, each on the one before it; every page looked at. Keep a copy on another machine.")
        print(f"Bring it back with: teamroom restore {plain(str(made.path))}")
    return 0


def list_backups(folder: Path, into: Path | None, as_json: bool) -> int:
    """Show the backups that are there, the newest first."""
    found = backups(into or folder / BACKUPS)
    if as_json:
        print_json([_data(b) for b in found])
    elif found:
        now = wall_clock()
        rows = [[rfc3339(b.at), f"{span(now - b.at)} ago", f"{b.seq} entries", plain(str(b.path))] for b in found]
        print("\n".join(aligned(rows)))
    else:
        print("There is no backup here. Make one: teamroom backup")
    return 0


def restore(folder: Path, path: Path, without_journal: bool, as_json: bool) -> int:
    """Put a backup in the place of the folder's room, which must not run. Raises Failure."""
    if path.suffix != ".db":
        raise Failure(f"{path} is no backup's database.", "Name the .db file that `teamroom backup` made.", USAGE)
    try:
        make_private(folder)
        with locked(folder, "restoring a backup"), progress("Restoring") as (report,):
            done = put_back(
                folder, path, wall_clock(), without_journal=without_journal, settings=load(folder), progress=report
            )
    except RestoreError as error:
        raise Failure(error.why, error.fix) from None
    except FolderError as error:
        raise Failure(str(error), "Stop that server first, then restore.") from None
    except SettingsError as error:
        raise Failure(str(error), "Correct it; `teamroom doctor` shows every value.") from None
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
            }
        )
        return
    print(f"The room is as it was at {rfc3339(done.backup.at)}; epoch {done.epoch} begins.")
    print("What was handed out since is void: tasks in work are open again, cursors and offers have ended.")
    for line in done.stopped:
        print(f"- {plain(line)}")
    if done.new_owner_token:
        print(f"{plain(str(folder / 'owner.token'))} holds a new token of the owner.")
    if done.replaced is not None:
        print(f"The room that was here lies in {plain(str(done.replaced))}; remove it once you no longer need it.")
    print(f"Open it: teamroom up --data {plain(str(folder))}")


def _data(backup: Backup) -> dict[str, object]:
    return {
        "path": str(backup.path),
        "at": rfc3339(backup.at),
        "epoch": backup.epoch,
        "entries": backup.seq,
        "hash": backup.hash,
        "sha256": backup.sha256,
    }
