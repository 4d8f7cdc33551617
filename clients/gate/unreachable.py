"""The slower ways of the gate: a room that has no socket here, and a room that cannot be asked."""

import json
from pathlib import Path

from teamroom.clients.gate.gate import Request
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place, agents_token, member_token
from teamroom.server.rules.hooks import HARNESSES, read_hook

ANSWER_SECONDS = 2.0

LIKE_CLAUDE = frozenset({"claude", "codex", "gemini", "qwen"})
"""The harnesses that show their person a `systemMessage`."""


def ask_at_address(request: Request, path: str, said: bytes) -> str:
    """Ask a room at its address, which proves that it knows the token or is reached over TLS. Raises OSError."""
    data, file = (Path(given) if given else None for given in (request.data, request.file))
    place = Place(data, request.url or None, file)
    try:
        held = member_token(place, request.name) if request.name else agents_token(place, None)
        with Connection(place.endpoint, ANSWER_SECONDS, place.socket_folder) as connection:
            headers = {"Authorization": f"Bearer {held}", "Content-Type": "application/json"}
            answer = connection.post(said, headers, path)
    except Failure as failure:
        raise OSError(failure.why) from None
    if answer.status != 200:
        raise OSError(f"the room answered {answer.status}")
    return answer.body.decode()


def answer_unreached(format_: str, is_unattended: bool, why: str, said: bytes) -> str:
    """Return the answer if the room could not be asked: a denial in an unattended session, else a warning."""
    harness = HARNESSES.get(format_)
    try:
        asks = harness is None or read_hook(harness, json.loads(said or b"{}")).asks
    except (ValueError, RecursionError):
        asks = True
    if is_unattended and asks:
        reason = (
            f"The room cannot be asked ({why}), and nobody attends this session, so its own tools are refused. Wait a "
            "minute, then try again. Your owner can look with `teamroom status`."
        )
        denied = {"decision": "deny", "reason": reason} if harness is None else harness.deny(reason, False)
        return json.dumps(denied)
    warning = f"Teamroom: the room cannot be asked ({why}), so a pause or kill does not stop this session's own tools."
    return json.dumps({"systemMessage": warning} if format_ in LIKE_CLAUDE else {})
