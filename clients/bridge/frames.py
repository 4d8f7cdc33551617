"""One message of a client, the headers that repeat it, and error answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from teamroom.clients.session.failure import Failure
from teamroom.clients.session.protocol import (
    CLIENT_META,
    CONNECTION_CLOSED,
    NAMED_BY,
    VERSION,
    VERSION_META,
    repeated_headers,
)
from teamroom.server.refusals import REFUSED

STREAMS = frozenset({"subscriptions/listen", "events/stream"})
"""Requests that stay open until their client closes them."""


@dataclass(frozen=True)
class Frame:
    """One message of the client: its bytes and its parsed content."""

    raw: bytes
    message: Mapping[str, Any]

    @property
    def method(self) -> str | None:
        """The method of a request or a notification."""
        method = self.message.get("method")
        return method if isinstance(method, str) else None

    @property
    def is_request(self) -> bool:
        """Whether the message needs an answer."""
        return self.method is not None and "id" in self.message

    @property
    def key(self) -> str:
        """The id as JSON, so that 1 and "1" differ."""
        return json.dumps(self.message.get("id"))

    @property
    def modern_version(self) -> str | None:
        """The protocol version in a modern message."""
        params = self.message.get("params")
        meta = params.get("_meta") if isinstance(params, dict) else None
        version = meta.get(VERSION_META) if isinstance(meta, dict) else None
        return version if isinstance(version, str) else None

    @property
    def client(self) -> tuple[str, str]:
        """The name and the version with which the client introduces itself; '' if this message does not say them."""
        params = self.message.get("params")
        given = params if isinstance(params, dict) else {}
        meta = given.get("_meta")
        client = given.get("clientInfo") if self.method == "initialize" else None
        client = meta.get(CLIENT_META) if client is None and isinstance(meta, dict) else client
        name, version = (client.get("name"), client.get("version")) if isinstance(client, dict) else ("", "")
        return (name if isinstance(name, str) else "", version if isinstance(version, str) else "")

    @property
    def is_modern(self) -> bool:
        """Whether closing its HTTP stream cancels it."""
        return self.modern_version == VERSION

    @property
    def is_stream(self) -> bool:
        """Whether its answer comes only when its client closes it."""
        return self.method in STREAMS

    def modern_headers(self) -> dict[str, str]:
        """Return the headers that repeat a modern message."""
        params = self.message.get("params")
        name = params.get(NAMED_BY.get(self.method or "", "")) if isinstance(params, dict) else None
        return repeated_headers(self.modern_version or "", self.method, name)


def refused(frame: Frame, failure: Failure) -> bytes:
    """Return the error answer to a request that did not reach the room, with why and fix."""
    code = failure.body.get("code")
    first = f"Refused ({code}): {failure.why}" if code else failure.why
    data = {**failure.body, "why": failure.why, "fix": failure.fix}
    number = REFUSED if code else CONNECTION_CLOSED
    return error(frame.message["id"], number, f"{first} Fix: {failure.fix}", data)


def error(id_: Any, code: int, message: str, data: dict[str, Any] | None = None) -> bytes:
    """Return a JSON-RPC error."""
    error = {"code": code, "message": message, **({"data": data} if data else {})}
    return json.dumps({"jsonrpc": "2.0", "id": id_, "error": error}).encode()


def refusal_code(body: bytes) -> str:
    """Return the code with which the room refuses a message; "" if its answer is no refusal."""
    try:
        return str(json.loads(body)["error"]["data"]["code"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
