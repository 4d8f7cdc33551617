"""Approval rules: which calls of agents' own tools wait for a person."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import connected
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import Styled, cited, plain, print_json, print_rows, quoted
from teamroom.clients.shell.acting import RequestId, act
from teamroom.clients.shell.app import Json, bare, command
from teamroom.clients.shell.decisions import SECTION
from teamroom.clients.shell.reading import PAGES

if TYPE_CHECKING:
    from teamroom.server.acts.approvals.rules import ApprovalRequired, Rules
    from teamroom.server.facts.approval import RuleShown


@command(SECTION)
def rules(
    context: typer.Context,
    place: Place,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            parser=bare,
            help="An agent's name, or owner:NAME for that owner's agents. Default: list the rules.",
        ),
    ] = None,
    match: Annotated[
        str | None, typer.Argument(metavar="MATCH", help="A tool, or a tool and a pattern: 'Bash(git push*)'.")
    ] = None,
    exceptions: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="PATTERN", help="What does not wait, such as 'git status*'. Can be repeated."),
    ] = None,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="SCOPE", help="An authorisation for this lets the calls pass.")
    ] = None,
    remove: Annotated[
        int | None, typer.Option("--remove", metavar="NUMBER", min=1, help="Remove the rule with this number.")
    ] = None,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Have calls of an agent's own tools wait for a person.

    Without arguments, lists the rules. A call that matches waits until a person allows exactly this call with `decide`.
    Then it passes once.
    """
    makes = bool(target and match)
    if not makes and (target is not None or exceptions or scope is not None):
        raise Failure("Give a target and a match.", "For example: teamroom rules builder 'Bash(git push*)'", USAGE)
    if makes and remove is not None:
        raise Failure("Give either a rule to make or one to remove.", "Leave out one of them.", USAGE)
    if makes or remove is not None:
        given = {"to": target, "match": match, "exceptions": exceptions or None, "scope": scope, "remove": remove}
        reply = act(place, context, "require_approval", request_id, **given)
        print_json(reply) if json else _show_done(reply)
        return
    reply = _read_all(place)
    print_json(reply) if json else _show(reply)


def _read_all(place: Place) -> dict[str, Any]:
    """Return the rules of the first pages as one. Raises Failure."""
    with connected(place) as room:
        whole = room.read("teamroom://rules")
        for _ in range(PAGES - 1):
            if whole["next"] is None:
                break
            page = room.read(f"teamroom://rules/{whole['next']}")
            whole = {"rules": whole["rules"] + page["rules"], "next": page["next"]}
    return whole


def _show_done(reply: dict[str, Any]) -> None:
    """Print the rule that was made or removed."""
    done: ApprovalRequired = shaped(reply)
    note = f" {plain(done.note)}" if done.note else ""
    receipt = f" Receipt {done.receipt}." if done.receipt is not None else ""
    ends = " no longer wait for a person" if done.is_removed else f" wait for a person{_limits(done)}"
    print(f"Calls of {plain(done.to)} that match {quoted(done.match)}{ends}.{receipt}{note}")


def _show(reply: dict[str, Any]) -> None:
    """Print the rules, one line each."""
    found: Rules = shaped(reply)
    rows = [
        [
            Styled(str(rule.rule), style="bold"),
            Styled(plain(rule.to)),
            Styled(f"{quoted(rule.match)}{_limits(rule)}"),
            Styled(f"by @{plain(rule.by)}", style="dim"),
        ]
        for rule in found.rules
    ]
    print_rows(rows)
    if not rows:
        print("There are no approval rules.")
    if found.next:
        print(f"More rules follow after {found.next}.")


def _limits(rule: "RuleShown") -> str:
    but = f", except {', '.join(map(quoted, rule.exceptions))}" if rule.exceptions else ""
    scope = f", unless authorised for {cited(rule.scope)}" if rule.scope else ""
    return f"{but}{scope}"
