"""The slower ways of the gate: a room that has no socket here, and a room that cannot be asked."""

import json
from pathlib import Path

from teamroom.clients.gate.gate import Request, kept_mark, rules_beside, rules_of
from teamroom.clients.gate.kept_rules import why_it_waits
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place, agents_token, member_token, saved_token_file
from teamroom.server.rules.hooks import HARNESSES, is_own_tool, read_hook

ANSWER_SECONDS = 2.0

LIKE_CLAUDE = frozenset({"claude", "codex", "gemini", "qwen"})
"""The harnesses that show their person a `systemMessage`."""


def ask_at_address(request: Request, path: str, said: bytes) -> str:
    """Ask a room at its address, which proves that it knows the token or is reached over TLS. Raises OSError."""
    data, file = (Path(given) if given else None for given in (request.data, request.file))
    place = Place(data, request.url or None, file)
    try:
        request.rules = rules_at(place, request.name)
        held = member_token(place, request.name) if request.name else agents_token(place, None)
        with Connection(place.endpoint, ANSWER_SECONDS, place.socket_folder) as connection:
            headers = {"Authorization": f"Bearer {held}", "Content-Type": "application/json"}
            headers["X-Teamroom-Rules"] = kept_mark(request.rules)
            answer = connection.post(said, headers, path)
    except Failure as failure:
        raise OSError(failure.why) from None
    if answer.status != 200:
        raise OSError(f"the room answered {answer.status}")
    return answer.body.decode()


def rules_at(place: Place, name: str) -> str:
    """Return the file with the rules of a member whose token may be in a file, in the environment or in the folder."""
    if place.token_file is not None:
        return rules_beside(str(place.token_file.expanduser().absolute()))
    if (given := place.environment.get("TEAMROOM_TOKEN")) is not None or not name:
        return rules_of(str(place.folder), (given or "").strip())
    return rules_beside(str(saved_token_file(place.folder, name)))


def answer_unreached(request: Request, why: str, said: bytes) -> str:
    """Return the answer if the room could not be asked: a denial in an unattended session, else a warning.

    A call that waits for a person is denied in an attended one too: nobody can have allowed it.
    """
    harness, format_ = HARNESSES.get(request.format), request.format
    call: object = None
    try:
        call = json.loads(said or b"{}")
        hook = None if harness is None else read_hook(harness, call)
    except (ValueError, RecursionError):
        hook = None
    asks = hook is None or hook.asks
    is_own = hook is not None and is_own_tool(hook.tool)
    waits = why_it_waits(request.rules, call) if asks and not is_own and request.rules else ""
    if request.is_unattended and asks:
        waits = "nobody attends this session, so its own tools are refused"
    if waits:
        reason = (
            f"The room cannot be asked ({why}), and {waits}. Wait a minute, then try again. Your owner can look with "
            "`teamroom status`."
        )
        denied = {"decision": "deny", "reason": reason} if harness is None else harness.deny(reason, False)
        return json.dumps(denied)
    warning = f"Teamroom: the room cannot be asked ({why}), so a pause or kill does not stop this session's own tools."
    return json.dumps({"systemMessage": warning} if format_ in LIKE_CLAUDE else {})
