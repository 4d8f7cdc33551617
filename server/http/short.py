"""The short way of a common call, from the gate to its tool without the SDK's stack, which costs more than the call.

It takes only what it fully understands: a POST of `tools/call` to a tool that answers at once and asks nothing, in the
envelope of 2026-07-28 or in a session of an older client that is known here. All else goes to the SDK. Answers are the
SDK's, byte for byte, which a differential test holds; older clients get one JSON body, as their protocol allows.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import mcp_types as t
from mcp.server.connection import Connection
from mcp.server.runner import modern_error_data
from mcp.server.streamable_http import check_accept_headers
from mcp_types.methods import validate_client_request
from mcp_types.version import LATEST_MODERN_VERSION
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.types import Scope, Send

from teamroom.server.http.answers import CallParams, SharedResult
from teamroom.server.http.gate import BODY_KEY, CALLER_KEY, TURN_KEY
from teamroom.server.http.sessions import Sessions, client_of
from teamroom.server.http.turns import OWN_TURN
from teamroom.server.identity import Caller

METHOD = "tools/call"
MESSAGE = frozenset({"jsonrpc", "id", "method", "params"})
PARAMS = frozenset({"name", "arguments", "_meta"})
ENVELOPE = (t.PROTOCOL_VERSION_META_KEY, t.CLIENT_CAPABILITIES_META_KEY, t.CLIENT_INFO_META_KEY)
ENVELOPE_BYTES = 4096
"""The longest envelope that the short way judges, because it remembers the judgement."""

RESULT = ("_meta", "content", "isError", "resultType", "structuredContent")
EARLIER_RESULT = ("_meta", "content", "isError", "structuredContent")
RESERVED = "io.modelcontextprotocol/"
ENCODER = json.JSONEncoder(separators=(",", ":"))

CallTool = Callable[[Any, CallParams], Awaitable[Any]]
Hear = Callable[[Caller, Any, Any], None]
"""Gets the caller of a message, its metadata, and how its client introduced itself."""


class ShortParams(NamedTuple):
    """The parameters of a call that asks nothing."""

    name: str
    arguments: dict[str, Any] | None
    request_state: str | None = None
    input_responses: dict[str, Any] | None = None


@dataclass(slots=True)
class ShortCall:
    """A call that was understood: as much of the SDK's context as the tools use, which look for some parts inside."""

    id: int | str
    params: dict[str, Any]
    scope: Scope = field(default_factory=dict)
    protocol_version: str = LATEST_MODERN_VERSION
    session_id: bytes = b""
    _connection: Connection | None = None

    @property
    def request(self) -> "ShortCall":
        """What has the scope, and as the session what has the connection, if an older client calls."""
        return self

    session = request

    @property
    def is_modern(self) -> bool:
        """Whether a client of the newest protocol calls, which has no session."""
        return self._connection is None


class ShortWay:
    """Answers common calls. `stamp`: the server's name in an answer. `long_tools`: those that wait or ask a person."""

    def __init__(
        self,
        call_tool: CallTool,
        hear: Hear,
        stamp: Callable[[], dict[str, Any]],
        sessions: Sessions,
        long_tools: frozenset[str],
    ) -> None:
        self._call_tool, self._hear, self._stamp = call_tool, hear, stamp
        self._sessions, self._long_tools = sessions, long_tools

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Answer a call; False, and nothing was done, if it is for the SDK."""
        call = self._understand(scope) if scope["method"] == "POST" else None
        if call is None:
            return False
        call.scope = scope
        OWN_TURN.set(scope[TURN_KEY])
        self._hear(scope[CALLER_KEY], call.params.get("_meta"), client_of(call._connection))
        given = ShortParams(call.params["name"], call.params.get("arguments"))
        try:
            answer = b'"result":' + self._encoded(await self._call_tool(call, given), call.is_modern)
        except Exception as error:
            said = modern_error_data(error).model_dump(mode="json", exclude_none=True)
            answer = b'"error":' + _encode(said, call.is_modern)
        await _send(send, b'{"jsonrpc":"2.0","id":%b,%b}' % (_encode(call.id, call.is_modern), answer), call)
        return True

    def _encoded(self, result: dict[str, Any], is_modern: bool) -> bytes:
        """A result with the protocol's fields, in its order. The newest protocol also has the server's name."""
        known = result.encoded if isinstance(result, SharedResult) else {}
        if is_modern not in known:
            shaped = {name: result[name] for name in (RESULT if is_modern else EARLIER_RESULT) if name in result}
            if is_modern:
                shaped["_meta"] = {**result.get("_meta", {}), t.SERVER_INFO_META_KEY: self._stamp()}
            known[is_modern] = _encode(shaped, is_modern)
        return known[is_modern]

    def _understand(self, scope: Scope) -> ShortCall | None:
        """The call in a request; None if it is for the SDK."""
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name == b"accept" or name.startswith(b"mcp-"):
                if name in found:
                    return None
                found[name] = value
        takes = _accepted(found.get(b"accept", b""))
        if found.get(b"mcp-protocol-version") == LATEST_MODERN_VERSION.encode():
            return self._modern(scope, found) if takes[0] else None
        return self._of_session(scope, found) if all(takes) and b"mcp-session-id" in found else None

    def _modern(self, scope: Scope, headers: dict[bytes, bytes]) -> ShortCall | None:
        call = self._read(scope[BODY_KEY].body, json.loads)
        if call is None or headers.get(b"mcp-method") != METHOD.encode():
            return None
        name, meta = call.params["name"], call.params.get("_meta")
        if not name.isidentifier() or headers.get(b"mcp-name") != name.encode() or not isinstance(meta, dict):
            return None
        envelope = {key: meta[key] for key in ENVELOPE if key in meta}
        is_modern = envelope.get(t.PROTOCOL_VERSION_META_KEY) == LATEST_MODERN_VERSION
        if not is_modern or not _is_plain(meta, besides=ENVELOPE):
            return None
        try:
            encoded = to_json(envelope, inf_nan_mode="constants")
        except ValueError:  # half of a surrogate pair
            return None
        return call if len(encoded) <= ENVELOPE_BYTES and is_valid(encoded) else None

    def _of_session(self, scope: Scope, headers: dict[bytes, bytes]) -> ShortCall | None:
        id_, version = headers[b"mcp-session-id"].decode("latin-1"), headers.get(b"mcp-protocol-version")
        connection = self._sessions.connection_of(id_, str(scope[CALLER_KEY].member))
        if connection is None or version not in (None, connection.protocol_version.encode()):
            return None
        call = self._read(scope[BODY_KEY].body, from_json)
        if call is None or not isinstance(meta := call.params.get("_meta", {}), dict) or not _is_plain(meta):
            return None
        self._sessions.note_use(id_)
        call.protocol_version, call.session_id = connection.protocol_version, headers[b"mcp-session-id"]
        call._connection = connection
        return call

    def _read(self, body: bytes, parse: Callable[[bytes], Any]) -> ShortCall | None:
        """The whole call of a short tool in a body, read with the parser that the SDK uses; None if it is none."""
        try:
            message = parse(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict) or message.keys() != MESSAGE or not isinstance(message["params"], dict):
            return None
        id_, params = message["id"], message["params"]
        is_call = message["jsonrpc"] == "2.0" and message["method"] == METHOD and type(id_) in (int, str)
        name, arguments = params.get("name"), params.get("arguments")
        is_whole = isinstance(name, str) and isinstance(arguments, dict | None) and PARAMS.issuperset(params)
        return ShortCall(id_, params) if is_call and is_whole and name not in self._long_tools else None


@lru_cache(maxsize=256)
def is_valid(envelope: bytes) -> bool:
    """Whether the SDK accepts an envelope. It is asked once for each client, with what that client can do."""
    try:
        validate_client_request(METHOD, LATEST_MODERN_VERSION, {"name": "", "_meta": json.loads(envelope)})
    except ValidationError:
        return False
    return True


def _is_plain(meta: dict[str, Any], besides: tuple[str, ...] = ()) -> bool:
    """Whether metadata has nothing to which the protocol gives a form, except for a token of progress in that form."""
    is_reserved = any(name.startswith(RESERVED) and name not in besides for name in meta)
    return type(meta.get("progressToken", "")) in (int, str) and not is_reserved


@lru_cache(maxsize=64)
def _accepted(header: bytes) -> tuple[bool, bool]:
    """Whether a client takes JSON, and event streams."""
    return check_accept_headers(Request({"type": "http", "headers": [(b"accept", header)]}))


def _encode(value: Any, is_modern: bool) -> bytes:
    """A value as JSON, as the SDK writes it in each protocol."""
    return ENCODER.encode(value).encode() if is_modern else to_json(value)


async def _send(send: Send, data: bytes, call: ShortCall) -> None:
    """Write an answer, with the headers in the SDK's order."""
    length, kind = (b"content-length", b"%d" % len(data)), (b"content-type", b"application/json")
    headers = [length, kind] if call.is_modern else [kind, (b"mcp-session-id", call.session_id), length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})
