"""Listeners for tests: what a member is told, in the same words for clients of both protocol eras."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.shared.subscriptions import ResourceUpdated

from tests.support.bounds import BOUND_SECONDS
from tests.support.eventually import until
from tests.support.plain_http import WITHOUT_TLS
from tests.support.rooms import Era, RunningRoom


class Told:
    """The addresses that a listener was told of, in order."""

    def __init__(self) -> None:
        self.addresses: asyncio.Queue[str] = asyncio.Queue()
        self.opened = asyncio.Event()
        """An older client's stream opens beside its first calls, and again after it was ended."""
        self.ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.client: Client
        """The client that is told."""

    async def open(self) -> None:
        """Wait until the stream is open."""
        await asyncio.wait_for(self.opened.wait(), BOUND_SECONDS)

    async def next(self) -> str:
        """The next address."""
        return await asyncio.wait_for(self.addresses.get(), BOUND_SECONDS)

    async def all(self, *expected: str) -> None:
        """Wait until exactly these were told, in any order."""
        assert {await self.next() for _ in expected} == set(expected)
        self.nothing()

    def nothing(self) -> None:
        """Nothing more was told."""
        assert self.addresses.empty(), self.addresses.get_nowait()

    async def end(self) -> BaseException | None:
        """Wait for the end of the stream; what it ended with."""
        return await asyncio.wait_for(asyncio.shield(self.ended), BOUND_SECONDS)


@contextlib.asynccontextmanager
async def listening(room: RunningRoom, name: str, *uris: str, era: Era | None = None) -> AsyncIterator[Told]:
    """A member that follows addresses of its room, over HTTP."""
    token = room.owner_token if name == "olga" else room.tokens[name]
    told = Told()

    async def answered(response: httpx2.Response) -> None:
        if response.request.method == "GET" and response.status_code == 200:
            told.opened.set()

    async with httpx2.AsyncClient(
        verify=WITHOUT_TLS,
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        event_hooks={"response": [answered]},
    ) as http:
        transport = streamable_http_client(f"{room.url}/mcp", http_client=http)
        async with told_over(transport, era or room.era, told, *uris):
            if (era or room.era) == "legacy":
                await told.open()
            yield told


@contextlib.asynccontextmanager
async def told_over(transport: Any, era: Era, told: Told, *uris: str) -> AsyncIterator[None]:
    """A client on any transport that follows addresses."""

    async def take(message: Any) -> None:
        if era == "legacy" and isinstance(message, types.ResourceUpdatedNotification):
            told.addresses.put_nowait(str(message.params.uri))

    async with Client(transport, mode=era, message_handler=take) as client:
        told.client = client
        if era == "legacy":
            for uri in uris:
                await subscribe(client, uri)
            yield
            return
        async with client.listen(resource_subscriptions=uris) as stream:
            assert set(stream.honored.resource_subscriptions or ()) == set(uris)
            following = asyncio.create_task(_follow(stream, told))
            yield
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def subscribe(client: Client, uri: str) -> None:
    """What older clients do, and the SDK warns of since the protocol has something better."""
    with warnings.catch_warnings(action="ignore", category=MCPDeprecationWarning):
        await client.subscribe_resource(uri)


async def unsubscribe(client: Client, uri: str) -> None:
    """And its end."""
    with warnings.catch_warnings(action="ignore", category=MCPDeprecationWarning):
        await client.unsubscribe_resource(uri)


async def _follow(stream: Any, told: Told) -> None:
    try:
        async for event in stream:
            if isinstance(event, ResourceUpdated):
                told.addresses.put_nowait(event.uri)
        told.ended.set_result(None)
    except Exception as error:
        told.ended.set_result(error)


async def until_streams(room: RunningRoom, count: int) -> None:
    """Wait until so many streams follow something."""
    await until(lambda: room.room.push.count == count)
