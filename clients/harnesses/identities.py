"""One member for each harness and folder: found in the record, or enrolled, with its token in a private file."""

import re
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from teamroom.clients.harnesses.description import Harness, Machine
from teamroom.clients.harnesses.record import Joined, Record
from teamroom.clients.session.blocking import BlockingRoom, ask_once, connected
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import USAGE, Failure, UnprovenError
from teamroom.clients.session.place import (
    TOKEN_FOLDERS,
    Place,
    is_name,
    make_members_folder,
    member_token_file,
    read_token,
    save_token,
    saved_token_file,
)

AGENT = "agent"

RULES = ".rules"
"""How the file ends in which a gate keeps its member's approval rules, next to the token."""

LABEL = "join"
"""The label of the tokens that join issues: a leave revokes these alone."""

NAMES_TRIED = 20
LONGEST_NAME = 32
REQUEST_ID_BYTES = 12

WATCHDOG = "watchdog"
"""The role of a watchdog, and how it is called in the record and, if nobody has that name, in the room."""

NOT_FOUND, KILLED = "not_found", "killed"


@dataclass(frozen=True)
class Identity:
    """The member of a harness. `is_new`: no member has this name yet. `token`: None if it must be issued."""

    joined: Joined
    is_new: bool
    token: str | None


def find_identity(place: Place, record: Record, harness: Harness, machine: Machine, name: str | None) -> Identity:
    """Return the member as which a harness joins; asks the room whether the name is taken. Raises Failure.

    `name`: what the person chose; by default the one of the record, else one made of the harness and the folder.
    """
    folder = "" if harness.is_users else str(machine.folder)
    former = record.find(harness.key, folder)
    url = place.endpoint.removesuffix("/mcp")
    far = url if place.socket_folder is None else ""
    if name is not None and not is_name(name):
        raise Failure(f"{name} is not a valid member name.", "Use letters, digits and . _ -", USAGE)
    with connected(place) as room:
        if former is not None and former.data == str(place.folder) and name in (None, former.name):
            token = _saved(place, former.name)
            is_member = _is_member(room, former.name)
            joined = replace(former, url=far, is_in=True)
            return Identity(joined, not is_member, token if is_member and _is_known(place, token) else None)
        chosen = name if name is not None else _free_name(room, harness, machine)
        is_member = name is not None and _is_agent(room, name)
    token = _saved(place, chosen) if is_member else None
    joined = Joined(harness.key, folder, chosen, str(place.folder), far, issued=token is None)
    return Identity(joined, not is_member, token)


def issue_token(place: Place, identity: Identity, role: str | None = None) -> str:
    """Return the member's token, which is in its private file then. Enrolls the member if need be. Raises Failure.

    `role`: the one that a new member gets.
    """
    if identity.token is not None:
        return identity.token
    name = identity.joined.name
    make_members_folder(place.folder)
    rotate = not identity.is_new
    given = {"kind": "agent", "label": LABEL, "rotate": rotate, "role": role if identity.is_new else None}
    reply = ask_once(place, "enroll", secrets.token_hex(REQUEST_ID_BYTES), name=name, **given)
    token = reply.get("token")
    if token is None:
        raise Failure(f"@{name} was enrolled, but its token was lost.", "Run the same command again.")
    try:
        save_token(member_token_file(place.folder, name), str(token))
    except OSError as error:
        raise Failure(f"The token of @{name} could not be saved: {error}.", "Correct that, then repeat.") from None
    return str(token)


def keep_watchdog(place: Place, record: Record) -> str:
    """Return the watchdog of this room on this machine; enrolls one if there is none whose token works. Raises Failure.

    It is recorded like a harness of all folders, so that a leave with all harnesses ends its token too.
    """
    former = next((one for one in record.joined if one.harness == WATCHDOG and one.data == str(place.folder)), None)
    with connected(place) as room:
        if former is not None and _is_member(room, former.name) and _is_known(place, _saved(place, former.name)):
            return former.name
        name = _free(room, WATCHDOG) if former is None or not _is_member(room, former.name) else former.name
        is_new = former is None or name != former.name
    far = place.endpoint.removesuffix("/mcp") if place.socket_folder is None else ""
    joined = Joined(WATCHDOG, "", name, str(place.folder), far, is_unattended=True)
    issue_token(place, Identity(joined, is_new, None), role=WATCHDOG)
    record.joined = [one for one in record.joined if one is not former] + [joined]
    return name


def end_token(place: Place, joined: Joined) -> None:
    """Revoke the tokens that join issued to a member, and remove the saved one. Raises Failure."""
    ask_once(place, "revoke", secrets.token_hex(REQUEST_ID_BYTES), name=joined.name, label=LABEL)
    token_file(joined).unlink(missing_ok=True)
    token_file(joined).with_suffix(RULES).unlink(missing_ok=True)


def token_file(joined: Joined) -> Path:
    """Return the private file with a member's token."""
    return saved_token_file(Path(joined.data), joined.name)


def _free_name(room: BlockingRoom, harness: Harness, machine: Machine) -> str:
    """Return a name that no member has, made of the harness and the folder."""
    return _free(room, harness.key if harness.is_users else f"{harness.key}-{machine.folder.name}")


def _free(room: BlockingRoom, wanted: str) -> str:
    """Return a name that no member has, made of the wanted one."""
    base = re.sub(r"[^a-z0-9._-]+", "-", wanted.lower()).strip("-.")[: LONGEST_NAME - 3].strip("-.")
    for number in range(1, NAMES_TRIED + 1):
        name = base if number == 1 else f"{base}-{number}"
        if not _is_member(room, name):
            return name
    raise Failure(f"Members have the names {base} to {base}-{NAMES_TRIED}.", "Choose one with --as NAME.", USAGE)


def _is_agent(room: BlockingRoom, name: str) -> bool:
    """Whether an agent has a name. Raises Failure if a person has it, or if the agent was killed."""
    member = _find(room, name)
    if member is not None and member["kind"] != AGENT:
        raise Failure(
            f"@{name} is a person, and a harness joins as an agent.", "Choose another name with --as NAME.", USAGE
        )
    return member is not None


def _is_member(room: BlockingRoom, name: str) -> bool:
    """Whether a member has a name. Raises Failure if it was killed."""
    return _find(room, name) is not None


def _find(room: BlockingRoom, name: str) -> dict[str, Any] | None:
    """Return the member with a name; None if there is none. Raises Failure if it was killed."""
    try:
        (member,) = room.call("who", name=name)["members"]
    except Failure as failure:
        if failure.body.get("code") == NOT_FOUND:
            return None
        raise
    if member["standing"] == KILLED:
        raise Failure(
            f"@{name} was killed.", f"To let it join again, run: teamroom enroll {name} --revive --save --label {LABEL}"
        )
    return dict(member)


def _saved(place: Place, name: str) -> str | None:
    path = saved_token_file(place.folder, name)
    return read_token(path, TOKEN_FOLDERS) if path.exists() else None


def _is_known(place: Place, token: str | None) -> bool:
    """Whether the room proves that it knows a token. The token is not sent, so the member counts as not seen."""
    if token is None:
        return False
    try:
        with Connection(place.endpoint) as connection:
            connection.require_proof(token)
    except UnprovenError:
        return False
    return True
