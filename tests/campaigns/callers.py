"""Raw callers: a keep-alive connection each, one call in flight. The SDK's own client would be the bottleneck."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Self

import httptools

from tests.harness.room import RoomOfProcesses
from tests.support.raw import ENVELOPE, message, modern_headers, posted

ANSWER_SECONDS = 30.0


class RawCaller(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._transport: asyncio.Transport

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Open the connection."""
        _, caller = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return caller

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; returns status and body. Raises ConnectionError when the server hangs up."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    # what asyncio and httptools call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))


async def enroll(caller: RawCaller, room: RoomOfProcesses, name: str) -> str:
    """Enroll a member as the room's owner; returns its token."""
    token = (room.data / "owner.token").read_text().strip()
    _, body = await caller.send(tool_call(room.port, token, "enroll", {"name": name}))
    return str(json.loads(body)["result"]["structuredContent"]["token"])


def tool_call(port: int, token: str | None, tool: str, arguments: dict[str, object], id_: int = 1) -> bytes:
    """A call of a tool in the newest protocol, as bytes."""
    body = message("tools/call", {"name": tool, "arguments": arguments, "_meta": ENVELOPE}, id_)
    return posted(port, token, body, modern_headers("tools/call", tool))


def resource_read(port: int, token: str, uri: str, id_: int = 1) -> bytes:
    """A read of a resource in the newest protocol, as bytes."""
    return posted(
        port,
        token,
        message("resources/read", {"uri": uri, "_meta": ENVELOPE}, id_),
        modern_headers("resources/read", uri),
    )


async def rate(callers: Sequence[RawCaller], next_request: Callable[[int, int], bytes], seconds: float) -> float:
    """Calls a second of all callers together, each sending its next request as soon as it is answered.

    `next_request` gets the caller's number and the call's. Raises RuntimeError at a call that fails.
    """
    begun = time.perf_counter()
    end = begun + seconds

    async def calls(number: int, caller: RawCaller) -> int:
        count = 0
        while time.perf_counter() < end:
            status, body = await asyncio.wait_for(caller.send(next_request(number, count)), ANSWER_SECONDS)
            if status != 200 or b'"isError":true' in body:
                raise RuntimeError(f"a call failed with {status}: {body[:500]!r}")
            count += 1
        return count

    counts = await asyncio.gather(*(calls(number, caller) for number, caller in enumerate(callers)))
    return sum(counts) / (time.perf_counter() - begun)
