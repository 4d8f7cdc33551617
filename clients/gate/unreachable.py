"""The slower ways of the gate: a room that has no socket here, and a room that cannot be asked."""

import json
from pathlib import Path

from teamroom.clients.gate.gate import Request, UnreachableError, kept_mark, rules_beside, rules_of, where_it_runs
from teamroom.clients.gate.kept_rules import why_it_waits
from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import Failure
from teamroom.clients.session.place import Place, agents_token, member_token, saved_token_file
from teamroom.server.rules.hooks import HARNESSES, is_own_tool, read_hook

ANSWER_SECONDS = 2.0

EXPECTED = (UnreachableError, OSError, ValueError)
"""How it fails to ask a room that is not there, or that answers nothing useful."""

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
            headers["X-Teamroom-Runtime"] = where_it_runs(request.format)
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


def answer_unreached(request: Request, error: Exception, said: bytes) -> str:
    """Return the answer if the room could not be asked: a denial in an unattended session, else a warning.

    A call that waits for a person is denied in an attended one too: nobody can have allowed it. So is one that the
    gate fails to judge.
    """
    harness, why = HARNESSES.get(request.format), why_unreached(error)
    reason = why_denied(request, error, said)
    if reason:
        reason = (
            f"The room cannot be asked ({why}), and {reason}. Wait a minute, then try again. Your owner can look with "
            "`teamroom status`."
        )
        return json.dumps({"decision": "deny", "reason": reason} if harness is None else harness.deny(reason, False))
    warning = f"Teamroom: the room cannot be asked ({why}), so a pause or kill does not stop this session's own tools."
    return json.dumps({"systemMessage": warning} if request.format in LIKE_CLAUDE else {})


def why_unreached(error: Exception) -> str:
    """Return why the room could not be asked."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said if isinstance(error, EXPECTED) else f"the gate failed: {said or type(error).__name__}"


def why_denied(request: Request, error: Exception, said: bytes) -> str:
    """Return why a call is denied without the room; "" if it is not. What cannot be judged is denied."""
    try:
        call = call_in(said)
        harness = HARNESSES.get(request.format)
        hook = None if harness is None or call is None else read_hook(harness, call)
        if hook is not None and not hook.asks:
            return ""
        if request.is_unattended:
            return "nobody attends this session, so its own tools are refused"
        if hook is not None and is_own_tool(hook.tool):
            return ""
        if not isinstance(error, EXPECTED):
            return "a gate that failed lets no tool run"
        return why_it_waits(request, call) if request.rules else ""
    except Exception as failure:
        return f"the gate failed to judge the call ({type(failure).__name__})"


def call_in(said: bytes) -> object:
    """Return what a hook says; None if it cannot be read."""
    try:
        return json.loads(said or b"{}")
    except (ValueError, RecursionError):
        return None
