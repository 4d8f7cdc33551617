"""What the client of a killed member is answered: the refusal, inside the answer that its request expects.

A status of 401 makes most harnesses ask for a new sign-in and show their model nothing, or end the session. So each
request gets a well-formed answer with status 200: a call of a tool is refused as its result, a new session opens with
the refusal as its instructions and one tool that says it, and every other request gets an error. Nothing is done.
"""

from collections.abc import Mapping
from typing import Any

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from teamroom import __version__
from teamroom.server.refusals import REFUSED

MODERN_VERSION = "2026-07-28"
VERSION_META = "io.modelcontextprotocol/protocolVersion"
SERVER_META = "io.modelcontextprotocol/serverInfo"

SERVER = {"name": "teamroom", "title": "Teamroom", "version": __version__}

FIRST_TOOL = "check_in"
"""The one tool that is listed: the first that a model is told to call."""

EMPTY_LISTS = {
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}


def answer_killed(message: Any, said: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON-RPC answer to a request of a killed member; None for what is no request.

    `said`: the refusal as data, with `code`, `why` and `fix`.
    """
    if not isinstance(message, dict) or not isinstance(message.get("method"), str) or not is_id(message.get("id")):
        return None
    params = message["params"] if isinstance(message.get("params"), dict) else {}
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    result = _result(message["method"], params, said)
    if result is None:
        return {**answer, "error": {"code": REFUSED, "message": refusal_text(said), "data": dict(said)}}
    if _is_modern(params):
        result |= {"resultType": "complete", "_meta": {SERVER_META: SERVER}}
    return {**answer, "result": result}


def is_notification(message: Any) -> bool:
    """Whether a message expects no answer."""
    return isinstance(message, dict) and isinstance(message.get("method"), str) and "id" not in message


def is_id(value: Any, characters: int = 200) -> bool:
    """Whether a value can be the id of a request."""
    return isinstance(value, int | str) and not isinstance(value, bool) and len(str(value)) <= characters


def refusal_text(said: Mapping[str, Any]) -> str:
    """A refusal in one line, as `Refusal.text` has it."""
    return f"Refused ({said['code']}): {said['why']} Fix: {said['fix']}"


def _result(method: str, params: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result of a request, in which its client shows its model the refusal; None if it gets an error."""
    words = refusal_text(said)
    if method == "tools/call":
        return {"content": [{"type": "text", "text": words}], "structuredContent": dict(said), "isError": True}
    if method == "tools/list":
        tool = {"name": FIRST_TOOL, "description": words, "inputSchema": {"type": "object", "properties": {}}}
        return {"tools": [tool], **({"cacheScope": "private", "ttlMs": 0} if _is_modern(params) else {})}
    if method == "initialize":
        asked = params.get("protocolVersion")
        version = asked if asked in HANDSHAKE_PROTOCOL_VERSIONS else max(HANDSHAKE_PROTOCOL_VERSIONS)
        return {"protocolVersion": version, **_introduction(words)}
    if method == "server/discover":
        return {"supportedVersions": [MODERN_VERSION], "cacheScope": "private", "ttlMs": 0, **_introduction(words)}
    if method in EMPTY_LISTS:
        return {EMPTY_LISTS[method]: [], **({"cacheScope": "private", "ttlMs": 0} if _is_modern(params) else {})}
    return None


def _introduction(words: str) -> dict[str, Any]:
    return {"capabilities": {"tools": {}}, "serverInfo": SERVER, "instructions": words}


def _is_modern(params: Mapping[str, Any]) -> bool:
    meta = params.get("_meta")
    return isinstance(meta, dict) and VERSION_META in meta
