"""Push: idle clients of both protocol eras are told that something changed, if they may know (SAF1, CTL4)."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from teamroom.resources.listen import FOLLOWED
from teamroom.resources.room import RESOURCES
from teamroom.server.settings import Settings
from teamroom.server.wake.push import SLICES, Push
from tests.support.bounds import BOUND_SECONDS
from tests.support.eventually import until
from tests.support.listeners import Told, listening, subscribe, unsubscribe
from tests.support.promises import house, promise
from tests.support.rooms import ERAS, RunningRoom, running_room

pytestmark = house

FAST = {"push_seconds": 0.0}


@pytest.fixture
async def room(tmp_path: Any) -> AsyncIterator[RunningRoom]:
    """A running room whose members follow what changes, so they have the SDK's client."""
    async with running_room(tmp_path / "room", with_sdk=True) as running:
        yield running


@pytest.fixture(params=ERAS)
async def fast(tmp_path: Any, request: pytest.FixtureRequest) -> Any:
    """A room whose listeners are told of every change, its clients once of each era."""
    async with running_room(tmp_path / "room", era=request.param, with_sdk=True, **FAST) as room:
        yield room


# ------------------------------------------------------------------ what is told


async def test_a_listener_on_the_inbox_gets_a_push_for_new_wakes(fast: RunningRoom) -> None:
    owner = await fast.owner()
    await fast.enroll("builder", "other")
    async with listening(fast, "builder", "teamroom://inbox") as builder:
        await owner("post_message", text="@other for you")
        await owner("post_message", text="@builder for you")
        await builder.all("teamroom://inbox")
        await owner("post_message", text="@builder and another")
        await builder.all("teamroom://inbox")


EVERYTHING = (
    "teamroom://me",
    "teamroom://inbox",
    "teamroom://stream",
    "teamroom://board",
    "teamroom://tasks/T-1",
    "teamroom://tasks/T-2",
    "teamroom://roster",
    "teamroom://members/builder",
    "teamroom://members/other",
    "teamroom://policy",
    "teamroom://plants",
)

TOLD: list[tuple[str, str, dict[str, Any], str]] = [
    ("olga", "post_message", {"text": "to nobody"}, "stream"),
    ("olga", "post_message", {"text": "@builder to one"}, "stream inbox"),
    ("olga", "create_task", {"title": "a third"}, "stream board"),
    ("olga", "create_task", {"title": "a fourth", "assign": "builder"}, "stream board inbox me"),
    ("builder", "claim_task", {"task": "T-1"}, "stream board tasks/T-1 me"),
    ("other", "claim_task", {"task": "T-2"}, "stream board tasks/T-2"),
    ("olga", "pause", {"target": "other", "reason": "x"}, "stream roster members/other"),
    ("olga", "kill", {"target": "other", "reason": "x"}, "stream roster members/other"),
    ("olga", "enroll", {"name": "third"}, "stream roster"),
    ("other", "declare_capabilities", {"capabilities": ["tool:git"]}, "stream roster members/other"),
    ("builder", "check_in", {"mode": "live"}, "stream roster members/builder me"),
    ("olga", "set_policy", {"name": "wip_cap", "value": "3"}, "stream policy"),
    ("olga", "heartbeat", {}, ""),
    ("builder", "read_board", {}, ""),
]


@pytest.mark.parametrize(("who", "act", "arguments", "expected"), TOLD, ids=lambda value: str(value)[:40])
async def test_each_act_publishes_what_it_changed_and_nothing_else(
    tmp_path: Any, who: str, act: str, arguments: dict[str, Any], expected: str
) -> None:
    async with running_room(tmp_path / "room", with_sdk=True, **FAST) as room:
        owner = await room.owner()
        builder, other = await room.enroll("builder", "other")
        members = {"olga": owner, "builder": builder, "other": other}
        for title in ("first", "second"):
            await owner("create_task", title=title)
        async with listening(room, "builder", *EVERYTHING) as told:
            await members[who](act, **arguments)
            await told.all(*(f"teamroom://{path}" for path in expected.split()))
            await owner("post_message", text="@builder the end")
            await told.all("teamroom://stream", "teamroom://inbox")


async def test_changes_while_a_listener_rests_are_pushed_once(tmp_path: Any) -> None:
    async with running_room(tmp_path / "room", push_seconds=0.3) as room:
        owner = await room.owner()
        await room.enroll("builder")
        async with listening(room, "builder", "teamroom://stream", "teamroom://inbox") as builder:
            began = time.monotonic()
            for number in range(20):
                await owner("post_message", text=f"{number}")
            await owner("post_message", text="@builder that was the last")
            told = []
            while "teamroom://inbox" not in told:
                told.append(await builder.next())
            rests = (time.monotonic() - began) / room.room.settings.push_seconds
            assert told.count("teamroom://stream") <= rests + 1


async def test_a_change_of_role_notifies_the_member_that_its_tools_changed(tmp_path: Any) -> None:
    async with running_room(tmp_path / "room", with_sdk=True, **FAST) as room:
        owner = await room.owner()
        builder, _ = await room.enroll("builder", "other")
        async with builder.client.listen(tools_list_changed=True, prompts_list_changed=True) as stream:
            assert stream.honored.tools_list_changed
            assert not stream.honored.prompts_list_changed
            await owner("enroll", name="other", role="operator", label="second")
            await owner("enroll", name="builder", role="operator", label="second")
            event = await asyncio.wait_for(anext(aiter(stream)), BOUND_SECONDS)
            assert type(event).__name__ == "ToolsListChanged"


async def test_the_announced_push_capabilities_are_the_real_ones(room_of_each_era: RunningRoom) -> None:
    owner = await room_of_each_era.owner()
    capabilities: Any = owner.client.server_capabilities
    assert capabilities.resources.subscribe
    assert not capabilities.resources.list_changed
    assert bool(capabilities.tools.list_changed) == (room_of_each_era.era == "auto")


# ------------------------------------------------------------------ who may know


@promise("SAF1")
async def test_addresses_that_lead_nowhere_or_never_change_are_left_out(room: RunningRoom) -> None:
    await room.owner()
    (builder,) = await room.enroll("builder")
    unknown = ["teamroom://inbox/olga", "teamroom://tasks/T-9", "teamroom://messages/M-1", "file:///etc/passwd"]
    async with builder.client.listen(resource_subscriptions=[*unknown, "teamroom://inbox"]) as stream:
        assert stream.honored.resource_subscriptions == ["teamroom://inbox"]
    with pytest.raises(MCPError, match="no resource"):
        async with builder.client.listen(resource_subscriptions=unknown):
            pass
    assert room.room.push.count == 0


@promise("SAF1")
@pytest.mark.parametrize("uri", ["teamroom://inbox/olga", "teamroom://tasks/T-9", "teamroom://receipts/1"])
async def test_an_older_client_is_refused_what_it_may_not_follow(tmp_path: Any, uri: str) -> None:
    async with running_room(tmp_path / "room", era="legacy") as room:
        (builder,) = await room.enroll("builder")
        with pytest.raises(MCPError, match=r"not_found|invalid"):
            await subscribe(builder.client, uri)
        assert room.room.push.count == 0


async def test_too_many_subscriptions_are_refused(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    many = [f"teamroom://stream/{number}" for number in range(FOLLOWED + 1)]
    with pytest.raises(MCPError, match="too_large"):
        async with builder.client.listen(resource_subscriptions=many):
            pass


async def test_an_older_session_that_follows_too_much_is_refused(tmp_path: Any) -> None:
    async with running_room(tmp_path / "room", era="legacy") as room:
        (builder,) = await room.enroll("builder")
        for number in range(FOLLOWED):
            await subscribe(builder.client, f"teamroom://stream/{number}")
        with pytest.raises(MCPError, match="too_large"):
            await subscribe(builder.client, "teamroom://inbox")
        await unsubscribe(builder.client, "teamroom://stream/0")
        await subscribe(builder.client, "teamroom://inbox")
        assert room.room.push.count == 1


@promise("SAF1")
async def test_a_token_that_has_expired_gets_no_further_frame(tmp_path: Any) -> None:
    async with running_room(tmp_path / "room", with_sdk=True, **FAST) as room:
        owner = await room.owner()
        await room.enroll("builder", expires_seconds=60)
        async with listening(room, "builder", "teamroom://stream") as builder:
            room.time.forward(61)
            await owner("post_message", text="secret")
            assert await builder.end() is not None
            builder.nothing()


@promise("SAF1")
async def test_without_the_check_of_each_frame_an_expired_token_would_get_one(tmp_path: Any) -> None:
    """The twin: a token is checked when its stream opens, and by nothing else afterwards."""

    async def unchecked(caller: Any, read: Any) -> None:
        """Let every frame pass."""

    async with running_room(tmp_path / "room", with_sdk=True, **FAST) as room:
        owner = await room.owner()
        await room.enroll("builder", expires_seconds=60)
        async with listening(room, "builder", "teamroom://stream") as builder:
            room.room.door.check = unchecked  # type: ignore[method-assign]
            room.time.forward(61)
            await owner("post_message", text="secret")
            assert await builder.next() == "teamroom://stream"


@promise("SAF1")
async def test_an_older_session_whose_token_has_expired_gets_no_pushes(tmp_path: Any) -> None:
    async with running_room(tmp_path / "room", era="legacy", **FAST) as room:
        owner = await room.owner()
        await room.enroll("builder", expires_seconds=60)
        async with listening(room, "builder", "teamroom://stream") as builder:
            room.time.forward(61)
            await owner("post_message", text="secret")
            await until_none_listens(room)
            builder.nothing()


async def until_none_listens(room: RunningRoom) -> None:
    await until(lambda: not room.room.push.count)


STOPS = [
    ("pause", {"target": "builder", "reason": "test"}),
    ("pause", {"target": "owner:olga", "reason": "test"}),
    ("pause", {"target": "room", "reason": "test"}),
    ("kill", {"target": "builder", "reason": "test"}),
    ("revoke", {"name": "builder"}),
]


@promise("CTL4")
@pytest.mark.parametrize(("act", "arguments"), STOPS, ids=lambda value: str(value)[:40])
async def test_a_stop_ends_the_stream_and_says_why(tmp_path: Any, act: str, arguments: dict[str, Any]) -> None:
    async with running_room(tmp_path / "room", with_sdk=True, **FAST) as room:
        owner = await room.owner()
        await room.enroll("builder")
        async with listening(room, "builder", "teamroom://stream", "teamroom://me") as builder:
            start = asyncio.get_running_loop().time()
            await owner(act, **arguments)
            error = await builder.end()
            assert asyncio.get_running_loop().time() - start < 2
            assert error is not None
            if act != "revoke":
                assert str(error.__cause__).startswith("Refused (killed)" if act == "kill" else "Refused (paused)")
            await until_none_listens(room)


@promise("CTL4")
async def test_a_paused_member_opens_no_stream(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("pause", target="builder", reason="test")

    async def listen() -> None:
        async with builder.client.listen(resource_subscriptions=["teamroom://inbox"]):
            pass

    with pytest.raises(MCPError, match="paused"):
        await (listen() if room.era == "auto" else subscribe(builder.client, "teamroom://inbox"))
    assert room.room.push.count == 0


async def test_an_older_session_continues_after_a_pause(tmp_path: Any) -> None:
    async with running_room(tmp_path / "room", era="legacy", **FAST) as room:
        owner = await room.owner()
        await room.enroll("builder")
        async with listening(room, "builder", "teamroom://inbox") as builder:
            await owner("pause", target="builder", reason="test")
            await owner("post_message", text="@builder while you are paused")
            builder.opened.clear()
            builder.nothing()
            await owner("resume", target="builder", reason="test")
            assert room.room.push.count == 1
            await builder.open()
            await owner("post_message", text="@builder welcome back")
            assert await builder.next() == "teamroom://inbox"


# ------------------------------------------------------------------ opening and ending


async def test_a_follower_that_leaves_is_forgotten(fast: RunningRoom) -> None:
    await fast.owner()
    await fast.enroll("builder")
    push = fast.room.push
    async with listening(fast, "builder", "teamroom://inbox", "teamroom://stream"):
        assert push.count == 1
        assert len(push.followers("stream")) == 1
        assert not push.is_empty
    await until_none_listens(fast)
    assert push.is_empty


async def test_a_room_that_stops_ends_its_streams_properly(tmp_path: Any) -> None:
    async with running_room(tmp_path / "room", with_sdk=True) as room:
        (builder,) = await room.enroll("builder")
        async with builder.client.listen(resource_subscriptions=["teamroom://inbox"]) as stream:
            room.room.push.stop()
            with pytest.raises(StopAsyncIteration):
                await asyncio.wait_for(anext(aiter(stream)), BOUND_SECONDS)


async def test_the_sdk_keeps_what_we_take_of_an_older_clients_connection() -> None:
    """The private attribute that `transports.session_of` reads, and what is used of it."""
    from mcp.server.connection import Connection
    from mcp.server.session import ServerSession

    assert "_connection" in ServerSession.__init__.__code__.co_names
    connection = Connection.for_loop(None)  # type: ignore[arg-type]
    assert connection.exit_stack.callback
    assert hash(connection)


# ------------------------------------------------------------------ turns


@pytest.fixture
def push() -> Push:
    return Push(Settings(listeners=1000, open_calls=1000, push_seconds=0))


async def test_a_thousand_listeners_take_turns(push: Push) -> None:
    """A change that all follow is told a few at a time, so that the event loop goes on in between."""
    listeners = [push.join(1) for _ in range(1000)]
    for listener in listeners:
        push.follow(listener, ["stream"])
    told: list[int] = []
    rounds: list[int] = []

    async def listen(number: int) -> None:
        assert await push.due(listeners[number]) == {"stream"}
        told.append(number)

    listening = [asyncio.create_task(listen(number)) for number in range(1000)]
    await asyncio.sleep(0)
    push.changed({"stream", "board"})
    while len(told) < 1000:
        before = len(told)
        await asyncio.sleep(0)
        rounds.append(len(told) - before)
    assert max(rounds) <= 1000 // SLICES
    assert sorted(told) == list(range(1000))
    await asyncio.gather(*listening)


async def test_a_change_during_a_turn_is_reported_in_the_next(push: Push) -> None:
    listener = push.join(1)
    push.follow(listener, ["stream", "board"])
    push.changed({"stream"})
    assert await push.due(listener) == {"stream"}
    push.changed({"stream", "board"})
    push.changed({"board", "roster"})
    assert await push.due(listener) == {"stream", "board"}
    push.leave(listener)


def test_every_address_that_may_be_followed_says_what_changes_it() -> None:
    """Those without are what was said once and for all, and signs of life, which change all the time."""
    fixed = {r.path for r in RESOURCES if r.topics is None}
    assert fixed == {"messages/{id}", "receipts/{seq}", "health"}
    assert all(not dataclasses.replace(r).pushed_by.while_paused for r in RESOURCES)
    assert Told
