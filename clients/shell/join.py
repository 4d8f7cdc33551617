"""Join a harness to the room: what would change is shown, asked for once, written, and its wake proven."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from teamroom.clients.session.failure import FAILED, USAGE, Failure, UnreachableError
from teamroom.clients.session.place import Place, check_person
from teamroom.clients.session.terminal import aligned, plain, print_json, say
from teamroom.clients.shell.app import Json, bare, command
from teamroom.clients.shell.join_plans import (
    Plan,
    Wish,
    carry_out_plan,
    make_plan,
    plan_as_json,
    print_entries,
    show_joined,
    show_plan,
)
from teamroom.clients.shell.join_proof import prove_wakes

if TYPE_CHECKING:
    from teamroom.clients.harnesses.description import Harness, Machine
    from teamroom.clients.harnesses.record import Record

SECTION = "Members"

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="HARNESS…", help="Such as claude or codex. Default: the one of this folder."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


class Questions:
    """What the person is asked, and how often: three times at most."""

    def __init__(self, asks: bool) -> None:
        self.asks, self.count = asks, 0

    def confirm(self, words: str, default: bool) -> bool:
        """Return whether the person says yes."""
        self.count += 1
        return typer.confirm(words, default=default, err=True)

    def choose(self, words: str, default: str | None) -> str:
        """Return what the person types."""
        self.count += 1
        return str(typer.prompt(words, default=default, err=True))


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
    resident: Annotated[
        bool | None,
        typer.Option(
            "--resident/--no-resident",
            help="Have a watchdog keep its listener running, which starts it for each wake. It is then unattended.",
        ),
    ] = None,
    prove: Annotated[
        bool | None,
        typer.Option(
            "--prove/--no-prove", help="Wake it once, and print how long each step took. Default: on a terminal."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    dry_run: DryRun = False,
    print_: Annotated[bool, typer.Option("--print", help="Print the entries and hooks, and write nothing.")] = False,
    json: Json = False,
) -> None:
    """Join harnesses of this folder to the room. Shows what it would write, and asks once.

    Each harness gets an identity for each folder. To take it out again: teamroom leave
    """
    from teamroom.clients.harnesses.record import load_record, locked

    check_person(place.environment, "join a harness")
    machine = this_machine(place)
    questions = Questions(asks=not (yes or dry_run or print_ or json))
    if not place.on_terminal and questions.asks:
        raise Failure(
            "A join needs a yes, and standard input is not a terminal.",
            "Add --yes to write, or --dry-run to see what would be written.",
            USAGE,
        )
    if resident and unattended is False:
        raise Failure("A resident harness has no person at it.", "Give --resident or --attended, not both.", USAGE)
    chosen = _choose(harnesses or [], all_, machine, questions)
    if name is not None and len(chosen) > 1:
        raise Failure("--as names one member, but several harnesses are chosen.", "Join them one by one.", USAGE)
    if print_:
        print_entries(place, chosen, machine, Wish(name, unattended, resident), json)
        return
    with locked():
        record = load_record()
        if unattended is None and not resident and questions.asks:
            unattended = _ask_unattended(record, chosen, machine, questions)
        plans, failures = _make_plans(place, record, chosen, machine, Wish(name, unattended, resident))
        waiting = _write(place, record, plans, questions, dry_run, json)
    if json:
        print_json({"joined": [plan_as_json(plan, dry_run) for plan in plans]})
    elif not dry_run:
        _conclude(place, waiting, questions, prove)
    if failures:
        raise typer.Exit(FAILED)


def this_machine(place: Place) -> "Machine":
    """Return this machine as a join looks at it."""
    from teamroom.clients.harnesses.description import Machine

    return Machine(Path.cwd(), Path.home(), place.environment)


def _make_plans(
    place: Place, record: "Record", chosen: "Sequence[Harness]", machine: "Machine", wish: Wish
) -> tuple[list[Plan], list[Failure]]:
    """Plan what each harness needs, and why some were left out. Raises Failure if the only one is."""
    plans, failures = list[Plan](), list[Failure]()
    for harness in chosen:
        try:
            plans.append(make_plan(place, record, harness, machine, wish))
        except UnreachableError:
            raise
        except Failure as failure:
            if len(chosen) == 1:
                raise
            failures.append(failure)
            say(failure.text())
    return plans, failures


def _write(
    place: Place, record: "Record", plans: Sequence[Plan], questions: Questions, dry_run: bool, as_json: bool
) -> list[Plan]:
    """Show the plans, ask, and write; returns those that changed something. Raises Failure after a no."""
    waiting = [plan for plan in plans if not plan.is_done]
    if not as_json:
        for plan in plans:
            show_plan(plan)
    if waiting and questions.asks and not questions.confirm("Write this?", default=False):
        raise Failure("Nothing was written.", "Run the command again when you want to join.")
    if not dry_run:
        for plan in waiting:
            carry_out_plan(place, record, plan)
    return waiting


def _conclude(place: Place, waiting: Sequence[Plan], questions: Questions, prove: bool | None) -> None:
    """Say what each join reaches, and prove its wake."""
    for plan in waiting:
        show_joined(plan)
    is_proven = questions.asks if prove is None else prove
    prove_wakes(place, waiting, is_proven, questions.asks)
    if questions.asks:
        print(f"Questions asked: {questions.count}.")


def _ask_unattended(
    record: "Record", chosen: "Sequence[Harness]", machine: "Machine", questions: Questions
) -> bool | None:
    """Return whether nobody attends the harnesses; None if the record knows it of each, or it means nothing."""
    new = [one for one in chosen if one.files and record.find(one.key, _folder(one, machine)) is None]
    if not new:
        return None
    say("An attended session goes on with a warning while no room can be reached; an unattended one is blocked.")
    return not questions.confirm("Does a person attend it?", default=True)


def _folder(harness: "Harness", machine: "Machine") -> str:
    return "" if harness.is_users else str(machine.folder)


# ------------------------------------------------------------------ which harnesses


def _choose(named: list[str], all_: bool, machine: "Machine", questions: Questions) -> "list[Harness]":
    """Return the harnesses to join: as named, all that are found, or as the person answers. Raises Failure."""
    from teamroom.clients.harnesses.catalogue import found_here, found_on

    if named:
        return [find_harness(word) for word in dict.fromkeys(named)]
    found, here = found_on(machine), found_here(machine)
    if all_ and found:
        return found
    if not found:
        raise Failure("No harness was found on this machine.", f"Name one: {_known()}", USAGE)
    if not questions.asks:
        if not here:
            words = " ".join(harness.key for harness in found)
            raise Failure("No harness works in this folder.", f"Name one of those that were found: {words}", USAGE)
        return here
    say("Found on this machine:")
    for line in aligned([[one.key, one.name, "works in this folder" if one in here else ""] for one in found]):
        say(f"  {line}")
    words = " ".join(one.key for one in here)
    answer = questions.choose("Which join the room? Names, or all", words or None)
    return found if answer.strip() == "all" else [find_harness(word) for word in answer.replace(",", " ").split()]


def find_harness(word: str) -> "Harness":
    """Return the harness that a word names. Raises Failure."""
    from teamroom.clients.harnesses.catalogue import HARNESSES

    wanted = word.casefold()
    for harness in HARNESSES.values():
        if wanted in (harness.key, harness.name.casefold(), *harness.programs):
            return harness
    raise Failure(f"{plain(word)} is not a harness that join knows.", f"Name one of these: {_known()}", USAGE)


def _known() -> str:
    from teamroom.clients.harnesses.catalogue import HARNESSES

    return " ".join(HARNESSES)
