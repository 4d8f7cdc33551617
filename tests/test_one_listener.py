"""Exactly one live listener for each agent: the newest is told, the older one is ended with `superseded` (PRS5)."""

import asyncio

import anyio.lowlevel

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
