"""The policy: what a room owner decides while the room runs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.place import Place
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.room import ask
from teamroom.clients.session.terminal import Styled, plain, print_json, print_rows
from teamroom.clients.shell.app import Json, command
from teamroom.clients.shell.reading import read

if TYPE_CHECKING:
    from teamroom.server.acts.control.policy import PolicyLine, PolicySet


@command("The room")
def policy(
    place: Place,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="What to set, such as trust.")] = None,
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]", help="To what, such as proven.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Let the settings decide NAME again.")] = False,
    json: Json = False,
) -> None:
    """Show how the room runs, or change it from the next act on."""
    if (name is not None) != (value is not None or reset) or (value is not None and reset):
        raise typer.BadParameter("give NAME and VALUE, or NAME and --reset, or nothing")
    if name is None:
        _show_policy(read(place, "teamroom://policy"), json)
    else:
        _show_policy_set(ask(place, "set_policy", name=name, value=value), json)


def _show_policy(reply: dict[str, Any], as_json: bool) -> None:
    """How the room runs: each value with where it comes from, and what makes the room deny."""
    if as_json:
        print_json(reply)
        return
    lines: list[PolicyLine] = [shaped(line) for line in reply["values"]]
    for name in reply["unreadable"]:
        again = name if name in {line.name for line in lines} else "trust"
        print(f"UNREADABLE: {plain(name)}. What needs the policy is refused until you set what it should be:")
        print(f"  teamroom policy {again} VALUE")
    by = {line.name: f"@{line.by} {line.at}" if line.by else "-" for line in lines}
    rows = [[line.name, str(line.value), line.origin, by[line.name], line.about] for line in lines]
    print_rows([[Styled(plain(cell)) for cell in row] for row in rows])


def _show_policy_set(reply: dict[str, Any], as_json: bool) -> None:
    """What holds from the next act on."""
    if as_json:
        print_json(reply)
        return
    done: PolicySet = shaped(reply)
    note = f" ({plain(done.note)})" if done.note else ""
    receipt = f" Receipt {done.receipt}." if done.receipt is not None else ""
    print(f"{plain(done.name)} is {plain(str(done.value))} now, {plain(str(done.before))} before{note}.{receipt}")
