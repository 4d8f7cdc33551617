"""The policy: settings that a room owner changes while the room runs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import ask
from teamroom.clients.session.place import Place
from teamroom.clients.session.program import printed
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import Styled, plain, print_json, print_rows
from teamroom.clients.session.times import date_and_time
from teamroom.clients.shell.app import Json, command
from teamroom.clients.shell.reading import read

if TYPE_CHECKING:
    from teamroom.server.acts.control.policy import PolicyLine, PolicySet


@command("The room")
def policy(
    place: Place,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The setting, such as trust.")] = None,
    value: Annotated[str | None, typer.Argument(metavar="VALUE", help="The new value, such as proven.")] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Remove NAME from the policy, so that the settings apply again.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the policy, or change it. A change applies from the next act."""
    if (name is not None) != (value is not None or reset) or (value is not None and reset):
        raise typer.BadParameter("give NAME and VALUE, or NAME and --reset, or nothing")
    if name is None:
        _show_policy(read(place, "teamroom://policy"), place, json)
    else:
        _show_policy_set(ask(place, "set_policy", name=name, value=value), json)


def _show_policy(reply: dict[str, Any], place: Place, as_json: bool) -> None:
    """Print each value with its origin, and what cannot be read."""
    if as_json:
        print_json(reply)
        return
    lines: list[PolicyLine] = [shaped(line) for line in reply["values"]]
    for name in reply["unreadable"]:
        again = name if name in {line.name for line in lines} else "trust"
        print(f"UNREADABLE: {plain(name)}. Acts that need the policy are refused until you set it:")
        print(f"  {printed(f'policy {again} VALUE', place.named_options)}")
    by = {line.name: f"@{line.by} {date_and_time(line.at or '')}" if line.by else "-" for line in lines}
    rows = [[line.name, str(line.value), line.origin, by[line.name], line.about] for line in lines]
    print_rows([[Styled(plain(cell)) for cell in row] for row in rows])


def _show_policy_set(reply: dict[str, Any], as_json: bool) -> None:
    """Print the value that applies from the next act."""
    if as_json:
        print_json(reply)
        return
    done: PolicySet = shaped(reply)
    note = f" ({plain(done.note)})" if done.note else ""
    receipt = f" Receipt {done.receipt}." if done.receipt is not None else ""
    print(f"{plain(done.name)} is now {plain(str(done.value))} (was {plain(str(done.before))}{note}).{receipt}")
