"""Exactly one live listener for each agent: the newest is told, the older one is ended with `superseded` (PRS5)."""

import asyncio

import anyio.lowlevel
import pytest

from teamroom.server.wake.bus import HEARD_SECONDS, Bus
from tests.listeners import listening
from tests.rooms import BOUND_SECONDS, RunningRoom


async def test_the_newest_waiting_call_is_told_and_the_older_one_is_superseded(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    (agent,) = await room.enroll("agent")
    owner = await room.owner()
    again = await room.connect("agent")
    after = (await agent("check_in"))["cursor"]
    older = asyncio.create_task(agent("wait_for_wake", after=after))
    await room.until_waiting()
    newer = asyncio.create_task(again("wait_for_wake", after=after))
    ended = await asyncio.wait_for(older, BOUND_SECONDS)
    assert (ended["superseded"], ended["wakes"]) == (True, [])
    await owner("post_message", text="hello", to=["agent"])
    told = await asyncio.wait_for(newer, BOUND_SECONDS)
    assert not told["superseded"]
    assert len(told["wakes"]) == 1


OLDER, NEWER = "1764000000000-f", "1764000000001-0"


@pytest.mark.parametrize("older", [OLDER, None])
async def test_a_listener_that_began_earlier_ends_however_late_it_calls_and_takes_nothing_over(
    room_of_each_era: RunningRoom, older: str | None
) -> None:
    """Twin: one that does not say which it is takes over, since its call is the newest."""
    room = room_of_each_era
    (agent,) = await room.enroll("agent")
    owner = await room.owner()
    again = await room.connect("agent")
    after = (await agent("check_in"))["cursor"]
    lives = asyncio.create_task(again("wait_for_wake", listener=NEWER, after=after))
    await room.until_waiting()
    if older is None:
        calls = asyncio.create_task(agent("wait_for_wake", after=after))
        assert (await asyncio.wait_for(lives, BOUND_SECONDS))["superseded"]
        calls.cancel()
        return
    for _ in range(5):
        ended = await asyncio.wait_for(agent("wait_for_wake", listener=older, after=after), BOUND_SECONDS)
        assert (ended["superseded"], ended["wakes"]) == (True, [])
    assert [w for w in (await owner("check_in"))["wakes"] if w["reason"] == "alert"] == []
    await owner("post_message", text="hello", to=["agent"])
    told = await asyncio.wait_for(lives, BOUND_SECONDS)
    assert (told["superseded"], len(told["wakes"])) == (False, 1)


async def test_a_listener_is_the_newest_from_its_first_call_on_and_ends_an_older_one_that_waits(
    room: RunningRoom,
) -> None:
    (agent,) = await room.enroll("agent")
    again = await room.connect("agent")
    after = (await agent("check_in"))["cursor"]
    waits = asyncio.create_task(agent("wait_for_wake", listener=OLDER, after=after))
    await room.until_waiting()
    await again("heartbeat", listener=NEWER)
    newer = asyncio.create_task(again("wait_for_wake", listener=NEWER, after=after))
    assert (await asyncio.wait_for(waits, BOUND_SECONDS))["superseded"]
    newer.cancel()
    assert (await asyncio.wait_for(agent("wait_for_wake", listener=OLDER), BOUND_SECONDS))["superseded"]


async def test_a_listener_that_is_heard_of_no_more_keeps_nobody_from_listening() -> None:
    """Such as one on a machine whose clock was ahead."""
    bus = Bus()
    assert bus.hear(1, NEWER, now=0)
    assert not bus.hear(1, OLDER, now=HEARD_SECONDS - 1)
    assert bus.hear(1, NEWER, now=HEARD_SECONDS - 1)
    assert not bus.hear(1, OLDER, now=HEARD_SECONDS)
    assert bus.hear(2, OLDER, now=HEARD_SECONDS), "each member has its own"
    assert bus.hear(1, OLDER, now=2 * HEARD_SECONDS)
    assert bus.hear(1, NEWER, now=2 * HEARD_SECONDS), "it is the newest still, should it come back"


async def test_people_may_listen_in_several_places(room: RunningRoom) -> None:
    owner = await room.owner()
    (agent,) = await room.enroll("agent")
    again = await room.connect("olga")
    after = (await owner("check_in"))["cursor"]
    calls = [asyncio.create_task(member("wait_for_wake", after=after)) for member in (owner, again)]
    async with asyncio.timeout(BOUND_SECONDS):
        while room.room.bus.waiting_calls < 2:
            await anyio.lowlevel.checkpoint()
    await agent("post_message", text="hello", to=["olga"])
    assert [len(told["wakes"]) for told in await asyncio.wait_for(asyncio.gather(*calls), BOUND_SECONDS)] == [1, 1]


async def test_more_than_three_take_overs_a_minute_are_an_alarm_and_three_are_none(room: RunningRoom) -> None:
    (agent,) = await room.enroll("agent")
    owner = await room.owner()
    after = (await agent("check_in"))["cursor"]
    sessions = [await room.connect("agent") for _ in range(6)]

    async def alarms() -> list[str]:
        return [w["line"] for w in (await owner("check_in"))["wakes"] if w["reason"] == "alert"]

    calls = []
    for count, session in enumerate(sessions):
        calls.append(asyncio.create_task(session("wait_for_wake", after=after)))
        if count:
            assert (await asyncio.wait_for(calls[count - 1], BOUND_SECONDS))["superseded"]
        else:
            await room.until_waiting()
        assert len(await alarms()) == (1 if count > 3 else 0)
    calls[-1].cancel()


async def test_of_two_streams_that_follow_an_inbox_the_older_one_ends(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("agent")
    async with listening(room, "agent", "teamroom://inbox", "teamroom://board") as older:
        await owner("post_message", text="one", to=["agent"])
        assert await older.next() == "teamroom://inbox"
        async with listening(room, "agent", "teamroom://inbox") as newer:
            await owner("post_message", text="two", to=["agent"])
            assert await newer.next() == "teamroom://inbox"
            async with asyncio.timeout(BOUND_SECONDS):
                while room.room.push.count > 1:
                    await anyio.lowlevel.checkpoint()
