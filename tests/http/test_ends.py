"""How the room's address ends: at once, with every connection, also with one that was accepted at that moment."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rooms import running_room

pytestmark = promise("SAF6")

TURNS = 50
"""After so many turns of the event loop, the end of the server has gone as far as it can."""


async def test_a_connection_that_is_accepted_as_the_server_ends_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop, accepted = asyncio.get_running_loop(), asyncio.Event()
    goes_on = asyncio.Event()
    connect: Callable[..., Awaitable[Any]] = loop.connect_accepted_socket

    async def late(*given: Any) -> Any:
        accepted.set()
        await goes_on.wait()
        return await connect(*given)

    async def let_it_go_on() -> None:
        for _ in range(TURNS):
            await anyio.lowlevel.checkpoint()
        goes_on.set()

    with caplog.at_level(logging.ERROR, "uvicorn"):
        async with running_room(tmp_path / "room") as room:
            monkeypatch.setattr(loop, "connect_accepted_socket", late)
            client = socket.create_connection(("127.0.0.1", room.room.settings.port), BOUND_SECONDS)
            await accepted.wait()
            going_on = asyncio.create_task(let_it_go_on())
        await going_on
    with client:
        assert await asyncio.to_thread(client.recv, 1) == b""
    assert caplog.text == "", "the end waited for that connection until its time was over"
