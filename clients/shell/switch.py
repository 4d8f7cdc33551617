"""The switch: pause, resume and kill."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import ask
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import plain, print_json, quoted, say
from teamroom.clients.session.times import date_and_time, with_local_times
from teamroom.clients.shell.app import Json, Target, bare, command, typed_span
from teamroom.clients.shell.writing import NeededReason, Reason
from teamroom.server.rules.text import cite_name

if TYPE_CHECKING:
    from teamroom.server.acts.control.control import Controlled
    from teamroom.server.acts.members.roster import MemberShown

SECTION = "The switch"


@command(SECTION)
def pause(
    place: Place,
    target: Target,
    reason: Reason = None,
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="SPAN",
            parser=typed_span,
            help="How long, such as 30m; 30 is 30 minutes. Default: until a resume.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Pause a member, an owner's agents or the room. Takes effect immediately."""
    _show(ask(place, "pause", target=target, reason=reason, **{"for": for_}), json)


@command(SECTION)
def resume(
    place: Place,
    target: Target,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Resume a paused member, owner or room."""
    _show(ask(place, "resume", target=target, reason=reason), json)


@command(SECTION)
def kill(
    place: Place,
    target: Annotated[str, typer.Argument(parser=bare, metavar="NAME")],
    reason: NeededReason,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
    json: Json = False,
) -> None:
    """Kill a member: revoke its tokens and reopen its tasks. Asks first.

    Only a room owner can revive it: teamroom enroll NAME --revive. A person's agents are paused until another person
    is accountable for them: teamroom enroll AGENT --owner NAME --rotate
    """
    if not yes:
        _confirm(place, target, reason)
    _show(ask(place, "kill", target=target, reason=reason), json)


def _confirm(place: Place, target: str, reason: str) -> None:
    """Ask the person at the terminal to confirm the kill of this member. Raises Failure without a yes."""
    if not place.on_terminal:
        raise Failure(
            f"Killing {cite_name('@' + plain(target))} needs a confirmation, and standard input is not a terminal.",
            f"To confirm without a terminal, run: teamroom kill {shlex.quote(plain(target))} "
            f"--reason {shlex.quote(plain(reason))} --yes",
            USAGE,
        )
    member: MemberShown = shaped(ask(place, "who", name=target)["members"][0])
    name = plain(member.name)
    agents = " Its agents are paused." if member.kind == "human" else ""
    say(
        f"@{name} ({plain(member.kind)} of @{plain(member.owner)}, {plain(member.role)}) "
        "will be killed: its tokens are revoked, its tasks reopened and its offers voided, and the members that wait "
        f"for it are woken.{agents} Only a room owner can revive it."
    )
    if not typer.confirm(f"Kill @{name}?", default=False, err=True):
        pause = f"teamroom pause {name} --reason {shlex.quote(plain(reason))}"
        raise Failure(f"@{name} was not killed.", f"To pause it instead, run: {pause}")


def _show(reply: dict[str, Any], as_json: bool) -> None:
    """Print the standing that now applies."""
    if as_json:
        print_json(reply)
        return
    done: Controlled = shaped(reply)
    until_when = f" until {plain(date_and_time(done.until))}" if done.until else ""
    note = f" ({plain(with_local_times(done.note))})" if done.note else ""
    receipt = f" Receipt {done.receipt}." if done.receipt is not None else ""
    gradual = " Its agents are let go gradually." if done.gradual else ""
    print(f"{plain(done.target)} is {done.standing}{until_when}{note}.{gradual}{receipt}")
    if done.reaches:
        print(plain(done.reaches))
    for left in done.remaining:
        ends = f" until {plain(date_and_time(left.until))}" if left.until else ""
        names = ", ".join(f"@{plain(name)}" for name in left.members) or "no agent"
        more = " and more" if left.more else ""
        print(f"Still paused: {plain(left.target)} by @{plain(left.by)}{ends}, {quoted(left.reason)}: {names}{more}")
