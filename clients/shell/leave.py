"""Take a harness out of the room: exactly what a join wrote is removed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.failure import FAILED, Failure
from teamroom.clients.session.place import Place, check_person
from teamroom.clients.session.program import own_name
from teamroom.clients.session.terminal import plain, print_json, say
from teamroom.clients.shell.app import Json, command
from teamroom.clients.shell.join import DryRun, Names, find_harness, this_machine
from teamroom.clients.shell.join_plans import print_diffs

if TYPE_CHECKING:
    from teamroom.clients.harnesses.changes import Change
    from teamroom.clients.harnesses.description import Machine
    from teamroom.clients.harnesses.record import Joined, Record

SECTION = "Members"


@command(SECTION)
def leave(
    place: Place,
    harnesses: Names = None,
    all_: Annotated[bool, typer.Option("--all", help="Leave with every harness in every folder.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the member's token valid.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Remove exactly what join wrote, and revoke the member's token. The member stays enrolled.

    A file that nobody changed since is as it was before, byte for byte. From any other file, only the room's entries
    are removed.
    """
    from teamroom.clients.harnesses.record import load_record, locked

    check_person(place.environment, "take a harness out of the room")
    with locked():
        record = load_record()
        leaving = _leaving(record, harnesses or [], all_, this_machine(place))
        left = [_leave(place, record, joined, keep, dry_run, json) for joined in leaving]
    if json:
        print_json({"left": left})
    if any(one["problems"] for one in left):
        raise typer.Exit(FAILED)


def _leaving(record: "Record", named: list[str], all_: bool, machine: "Machine") -> "list[Joined]":
    """Return who leaves: as named, everyone, or those of this folder. Raises Failure if nobody does."""
    there = [one for one in record.joined if one.is_in]
    if all_ and not named:
        return there
    here = str(machine.folder)
    if named:
        keys = [find_harness(word).key for word in named]
        found = [one for one in there if one.harness in keys and (all_ or one.folder in ("", here))]
    else:
        found = [one for one in there if one.folder == here]
    if not found:
        raise Failure(
            "No record says that join wrote something for it in this folder.", _what_is_left(there, named, machine)
        )
    return found


def _what_is_left(there: "Sequence[Joined]", named: list[str], machine: "Machine") -> str:
    """Return what a person can do whose record has nothing for a leave: it may be lost, and the entries be there."""
    from teamroom.clients.harnesses.catalogue import WRITTEN, configs_with_room

    harnesses = [find_harness(word) for word in named] or WRITTEN
    if files := configs_with_room(harnesses, machine):
        paths = ", ".join(plain(str(path)) for path in files)
        return (
            f"The room is named in {paths}. Remove by hand what has the name teamroom, and each hook that runs "
            f"`teamroom gate` or `teamroom listen`. Then end the tokens: {own_name()} revoke NAME --label join"
        )
    others = ", ".join(f"{one.harness} in {plain(one.folder or 'every folder')}" for one in there)
    if others:
        return f"Name a harness that has joined, in its folder: {others}."
    return "If a harness in another folder still has an entry with the name teamroom, remove that by hand."


def _leave(
    place: Place, record: "Record", joined: "Joined", keep: bool, dry_run: bool, as_json: bool
) -> dict[str, Any]:
    """Take one harness out; returns what was done, and the problems that a person must see to."""
    from teamroom.clients.harnesses.catalogue import HARNESSES
    from teamroom.clients.harnesses.changes import Change, carry_out, plan_leave
    from teamroom.clients.harnesses.record import save_record

    changes, problems = list[Change](), list[str]()
    for written in record.files_of(joined.key):
        try:
            change = plan_leave(written, joined.key)
            changes.append(change)
            if not dry_run:
                carry_out(record, [change], lambda: save_record(record))
        except Failure as failure:
            problems.append(failure.text())
    name = HARNESSES[joined.harness].name if joined.harness in HARNESSES else joined.harness
    if not as_json:
        print(f"{name} {'would leave' if dry_run else 'leaves'} (@{plain(joined.name)}).")
        _print_left(changes, dry_run)
    token = "kept"
    if not dry_run:
        token = "kept" if keep or not joined.issued else _end_token(place, joined, problems)
        joined.is_in = bool(record.files_of(joined.key))
        save_record(record)
    for problem in problems:
        say(problem)
    if not as_json and not dry_run:
        print(f"@{plain(joined.name)} stays enrolled. {TOKENS[token]}")
    return {"harness": joined.harness, "name": joined.name, "token": token, "problems": problems,
            "files": [{"path": str(one.found.path), "removed": one.after is None} for one in changes]}  # fmt: skip


def _print_left(changes: "Sequence[Change]", dry_run: bool) -> None:
    """Print what a leave changes in each file: in full if it is only shown."""
    if dry_run:
        print_diffs(changes)
        return
    for change in changes:
        if change.is_one:
            what = "removed" if change.after is None else "the room's entries are removed"
            print(f"  {plain(str(change.found.path))}: {what}")


TOKENS = {
    "revoked": "Its token is revoked.",
    "kept": "Its token is still valid.",
    "not revoked": "Its token is still valid, because the room could not be asked to revoke it.",
}


def _end_token(place: Place, joined: "Joined", problems: list[str]) -> str:
    """Revoke the member's token in its own room; returns what became of it."""
    from teamroom.clients.harnesses.identities import end_token

    is_here = joined.data == str(place.folder)
    room = place if is_here else replace(place, data=Path(joined.data), url=joined.url or None)
    try:
        end_token(room, joined)
    except Failure as failure:
        if failure.body.get("code") == "not_found":
            return "revoked"
        problems.append(f"{failure.text()}\nThen run: {own_name()} revoke {plain(joined.name)} --data {joined.data}")
        return "not revoked"
    return "revoked"
