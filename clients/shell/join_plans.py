"""What each harness needs to join, how that is shown, and how it is written."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import own_name, own_words
from teamroom.clients.session.terminal import plain, print_json

if TYPE_CHECKING:
    from teamroom.clients.harnesses.changes import Change
    from teamroom.clients.harnesses.description import ConfigFile, Harness, Machine, Seat
    from teamroom.clients.harnesses.identities import Identity
    from teamroom.clients.harnesses.record import Joined, Record


@dataclass(frozen=True)
class Wish:
    """What the person chose for all harnesses that join; None where each keeps what it had before.

    `unattended`: whether nobody attends it. `resident`: whether a watchdog keeps its listener running.
    """

    name: str | None = None
    unattended: bool | None = None
    resident: bool | None = None

    def applied_to(self, joined: "Joined") -> "Joined":
        """Return how a harness joins. A resident one is unattended: its listener starts a run for each wake."""
        resident = joined.is_resident if self.resident is None else self.resident
        unattended = joined.is_unattended if self.unattended is None else self.unattended
        return replace(joined, is_resident=resident, is_unattended=unattended or resident)


@dataclass
class Plan:
    """What one harness needs to join: its identity, its seat, and how each file changes."""

    harness: "Harness"
    identity: "Identity"
    seat: "Seat"
    changes: "list[Change]"
    watchdog: str = ""
    """The watchdog that keeps its listener running, once it has joined."""

    @property
    def name(self) -> str:
        """The member's name, as it is printed."""
        return plain(self.identity.joined.name)

    @property
    def is_installed(self) -> bool:
        """Whether this machine can start the harness; also if it is none that a command starts."""
        programs = self.harness.programs
        return not programs or self.seat.machine.has_program(*programs)

    @property
    def is_started_for_wakes(self) -> bool:
        """Whether a listener starts a run of it for each wake: no hook wakes a session that a person has open."""
        is_attended = not self.identity.joined.is_unattended
        return bool(self.harness.run) and not (is_attended and self.harness.wakes_open_session)

    @property
    def listener(self) -> tuple[str, ...]:
        """The command that listens for the member, and starts a run for each wake."""
        from teamroom.clients.harnesses.resident import listener_of

        return listener_of(self.harness, self.seat)

    @property
    def is_done(self) -> bool:
        """Whether the harness has joined already, as asked."""
        return self.identity.token is not None and not any(change.is_one for change in self.changes)


def make_plan(place: Place, record: "Record", harness: "Harness", machine: "Machine", wish: Wish) -> Plan:
    """Return what a harness needs to join. Raises Failure."""
    from teamroom.clients.harnesses.identities import find_identity

    if harness.is_chat:
        raise Failure(
            f"{harness.name} is a person's client, and joins with a token of that person.",
            f"To see its entry, run: {own_name()} join {harness.key} --print",
            USAGE,
        )
    if wish.resident and not harness.run:
        raise Failure(
            f"Join knows no command that starts {harness.name} for a wake.",
            "Join without --resident, and keep its listener running yourself: teamroom listen --as NAME -- COMMAND",
            USAGE,
        )
    identity = find_identity(place, record, harness, machine, wish.name)
    joined = wish.applied_to(identity.joined)
    identity = replace(identity, joined=joined)
    seat = _seat(place, joined.name, machine, joined.is_unattended, identity.token)
    return Plan(harness, identity, seat, _changes(record, harness, joined, seat))


def _seat(place: Place, name: str, machine: "Machine", unattended: bool, token: str | None) -> "Seat":
    from teamroom.clients.harnesses.description import Seat

    url = place.endpoint.removesuffix("/mcp")
    return Seat(name, machine, place.folder, url, place.socket_folder is None, unattended, tuple(own_words()), token)


def _changes(record: "Record", harness: "Harness", joined: "Joined", seat: "Seat") -> "list[Change]":
    """Return how each file changes, also those that have something of an earlier join and now have nothing."""
    from teamroom.clients.harnesses.changes import plan_join, plan_leave
    from teamroom.clients.harnesses.resident import runtime_of

    if harness.files is None:
        return []
    configs = harness.files(seat) + ([runtime_of(harness, seat)] if joined.is_resident else [])
    planned = [plan_join(record, joined.key, config) for config in configs]
    kept = {change.found.real for change in planned}
    former = [written for written in record.files_of(joined.key) if Path(written.path) not in kept]
    return planned + [plan_leave(written, joined.key) for written in former]


def carry_out_plan(place: Place, record: "Record", plan: Plan) -> None:
    """Issue the member's token, and write the files with it."""
    from teamroom.clients.harnesses.changes import carry_out
    from teamroom.clients.harnesses.identities import issue_token, keep_watchdog
    from teamroom.clients.harnesses.record import save_record

    joined = plan.identity.joined
    token = issue_token(place, plan.identity)
    if joined.is_resident:
        plan.watchdog = keep_watchdog(place, record)
    record.joined = [one for one in record.joined if one.key != joined.key] + [joined]
    save_record(record)
    changes = _changes(record, plan.harness, joined, replace(plan.seat, token=token))
    carry_out(record, changes, lambda: save_record(record))


def show_plan(plan: Plan) -> None:
    """Print what a join changes in which file."""
    name = f"@{plain(plan.identity.joined.name)}"
    where = "" if plan.harness.is_users else f" in {plain(str(plan.seat.machine.folder))}"
    if plan.is_done:
        print(f"{plan.harness.name} has joined{where} as {name} already. Nothing changes.")
        return
    who = " (a new member)" if plan.identity.is_new else ""
    print(f"{plan.harness.name} joins{where} as {name}{who}.")
    if plan.harness.is_woken and not plan.is_installed:
        programs = " or ".join(plan.harness.programs)
        print(f"  There is no {programs} on your PATH: what join writes is used once {plan.harness.name} is installed.")
    print_diffs(plan.changes)


def print_diffs(changes: "Sequence[Change]") -> None:
    """Print what changes in each file."""
    for change in changes:
        if change.is_one:
            target = "" if change.found.real == change.found.path else f" (a link to {plain(str(change.found.real))})"
            print(f"  {plain(str(change.found.path))}{target}")
            for line in change.diff():
                print(f"    {plain(line[:1])} {_plain_code(line[1:])}")


def _plain_code(line: str) -> str:
    """Return a line of a config with its indentation, escaped like `plain`."""
    return " " * (len(line) - len(line.lstrip())) + plain(line)


def show_joined(plan: Plan) -> None:
    """Print how far the room reaches into the harness, and what the person should do now."""
    harness = plan.harness
    print(f"\n{harness.name} has joined as @{plain(plan.identity.joined.name)}.")
    if harness.files is None:
        print(f"{harness.why} Its entry ({harness.how_tried}):\n\n{harness.snippet(plan.seat)}\n")
    wakes = harness.wakes
    if plan.identity.joined.is_resident:
        wakes = "Its listener starts a run for each wake, and a watchdog keeps the listener running."
    rows = [["stops", harness.stops], ["wakes", wakes], *(["note", note] for note in harness.notes)]
    if plan.watchdog:
        rows.append(["keep this running", shlex.join(_watch_command(plan))])
    for title, text in rows:
        print(f"  {title}:  {text}")
    print(f"  undo:   {own_name()} leave {harness.key}")


def _watch_command(plan: Plan) -> list[str]:
    """Return the command of the watchdog."""
    from teamroom.clients.harnesses.resident import runtimes_file

    seat = plan.seat
    far = ("--url", seat.url) if seat.is_far else ()
    config = str(runtimes_file(seat.data))
    return [*seat.program, "watch", "--config", config, "--as", plan.watchdog, "--data", str(seat.data), *far]


def plan_as_json(plan: Plan, dry_run: bool) -> dict[str, Any]:
    """Return a plan as a program reads it."""
    joined = plan.identity.joined
    files = [{"path": str(one.found.path), "changed": one.is_one, "diff": one.diff()} for one in plan.changes]
    return {
        "harness": plan.harness.key,
        "name": joined.name,
        "folder": joined.folder or None,
        "unattended": joined.is_unattended,
        "resident": joined.is_resident,
        "changed": not plan.is_done and not dry_run,
        "files": files,
        "snippet": plan.harness.snippet(plan.seat) if plan.harness.files is None else None,
    }


def print_entries(place: Place, chosen: "Sequence[Harness]", machine: "Machine", wish: Wish, as_json: bool) -> None:
    """Print what each harness needs: the entry of the room, and the files with its hooks. Nothing is written."""
    shown = []
    for harness in chosen:
        wanted = wish.name or (
            harness.key if harness.is_users or harness.is_chat else f"{harness.key}-{machine.folder.name}"
        )
        seat = _seat(place, wanted, machine, bool(wish.unattended or wish.resident), None)
        files = [] if harness.files is None else harness.files(seat)
        enroll = (
            f"enroll YOU --chat{place.as_option}" if harness.is_chat else f"enroll {wanted} --save{place.as_option}"
        )
        shown.append(
            {
                "harness": harness.key,
                "tried": harness.how_tried,
                "entry": harness.snippet(seat),
                "first": enroll,
                "files": [{"path": str(file.path), "text": file.alone} for file in files],
            }
        )
        if not as_json:
            print(f"{harness.name} ({harness.how_tried}). First, run: {own_name()} {enroll}\n{harness.why}\n")
            print(f"{harness.snippet(seat)}\n")
            _print_files(files)
    if as_json:
        print_json({"entries": shown})


def _print_files(files: "Sequence[ConfigFile]") -> None:
    """Print what a join writes in each file, with the hooks that the entry alone does not have."""
    if files:
        print("A join writes the entry and all hooks. In files that are empty, it would be this:\n")
    for file in files:
        print(f"{plain(str(file.path))}:\n{file.alone}\n")
