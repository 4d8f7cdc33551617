"""Exactly one live listener for each agent: the newest is told, the older one is ended with `superseded` (PRS5)."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.listener.listen import BEAT_SECONDS
from teamroom.server.wake.newest import LISTENERS_KNOWN, PRESENT_SECONDS, Ages
from tests.support.bounds import BOUND_SECONDS
from tests.support.eventually import until
from tests.support.listeners import listening, until_streams
from tests.support.promises import promise
from tests.support.raw import ENVELOPE, message, modern_headers, posted
from tests.support.room_in_thread import room_in_thread
from tests.support.rooms import Member, RunningRoom, Time

pytestmark = promise("PRS5")


async def connected_twice(room: RunningRoom) -> tuple[Member, Member, int]:
    """An agent, as two of its clients, and its cursor."""
    (agent,) = await room.enroll("agent")
    return agent, await room.connect("agent"), (await agent("check_in"))["cursor"]


async def test_the_newest_waiting_call_gets_the_wake_and_the_older_one_is_superseded(
    room_of_each_era: RunningRoom,
) -> None:
    room = room_of_each_era
    agent, again, after = await connected_twice(room)
    owner = await room.owner()
    older = asyncio.create_task(agent("wait_for_wake", after=after))
    await room.until_waiting()
    newer = asyncio.create_task(again("wait_for_wake", after=after))
    ended = await asyncio.wait_for(older, BOUND_SECONDS)
    assert (ended["superseded"], ended["wakes"]) == (True, [])
    await owner("post_message", text="hello", to=["agent"])
    told = await asyncio.wait_for(newer, BOUND_SECONDS)
    assert not told["superseded"]
    assert len(told["wakes"]) == 1


OLDER, NEWER = "1764000000000-f", "1764000001000-0"


@pytest.mark.parametrize("older", [OLDER, None])
async def test_a_listener_that_began_earlier_ends_when_it_calls_late_and_supersedes_nothing(
    room_of_each_era: RunningRoom, older: str | None
) -> None:
    """Twin: one that does not say which it is takes over, since its call is the newest."""
    room = room_of_each_era
    agent, again, after = await connected_twice(room)
    owner = await room.owner()
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


async def test_the_cursor_of_a_superseded_listener_passes_no_wake_that_it_was_not_given(
    room_of_each_era: RunningRoom,
) -> None:
    room = room_of_each_era
    agent, again, after = await connected_twice(room)
    owner = await room.owner()
    lives = asyncio.create_task(again("wait_for_wake", listener=NEWER, after=after))
    await room.until_waiting()
    await owner("post_message", text="hello", to=["agent"])
    assert len((await asyncio.wait_for(lives, BOUND_SECONDS))["wakes"]) == 1
    ended = await asyncio.wait_for(agent("wait_for_wake", listener=OLDER, after=after), BOUND_SECONDS)
    assert (ended["superseded"], ended["wakes"], ended["cursor"]) == (True, [], after)


async def test_a_listener_is_the_newest_from_its_first_call_and_supersedes_an_older_one_that_waits(
    room: RunningRoom,
) -> None:
    agent, again, after = await connected_twice(room)
    waits = asyncio.create_task(agent("wait_for_wake", listener=OLDER, after=after))
    await room.until_waiting()
    await again("heartbeat", listener=NEWER)
    newer = asyncio.create_task(again("wait_for_wake", listener=NEWER, after=after))
    assert (await asyncio.wait_for(waits, BOUND_SECONDS))["superseded"]
    assert (await asyncio.wait_for(agent("wait_for_wake", listener=OLDER), BOUND_SECONDS))["superseded"]
    newer.cancel()


@pytest.mark.parametrize("whose", ["its machine", "the room too"])
async def test_a_listener_that_began_while_the_clock_was_ahead_supersedes_no_later_one(
    room: RunningRoom, whose: str
) -> None:
    (agent,) = await room.enroll("agent")
    successor = await room.connect("agent")
    ahead = began(room, 600)
    if whose == "the room too":
        room.time.step(600)
    after = (await agent("check_in", listener=ahead))["cursor"]
    if whose == "the room too":
        room.time.step(-600)
    room.time.forward(1)
    lives = asyncio.create_task(successor("wait_for_wake", listener=began(room), after=after))
    await room.until_waiting()
    room.time.forward(PRESENT_SECONDS)
    again = await asyncio.wait_for(agent("wait_for_wake", listener=ahead, after=after), BOUND_SECONDS)
    assert again["superseded"], "it is the older one, should it not have crashed but been busy"
    await is_told(room, lives)


async def test_an_older_listener_is_live_again_when_the_newer_one_ended_its_wait(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    (agent,) = await room.enroll("agent")
    after = (await agent("check_in", listener=OLDER))["cursor"]
    async with room.client(room.tokens["agent"]) as client:
        newer = asyncio.create_task(Member("agent", client)("wait_for_wake", listener=NEWER, after=after))
        await room.until_waiting()
        newer.cancel()
    await until(lambda: not room.room.bus.waiting_calls)
    lives = asyncio.create_task(agent("wait_for_wake", listener=OLDER, after=after))
    await room.until_waiting()
    await is_told(room, lives)


@pytest.mark.parametrize("beats", [True, False])
async def test_an_older_listener_is_live_again_once_the_newer_one_is_silent(room: RunningRoom, beats: bool) -> None:
    """Such as one that ended while its command ran. Twin: one that beats while its command runs ends the older one."""
    (agent,) = await room.enroll("agent")
    newer = await room.connect("agent")
    after = (await agent("check_in", listener=OLDER))["cursor"]
    await newer("check_in", listener=NEWER)
    room.time.forward(PRESENT_SECONDS)
    if beats:
        await newer("heartbeat", listener=NEWER)
        ended = await asyncio.wait_for(agent("wait_for_wake", listener=OLDER, after=after), BOUND_SECONDS)
        assert ended["superseded"]
        return
    lives = asyncio.create_task(agent("wait_for_wake", listener=OLDER, after=after))
    await room.until_waiting()
    await is_told(room, lives)
    comes_back = asyncio.create_task(newer("wait_for_wake", listener=NEWER))
    assert not (await asyncio.wait_for(comes_back, BOUND_SECONDS))["superseded"], "it is the newest still"
    assert (await asyncio.wait_for(agent("wait_for_wake", listener=OLDER), BOUND_SECONDS))["superseded"]


async def test_a_listener_is_live_while_it_waits_and_for_a_while_after_its_last_call(
    room: RunningRoom,
) -> None:
    (agent,) = await room.enroll("agent")
    newer = await room.connect("agent")
    after = (await agent("check_in", listener=OLDER))["cursor"]
    waits = asyncio.create_task(newer("wait_for_wake", listener=NEWER, after=after))
    await room.until_waiting()
    room.time.forward(2 * PRESENT_SECONDS)
    assert (await asyncio.wait_for(agent("wait_for_wake", listener=OLDER, after=after), BOUND_SECONDS))["superseded"]
    await is_told(room, waits)
    room.time.forward(BEAT_SECONDS)
    assert (await asyncio.wait_for(agent("wait_for_wake", listener=OLDER, after=after), BOUND_SECONDS))["superseded"]


def test_a_listener_counts_as_gone_only_after_two_missed_heartbeats() -> None:
    assert 2 * BEAT_SECONDS < PRESENT_SECONDS < 3 * BEAT_SECONDS


async def test_each_member_has_a_newest_listener_of_its_own_and_the_room_remembers_so_many() -> None:
    time = Time()
    ages = Ages(time, time.steady)
    assert ages.note_call(1, NEWER)
    assert not ages.note_call(1, OLDER)
    assert ages.note_call(2, OLDER)
    for number in range(2 * LISTENERS_KNOWN):
        ages.note_call(1, f"1764000002000-{number}")
    assert len(ages.began[1]) == LISTENERS_KNOWN
    assert not ages.note_call(1, NEWER)


def began(room: RunningRoom, ahead: float = 0.0) -> str:
    """What a listener says that begins now, on a machine whose clock is ahead by some seconds."""
    return f"{int((room.time() + ahead) * 1000)}-0"


async def is_told(room: RunningRoom, waits: asyncio.Task[dict[str, Any]]) -> None:
    """Wake the agent; the call that waits is told of it."""
    await (await room.owner())("post_message", text="hello", to=["agent"])
    told = await asyncio.wait_for(waits, BOUND_SECONDS)
    assert (told["superseded"], len(told["wakes"])) == (False, 1)


async def test_people_may_listen_in_several_places(room: RunningRoom) -> None:
    owner = await room.owner()
    (agent,) = await room.enroll("agent")
    again = await room.connect("olga")
    after = (await owner("check_in"))["cursor"]
    calls = [asyncio.create_task(member("wait_for_wake", after=after)) for member in (owner, again)]
    await room.until_waiting(2)
    await agent("post_message", text="hello", to=["olga"])
    assert [len(told["wakes"]) for told in await asyncio.wait_for(asyncio.gather(*calls), BOUND_SECONDS)] == [1, 1]


async def test_more_than_three_take_overs_a_minute_raise_an_alarm(room: RunningRoom) -> None:
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


def test_the_result_of_a_superseded_stream_says_so_on_the_wire(tmp_path: Path) -> None:
    """Twin: the result of a stream that ends with the room does not."""
    with contextlib.ExitStack() as wires:
        with room_in_thread(tmp_path / "room") as room:
            room.enroll("agent")
            params = {"notifications": {"resourceSubscriptions": ["teamroom://inbox"]}, "_meta": ENVELOPE}
            listen = message("subscriptions/listen", params)
            headers = modern_headers("subscriptions/listen")
            older, newer = (wires.enter_context(room.wire()) for _ in range(2))
            for wire in (older, newer):
                wire.send(posted(room.port, room.token("agent"), listen, headers))
                room.run(until_streams, room.running, 1)
            assert older.answer().json["result"]["_meta"]["teamroom/superseded"] is True
        assert "teamroom/superseded" not in newer.answer().json["result"]["_meta"]


async def test_of_two_streams_that_follow_an_inbox_the_older_one_ends(room: RunningRoom) -> None:
    owner = await room.owner()
    await room.enroll("agent")
    async with listening(room, "agent", "teamroom://inbox", "teamroom://board") as older:
        await owner("post_message", text="one", to=["agent"])
        assert await older.next() == "teamroom://inbox"
        async with listening(room, "agent", "teamroom://inbox") as newer:
            await owner("post_message", text="two", to=["agent"])
            assert await newer.next() == "teamroom://inbox"
            await until_streams(room, 1)


async def test_a_waiting_call_ends_the_stream_that_followed_before(room: RunningRoom) -> None:
    owner = await room.owner()
    (agent,) = await room.enroll("agent")
    async with listening(room, "agent", "teamroom://inbox") as older:
        await owner("post_message", text="one", to=["agent"])
        assert await older.next() == "teamroom://inbox"
        cursor = (await agent("check_in"))["cursor"]
        waiting = asyncio.create_task(agent("wait_for_wake", after=cursor, timeout_seconds=50))
        await room.until_waiting()
        await until_streams(room, 0)
        await owner("post_message", text="two", to=["agent"])
        assert [wake["line"] for wake in (await asyncio.wait_for(waiting, BOUND_SECONDS))["wakes"]]


async def test_a_stream_ends_the_call_that_waited_before(room: RunningRoom) -> None:
    owner = await room.owner()
    (agent,) = await room.enroll("agent")
    waiting = asyncio.create_task(agent.said("wait_for_wake", timeout_seconds=50))
    await room.until_waiting()
    async with listening(room, "agent", "teamroom://inbox") as newer:
        reply, _, _ = await asyncio.wait_for(waiting, BOUND_SECONDS)
        assert reply["superseded"]
        await owner("post_message", text="one", to=["agent"])
        assert await newer.next() == "teamroom://inbox"
