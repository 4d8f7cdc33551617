"""The room's own socket: the owner acts through it however busy the network's loop is (CTL9)."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.session.blocking import BlockingRoom
from teamroom.clients.session.failure import Failure
from teamroom.server.own_socket import LONGEST_ADDRESS, SOCKET, connect
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.raw import ENVELOPE, LEGACY, message, modern_headers, posted, request
from tests.support.rooms import RunningRoom, running_room
from tests.support.shells import Shell, up

pytestmark = promise("CTL9")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[RunningRoom]:
    async with running_room(tmp_path / "room", on_own_socket=True) as running:
        yield running


def call(room: RunningRoom, tool: str, *, on_socket: bool = True, token: str | None = None, **arguments: Any) -> Any:
    """Call a tool from a thread, over the socket or over the address."""
    folder = room.folder if on_socket else None
    with BlockingRoom(f"{room.url}/mcp", token or room.owner_token, BOUND_SECONDS, socket_folder=folder) as client:
        return client.call(tool, **arguments)


@pytest.mark.parametrize("on_socket", [True, False])
async def test_a_pause_over_the_socket_is_answered_while_the_networks_loop_stands_still(
    room: RunningRoom, on_socket: bool
) -> None:
    """Twin: over the address it waits for the loop."""
    await room.enroll("agent")
    answered, goes_on = threading.Event(), threading.Event()

    def pause() -> None:
        call(room, "pause", on_socket=on_socket, target="agent", reason="stop")
        answered.set()

    pausing = asyncio.create_task(asyncio.to_thread(pause))
    stands_still = asyncio.get_running_loop().call_soon
    stands_still(lambda: answered.wait(BOUND_SECONDS if on_socket else 0.5) and goes_on.set())
    await pausing
    assert goes_on.is_set() is on_socket
    paused = await (await room.connect("agent")).refused("post_message", text="still here")
    assert paused["code"] == "paused"


async def test_what_a_call_over_the_socket_causes_is_carried_out_on_the_networks_loop(room: RunningRoom) -> None:
    (agent,) = await room.enroll("agent")
    after = (await agent("check_in"))["cursor"]
    waiting = asyncio.create_task(agent("wait_for_wake", after=after))
    await room.until_waiting()
    await asyncio.to_thread(call, room, "post_message", text="hello", to=["agent"])
    told = await asyncio.wait_for(waiting, BOUND_SECONDS)
    assert [wake["from"] for wake in told["wakes"]] == ["olga"]


async def test_every_tool_of_the_shell_works_over_the_socket(room: RunningRoom) -> None:
    await room.enroll("agent")
    for tool, arguments in (
        ("who", {}),
        ("read_board", {}),
        ("read_messages", {"query": "hello"}),
        ("overnight", {}),
        ("read_receipts", {}),
        ("enroll", {"name": "second"}),
        ("resume", {"target": "agent", "reason": "go on"}),
        ("revoke", {"name": "second"}),
    ):
        await asyncio.to_thread(call, room, tool, **arguments)


def on_socket(room: RunningRoom, data: bytes) -> bytes:
    """What the socket answers to bytes, until it closes or has answered in full."""
    with connect(room.folder, BOUND_SECONDS) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while more := connection.recv(65_536):
            said += more
        return said


async def test_streams_sessions_and_waiting_calls_are_refused_with_the_address(room: RunningRoom) -> None:
    port, token = room.room.settings.port, room.owner_token
    waiting = {"name": "wait_for_wake", "arguments": {}, "_meta": ENVELOPE}
    listening = {"notifications": {}, "_meta": ENVELOPE}
    for data in (
        posted(port, token, message("tools/call", waiting), modern_headers("tools/call", "wait_for_wake")),
        posted(port, token, message("subscriptions/listen", listening), modern_headers("subscriptions/listen")),
        posted(port, token, message("initialize", LEGACY)),
        request("GET", "/mcp", [("host", f"127.0.0.1:{port}"), ("authorization", f"Bearer {token}")]),
    ):
        said = await asyncio.to_thread(on_socket, room, data)
        assert said.startswith(b"HTTP/1.1 400")
        assert room.url.encode() in said


async def test_the_socket_asks_for_a_token_and_obeys_the_same_rates(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", on_own_socket=True, acts_burst=1, acts_per_second=1) as room:
        await room.enroll("agent")
        with pytest.raises(Failure, match="token"):
            await asyncio.to_thread(call, room, "who", token="tr_" + "0" * 64)
        await asyncio.to_thread(call, room, "post_message", token=room.tokens["agent"], text="one")
        with pytest.raises(Failure, match="more than 1 acts"):
            await asyncio.to_thread(call, room, "post_message", token=room.tokens["agent"], text="two")


async def test_a_folder_with_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / ("longer" * 20) / "room"
    assert len(os.fsencode(folder)) > LONGEST_ADDRESS
    async with running_room(folder, on_own_socket=True) as room:
        assert (await asyncio.to_thread(call, room, "who"))["members"]
        assert (folder / SOCKET).stat().st_mode & 0o777 == 0o600
        assert connect(folder, BOUND_SECONDS).close() is None
    assert not (folder / SOCKET).exists()


def test_a_socket_that_a_killed_server_left_behind_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    with up(folder) as running:
        running.stop(signal.SIGKILL)
    assert (folder / SOCKET).exists()
    with pytest.raises(ConnectionRefusedError):
        connect(folder, BOUND_SECONDS)
    with up(folder):
        connect(folder, BOUND_SECONDS).close()
        assert Shell(tmp_path).now("roster", "--data", str(folder)).code == 0
