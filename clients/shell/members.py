"""Members: the roster, and the tokens with which members join."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.place import Place, make_members_folder, member_token_file, save_token
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.room import ask, connected
from teamroom.clients.session.terminal import Row, Styled, plain, print_json, print_rows
from teamroom.clients.shell.app import Json, Name, Span, bare, command, span
from teamroom.clients.shell.capabilities import describe
from teamroom.clients.shell.colours import PRESENCE
from teamroom.clients.shell.joining import READ_TOKEN, how_to_join
from teamroom.clients.shell.reading import pages
from teamroom.server.rules.text import describe_mode

if TYPE_CHECKING:
    from teamroom.server.acts.members.members import Enrolled, Revoked
    from teamroom.server.acts.members.roster import MemberShown, Roster

SECTION = "Members"


@command(SECTION)
def enroll(
    place: Place,
    name: Name,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="agent or human.")] = None,
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="member, owner, operator, watchdog or observer.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="The person who is accountable for it.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="live, every:SECONDS, on_demand or manual.")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="A label for this token.")] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="A token for a chat client: a person confirms every dangerous act.")
    ] = False,
    expires: Annotated[Span, span("--expires", help="The token's lifetime, such as 3600 or 30d.")] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Replace the token with a new one.")] = False,
    revive: Annotated[bool, typer.Option("--revive", help="Revive a killed member.")] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Save the token in the data folder for `connect` instead of printing it.")
    ] = False,
    json: Json = False,
) -> None:
    """Add a member, or issue it a token. The token is shown once, or saved with --save."""
    if rotate and revive:
        raise typer.BadParameter("--rotate and --revive cannot be combined")
    arguments = {"kind": kind, "role": role, "owner": owner, "mode": mode, "label": label, "expires_seconds": expires}
    reply, file = _enroll(place, save, name=name, chat=chat, rotate=rotate, revive=revive, **arguments)
    if json:
        print_json(reply)
    else:
        _show_enrolled(reply, file, place)


def _enroll(place: Place, save: bool, **arguments: Any) -> tuple[dict[str, Any], Path | None]:
    """Enroll a member; returns the room's reply and, with `save`, the file that then contains the token."""
    if save:
        make_members_folder(place.folder)
    reply = ask(place, "enroll", **arguments)
    token = reply.get("token")
    if not save or token is None:
        return reply, None
    path = member_token_file(place.folder, str(reply["name"]))
    save_token(path, str(token))
    return {**reply, "token": None, "token_file": str(path)}, path


def _show_enrolled(reply: dict[str, Any], file: Path | None, place: Place) -> None:
    """Print the token, or the file that contains it, and how the member joins."""
    member: Enrolled = shaped(reply)
    name, here = plain(member.name), place.as_option
    if file is not None:
        print(f"@{name} can join. Its token is in {file}; only your user can read it.")
        print(f"To join, it runs: teamroom connect --as {name}{here}")
        print(f'A harness that reads TEAMROOM_TOKEN: export TEAMROOM_TOKEN="$(cat {shlex.quote(str(file))})"')
    elif member.token is None:
        print(f"@{name} is already enrolled, and its token was shown once. For a new token, add --rotate.")
    else:
        print(f"@{name} can join. Its token is shown only once:\n")
        print(f"  {plain(member.token)}\n")
        print("In its terminal, run this and paste the token, so that it stays out of the shell's history:\n")
        print(f"  {READ_TOKEN}\n")
        print("Then join from your harness:")
        print(how_to_join(plain(member.url), name, here))


@command(SECTION)
def revoke(
    place: Place,
    name: Name,
    label: Annotated[
        str | None, typer.Option("--label", metavar="TEXT", help="Revoke only the tokens with this label.")
    ] = None,
    issued: Annotated[
        bool, typer.Option("--issued", help="Also revoke every token that these tokens ever issued.")
    ] = False,
    json: Json = False,
) -> None:
    """Revoke a member's tokens. Its next call is refused."""
    reply = ask(place, "revoke", name=name, label=label, issued=issued)
    if json:
        print_json(reply)
        return
    done: Revoked = shaped(reply)
    own = done.tokens - done.issued
    others = f" and {done.issued} that they issued" if done.issued else ""
    print(f"{own} token{'s' if own != 1 else ''} of @{plain(done.name)}{others} revoked.")
    if done.more:
        print("There may be more. Run the command again.")


@command(SECTION)
def roster(
    place: Place,
    name: Annotated[str | None, typer.Argument(metavar="NAME", parser=bare, help="Show only this member.")] = None,
    capability: Annotated[
        str | None,
        typer.Option(
            "--capability", metavar="TEXT", help="Show only members with this capability, such as repo:acme/api."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the members with their mode, presence and capabilities."""
    with connected(place) as room:
        reply = pages(room, "who", "members", name=name, capability=capability)
    if json:
        print_json(reply)
        return
    found: Roster = shaped(reply)
    print_rows([_row(member) for member in found.members])
    if found.next:
        print(f"More members follow after @{plain(found.next)}.")


def _row(member: "MemberShown") -> Row:
    upheld = f"; {member.completions_upheld} of {member.completions_reviewed} upheld"
    can = "".join(f"; {describe(c)}" for c in member.capabilities)
    answers = f"; {plain(member.answers)}" if member.answers else ""
    return [
        Styled(f"@{plain(member.name)}", style="bold"),
        Styled(plain(member.role if member.kind == "human" else f"{member.role} of @{member.owner}"), style="dim"),
        Styled(describe_mode(plain(member.mode), member.supported)),
        Styled(plain(member.presence), style=PRESENCE.get(member.presence, "dim")),
        Styled(f"{plain(member.reason)}{answers}" + (upheld if member.completions_reviewed else "") + can, style="dim"),
    ]
