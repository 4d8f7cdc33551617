"""The bodies of requests: bounded in size, in time and in depth, before anything parses them."""

import asyncio
import json
import re
from typing import Any

from starlette.types import Message, Receive

from teamroom.server.http.answers import JSON, GateRefusal
from teamroom.server.http.farewell import is_id
from teamroom.server.rules.characters import LONE_SURROGATE

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A JSON string, or the beginning of one that is not closed.

It is possessive. With backtracking, a search would start again at each quotation mark of an unclosed string, and one
body would take minutes.
"""

_NOT_BRACKET = re.compile(rb"[^\[\]{}]+")

MARK = json.dumps(LONE_SURROGATE).strip('"').encode()


async def read_json(
    headers: dict[bytes, bytes], receive: Receive, seconds: float | None, limit: int, depth: int
) -> bytes | None:
    """The body of a request, JSON that can be parsed; None if the client left. Raises GateRefusal.

    It may take so many seconds, or None if it has arrived.
    """
    body = await read_body(headers, receive, seconds, limit, JSON)
    if body is None:
        return None
    check_json(body, depth)
    return mark_lone_surrogates(body)


async def read_body(
    headers: dict[bytes, bytes], receive: Receive, seconds: float | None, limit: int, kind: bytes = b""
) -> bytes | None:
    """The body of a request, of the kind that it must have, if any; None if the client left. Raises GateRefusal."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    if kind and headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != kind:
        name = kind.decode()
        raise GateRefusal(415, "invalid", f"The body is not {name}.", f"Send Content-Type: {name}.")
    if seconds is None:
        return await _received(receive, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _received(receive, limit)
    except TimeoutError:
        raise GateRefusal(
            408, "invalid", "The body did not arrive in time.", "Send the whole request at once."
        ) from None


async def _received(receive: Receive, limit: int) -> bytes | None:
    """A body as it arrives; None if the client leaves. Raises GateRefusal."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def check_json(body: bytes, depth: int) -> None:
    """Refuse a body that is not UTF-8 or is nested too deeply, before anything parses it. Raises GateRefusal."""
    if b"\0" in body:  # UTF-16 and UTF-32 always have some, and could hide brackets from the check of depth
        raise GateRefusal(400, "invalid", "The body is not JSON in UTF-8.", "Encode it as UTF-8.")
    if is_deeper(body, depth):
        raise GateRefusal(
            400,
            "too_large",
            f"The body is nested deeper than {depth}.",
            "Send flat arguments.",
        )


def is_deeper(body: bytes, depth: int) -> bool:
    """Whether JSON is nested deeper than `depth`. Cheap for bodies with too few brackets for that."""
    if body.count(b"{") + body.count(b"[") <= depth:
        return False
    level = 0
    for bracket in _NOT_BRACKET.sub(b"", STRING.sub(b"", body)):
        level += 1 if bracket in b"[{" else -1
        if level > depth:
            return True
    return False


_ESCAPED = re.compile(rb"\\(?:u[Dd][89ABab]..\\u[Dd][C-Fc-f]|(u[Dd][89A-Fa-f]..)|.)", re.DOTALL)
"""An escape in JSON: a surrogate pair, half of one, or another one."""


def mark_lone_surrogates(body: bytes) -> bytes:
    """JSON with a mark in place of each half of a surrogate pair, on which parsers of JSON do not agree."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPED.sub(lambda found: MARK if found[1] is not None else found[0], body)


def _too_large(limit: int) -> GateRefusal:
    return GateRefusal(
        413,
        "too_large",
        f"The body is larger than {limit} bytes.",
        "Send it in parts, or link it as a file.",
    )


class ReplayedBody:
    """Receives the whole body first, then the further messages of the connection, until its request is over."""

    __slots__ = ("_is_given", "_receive", "body")

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.body, self._is_given = body, False
        self._receive: Receive | None = receive

    async def __call__(self) -> Message:
        """The next message."""
        if not self._is_given:
            self._is_given = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        return {"type": "http.disconnect"} if self._receive is None else await self._receive()

    def end(self) -> None:
        """Let go of the body and of the connection."""
        self.body, self._receive, self._is_given = b"", None, True


def id_of(message: Any) -> int | str | None:
    """The id of a request; None if it has none. Without it in the answer, some clients wait forever."""
    id_ = message.get("id") if isinstance(message, dict) else None
    return id_ if is_id(id_) else None
