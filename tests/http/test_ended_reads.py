"""A read that takes long ends with its caller: with its connection, its standing, or its time (SAF9)."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.store.sqlite.store import SqliteStore
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.raw import ENVELOPE, Wire, message, modern_headers, posted, refusal, reply
from tests.support.room_in_thread import RoomInThread, room_in_thread

LONG_SECONDS = 60.0
"""How long a read may take in these rooms, where its end does not come from its time."""

ENDLESS = (
    "with recursive n (i) as (select 1 as i union all select i + 1 from n) "
    "select i as id, '' as summary, '' as text from n where i < 0"
)
"""A search that never finds anything, and never ends."""


def endless_searches(folder: Path, make_context: Any, carry_out: Any) -> SqliteStore:
    """An engine whose searches do not end, except of the word "quick"."""
    from teamroom.server.store.statements import sqlite_statements

    return SqliteStore(folder, make_context({**sqlite_statements(), "newest_matches": ENDLESS}), carry_out)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[RoomInThread]:
    with room_in_thread(tmp_path / "room", choose_engine=endless_searches, read_seconds=LONG_SECONDS) as served:
        served.enroll("bot", "rival")
        yield served


def until_busy(room: RoomInThread, count: int) -> None:
    """Wait until so many reads run."""
    end = time.monotonic() + BOUND_SECONDS
    while room.look(lambda running: running.room.store.reads.readers.busy) != count:
        assert time.monotonic() < end, "a read goes on"
        time.sleep(0.01)


def search(room: RoomInThread, name: str, stack: ExitStack) -> Wire:
    """A connection on which a search has begun."""
    wire = stack.enter_context(room.wire())
    params = {"name": "read_messages", "arguments": {"query": "anything"}, "_meta": ENVELOPE}
    headers = modern_headers("tools/call", "read_messages")
    wire.send(posted(room.port, room.token(name), message("tools/call", params), headers))
    return wire


@promise("SAF9")
def test_a_search_ends_when_its_client_disconnects(room: RoomInThread) -> None:
    with ExitStack() as stack:
        search(room, "bot", stack)
        until_busy(room, 1)
    until_busy(room, 0)


@promise("SAF9", "CTL4")
@pytest.mark.parametrize("act", ["pause", "kill"])
def test_a_search_ends_when_its_member_is_stopped(room: RoomInThread, act: str) -> None:
    with ExitStack() as stack, room.modern("olga") as olga:
        wire = search(room, "bot", stack)
        until_busy(room, 1)
        reply(olga.call(act, {"target": "bot", "reason": "it searches without end"}))
        until_busy(room, 0)
        assert refusal(wire.answer())["code"] == {"pause": "paused", "kill": "killed"}[act]


@promise("SAF9")
def test_a_search_that_takes_too_long_is_refused_with_a_way_to_narrow_it(tmp_path: Path) -> None:
    settings = {"choose_engine": endless_searches, "read_seconds": 0.1}
    with room_in_thread(tmp_path / "room", **settings) as room, room.modern("olga") as olga:
        refused = refusal(olga.call("read_messages", {"query": "anything"}))
        assert refused["code"] == "too_large"
        assert "rarer" in refused["fix"]
        assert refused["receipt"]
        until_busy(room, 0)


@promise("SAF3")
def test_the_searches_of_one_member_leave_the_other_readers_to_others(room: RoomInThread) -> None:
    with ExitStack() as stack, room.modern("rival") as rival:
        for _ in range(5):
            search(room, "bot", stack)
        until_busy(room, 1)
        reply(rival.call("read_board", {"query": "anything"}))
