"""The switch: members, owners' agents and the room are paused, resumed and killed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.room import ask
from teamroom.clients.session.terminal import plain, print_json, say
from teamroom.clients.shell.app import Json, Reason, Span, Target, bare, command, span

if TYPE_CHECKING:
    from teamroom.server.acts.control.control import Controlled
    from teamroom.server.acts.members.roster import MemberShown

SECTION = "The switch"


@command(SECTION)
def pause(
    place: Place,
    target: Target,
    reason: Reason,
    for_: Annotated[Span, span("--for", help="How long, such as 30m; without it until a resume.")] = None,
    json: Json = False,
) -> None:
    """Stop a member, an owner's agents or the room, at once."""
    _show(ask(place, "pause", target=target, reason=reason, for_seconds=for_), json)


@command(SECTION)
def resume(
    place: Place,
    target: Target,
    reason: Reason,
    json: Json = False,
) -> None:
    """Let go on what was paused."""
    _show(ask(place, "resume", target=target, reason=reason), json)


@command(SECTION)
def kill(
    place: Place,
    target: Annotated[str, typer.Argument(parser=bare, metavar="NAME")],
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """End a member for good: its tokens die, its tasks are free again. Asks first."""
    if not yes:
        _confirm(place, target)
    _show(ask(place, "kill", target=target, reason=reason), json)


def _confirm(place: Place, target: str) -> None:
    """Have a person at a terminal say yes to exactly this member. Raises Failure where nobody does."""
    if not place.on_terminal:
        raise Failure(
            f"Nobody can be asked whether to kill @{plain(target)}: standard input is no terminal.",
            f"Call again with --yes if it is meant: teamroom kill {plain(target)} --reason … --yes",
            USAGE,
        )
    member: MemberShown = shaped(ask(place, "who", name=target)["members"][0])
    name = plain(member.name)
    say(
        f"@{name} ({plain(member.kind)} of @{plain(member.owner)}, {plain(member.role)}) "
        "will be killed: its tokens die at once, its tasks are free again, its offers are void, and whoever waits "
        "for it is told. Only an owner can bring it back."
    )
    if not typer.confirm(f"Kill @{name}?", default=False, err=True):
        raise Failure(f"@{name} was not killed.", "Pause it instead: teamroom pause NAME --reason …")


def _show(reply: dict[str, Any], as_json: bool) -> None:
    """What stands after the switch was used."""
    if as_json:
        print_json(reply)
        return
    done: Controlled = shaped(reply)
    until_when = f" until {plain(done.until)}" if done.until else ""
    note = f" ({plain(done.note)})" if done.note else ""
    receipt = f" Receipt {done.receipt}." if done.receipt is not None else ""
    print(f"{plain(done.target)} is {done.standing}{until_when}{note}.{receipt}")
