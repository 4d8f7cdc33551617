"""No call leaves anything to the garbage collector, whose pauses stop every thread of the room, a stop's too."""

import gc
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest
from mcp.server.runner import ServerRunner

from teamroom.server.http.connections import Connection
from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.room_in_thread import RoomInThread, room_in_thread

pytestmark = promise("CTL9")

CALLS = 20
CARRIED_OUT: list[tuple[str, dict[str, Any]]] = [
    ("heartbeat", {}),
    ("check_in", {}),
    ("post_message", {"text": "hello @rival"}),
    ("read_board", {}),
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("post_message", {"txt": 1}),
    ("claim_task", {"task": "T-999"}),
    ("read_board", {"task": "T-999"}),
    ("pause", {"target": "rival", "reason": "it is not for an agent to say"}),
]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path_factory.mktemp("garbage") / "room", **LIMITLESS) as served:
        served.enroll("bot", "rival")
        yield served


@pytest.mark.parametrize(("tool", "arguments"), [*CARRIED_OUT, *REFUSED])
def test_a_call_leaves_nothing_to_the_garbage_collector(
    room: RoomInThread, tool: str, arguments: dict[str, Any]
) -> None:
    with room.modern("bot") as bot:
        assert left_by(lambda: bot.call(tool, arguments)) < CALLS


def test_what_the_sdk_would_leave_is_found(room: RoomInThread, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: cached_property[Any] = cached_property(vars(ServerRunner)["on_request"].fget)
    kept.__set_name__(ServerRunner, "on_request")
    monkeypatch.setattr(ServerRunner, "on_request", kept)
    with room.modern("bot") as bot:
        assert left_by(lambda: bot.read("teamroom://me")) >= 10 * CALLS


def test_a_session_holds_nothing_of_connections_that_are_closed(room: RoomInThread) -> None:
    of_others = of_other_rooms(room)
    bot = room.legacy("bot")  # the session begins on a connection
    assert "result" in bot.ask("resources/subscribe", {"uri": "teamroom://board"}).json  # and pushes from now on
    open_before = room.open_now()
    bot.wire.socket.close()
    assert room.until_open((open_before[0] - 1, *open_before[1:]))[0] == open_before[0] - 1
    assert connections_held() - of_others == room.open_now()[0]
    bot.close()


def test_a_connection_that_something_holds_is_found(room: RoomInThread) -> None:
    of_others = of_other_rooms(room)
    with room.modern("bot") as bot:
        bot.call("heartbeat", {})
        held = list(room.connections.open)
    assert room.until_open((0, 0, 100))[0] == 0
    assert connections_held() - of_others == len(held) > 0


def of_other_rooms(room: RoomInThread) -> int:
    """How many connections earlier tests left in memory, once this room has none."""
    assert room.until_open((0, 0, 100))[0] == 0
    return connections_held()


def connections_held() -> int:
    """How many connections there are in memory, open or not, of rooms of other tests too."""
    gc.collect()
    return sum(type(thing) is Connection for thing in gc.get_objects())


def left_by(call: Callable[[], object]) -> int:
    """How many objects only the garbage collector can free after some calls."""
    call()
    gc.collect()
    gc.disable()
    try:
        for _ in range(CALLS):
            call()
        return gc.collect()
    finally:
        gc.enable()
