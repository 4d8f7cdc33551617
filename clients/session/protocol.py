"""Requests and answers of MCP 2026-07-28, without a connection.

Importing the SDK takes almost two seconds of processor time, and a shell command may take 0.6. A test compares the
names here with the SDK's.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from teamroom.clients.session.failure import Failure, refusal

VERSION: Final = "2026-07-28"

ENDPOINT: Final = "/mcp"
"""The path of MCP, at the end of a room's URL."""

TOKEN_HEADER: Final = "Authorization"
BEARER: Final = "Bearer "

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"
SESSION_HEADER: Final = "mcp-session-id"

VERSION_META: Final = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_META: Final = "io.modelcontextprotocol/clientCapabilities"
CLIENT_META: Final = "io.modelcontextprotocol/clientInfo"

NAMED_BY: Final[Mapping[str, str]] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""For each method, the parameter that the name header repeats."""

CONNECTION_CLOSED, INVALID_REQUEST, PARSE_ERROR = -32000, -32600, -32700
"""Codes of JSON-RPC errors."""

JSON, EVENTS = "application/json", "text/event-stream"

WAIT_TOOL = "wait_for_wake"
"""The tool whose answer takes as long as it is told to wait."""

REQUEST_ID = "teamroom/request-id"
LISTENER = "teamroom/listener"
RUN = "teamroom/run"
WOKE = "teamroom/woke"
RUN_ENDED = "teamroom/run-ended"
CALLS = "teamroom/calls"
RUNTIME = "teamroom/runtime"

_HEADER_TEXT = re.compile(r"[\x20-\x7e]*")
_ENCODED = re.compile(r"=\?base64\?.*\?=")


@dataclass(frozen=True)
class Request:
    """One request. `meta` is added to the metadata that the protocol requires."""

    method: str
    params: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    def body(self, number: int) -> bytes:
        """Return the request as JSON with an id."""
        meta = {VERSION_META: VERSION, CAPABILITIES_META: self.capabilities, **self.meta}
        params = {**self.params, "_meta": meta}
        message = {"jsonrpc": "2.0", "id": number, "method": self.method, "params": params}
        return json.dumps(message, default=list).encode()  # any sequence is a list

    def headers(self, token: str) -> dict[str, str]:
        """Return the headers of the request: the token, and what repeats the body."""
        name = self.params.get(NAMED_BY.get(self.method, ""))
        return {**token_headers(token), **repeated_headers(VERSION, self.method, name)}


def call_tool(
    tool: str,
    arguments: Mapping[str, Any],
    request_id: str | None = None,
    listener: str | None = None,
    run: Mapping[str, float] | None = None,
    news: Mapping[str, Any] | None = None,
) -> Request:
    """Return the request that calls a tool with the arguments that are not None.

    The room carries out calls with the same `request_id` once. `listener` says which listener of the member calls, and
    `run` what it reports of its run. `news`: what else it says, by key.
    """
    known = {REQUEST_ID: request_id, LISTENER: listener, RUN: run}
    meta = {key: value for key, value in known.items() if value} | dict(news or {})
    given = {name: value for name, value in arguments.items() if value is not None}
    return Request("tools/call", {"name": tool, "arguments": given}, meta)


def read_resource(uri: str, news: Mapping[str, Any] | None = None) -> Request:
    """Return the request that reads a resource. `news`: what else it says, by key."""
    return Request("resources/read", {"uri": uri}, dict(news or {}))


def token_headers(token: str) -> dict[str, str]:
    """Return the headers that every message to a room has."""
    return {TOKEN_HEADER: f"{BEARER}{token}", "Accept": f"{JSON}, {EVENTS}", "Content-Type": JSON}


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """Return the token in the headers of a request, None if they have none."""
    values = [value for name, value in headers.items() if name.lower() == TOKEN_HEADER.lower()]
    return values[0].removeprefix(BEARER) if values else None


def repeated_headers(version: str, method: str | None, name: Any) -> dict[str, str]:
    """Return the headers that repeat the body."""
    found = {VERSION_HEADER: header_value(version)}
    if method is not None:
        found[METHOD_HEADER] = header_value(method)
    if isinstance(name, str):
        found[NAME_HEADER] = header_value(name)
    return found


def header_value(text: str) -> str:
    """Encode a text for a header: as it is where that is safe, else in base64."""
    if _HEADER_TEXT.fullmatch(text) and text == text.strip() and not _ENCODED.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode('ascii')}?="


# ------------------------------------------------------------------ answers


def read_answer(url: str, kind: str, body: bytes) -> dict[str, Any]:
    """Return the result in an answer. Raises Failure for a refusal, and for an answer that no room gives."""
    for message in _messages(kind, body):
        if isinstance(message.get("result"), dict):
            return dict(message["result"])
        if isinstance(error := message.get("error"), dict):
            data = error.get("data")
            if isinstance(data, dict) and "code" in data:
                raise refusal(data)
            raise Failure(str(error.get("message", "")), "Check the room with `teamroom doctor`.")
    raise Failure(f"A server answers at {url}, but it is not a room.", "Name the room with --url or --data.")


def tool_reply(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the structured reply of a tool. Raises Failure for a refusal."""
    body = result.get("structuredContent")
    if result.get("isError"):
        words = " ".join(str(content.get("text", "")) for content in result.get("content", ()))
        raise refusal(body if body and "code" in body else {"code": "invalid", "why": words, "fix": ""})
    return dict(body or {})


def resource_json(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a resource."""
    texts = (content.get("text") for content in result.get("contents", ()) if content.get("mimeType") == JSON)
    return dict(json.loads(next(texts, None) or "{}"))


def _messages(kind: str, body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON-RPC messages of a body: one, or one for each event of a stream."""
    kind = kind.partition(";")[0].strip().lower()
    if kind == EVENTS:
        texts = [line[len(b"data:") :] for line in body.splitlines() if line.startswith(b"data:")]
    else:
        texts = [body] if kind == JSON else []
    for text in texts:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict):
            yield message
