"""The event streams of older clients: they say what sse-starlette's say, and end with their client."""

import asyncio
import re
from typing import Any

import anyio
import pytest
from mcp.server import streamable_http
from sse_starlette import EventSourceResponse

from teamroom.server.http.connections import STATE_KEY, Connection
from teamroom.server.http.streams import EventStream
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import house

pytestmark = house

EVENT = {"event": "message", "data": '{"jsonrpc":"2.0"}'}
OFTEN, NEVER = 0.01, 3600


class Client:
    """A client of a stream: what it got, and its connection."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        self.connection = Connection(asyncio.Transport())
        self.scope: dict[str, Any] = {"type": "http", "method": "GET", "state": {STATE_KEY: self.connection}}

    async def send(self, message: Any) -> None:
        """Take a message of the stream."""
        self.got.append(message)
        self.arrived.set()

    async def receive(self) -> dict[str, Any]:
        """Say nothing more."""
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def has(self, count: int) -> None:
        """Wait until so many messages have come."""
        async with asyncio.timeout(BOUND_SECONDS):
            while len(self.got) < count:
                self.arrived.clear()
                await self.arrived.wait()

    def leave(self) -> None:
        """Lose the connection."""
        for left in list(self.connection.when_lost):
            left()


async def streamed(kind: type[EventSourceResponse], ping: float) -> list[dict[str, Any]]:
    """All that a stream of one event sends."""
    client, (write, read) = Client(), anyio.create_memory_object_stream[dict[str, str]](1)
    async with write:
        await write.send(EVENT)
    async with read, asyncio.timeout(BOUND_SECONDS):
        stream = kind(read, headers={"Content-Type": "text/event-stream"}, ping=ping)
        await stream(client.scope, client.receive, client.send)
    return client.got


async def test_a_stream_sends_what_the_one_of_the_sdk_would() -> None:
    assert await streamed(EventStream, NEVER) == await streamed(EventSourceResponse, NEVER)


async def test_a_quiet_stream_sends_pings() -> None:
    client, (write, read) = Client(), anyio.create_memory_object_stream[dict[str, str]](1)
    stream = asyncio.create_task(EventStream(read, ping=OFTEN)(client.scope, client.receive, client.send))
    await client.has(3)
    write.close()
    await asyncio.wait_for(stream, BOUND_SECONDS)
    read.close()
    assert re.fullmatch(rb": ping - [\d :.+-]+\r\n\r\n", client.got[1]["body"])


async def test_a_stream_and_what_fills_it_end_with_the_connection() -> None:
    client, (write, read) = Client(), anyio.create_memory_object_stream[dict[str, str]](1)
    filled = asyncio.get_running_loop().create_future()

    async def fill() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            filled.set_result(None)

    stream = EventStream(read, ping=NEVER, data_sender_callable=fill)
    running = asyncio.create_task(stream(client.scope, client.receive, client.send))
    await client.has(1)
    client.leave()
    await asyncio.wait_for(running, BOUND_SECONDS)
    write.close()
    read.close()
    assert filled.done()
    assert not client.connection.when_lost


async def test_a_stream_on_no_connection_of_the_server_ends_with_its_client() -> None:
    client, (write, read) = Client(), anyio.create_memory_object_stream[dict[str, str]](1)
    client.scope["state"] = {}
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    running = asyncio.create_task(EventStream(read, ping=NEVER)(client.scope, receive, client.send))
    await client.has(1)
    gone.set()
    with write, read:
        await asyncio.wait_for(running, BOUND_SECONDS)


async def test_a_fault_of_what_fills_a_stream_ends_it() -> None:
    client, (write, read) = Client(), anyio.create_memory_object_stream[dict[str, str]](1)

    async def fail() -> None:
        raise LookupError("nothing there")

    with write, read, pytest.raises(ExceptionGroup):
        await EventStream(read, ping=NEVER, data_sender_callable=fail)(client.scope, client.receive, client.send)


def test_the_sdk_uses_these_streams() -> None:
    assert streamable_http.EventSourceResponse is EventStream  # type: ignore[attr-defined]
