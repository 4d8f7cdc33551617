"""One registry of listeners: each agent has one live listener, whatever it listens with and on any server (PRS5)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from teamroom.server.acts.messages.messages import POST_MESSAGE, PostMessage
from teamroom.server.acts.presence.presence import WaitForWake
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.store.rows.listeners import ListenerRow
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.wake.listeners import Listeners, Listening, Mechanism, Origin
from teamroom.server.wake.waiting import Waiting
from tests.support.bounds import BOUND_SECONDS
from tests.support.eventually import until
from tests.support.listeners import Told, listening, subscribe
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("PRS5")

INBOX, STREAM = "teamroom://inbox", "teamroom://stream"

IsTold = Callable[[], Awaitable[bool]]
"""Waits until a listener was told of its inbox, or is told of it no more; returns which."""


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[RunningRoom]:
    """A room with an agent, where nothing is written or held back but what a test asks for."""
    async with agents_room(tmp_path) as room:
        yield room


@contextlib.asynccontextmanager
async def agents_room(tmp_path: Path) -> AsyncIterator[RunningRoom]:
    settings = {"push_seconds": 0.0, "presence_write_seconds": 60.0}
    async with running_room(tmp_path / "room", **settings) as room:
        (agent,) = await room.enroll("agent")
        await agent("check_in")
        yield room


# ------------------------------------------------------------------ the ways to listen


@contextlib.asynccontextmanager
async def long_poll(room: RunningRoom, name: str | None = None) -> AsyncIterator[IsTold]:
    async with room.client(room.tokens["agent"]) as client:
        call = asyncio.create_task(Member("agent", client)("wait_for_wake", listener=name))

        async def is_told() -> bool:
            waited = await asyncio.wait_for(asyncio.shield(call), BOUND_SECONDS)
            assert waited["superseded"] == (not waited["wakes"])
            return not waited["superseded"]

        yield is_told
        call.cancel()


@contextlib.asynccontextmanager
async def named_long_poll(room: RunningRoom) -> AsyncIterator[IsTold]:
    async with long_poll(room, begins_now(room)) as is_told:
        yield is_told


@contextlib.asynccontextmanager
async def stream(room: RunningRoom) -> AsyncIterator[IsTold]:
    async with listening(room, "agent", INBOX, era="auto") as told:

        async def is_told() -> bool:
            async with asyncio.timeout(BOUND_SECONDS):
                while told.addresses.empty() and not told.ended.done():
                    await anyio.lowlevel.checkpoint()
            return not told.addresses.empty()

        yield is_told


@contextlib.asynccontextmanager
async def subscription(room: RunningRoom) -> AsyncIterator[IsTold]:
    async with listening(room, "agent", INBOX, STREAM, era="legacy") as told:

        async def is_told() -> bool:
            return INBOX in await until_told_of_the_stream(told)

        yield is_told


async def until_told_of_the_stream(told: Told) -> list[str]:
    """What an older session was told up to the next change of the stream; the inbox is told before it."""
    addresses = [await told.next()]
    while addresses[-1] != STREAM:
        addresses.append(await told.next())
    return addresses


def begins_now(room: RunningRoom) -> str:
    """The name of a listener that begins now."""
    room.time.forward(0.002)
    return f"{int(room.time() * 1000)}-0"


WAYS: dict[str, Callable[[RunningRoom], contextlib.AbstractAsyncContextManager[IsTold]]] = {
    "long poll": long_poll,
    "named long poll": named_long_poll,
    "stream": stream,
    "subscription": subscription,
}


def stored(room: RunningRoom) -> Any:
    """The agent's listener as any server of the room sees it."""
    member = room.look_up(lambda tx: tx.only(MemberRow, "member_by_name", name="agent")).id
    return room.look_up(lambda tx: tx.one(ListenerRow, "listener", member=member))


async def caller_of(room: RunningRoom, name: str = "agent") -> Caller:
    return await room.room.door.identify(room.owner_token if name == "olga" else room.tokens[name])


async def wake(room: RunningRoom) -> None:
    """Wake the agent, without a client that would have to outlive those of the test."""
    await room.room.door.act(await caller_of(room, "olga"), POST_MESSAGE, PostMessage(text="hello", to=["agent"]))


async def until_fence(room: RunningRoom, fence: int) -> None:
    """Wait until the agent's listener has changed hands so many times."""
    async with asyncio.timeout(BOUND_SECONDS):
        while (row := stored(room)) is None or row.fence < fence:
            await anyio.lowlevel.checkpoint()
    assert row.fence == fence


async def told_of_a_wake(room: RunningRoom, first: str, second: str) -> tuple[bool, bool]:
    """Whether the first and the second of two listeners are told of a wake that comes once both have begun."""
    async with WAYS[first](room) as is_first_told:
        await until_fence(room, 1)
        async with WAYS[second](room) as is_second_told:
            await until_fence(room, 2)
            await wake(room)
            return await is_first_told(), await is_second_told()


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
async def test_the_newer_of_two_listeners_is_live_and_the_older_is_superseded(
    room: RunningRoom, first: str, second: str
) -> None:
    assert await told_of_a_wake(room, first, second) == (False, True)
    mechanism = second.removeprefix("named ")
    row = stored(room)
    assert (row.fence, row.mechanism, row.server) == (2, mechanism, "only")
    assert (row.listener is not None) == (second == "named long poll")


class OneForEachMechanism(Listeners):
    """The twin: a registry for each mechanism, none of which knows of the others."""

    def __init__(self, *parts: Any) -> None:
        self._of: dict[Mechanism, Listeners] = {}
        for mechanism in ("long poll", "stream", "subscription"):
            self._of[mechanism] = Listeners(*parts)

    async def join(self, caller: Caller, mechanism: Mechanism, *rest: Any) -> Listening:
        return await self._of[mechanism].join(caller, mechanism, *rest)

    def leave(self, mine: Listening, is_answered: bool = False) -> None:
        self._of[mine.mechanism].leave(mine, is_answered)

    async def is_live(self, mine: Listening) -> bool:
        return not mine.superseded

    def listens(self, member: int) -> bool:
        return any(registry.listens(member) for registry in self._of.values())


@pytest.mark.parametrize(("first", "second"), [("stream", "long poll"), ("long poll", "subscription")])
async def test_with_a_registry_for_each_mechanism_both_listeners_would_get_the_wake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    monkeypatch.setattr("teamroom.server.app.Listeners", OneForEachMechanism)
    async with agents_room(tmp_path) as room:
        assert await told_of_a_wake(room, first, second) == (True, True)


@pytest.mark.parametrize("newer", ["long poll", "stream", "subscription"])
async def test_a_named_listener_that_was_superseded_takes_nothing_back_while_the_newer_one_waits(
    room: RunningRoom, newer: str
) -> None:
    agent, name = await room.connect("agent"), begins_now(room)
    async with long_poll(room, name) as is_told:
        await until_fence(room, 1)
        async with WAYS[newer](room) as is_newer_told:
            await until_fence(room, 2)
            assert not await is_told()
            assert (await agent("wait_for_wake", listener=name))["superseded"]
            assert stored(room).fence == 2
            await wake(room)
            assert await is_newer_told()
    assert (await agent("wait_for_wake", listener=name, timeout_seconds=0))["wakes"], "the newer one is gone"


# ------------------------------------------------------------------ what is one listener


async def test_a_wait_in_the_session_that_subscribed_is_the_same_listener(tmp_path: Path) -> None:
    """A client of an older protocol that follows its inbox for its page, and whose model waits, is one listener."""
    async with agents_room(tmp_path) as room, subscription_and_wait(room) as (told, call):
        await wake(room)
        assert (await asyncio.wait_for(call, BOUND_SECONDS))["wakes"]
        assert INBOX in await until_told_of_the_stream(told)
        assert (stored(room).fence, stored(room).mechanism) == (1, "subscription")


async def test_another_listener_supersedes_both_the_wait_and_the_subscription_of_a_session(tmp_path: Path) -> None:
    async with agents_room(tmp_path) as room, subscription_and_wait(room) as (told, call), long_poll(room) as is_told:
        assert (await asyncio.wait_for(call, BOUND_SECONDS))["superseded"]
        await until_fence(room, 2)
        await wake(room)
        assert await is_told()
        assert await until_told_of_the_stream(told) == [STREAM]


@contextlib.asynccontextmanager
async def subscription_and_wait(room: RunningRoom) -> AsyncIterator[tuple[Told, asyncio.Task[dict[str, Any]]]]:
    """An older session that follows its inbox and the stream, and waits."""
    async with listening(room, "agent", INBOX, STREAM, era="legacy") as told:
        call = asyncio.create_task(Member("agent", told.client)("wait_for_wake"))
        await room.until_waiting()
        yield told, call
        call.cancel()


async def test_a_session_that_was_superseded_listens_again_once_it_subscribes_again(room: RunningRoom) -> None:
    async with listening(room, "agent", INBOX, era="legacy") as told:
        await until_fence(room, 1)
        async with stream(room) as is_told:
            await until_fence(room, 2)
            await subscribe(told.client, INBOX)
            await until_fence(room, 3)
            assert not await is_told()
        await wake(room)
        assert await told.next() == INBOX


async def test_a_stream_on_other_addresses_is_not_a_listener(room: RunningRoom) -> None:
    async with long_poll(room) as is_told:
        await until_fence(room, 1)
        async with listening(room, "agent", STREAM, "teamroom://me", era="auto"):
            await wake(room)
            assert await is_told()
    assert stored(room).fence == 1


async def test_a_call_and_a_stream_with_the_same_name_are_one_listener(room: RunningRoom) -> None:
    listeners, caller, name = room.room.listeners, await caller_of(room), begins_now(room)
    first = await listeners.join(caller, "stream", Origin(name), never)
    second = await listeners.join(caller, "long poll", Origin(name), never)
    assert [await listeners.is_live(one) for one in (first, second)] == [True, True]
    assert stored(room).fence == 1


async def test_a_second_call_of_the_same_listener_ends_its_first_and_is_not_a_take_over(room: RunningRoom) -> None:
    listeners, caller, name, ended = room.room.listeners, await caller_of(room), begins_now(room), list[int]()
    calls = [await listeners.join(caller, "long poll", Origin(name), lambda n=n: ended.append(n)) for n in range(6)]  # type: ignore[misc]
    assert ended == [0, 1, 2, 3, 4]
    assert await listeners.is_live(calls[-1])
    assert stored(room).fence == 1
    assert alarms(room) == 0


async def test_people_can_listen_in_many_places_without_take_overs(room: RunningRoom) -> None:
    caller = await caller_of(room, "olga")
    calls = [await room.room.listeners.join(caller, way, Origin(), never) for way in ("stream", "long poll", "stream")]
    assert [await room.room.listeners.is_live(call) for call in calls] == [True, True, True]
    assert room.look_up(lambda tx: tx.one(ListenerRow, "listener", member=caller.member)) is None


def never() -> None:
    """What a listener runs that must not be superseded."""
    raise AssertionError("it was superseded")


def perhaps() -> None:
    """What a listener runs that may be superseded."""


# ------------------------------------------------------------------ take-overs


async def test_take_overs_are_counted_for_every_mechanism(room: RunningRoom) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for count, way in enumerate((long_poll, stream, subscription, named_long_poll, stream)):
            await stack.enter_async_context(way(room))
            await until_fence(room, count + 1)
            assert alarms(room) == (1 if count > 3 else 0)


async def test_a_listener_that_starts_after_another_has_left_supersedes_nothing(room: RunningRoom) -> None:
    for count in range(6):
        async with (stream, subscription)[count % 2](room):
            await until_fence(room, count + 1)
        await until(lambda: not room.room.push.count)
    assert alarms(room) == 0


def alarms(room: RunningRoom) -> int:
    """How often the agent's owner was told that its listeners fight."""
    return sum("supersede each other" in entry["summary"] for entry in room.entries())


# ------------------------------------------------------------------ the fence, and what is written


@pytest.mark.parametrize("name", [None, "1764000000000-0"])
async def test_a_repeated_poll_writes_nothing(room: RunningRoom, name: str | None) -> None:
    agent = await room.connect("agent")

    async def poll() -> None:
        assert not (await agent("wait_for_wake", listener=name, timeout_seconds=0))["superseded"]

    await poll()
    before = room.room.store.commits, len(room.entries()), tuple(stored(room))
    for _ in range(5):
        await poll()
    assert (room.room.store.commits, len(room.entries()), tuple(stored(room))) == before


async def test_a_repeated_poll_costs_one_small_read(room: RunningRoom) -> None:
    counting = CountingStore(room)
    parts = room.room.door, room.room.bus, registry(room, "only", counting), room.room.settings
    reads = list[int]()
    for _ in range(4):
        before = counting.reads
        await Waiting(*parts).wait_for_wake(await caller_of(room), WaitForWake(timeout_seconds=0), Origin())
        reads.append(counting.reads - before)
    assert reads == [1, 1, 1, 1]


class CountingStore:
    """Counts the reads of the registry."""

    def __init__(self, room: RunningRoom) -> None:
        self._store = room.room.store
        self.reads = 0

    async def look_up(self, work: Any) -> Any:
        self.reads += 1
        return await self._store.look_up(work)


async def test_a_listener_that_calls_again_after_the_server_started_again_writes_nothing(room: RunningRoom) -> None:
    agent, caller = await room.connect("agent"), await caller_of(room)
    await agent("wait_for_wake", timeout_seconds=0)
    commits = room.room.store.commits
    started_again = registry(room, "only")
    await started_again.join(caller, "long poll", Origin(), never)
    assert room.room.store.commits == commits


async def test_an_agent_can_listen_even_if_nothing_can_be_written(room: RunningRoom) -> None:
    caller, full = await caller_of(room), FullDoor()
    listeners = Listeners(full, room.room.store, room.time, room.time.steady, room.room.settings)  # type: ignore[arg-type]
    first = await listeners.join(caller, "stream", Origin(), perhaps)
    second = await listeners.join(caller, "long poll", Origin(), never)
    assert (await listeners.is_live(first), await listeners.is_live(second)) == (False, True)
    assert full.tries == 2


class FullDoor:
    """The door of a room whose disk is full."""

    tries = 0

    async def act_for(self, caller: Any, read: Any, work: Any) -> Any:
        self.tries += 1
        raise Refusal("storage", "The room's disk is full.", "Call again later.")


# ------------------------------------------------------------------ the switch


@promise("CTL1")
@pytest.mark.parametrize("stop", ["pause", "kill"])
async def test_a_stopped_agent_that_begins_to_listen_writes_nothing(room: RunningRoom, stop: str) -> None:
    assert await listens_after(room, stop) == (None, 0)


@promise("CTL1")
async def test_a_registry_that_ignores_the_switch_would_write(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "act_for", lambda self, caller, read, work: self.act_as_room(work))
    fence, alarmed = await listens_after(room, "pause")
    assert (fence, alarmed) == (6, 1)


async def listens_after(room: RunningRoom, stop: str) -> tuple[int | None, int]:
    """Six listeners that were let in just before a stop begin after it; returns the stored fence, and the alarms."""
    caller = await caller_of(room)
    await (await room.owner())(stop, target="agent", reason="a look")
    for number in range(6):
        await room.room.listeners.join(caller, "stream" if number % 2 else "long poll", Origin(), perhaps)
    row = room.look_up(lambda tx: tx.one(ListenerRow, "listener", member=caller.member))
    return None if row is None else row.fence, alarms(room)


# ------------------------------------------------------------------ a second server


def registry(room: RunningRoom, server: str, store: Any = None) -> Listeners:
    """The registry of another server of the same room."""
    parts = room.room.door, store or room.room.store, room.time, room.time.steady, room.room.settings
    return Listeners(*parts, server=server)


@pytest.mark.parametrize("way", WAYS)
async def test_a_listener_on_a_second_server_supersedes_one_on_the_first(room: RunningRoom, way: str) -> None:
    second = registry(room, "second")
    async with WAYS[way](room) as is_told:
        await until_fence(room, 1)
        mine = await second.join(await caller_of(room), "stream", Origin(), never)
        assert (stored(room).fence, stored(room).server) == (2, "second")
        await wake(room)
        assert not await is_told()
        assert await second.is_live(mine)


async def test_a_listener_on_the_first_server_takes_the_place_back(room: RunningRoom) -> None:
    second, ended = registry(room, "second"), list[str]()
    agent = await room.connect("agent")
    mine = await second.join(await caller_of(room), "long poll", Origin(), lambda: ended.append("second"))
    await agent("wait_for_wake", timeout_seconds=0)
    assert (stored(room).fence, stored(room).server) == (2, "only")
    assert not await second.is_live(mine)
    assert (mine.superseded, ended) == (True, ["second"])


@pytest.mark.parametrize("first_is_newer", [True, False])
async def test_the_newest_named_listener_on_two_servers_is_live(room: RunningRoom, first_is_newer: bool) -> None:
    older, newer = begins_now(room), begins_now(room)
    second, caller = registry(room, "second"), await caller_of(room)
    async with long_poll(room, newer if first_is_newer else older):
        await until_fence(room, 1)
        mine = await second.join(caller, "stream", Origin(older if first_is_newer else newer), perhaps)
        assert await second.is_live(mine) == (not first_is_newer)
        assert stored(room).fence == (1 if first_is_newer else 2)


async def test_take_overs_between_servers_are_counted_where_the_older_one_was_live(room: RunningRoom) -> None:
    first, second, caller = registry(room, "first"), registry(room, "second"), await caller_of(room)
    for count in range(5):
        assert alarms(room) == (1 if count > 3 else 0)
        older = await first.join(caller, "stream", Origin(), perhaps)
        newer = await second.join(caller, "stream", Origin(), perhaps)
        assert not await first.is_live(older)
        second.leave(newer)
