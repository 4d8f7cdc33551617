"""`teamroom seal`: shows the room's seal, and accepts a room that its seal contradicts."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from teamroom.clients.session.failure import FAILED, Failure
from teamroom.clients.session.program import own_name
from teamroom.clients.session.progress import progress
from teamroom.clients.session.terminal import plain, print_json
from teamroom.clients.session.times import date_and_time
from teamroom.server.accept import Accepted, AcceptError, look
from teamroom.server.accept import accept as accept_room
from teamroom.server.clock import rfc3339, wall_clock
from teamroom.server.policy import SettingsError
from teamroom.server.private import NotPrivateError
from teamroom.server.record.backups import accept_command
from teamroom.server.record.journal import JOURNAL
from teamroom.server.record.seal import read_seals
from teamroom.server.settings import load
from teamroom.server.store.folder import FolderError, locked


def show(folder: Path, as_json: bool) -> int:
    """Show the newest seal, and what contradicts it; returns the exit code. Raises Failure."""
    try:
        found, seal = look(folder, load(folder)), read_seals(folder).newest
    except (AcceptError, FolderError, SettingsError, OSError) as error:
        raise _failure(error) from None
    what = None if found is None else found.what
    if as_json:
        sealed = None if seal is None else {"seq": seal.seq, "hash": seal.hash, "at": rfc3339(seal.at)}
        print_json({"seal": sealed, "contradiction": what})
    else:
        print(
            "There is no seal."
            if seal is None
            else f"entry {seal.seq} at {date_and_time(rfc3339(seal.at))}: {seal.hash}"
        )
        if what is not None:
            print(f"The room does not fit it: {plain(what)}.")
            print(accept_command(folder))
    return 0 if what is None else FAILED


def accept(folder: Path, as_json: bool, is_restored: bool = False, others: Sequence[Path] = ()) -> int:
    """Accept the folder's room as it is; returns the exit code. Raises Failure, also if the room is running."""
    try:
        if not folder.is_dir():
            raise Failure(f"There is no folder {folder}.", "Name the room's folder with --data.")
        for other in others:
            if not (other / JOURNAL).exists():
                raise Failure(f"{other} has no {JOURNAL}.", "Name the data folders of the room's other servers.")
        with locked(folder, "accepting the log"), progress("Verifying") as (report,):
            done = accept_room(folder, wall_clock(), load(folder), report, is_restored=is_restored, others=others)
    except (AcceptError, FolderError, SettingsError, OSError) as error:
        raise _failure(error) from None
    _show(folder, done, as_json)
    return 0


def _failure(error: Exception) -> Failure:
    if isinstance(error, AcceptError):
        return Failure(error.why, error.fix)
    if isinstance(error, NotPrivateError):
        return Failure(f"{error}.", error.fix)
    return Failure(f"{error}", "Fix that, then run the command again.")


def _show(folder: Path, done: Accepted, as_json: bool) -> None:
    head = f"{done.hash}@{done.seq}"
    if as_json:
        print_json({"accepted": done.what, "epoch": done.epoch, "head": head, "stopped": done.stopped})
        return
    print(f"Accepted: {plain(done.what)}.")
    print(f"Entry {done.seq} says so, and every later `verify` and `backup` names it. The epoch is {done.epoch}.")
    for line in done.stopped:
        print(f"- {plain(line)}")
    print(f"To start the room, run: {own_name()} up --data {plain(shlex.quote(str(folder)))}")
