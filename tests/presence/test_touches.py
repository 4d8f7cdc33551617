"""A call that changes nothing but the time of the last call waits for no disk; it is written soon, with others."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from teamroom.server.door.principal import SOON_SECONDS
from teamroom.server.facts.member import find_member
from teamroom.server.store.transaction import Reading, Writing
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("PRS1")

A_WHILE = 30.0
"""Long after the last call was written, and long before a live member is expected."""


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[RunningRoom]:
    async with running_room(tmp_path / "room") as running:
        yield running


@pytest.fixture
async def bots(room: RunningRoom) -> list[Member]:
    """Some live agents, which have been here for a while."""
    bots = await room.enroll("ada", "bob", "cyd", mode="live")
    for bot in bots:
        await bot("heartbeat")
    await room.later(A_WHILE)
    return bots


async def last_calls(room: RunningRoom) -> dict[str, float]:
    """How many seconds ago each agent called, as the room has written it."""

    def look(tx: Reading) -> dict[str, float]:
        return {name: tx.now - _presence(tx, name) for name in ("ada", "bob", "cyd")}

    found: dict[str, float] = await room.room.store.look_up(look)
    return found


def _presence(tx: Reading, name: str) -> float:
    at = find_member(tx, name).last_call_at
    assert at is not None
    return at


async def test_heartbeats_are_written_together_a_second_later(room: RunningRoom, bots: list[Member]) -> None:
    commits, writings = room.room.store.committed, []
    write = Writing.run

    def noted(tx: Writing, name: str, /, **parameters: Any) -> int:
        writings.append(name)
        return write(tx, name, **parameters)

    with patch.object(Writing, "run", noted):
        for bot in bots:
            await bot("heartbeat")
        assert writings == []
        before = room.room.store.commits
        await room.later(SOON_SECONDS)
        assert writings == ["touch_presence"] * 3
        assert room.room.store.commits == before + 1
    assert room.room.store.committed == commits, "none of them leaves an entry in the log"
    assert all(1.0 <= ago < A_WHILE / 2 for ago in (await last_calls(room)).values())


async def test_what_is_written_is_when_the_member_called(room: RunningRoom, bots: list[Member]) -> None:
    await bots[0]("read_board")
    await room.later(A_WHILE)
    ago = await last_calls(room)
    assert A_WHILE <= ago["ada"] < A_WHILE + 5
    assert ago["bob"] >= 2 * A_WHILE


async def test_a_call_that_writes_anyway_is_written_with_it(room: RunningRoom, bots: list[Member]) -> None:
    await bots[0]("post_message", text="hello")
    ago = await last_calls(room)
    assert ago["ada"] < 5
    assert ago["bob"] >= A_WHILE


@pytest.mark.parametrize(
    ("mode", "counts_for"), [("live", 300), ("every:60", 60), ("every:3600", 300), ("on_demand", 300), ("manual", 300)]
)
async def test_a_call_that_may_change_how_a_member_is_shown_is_written_at_once(
    room: RunningRoom, bots: list[Member], mode: str, counts_for: float
) -> None:
    await bots[0]("check_in", mode=mode)
    await room.later(counts_for - 2 * SOON_SECONDS)
    await bots[0]("heartbeat")
    assert (await last_calls(room))["ada"] > 5
    await room.later(SOON_SECONDS)
    await room.later(counts_for - SOON_SECONDS)
    await bots[0]("heartbeat")
    assert (await last_calls(room))["ada"] < 5, "or it would be shown as silent for a moment"


async def test_nothing_is_written_of_a_member_that_was_stopped_meanwhile(room: RunningRoom, bots: list[Member]) -> None:
    owner = await room.owner()
    await bots[0]("heartbeat")
    await bots[1]("heartbeat")
    await owner("pause", target="@ada", reason="wait")
    await room.later(SOON_SECONDS)
    ago = await last_calls(room)
    assert ago["ada"] >= A_WHILE
    assert ago["bob"] < 5


async def test_an_older_call_never_takes_the_place_of_a_newer_one(room: RunningRoom, bots: list[Member]) -> None:
    await bots[0]("heartbeat")
    room.time.forward(A_WHILE)
    await bots[0]("post_message", text="hello")
    await room.later(SOON_SECONDS)
    assert (await last_calls(room))["ada"] < 5


async def test_a_room_told_to_write_every_call_does(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", presence_write_seconds=0) as room:
        (bot,) = await room.enroll("ada", mode="live")
        await bot("heartbeat")
        room.time.forward(A_WHILE)
        await bot("heartbeat")
        at = await room.room.store.look_up(lambda tx: tx.now - _presence(tx, "ada"))
        assert at < 5


async def test_a_heartbeat_that_writes_nothing_leaves_kept_replies_as_they_are(
    room: RunningRoom, bots: list[Member]
) -> None:
    await bots[0]("who")
    changes = room.room.store.changes  # type: ignore[attr-defined]
    await bots[1]("heartbeat")
    assert room.room.store.changes == changes  # type: ignore[attr-defined]
    await bots[1]("post_message", text="hello")
    assert room.room.store.changes > changes  # type: ignore[attr-defined]
