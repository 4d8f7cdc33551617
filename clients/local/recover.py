"""`teamroom recover`: gives the owner of the room a new token, for the person who has its folder."""

import asyncio
import contextlib
import json
import secrets
from pathlib import Path
from typing import Any

from teamroom.clients.local.snapshot import require_file, settings_of
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import NOT_AUTHORISED, Failure, UnreachableError, refusal
from teamroom.clients.session.place import OWNER_TOKEN, Place, agents_session
from teamroom.clients.session.protocol import JSON
from teamroom.server.app import Room
from teamroom.server.own_socket import CODE, RECOVER_PATH
from teamroom.server.policy import SettingsError
from teamroom.server.private import NotPrivateError, write_private
from teamroom.server.record.backups import restore_command
from teamroom.server.refusals import Refusal
from teamroom.server.settings import load
from teamroom.server.store.engine import StorageError
from teamroom.server.store.folder import FolderError, locked

CODE_BYTES = 32

NAMELESS = "host"
"""The owner of a room that does not exist yet, which this never makes."""


def recover(place: Place, name: str | None) -> dict[str, Any]:
    """Put a new token of a room owner into the folder, whether the room runs or not. Raises Failure.

    Returns the owner's name, the file and the number of the receipt. `name` None: the folder's owner.
    """
    if (sign := agents_session(place.environment)) is not None:
        raise Failure(
            f"This is an agent's session ({sign}), and only a person may recover a token.",
            "Ask the owner to run this command in a terminal.",
            NOT_AUTHORISED,
        )
    folder = place.folder
    if not settings_of(folder).database.get_secret_value():
        require_file(folder)
    try:
        done = _of_stopped(folder, name) or _of_running(place, name)
    except NotPrivateError as error:
        raise Failure(f"{error}.", error.fix, NOT_AUTHORISED) from None
    except (SettingsError, FolderError, StorageError, OSError) as error:
        raise Failure(f"The room in {folder} cannot be used: {error}", restore_command(folder)) from None
    return {**done, "token_file": str(folder / OWNER_TOKEN)}


def _of_stopped(folder: Path, name: str | None) -> dict[str, Any] | None:
    """Recover in a room that no server has; None if one has it. Raises Failure, and what opening a room raises."""
    with contextlib.ExitStack() as having:
        try:
            having.enter_context(locked(folder, "teamroom recover"))
        except FolderError:
            return None
        return asyncio.run(_in_room(Room(folder, load(folder)), name))


async def _in_room(room: Room, name: str | None) -> dict[str, Any]:
    try:
        await room.open(NAMELESS)
        done = await room.recover(name)
        return {"name": done.name, "receipt": done.receipt}
    except Refusal as error:
        raise refusal({"code": error.code, "why": error.why, "fix": error.fix}) from None
    finally:
        await room.close()


def _of_running(place: Place, name: str | None) -> dict[str, Any]:
    """Ask the folder's server on its own socket. The code in the folder shows who asks. Raises Failure, OSError."""
    code, file = secrets.token_hex(CODE_BYTES), place.folder / CODE
    write_private(file, code + "\n")
    try:
        url = place.endpoint.removesuffix("/mcp") + RECOVER_PATH
        with Connection(url, socket_folder=place.folder, only_socket=True) as connection:
            answer = connection.post(json.dumps({"code": code, "name": name}).encode(), {"Content-Type": JSON})
    except UnreachableError:
        raise Failure(
            "A server has the room, but it does not answer on the folder's socket.",
            "Stop the server, run this again, then start the server.",
        ) from None
    finally:
        file.unlink(missing_ok=True)
    body = json.loads(answer.body)
    if not answer.is_success:
        raise refusal(body["error"]["data"])
    return dict(body)
