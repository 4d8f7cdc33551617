"""Decisions: what members ask people to decide, and the answers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import printed
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import (
    Layout,
    Styled,
    cited,
    plain,
    print_hanging,
    print_json,
    print_rows,
    quoted,
)
from teamroom.clients.session.times import date_and_time
from teamroom.clients.shell.acting import RequestId, act
from teamroom.clients.shell.app import Json, command
from teamroom.clients.shell.board import reminders_of
from teamroom.clients.shell.reading import read
from teamroom.clients.shell.typed import decision_id
from teamroom.clients.shell.writing import text_option

if TYPE_CHECKING:
    from teamroom.server.acts.decisions.decisions import Decided, Decisions
    from teamroom.server.facts.decision import DecisionShown

SECTION = "Decisions"

DIGEST_CHARACTERS = 8
"""How many characters of a digest a command gives."""


OPEN = Layout(first=(0, 3))
"""On a narrow terminal the question comes first."""


@command(SECTION)
def decide(
    context: typer.Context,
    place: Place,
    decision: Annotated[
        str | None,
        typer.Argument(parser=decision_id, metavar="DECISION", help="Such as D-2. Default: list the open decisions."),
    ] = None,
    option: Annotated[
        str | None, typer.Argument(metavar="OPTION", help="One of its options, or its number. Default: show it.")
    ] = None,
    note: Annotated[str | None, text_option("--note", "A note for everybody to read.")] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", metavar="DIGEST", help="Decide only if the decision still says what you read."),
    ] = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Decide what a member asked. Shows the question and its options first."""
    if option is None:
        if note is not None:
            raise Failure("A note needs an option.", "Give the option that you choose.", USAGE)
        reply = read(place, "teamroom://decisions" + (f"/{decision}" if decision else ""))
        print_json(reply) if json else _show(reply, decision is not None, place)
        return
    given = {"decision": decision, "option": option, "note": note, "digest": digest}
    done = act(place, context, "decide", request_id, **given)
    if json:
        print_json(done)
        return
    decided: Decided = shaped(done)
    receipt = f" Receipt {decided.receipt}." if decided.receipt is not None else ""
    print(f"{plain(decided.decision)} is decided: {quoted(decided.answer)}.{receipt}")


def _show(reply: dict[str, Any], is_whole: bool, place: Place) -> None:
    """Print open decisions, one per line, or one in full with the commands that answer it."""
    found: Decisions = shaped(reply)
    if is_whole:
        show_decision(found, place)
        return
    rows = [
        [
            Styled(plain(one.decision), style="bold"),
            Styled(_names(one)),
            Styled(f"until {plain(date_and_time(one.until))}", style="dim"),
            Styled(f"{quoted(one.question)} asked by @{plain(one.by)}: {' / '.join(map(quoted, one.options))}"),
        ]
        for one in found.decisions
    ]
    print_rows(rows, OPEN)
    if not rows:
        print("No decision is open.")
    if found.more:
        print(f"and {found.more} more")


def commands_of(one: "DecisionShown") -> Iterator[str]:
    """Yield the command that decides with each option, for exactly what the decision says now."""
    for number in range(1, 1 + len(one.options)):
        yield f"decide {plain(one.decision)} {number} --digest {plain(one.digest[:DIGEST_CHARACTERS])}"


def show_decision(found: "Decisions", place: Place) -> None:
    """Print a decision in full, with the commands that answer it and its reminders."""
    one = found.decisions[0]
    print(
        f"{plain(one.decision)} {plain(one.state)}, asked by @{plain(one.by)} of {_names(one)}: {quoted(one.question)}"
    )
    if one.task:
        print(f"about {plain(one.task)}")
    if one.detail:
        print("\n".join(f"> {plain(line)}" for line in one.detail.splitlines()))
    for artifact in one.artifacts:
        has = f", hash {plain(artifact['sha256'])}" if artifact["sha256"] else ""
        print(f"{plain(artifact['kind'])} {cited(artifact['ref'])}{has}")
    if one.state == "open":
        print(f"open until {plain(date_and_time(one.until))}")
        for option, words in zip(one.options, commands_of(one), strict=True):
            print(f"{quoted(option)}: {printed(words, place.named_options)}")
    elif one.decided_by:
        note = f", with the note {quoted(one.note)}" if one.note else ""
        at = plain(date_and_time(one.settled_at or one.until))
        print(f"decided by @{plain(one.decided_by)} at {at}: {quoted(one.answer or '')}{note}")
    elif one.replaced_by:
        print(f"replaced by {plain(one.replaced_by)}")
    for line in reminders_of(found):
        print_hanging(Styled("  reminder", style="dim"), Styled(plain(line)))


def _names(one: "DecisionShown") -> str:
    return " or ".join(f"@{plain(name)}" for name in one.to) or "anyone"
