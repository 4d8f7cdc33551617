"""`teamroom.client.Room`: an agent's program calls tools and works on its wakes, through pauses, up to a kill."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from teamroom.client import Failure, Killed, Refused, Room, Superseded
from teamroom.clients.session.failure import NOT_AUTHORISED, SUPERSEDED, USAGE
from teamroom.clients.session.listening import ListeningRoom, new_listener
from teamroom.clients.session.place import MEMBERS
from teamroom.clients.session.wakes import STALE_TIMES, Listening, Work
from tests.support.bounds import BOUND_SECONDS
from tests.support.eventually import until
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom
from tests.support.shells import token_file

pytestmark = promise("PRS5")


class Agent:
    """An agent that a test enrolled, and the events that its client reports."""

    def __init__(self, running: RunningRoom, name: str, token: str) -> None:
        self.running, self.name, self.token = running, name, token
        self.events: list[str] = []

    def room(self, **options: Any) -> Room:
        """A client of the agent."""
        return Room(self.running.url, self.token, tell=self.tell, paused_seconds=0.01, **options)

    def tell(self, event: str, *_: object, **__: object) -> None:
        """Note what happens."""
        self.events.append(event)

    async def until(self, event: str) -> None:
        """Wait until the client reports an event."""
        await until(lambda: event in self.events)


@pytest.fixture
async def owner(room: RunningRoom) -> Member:
    return await room.owner()


@pytest.fixture
async def agent(room: RunningRoom) -> Agent:
    await room.enroll("builder")
    return Agent(room, "builder", room.tokens["builder"])


async def wake(owner: Member, text: str) -> str:
    """Wake the agent; returns the id of the message."""
    return str((await owner("post_message", text=text, to=["builder"]))["message"])


async def subjects(wakes: AsyncGenerator[Any], count: int) -> list[str]:
    """What the next wakes are about."""
    found = [(await anext(wakes))["subject"] for _ in range(count)]
    await wakes.aclose()
    return found


# ------------------------------------------------------------------ wakes


@promise("WAK1")
async def test_each_wake_is_yielded_once_and_acknowledged_when_the_next_one_is_asked_for(
    agent: Agent, owner: Member
) -> None:
    first, second = await wake(owner, "one"), await wake(owner, "two")
    async with agent.room() as room, aclosing(room.listen()) as wakes:
        assert (await anext(wakes))["subject"] == first
        assert [one["subject"] for one in (await room.read("teamroom://inbox"))["wakes"]] == [first, second]
        assert (await anext(wakes))["subject"] == second
        assert [one["subject"] for one in (await room.read("teamroom://inbox"))["wakes"]] == [second]
        third = await wake(owner, "three")
        assert (await anext(wakes))["subject"] == third


@promise("WAK2")
async def test_a_program_that_ends_during_a_wake_gets_this_one_again_and_no_earlier_one(
    agent: Agent, owner: Member
) -> None:
    first, second, third = [await wake(owner, text) for text in ("one", "two", "three")]
    async with agent.room() as room:
        assert await subjects(room.listen(), 2) == [first, second]
    async with agent.room() as room:
        assert await subjects(room.listen(), 2) == [second, third]


async def test_a_program_that_acknowledges_before_it_works_loses_its_wake(agent: Agent, owner: Member) -> None:
    """The twin of the test above."""
    first, second = [await wake(owner, text) for text in ("one", "two")]
    async with agent.room() as room, aclosing(room.listen()) as wakes:
        await room.check_in(after=(await anext(wakes))["seq"])
    async with agent.room() as room:
        assert await subjects(room.listen(), 1) == [second] != [first]


async def test_the_error_of_a_loop_comes_through_as_it_is_and_leaves_the_wake_for_the_next_program(
    agent: Agent, owner: Member
) -> None:
    message = await wake(owner, "one")

    async def live() -> None:
        async with agent.room() as room:
            async for _ in room.listen():
                _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        await live()
    async with agent.room() as room:
        assert await subjects(room.listen(), 1) == [message]


@promise("WAK1")
async def test_the_sender_sees_when_the_program_was_given_a_wake_and_acted_on_it(agent: Agent, owner: Member) -> None:
    message = await wake(owner, "one")
    async with agent.room() as room, aclosing(room.listen()) as wakes:
        await anext(wakes)
        await room.create_task(title="look")
        await wake(owner, "two")
        await anext(wakes)
        assert (await owner("who", name="builder"))["members"][0]["wake_verified"]
    (found,) = (await owner("read_messages", ids=[message]))["messages"]
    (steps,) = found["wakes"]
    assert steps["notified"] <= steps["woken"] <= steps["acted"]


@promise("PRS2")
async def test_the_room_is_told_of_work_that_takes_longer_and_of_its_end(agent: Agent, owner: Member) -> None:
    await wake(owner, "one")

    async def until_run(is_on: bool) -> None:
        while ((await owner("who", name="builder"))["members"][0]["run"] is not None) is not is_on:
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(BOUND_SECONDS):
        async with agent.room() as room:
            async for _ in room.listen():
                await until_run(True)
                break
            await room.heartbeat()
        async with agent.room() as room, anyio.create_task_group() as tasks:
            tasks.start_soon(subjects, room.listen(), 2)
            await agent.running.until_waiting()
            await until_run(False)
            await wake(owner, "two")


def test_work_moves_when_the_program_calls_the_room_or_uses_the_processor() -> None:
    time, calls, cpu = [0.0], [0], [0.0]
    work = Work(lambda: calls[0], lambda: time[0], lambda: cpu[0])

    def moved_ago(seconds: float, called: int = 0, used: float = 0.0) -> float:
        time[0], calls[0], cpu[0] = time[0] + seconds, calls[0] + called, cpu[0] + used
        return anyio.run(work.look)["moved_seconds_ago"]

    assert moved_ago(10) == 10
    assert moved_ago(10, called=1) == 0
    assert moved_ago(10, used=0.05) == 10, "what waiting costs is no movement"
    assert moved_ago(10, used=5.0) == 0
    assert anyio.run(work.look) == {"began_seconds_ago": 40, "moved_seconds_ago": 0}


async def test_a_newer_listener_lets_the_older_one_finish_its_wake_and_then_ends_it(
    agent: Agent, owner: Member
) -> None:
    first = await wake(owner, "one")
    with anyio.fail_after(BOUND_SECONDS):
        async with agent.room() as older, agent.room() as newer:
            wakes = older.listen()
            assert (await anext(wakes))["subject"] == first
            later = newer.listen()
            assert (await anext(later))["subject"] == first, "it is not acknowledged yet"
            with pytest.raises(Superseded, match="A newer listener of @builder superseded this one") as raised:
                await anext(wakes)
            assert raised.value.exit_code == SUPERSEDED == 0
            second = await wake(owner, "two")
            assert (await anext(later))["subject"] == second
            await later.aclose()


async def test_a_cursor_that_the_room_does_not_know_begins_the_loop_again_a_bounded_number_of_times(
    agent: Agent, owner: Member
) -> None:
    message = await wake(owner, "one")
    room = ListeningRoom(agent.running.url, agent.token, new_listener())
    async with anyio.create_task_group() as tasks:
        listening = Listening(room, tasks, lambda: 0)
        for _ in range(STALE_TIMES):
            assert [one["subject"] for one in (await listening.wait(10**9)).wakes] == [message]
        with pytest.raises(Refused, match="ahead of the room's log"):
            await listening.wait(10**9)


async def test_a_room_that_is_not_open_says_how_to_open_it(agent: Agent) -> None:
    with pytest.raises(Failure, match="not open") as raised:
        agent.room().listen()
    assert raised.value.exit_code == USAGE
    assert "async with" in raised.value.fix


# ------------------------------------------------------------------ stops


@promise("CTL3", "CTL4")
@pytest.mark.parametrize("during", ["a wait", "the work on a wake", "a call"])
async def test_a_kill_ends_the_program_at_once_and_says_who_and_why(agent: Agent, owner: Member, during: str) -> None:
    is_busy = anyio.Event()

    async def live() -> None:
        async with agent.room() as room:
            if during == "a call":
                is_busy.set()
                while True:
                    await room.heartbeat()
            async for _ in room.listen():
                is_busy.set()
                await anyio.sleep_forever()

    async def kill() -> None:
        if during == "a wait":
            await agent.running.until_waiting()
        else:
            await wake(owner, "one")
            await is_busy.wait()
        await owner("kill", target="builder", reason="posted its token")

    with anyio.fail_after(BOUND_SECONDS), pytest.raises(Killed) as raised:
        await both(live, kill)
    assert "@olga" in raised.value.why
    assert "posted its token" in raised.value.why
    assert (raised.value.code, raised.value.exit_code) == ("killed", NOT_AUTHORISED)
    assert raised.value.text().startswith("Refused (killed): ")


async def test_what_a_block_raises_leaves_the_client_as_it_is(agent: Agent) -> None:
    raised = ExceptionGroup("of the block", [ValueError("a"), KeyError("b")])
    with pytest.raises(ExceptionGroup) as seen:
        async with agent.room():
            raise raised
    assert seen.value is raised


async def both(*work: Callable[[], Awaitable[None]]) -> None:
    """Run some work at once; raises its one failure as it is."""
    try:
        async with anyio.create_task_group() as tasks:
            for one in work:
                tasks.start_soon(one)
    except BaseExceptionGroup as group:
        (failure,) = group.exceptions
        raise failure from None


@promise("CTL6")
async def test_calls_and_the_loop_wait_through_a_pause_and_go_on_after_it(agent: Agent, owner: Member) -> None:
    replies = list[str]()

    async def post() -> None:
        replies.append((await room.post_message(text="done"))["message"])

    with anyio.fail_after(BOUND_SECONDS):
        async with agent.room() as room, anyio.create_task_group() as tasks:
            wakes = room.listen()
            await owner("pause", target="builder", reason="lunch")
            tasks.start_soon(post)
            tasks.start_soon(subjects, wakes, 1)
            await agent.until("paused")
            message = await wake(owner, "after lunch")
            assert replies == []
            await owner("resume", target="builder", reason="it is over")
            await until(lambda: bool(replies))
    assert agent.events.count("paused") == agent.events.count("resumed") >= 1
    assert replies[0] != message


@promise("CTL2")
async def test_a_program_without_patience_is_told_of_the_pause_at_once(agent: Agent, owner: Member) -> None:
    await owner("pause", target="builder", reason="lunch")
    with pytest.raises(Refused) as raised:
        await agent.room(patience_seconds=0).post_message(text="done")
    assert raised.value.code == "paused"
    assert "lunch" in raised.value.why
    assert raised.value.fix
    assert agent.events == []


@promise("ID4")
async def test_a_revoked_token_ends_the_loop_with_the_refusal(agent: Agent, owner: Member) -> None:
    async def live() -> None:
        async with agent.room() as room:
            async for _ in room.listen():
                await owner("revoke", name="builder")

    await wake(owner, "one")
    with anyio.fail_after(BOUND_SECONDS), pytest.raises(Refused) as raised:
        await live()
    assert raised.value.code == "not_allowed"
    assert not isinstance(raised.value, Killed)


# ------------------------------------------------------------------ calls


async def test_a_refusal_has_the_code_the_reason_the_fix_and_the_wait(agent: Agent) -> None:
    async with agent.room() as room:
        with pytest.raises(Refused) as raised:
            await room.claim_task(task="T-9")
        refused = raised.value
        assert (refused.code, refused.retry_after) == ("not_found", None)
        assert "T-9" in refused.why
        assert refused.fix
        assert refused.body["code"] == "not_found"
    assert Refused({"code": "busy", "retry_after_seconds": 3}).retry_after == 3.0
    assert Refused({"code": "busy", "retry_after_seconds": "soon"}).retry_after is None


@promise("LOG4")
async def test_a_request_id_of_the_program_makes_its_call_happen_once(agent: Agent) -> None:
    async with agent.room() as room:
        first = await room.create_task(title="paint", request_id="paint-1")
        again = await room.create_task(title="paint", request_id="paint-1")
        assert (again["task"], again["replayed"] is not None) == (first["task"], True)
        with pytest.raises(Refused, match="already used"):
            await room.create_task(title="sand", request_id="paint-1")


async def test_a_list_may_be_any_sequence_and_an_argument_may_have_the_name_of_a_keyword(
    agent: Agent, owner: Member
) -> None:
    async with agent.room() as room:
        posted = await room.post_message(text="done", to=("olga",))
        assert [one["to"] for one in posted["forecast"]] == ["olga"]
    async with Room(agent.running.url, agent.running.owner_token) as olga:
        paused = await olga.pause(target="builder", reason="lunch", for_="1h")
        assert paused["until"] is not None


async def test_a_room_works_without_being_opened_and_with_functions_for_its_address_and_token(agent: Agent) -> None:
    room = Room(lambda: f"{agent.running.url}/mcp", lambda: agent.token)
    assert (await room.me())["name"] == "builder"
    assert (await room.heartbeat())["standing"] == "active"


@promise("SAF7")
async def test_the_environment_names_the_room_and_the_member_and_never_its_owner(agent: Agent, tmp_path: Path) -> None:
    variables = {"TEAMROOM_URL": agent.running.url, "TEAMROOM_TOKEN": agent.token}
    assert (await Room.from_environment(environment=variables).me())["name"] == "builder"
    folder = agent.running.folder
    (folder / MEMBERS).mkdir(mode=0o700, exist_ok=True)
    token_file(folder / MEMBERS / "builder.token", agent.token)
    by_name = Room.from_environment("builder", data=folder, environment={"TEAMROOM_URL": agent.running.url})
    assert (await by_name.me())["name"] == "builder"
    with pytest.raises(Failure, match="No token is given") as raised:
        await Room.from_environment(data=folder, environment={"TEAMROOM_URL": agent.running.url}).me()
    assert raised.value.exit_code == NOT_AUTHORISED
    with pytest.raises(Failure, match="not the address of a room"):
        await Room("somewhere", agent.token).me()
    assert os.environ.get("TEAMROOM_TOKEN") is None
