"""Join a harness to the room, and take it out again: what would change is shown, and asked for once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.failure import FAILED, USAGE, Failure, UnreachableError
from teamroom.clients.session.place import Place, check_person
from teamroom.clients.session.program import own_name
from teamroom.clients.session.terminal import aligned, plain, print_json, say
from teamroom.clients.shell.app import Json, bare, command

if TYPE_CHECKING:
    from teamroom.clients.harnesses.changes import Change
    from teamroom.clients.harnesses.description import Harness, Machine, Seat
    from teamroom.clients.harnesses.identities import Identity
    from teamroom.clients.harnesses.record import Joined, Record

SECTION = "Members"

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="HARNESS…", help="Such as claude or codex. Default: the one of this folder."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


@dataclass
class Plan:
    """What one harness needs to join: its identity, its seat, and how each file changes."""

    harness: "Harness"
    identity: "Identity"
    seat: "Seat"
    changes: "list[Change]"

    @property
    def is_done(self) -> bool:
        """Whether the harness has joined already, as asked."""
        return self.identity.token is not None and not any(change.is_one for change in self.changes)


@command(SECTION)
def join(
    place: Place,
    harnesses: Names = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", parser=bare, help="The member's name. For one harness.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Join every harness that is found on this machine.")] = False,
    unattended: Annotated[
        bool | None,
        typer.Option(
            "--unattended/--attended",
            help="Whether its local tools are refused too while no room can be reached. Asked if you do not say it.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    dry_run: DryRun = False,
    print_: Annotated[bool, typer.Option("--print", help="Print the entries, and write nothing.")] = False,
    json: Json = False,
) -> None:
    """Join harnesses of this folder to the room. Shows what it would write, and asks once.

    Each harness gets an identity for each folder. To take it out again: teamroom leave
    """
    from teamroom.clients.harnesses.record import load_record, locked

    check_person(place.environment, "join a harness")
    machine = _machine(place)
    asks = not (yes or dry_run or print_ or json)
    if not place.on_terminal and asks:
        raise Failure(
            "A join needs a yes, and standard input is not a terminal.",
            "Add --yes to write, or --dry-run to see what would be written.",
            USAGE,
        )
    chosen = _choose(harnesses or [], all_, machine, asks)
    if name is not None and len(chosen) > 1:
        raise Failure("--as names one member, but several harnesses are chosen.", "Join them one by one.", USAGE)
    if print_:
        _print_entries(place, chosen, machine, name, json)
        return
    with locked():
        record = load_record()
        failures = _join(place, record, chosen, machine, name, unattended, asks, dry_run, json)
    if failures:
        raise typer.Exit(FAILED)


def _machine(place: Place) -> "Machine":
    from teamroom.clients.harnesses.description import Machine

    return Machine(Path.cwd(), Path.home(), place.environment)


# ------------------------------------------------------------------ which harnesses


def _choose(named: list[str], all_: bool, machine: "Machine", asks: bool) -> "list[Harness]":
    """Return the harnesses to join: as named, all that are found, or as the person answers. Raises Failure."""
    from teamroom.clients.harnesses.catalogue import found_here, found_on

    if named:
        return [_harness(word) for word in dict.fromkeys(named)]
    found, here = found_on(machine), found_here(machine)
    if all_ and found:
        return found
    if not found:
        raise Failure("No harness was found on this machine.", f"Name one: {_known()}", USAGE)
    if not asks:
        if not here:
            words = " ".join(harness.key for harness in found)
            raise Failure("No harness works in this folder.", f"Name one of those that were found: {words}", USAGE)
        return here
    say("Found on this machine:")
    for line in aligned([[one.key, one.name, "works in this folder" if one in here else ""] for one in found]):
        say(f"  {line}")
    words = " ".join(one.key for one in here)
    answer = typer.prompt("Which join the room? Names, or all", default=words or None, err=True)
    return found if answer.strip() == "all" else [_harness(word) for word in answer.replace(",", " ").split()]


def _harness(word: str) -> "Harness":
    from teamroom.clients.harnesses.catalogue import HARNESSES

    wanted = word.casefold()
    for harness in HARNESSES.values():
        if wanted in (harness.key, harness.name.casefold(), *harness.programs):
            return harness
    raise Failure(f"{plain(word)} is not a harness that join knows.", f"Name one of these: {_known()}", USAGE)


def _known() -> str:
    from teamroom.clients.harnesses.catalogue import HARNESSES

    return " ".join(HARNESSES)


# ------------------------------------------------------------------ join


def _join(
    place: Place,
    record: "Record",
    chosen: "Sequence[Harness]",
    machine: "Machine",
    name: str | None,
    unattended: bool | None,
    asks: bool,
    dry_run: bool,
    as_json: bool,
) -> list[Failure]:
    """Plan, show, ask and write; returns why harnesses were left out. Raises Failure if all were."""
    unattended = _ask_unattended(record, chosen, machine) if unattended is None and asks else unattended
    plans, failures = list[Plan](), list[Failure]()
    for harness in chosen:
        try:
            plans.append(_plan(place, record, harness, machine, name, unattended))
        except UnreachableError:
            raise
        except Failure as failure:
            if len(chosen) == 1:
                raise
            failures.append(failure)
            say(failure.text())
    waiting = [plan for plan in plans if not plan.is_done]
    if not as_json:
        for plan in plans:
            _show(plan)
    if waiting and asks and not typer.confirm("Write this?", default=False, err=True):
        raise Failure("Nothing was written.", "Run the command again when you want to join.")
    if not dry_run:
        for plan in waiting:
            _carry_out(place, record, plan)
    if as_json:
        print_json({"joined": [_as_json(plan, dry_run) for plan in plans]})
    elif not dry_run:
        for plan in waiting:
            _show_joined(plan)
        _prove_wakes(waiting)
    return failures


def _ask_unattended(record: "Record", chosen: "Sequence[Harness]", machine: "Machine") -> bool | None:
    """Return whether nobody attends the harnesses; None if the record knows it of each, or it means nothing."""
    new = [one for one in chosen if one.files and record.find(one.key, _folder(one, machine)) is None]
    if not new:
        return None
    say("An attended session goes on with a warning while no room can be reached; an unattended one is blocked.")
    return not typer.confirm("Does a person attend it?", default=True, err=True)


def _folder(harness: "Harness", machine: "Machine") -> str:
    return "" if harness.is_users else str(machine.folder)


def _plan(
    place: Place,
    record: "Record",
    harness: "Harness",
    machine: "Machine",
    name: str | None,
    unattended: bool | None,
) -> Plan:
    from teamroom.clients.harnesses.identities import find_identity

    if harness.is_chat:
        raise Failure(
            f"{harness.name} is a person's client, and joins with a token of that person.",
            f"To see its entry, run: {own_name()} join {harness.key} --print",
            USAGE,
        )
    identity = find_identity(place, record, harness, machine, name)
    if unattended is not None:
        identity = replace(identity, joined=replace(identity.joined, is_unattended=unattended))
    seat = _seat(place, identity.joined.name, machine, identity.joined.is_unattended, identity.token)
    return Plan(harness, identity, seat, _changes(record, harness, identity.joined.key, seat))


def _seat(place: Place, name: str, machine: "Machine", unattended: bool, token: str | None) -> "Seat":
    import shlex

    from teamroom.clients.harnesses.description import Seat

    url = place.endpoint.removesuffix("/mcp")
    program = tuple(shlex.split(own_name()))
    return Seat(name, machine, place.folder, url, place.socket_folder is None, unattended, program, token)


def _changes(record: "Record", harness: "Harness", key: str, seat: "Seat") -> "list[Change]":
    from teamroom.clients.harnesses.changes import plan_join

    return [] if harness.files is None else [plan_join(record, key, config) for config in harness.files(seat)]


def _carry_out(place: Place, record: "Record", plan: Plan) -> None:
    """Issue the member's token, and write the files with it."""
    from teamroom.clients.harnesses.changes import carry_out
    from teamroom.clients.harnesses.identities import issue_token
    from teamroom.clients.harnesses.record import save_record

    joined = plan.identity.joined
    token = issue_token(place, plan.identity)
    record.joined = [one for one in record.joined if one.key != joined.key] + [joined]
    save_record(record)
    changes = _changes(record, plan.harness, joined.key, replace(plan.seat, token=token))
    carry_out(record, changes, lambda: save_record(record))


def _show(plan: Plan) -> None:
    """Print what a join changes in which file."""
    name = f"@{plain(plan.identity.joined.name)}"
    where = "" if plan.harness.is_users else f" in {plain(str(plan.seat.machine.folder))}"
    if plan.is_done:
        print(f"{plan.harness.name} has joined{where} as {name} already. Nothing changes.")
        return
    who = " (a new member)" if plan.identity.is_new else ""
    print(f"{plan.harness.name} joins{where} as {name}{who}.")
    _print_diffs(plan.changes)


def _print_diffs(changes: "Sequence[Change]") -> None:
    for change in changes:
        if change.is_one:
            target = "" if change.found.real == change.found.path else f" (a link to {plain(str(change.found.real))})"
            print(f"  {plain(str(change.found.path))}{target}")
            for line in change.diff():
                print(f"    {plain(line[:1])} {plain_code(line[1:])}")


def plain_code(line: str) -> str:
    """Return a line of a config with its indentation, escaped like `plain`."""
    return " " * (len(line) - len(line.lstrip())) + plain(line)


def _show_joined(plan: Plan) -> None:
    """Print how far the room reaches into the harness, and what the person should do now."""
    harness = plan.harness
    print(f"\n{harness.name} has joined as @{plain(plan.identity.joined.name)}.")
    if harness.files is None:
        print(f"{harness.why} Its entry ({harness.how_tried}):\n\n{harness.snippet(plan.seat)}\n")
    rows = [["stops", harness.stops], ["wakes", harness.wakes], *(["note", note] for note in harness.notes)]
    for title, text in rows:
        print(f"  {title}:  {text}")
    print(f"  undo:   {own_name()} leave {harness.key}")


def _prove_wakes(plans: Sequence[Plan]) -> None:
    """Say how to see that a member wakes. The proof itself belongs here."""
    for plan in plans:
        name = plain(plan.identity.joined.name)
        print(f"To see that @{name} wakes, start it and run: {own_name()} doctor --wake {name}")


def _as_json(plan: Plan, dry_run: bool) -> dict[str, Any]:
    joined = plan.identity.joined
    files = [{"path": str(one.found.path), "changed": one.is_one, "diff": one.diff()} for one in plan.changes]
    return {
        "harness": plan.harness.key,
        "name": joined.name,
        "folder": joined.folder or None,
        "unattended": joined.is_unattended,
        "changed": not plan.is_done and not dry_run,
        "files": files,
        "snippet": plan.harness.snippet(plan.seat) if plan.harness.files is None else None,
    }


def _print_entries(
    place: Place, chosen: "Sequence[Harness]", machine: "Machine", name: str | None, as_json: bool
) -> None:
    """Print the entry of each harness. Nothing is written, and no member is enrolled."""
    shown = []
    for harness in chosen:
        wanted = name or (
            harness.key if harness.is_users or harness.is_chat else f"{harness.key}-{machine.folder.name}"
        )
        seat = _seat(place, wanted, machine, False, None)
        enroll = (
            f"enroll YOU --chat{place.as_option}" if harness.is_chat else f"enroll {wanted} --save{place.as_option}"
        )
        shown.append(
            {"harness": harness.key, "tried": harness.how_tried, "entry": harness.snippet(seat), "first": enroll}
        )
        if not as_json:
            print(f"{harness.name} ({harness.how_tried}). First, run: {own_name()} {enroll}\n{harness.why}\n")
            print(f"{harness.snippet(seat)}\n")
    if as_json:
        print_json({"entries": shown})


# ------------------------------------------------------------------ leave


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
        leaving = _leaving(record, harnesses or [], all_, _machine(place))
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
        keys = [_harness(word).key for word in named]
        found = [one for one in there if one.harness in keys and (all_ or one.folder in ("", here))]
    else:
        found = [one for one in there if one.folder == here]
    if not found:
        others = "".join(f"\n  {one.harness} in {plain(one.folder or 'every folder')}" for one in there)
        raise Failure(
            "Nothing that join wrote is in this folder.",
            f"Go to its folder, or name the harness. These have joined:{others}"
            if others
            else "There is nothing to do.",
        )
    return found


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
        _print_diffs(changes)
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
