"""Members from the shell: brought in, their tokens kept on this machine, and ended."""

from pathlib import Path
from typing import Any

import typer

from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.place import Place, make_members_folder, member_token_file, save_token
from teamroom.clients.session.room import ask
from teamroom.clients.session.terminal import plain, say


def enroll(place: Place, save: bool, **arguments: Any) -> tuple[dict[str, Any], Path | None]:
    """Enroll a member; returns the room's reply and, with `save`, the file that holds the token instead of it."""
    if save:
        make_members_folder(place.folder)
    reply = ask(place, "enroll", **arguments)
    token = reply.get("token")
    if not save or token is None:
        return reply, None
    path = member_token_file(place.folder, str(reply["name"]))
    save_token(path, str(token))
    return {**reply, "token": None, "token_file": str(path)}, path


def kill(place: Place, target: str, reason: str, yes: bool) -> dict[str, Any]:
    """Kill a member, once a person at a terminal has said yes to exactly this one. Raises Failure."""
    if not yes:
        if not place.on_terminal:
            raise Failure(
                f"Nobody can be asked whether to kill @{plain(target)}: standard input is no terminal.",
                f"Call again with --yes if it is meant: teamroom kill {plain(target)} --reason … --yes",
                USAGE,
            )
        _confirm(place, target)
    return ask(place, "kill", target=target, reason=reason)


def _confirm(place: Place, target: str) -> None:
    member = ask(place, "who", name=target)["members"][0]
    name = plain(str(member["name"]))
    say(
        f"@{name} ({plain(str(member['kind']))} of @{plain(str(member['owner']))}, {plain(str(member['role']))}) "
        "will be killed: its tokens die at once, its tasks are free again, its offers are void, and whoever waits "
        "for it is told. Only an owner can bring it back."
    )
    if not typer.confirm(f"Kill @{name}?", default=False, err=True):
        raise Failure(f"@{name} was not killed.", "Pause it instead: teamroom pause NAME --reason …")
