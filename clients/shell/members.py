"""Members: the roster, and the tokens with which members join."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teamroom.clients.session.blocking import ask, ask_once, connected
from teamroom.clients.session.failure import Failure, UnreachableError
from teamroom.clients.session.place import (
    Place,
    copy_token,
    files_with_token,
    make_members_folder,
    member_token_file,
    replace_token,
    save_token,
    saved_token_file,
    token,
)
from teamroom.clients.session.program import own_name
from teamroom.clients.session.replies import shaped
from teamroom.clients.session.terminal import Layout, Row, Styled, plain, print_json, print_rows, quoted, say
from teamroom.clients.session.times import with_local_times
from teamroom.clients.shell.acting import RequestId
from teamroom.clients.shell.app import Data, Json, Name, Span, bare, command, span
from teamroom.clients.shell.capabilities import describe
from teamroom.clients.shell.colours import PRESENCE
from teamroom.clients.shell.joining import how_to_join, how_to_join_from_chat
from teamroom.clients.shell.reading import pages
from teamroom.server.rules.hooks import describe_doing
from teamroom.server.rules.joining import CHAT_TOKEN, READ_TOKEN
from teamroom.server.rules.runtimes import describe_places
from teamroom.server.rules.text import backtick, describe_mode
from teamroom.server.rules.wakes import say_unverified

if TYPE_CHECKING:
    from teamroom.server.acts.members.members import Enrolled, Revoked
    from teamroom.server.acts.members.roster import MemberShown, Roster

SECTION = "Members"

REQUEST_ID_BYTES = 12
ENROLL_AGAIN = re.compile(r"(?P<command>teamroom enroll (?P<name>[\w.-]+) --(?P<deed>rotate|revive))")
"""The command that the room names for a member that is enrolled, or was killed."""

ROSTER = Layout(whole=(0, 3), first=(0, 3))
"""Name, role, mode, presence and reason: names, and presence with a standing, are never cut."""

DEFAULT_LABEL = "default"
"""The label of a token for which nobody gives one."""


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
    rename: Annotated[
        str | None, typer.Option("--rename", metavar="NEW", help="Give the member another name. It keeps its token.")
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Save the token in the data folder for `connect` instead of printing it.")
    ] = False,
    request_id: RequestId = None,
    json: Json = False,
) -> None:
    """Add a member, issue it a token or rename it. The token is shown once, or saved with --save."""
    if rotate and revive:
        raise typer.BadParameter("--rotate and --revive cannot be combined")
    if rename is not None and not bare(rename).strip():
        raise typer.BadParameter("--rename needs a name")
    arguments = {"kind": kind, "role": role, "owner": owner, "mode": mode, "label": label, "expires_seconds": expires}
    arguments |= {"name": name, "chat": chat, "rotate": rotate, "revive": revive, "rename": rename and bare(rename)}
    held = token(place)
    if save:
        make_members_folder(place.folder)
    with _for_this_token(place, save, label):
        reply = _enroll(place, request_id, save, arguments)
    if reply.get("renamed"):
        _show_renamed(place, reply, json)
        return
    file = _save(place, reply) if save else None
    files = _replace_own(place, reply, held, file)
    if json:
        kept = None if file is None and not files else str(file or files[0])
        shown = {**reply, "token": None} if save else reply
        print_json(shown if kept is None else {**shown, "token_file": kept})
    else:
        _show_enrolled(reply, file, files, place, save)


@contextlib.contextmanager
def _for_this_token(place: Place, save: bool, label: str | None) -> Iterator[None]:
    """Have a refusal for a member that has a token, or was killed, name the command for the same token and file."""
    try:
        yield
    except Failure as failure:
        if (found := ENROLL_AGAIN.search(failure.fix)) is None:
            raise
        again = found["command"] + ("" if label is None else f" --label {shlex.quote(label)}") + " --save" * save
        failure.fix = failure.fix.replace(found["command"], backtick(again))
        saved = member_token_file(place.folder, found["name"])
        if save and found["deed"] == "rotate" and saved.is_file():
            failure.fix = f"Use the token that is saved in {saved}. {failure.fix}"
        raise


def _enroll(place: Place, request_id: str | None, save: bool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Enroll a member; returns the room's reply. If its answer is lost twice, the failure says how to repeat it."""
    import secrets

    request_id = request_id or secrets.token_hex(REQUEST_ID_BYTES)
    try:
        return ask_once(place, "enroll", request_id, **arguments)
    except UnreachableError as error:
        if not error.was_sent:
            raise
        again = shlex.join(["teamroom", "enroll", *_words(arguments), *(("--save",) if save else ())])
        raise Failure(
            f"The room did not answer ({error.fault}). It may have carried this out.",
            f"To repeat it, so that it happens once, run: {again} --request-id {request_id}{place.as_option}",
        ) from None


def _words(arguments: dict[str, Any]) -> list[str]:
    """Return the arguments of an enrolment as the words of a command."""
    words = [str(arguments["name"])]
    for name, value in arguments.items():
        if name == "expires_seconds" and value is not None:
            words += ["--expires", f"{value:g}s"]
        elif name != "name" and value is not None and value is not False:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def _save(place: Place, reply: dict[str, Any]) -> Path | None:
    """Save the token of a reply in the room's folder; returns the file, None if the reply has no token."""
    if reply.get("token") is None:
        return None
    path = member_token_file(place.folder, str(reply["name"]))
    former = [file for name in reply.get("former", ()) if (file := saved_token_file(place.folder, name)).exists()]
    for file in (path, *former):
        try:
            save_token(file, str(reply["token"]))
        except OSError as error:
            rotate = f"teamroom enroll {reply['name']} --rotate --save"
            raise Failure(
                f"The token could not be saved in {file}: {error}.", f"Correct it, then run: {rotate}"
            ) from None
    return path


def _show_renamed(place: Place, reply: dict[str, Any], as_json: bool) -> None:
    """Give a saved token to the new name too, and print what was done."""
    file, why = copy_token(place.folder, reply["former"], str(reply["name"]))
    if as_json:
        print_json(reply if file is None else {**reply, "token_file": str(file)})
        return
    name, former = plain(reply["name"]), plain(reply["former"][0])
    print(f"@{former} is @{name} now (receipt {reply['receipt']}). It keeps its token, and @{former} stays reserved.")
    if file is not None:
        print(f"Its saved token is also in {plain(str(file))}, so --as {name} and --as {former} both work.")
    elif why:
        say(f"teamroom: its saved token could not be copied ({why}). Use --as {former}, or save a token again.")


def _replace_own(place: Place, reply: dict[str, Any], held: str, saved: Path | None) -> list[Path]:
    """Put the caller's new token into each file that has the old one; returns these files.

    The old one ends when the new one is first used, which this does once the new one is in a file. If this process
    ends at any point, a file has a token that works.
    """
    if reply.get("token") is None or not reply.get("yours_until_used"):
        return []
    new, files = str(reply["token"]), files_with_token(place, held)
    for file in files:
        try:
            replace_token(place, file, new)
        except OSError as error:
            raise Failure(
                f"The new token could not be written to {file}: {error}. The token that it has still works.",
                f"Correct it, then run: teamroom enroll {reply['name']} --rotate",
            ) from None
    if files or saved is not None:
        with contextlib.suppress(Failure), connected(place, new) as room:
            room.read("teamroom://me")
    return files


def _show_enrolled(reply: dict[str, Any], file: Path | None, files: list[Path], place: Place, is_saved: bool) -> None:
    """Print the token, or the files that contain it, and how the member joins."""
    member: Enrolled = shaped(reply)
    name, here, teamroom = plain(member.name), place.as_option, own_name()
    if files:
        print(f"@{name} has a new token, which is in use now. The one before has ended. Files with the new one:")
        for one in files:
            print(f"  {plain(str(one))}")
        if "TEAMROOM_TOKEN" in place.environment:
            print("TEAMROOM_TOKEN of this terminal has the old one. Run: unset TEAMROOM_TOKEN")
    elif file is not None:
        print(f"@{name} can join. Its token is in {file}; only your user can read it.")
        print(f"To join, it runs: {teamroom} connect --as {name}{here}")
        print(f'A harness that reads TEAMROOM_TOKEN: export TEAMROOM_TOKEN="$(cat {shlex.quote(str(file))})"')
    elif member.token is None:
        label = "" if member.label == DEFAULT_LABEL else f" --label {shlex.quote(plain(member.label))}"
        print(f"@{name} is already enrolled by this call, and its token was shown only then.")
        again = " --save" if is_saved else ""
        print(f"For a new token, run: {teamroom} enroll {name}{label} --rotate{again}{here}")
    elif member.chat:
        print(f"@{name} can join from a chat client. This token is for that client alone, and is shown only once:\n")
        print(f"  {plain(member.token)}\n")
        print(f"Put it in place of {CHAT_TOKEN} in the entry of your client:\n")
        print(how_to_join_from_chat(plain(member.url), name))
    else:
        print(f"@{name} can join. Its token is shown only once:\n")
        print(f"  {plain(member.token)}\n")
        print("In its terminal, run this and paste the token, so that it stays out of the shell's history:\n")
        print(f"  {READ_TOKEN}\n")
        if member.yours_until_used:
            print("The token that you used now ends when the new one is first used.\n")
        print("Then join from your harness:")
        print(how_to_join(plain(member.url), name, here))


@command(SECTION)
def recover(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", parser=bare, help="A room owner. Default: the folder's owner.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Replace a room owner's lost token. Run it on the room's machine; it needs no token."""
    from teamroom.clients.local.recover import recover

    done = recover(Place(data), name)
    if json:
        print_json(done)
        return
    print(f"@{plain(done['name'])} has a new token (receipt {done['receipt']}). The one before has ended.")
    print(f"It is in {plain(done['token_file'])}; only your user can read it.")


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
    print_rows([_row(member) for member in found.members], ROSTER)
    if found.next:
        print(f"More members follow after @{plain(found.next)}.")


def _row(member: "MemberShown") -> Row:
    upheld = f"; {member.completions_upheld} of {member.completions_reviewed} upheld"
    can = "".join(f"; {describe(c)}" for c in member.capabilities)
    former = f"; formerly {plain(', '.join(member.former))}" if member.former else ""
    answers = (f"; {member.answers}" if member.answers else "") + say_unverified(member)
    harness = member.harness
    waits = "".join(f"; {quoted(rule.match)} waits for a person (rule {rule.rule})" for rule in member.rules)
    doing = "" if harness is None else describe_doing(harness.doing, harness.tool, harness.since or "")
    gate = f"; a stop reaches its own tools (asked {harness.gate})" if harness is not None and harness.gate else ""
    places = describe_places(member.runtimes, member.on_two_hosts)
    more = "".join(f"; {words}" for words in (doing, places) if words)
    why = plain(with_local_times(f"{member.reason}{answers}{more}{gate}"))
    return [
        Styled(f"@{plain(member.name)}", style="bold"),
        Styled(plain(member.role if member.kind == "human" else f"{member.role} of @{member.owner}"), style="dim"),
        Styled(describe_mode(plain(member.mode), member.supported)),
        Styled(plain(member.presence), style=PRESENCE.get(member.presence, "dim")),
        Styled(f"{why}{upheld if member.completions_reviewed else ''}{former}{can}{waits}", style="dim"),
    ]
