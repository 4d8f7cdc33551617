"""What requests are answered outside the protocol: refusals as data, and JSON."""

import contextlib
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from starlette.types import Send

from teamroom.server.http.farewell import refusal_text
from teamroom.server.refusals import REFUSED

JSON = b"application/json"


class CallParams(Protocol):
    """The parameters of a call of a tool, as the tools use them: the SDK's model, or what the short way understood."""

    @property
    def name(self) -> str:
        """The tool's name."""
        ...

    @property
    def arguments(self) -> dict[str, Any] | None:
        """Its arguments as they were sent."""
        ...

    @property
    def request_state(self) -> str | None:
        """What a client that was asked sends back of its first call."""
        ...

    @property
    def input_responses(self) -> Mapping[str, Any] | None:
        """The answers to what it was asked."""
        ...


class SharedResult(dict[str, Any]):
    """The result of a call that many callers get. `encoded`: as JSON, by protocol era, once one of them got it so."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result)
        self.encoded: dict[bool, bytes] = {}


class GateRefusal(Exception):
    """A request that the gate refuses: an HTTP status, and the refusal as data."""

    def __init__(
        self,
        status: int,
        code: str,
        why: str,
        fix: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        more: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        super().__init__(why)
        self.status, self.code, self.why, self.fix, self.headers = status, code, why, fix, tuple(headers)
        self.more = more
        self.request_id: int | str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The refusal as data."""
        return {"code": self.code, "why": self.why, "fix": self.fix, **self.more}


async def refuse(send: Send, refusal: GateRefusal) -> None:
    """Answer with a refusal, as an error of JSON-RPC."""
    data = refusal.body
    error = {"code": REFUSED, "message": refusal_text(data), "data": data}
    await send_json(send, refusal.status, {"jsonrpc": "2.0", "id": refusal.request_id, "error": error}, refusal.headers)


async def send_json(
    send: Send, status: int, value: dict[str, Any], headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with JSON."""
    await send_body(send, status, json.dumps(value).encode(), JSON, headers)


async def send_body(
    send: Send, status: int, body: bytes, kind: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a body, which nobody keeps. A client that has left gets nothing."""
    fixed = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    with contextlib.suppress(OSError):
        await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
        await send({"type": "http.response.body", "body": body})
