"""Wakes that a listener was given and has not acknowledged, and what an agent's replies say is waiting."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("WAK2")

NAMED = "1764000000000-a1b2c3d4"


async def asked(member: Member, text: str) -> str:
    return str((await member("post_message", text=text, to=["agent"]))["message"])


def subjects(reply: dict[str, Any]) -> list[str]:
    return [wake["subject"] for wake in reply["wakes"]]


@pytest.mark.parametrize("listener", [None, NAMED])
async def test_a_wait_without_a_cursor_returns_each_wake_once_and_check_in_returns_it_again(
    room_of_each_era: RunningRoom, listener: str | None
) -> None:
    room = room_of_each_era
    owner, (agent,) = await room.owner(), await room.enroll("agent")
    first = await asked(owner, "look")
    assert subjects(await agent("wait_for_wake", listener=listener)) == [first]
    again, words, _ = await agent.said("wait_for_wake", listener=listener, timeout_seconds=0)
    assert (subjects(again), again["unacknowledged"]) == ([], 1)
    assert "1 wake shown before" in words
    assert "check_in" in again["next"]
    waiting = asyncio.create_task(agent("wait_for_wake", listener=listener, timeout_seconds=BOUND_SECONDS))
    await room.until_waiting()
    second = await asked(owner, "look again")
    assert subjects(await waiting) == [second]
    found = await agent("check_in")
    assert subjects(found) == [first, second], "nothing is lost"
    await agent("check_in", after=found["cursor"])
    assert (await agent("wait_for_wake", listener=listener, timeout_seconds=0))["unacknowledged"] == 0


async def test_a_new_listener_is_given_what_nobody_acknowledged(room: RunningRoom) -> None:
    owner, (agent,) = await room.owner(), await room.enroll("agent")
    first = await asked(owner, "look")
    for name in (None, NAMED, "1764000000001-a1b2c3d4"):
        assert subjects(await agent("wait_for_wake", listener=name, timeout_seconds=0)) == [first]
        assert subjects(await agent("wait_for_wake", listener=name, timeout_seconds=0)) == []


async def test_what_waits_is_named_in_the_reply_to_every_act_of_an_agent_until_it_is_answered(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", notes_per_hour=100) as room:
        owner, (agent, helper) = await room.owner(), await room.enroll("agent", "helper")
        for title in ("one", "two", "three", "four"):
            await owner("create_task", title=title, review="none")
        await owner("set_policy", name="wip_cap", value=20)
        ask = (await owner("post_message", text="stop, the other branch", kind="ask", to=["agent"]))["message"]
        fence = (await agent("claim_task", task="T-1"))["fence"]
        acts: tuple[tuple[str, dict[str, Any]], ...] = (
            ("claim_task", {"task": "T-2"}),
            ("update_task", {"task": "T-1", "fence": fence, "note": "half of it"}),
            ("post_message", {"text": "half of it", "task": "T-1", "kind": "report"}),
            ("create_task", {"title": "five"}),
            ("heartbeat", {}),
            ("declare_capabilities", {"capabilities": ["tool:docker"]}),
            ("complete_task", {"task": "T-1", "fence": fence, "summary": "done", "evidence": []}),
            ("hand_off", {"task": "T-2", "fence": 1, "to": "helper", "note": "yours"}),
            ("answer_hand_off", {"offer": "O-1", "accept": False, "reason": "no longer"}),
        )
        for tool, arguments in acts:
            reply, words, _ = await agent.said(tool, **arguments)
            assert f"Waiting for you: ask {ask} from @olga" in words, tool
            assert {"reason": "ask", "subject": ask, "from": "olga"} in reply["waiting"], tool
        assert "waiting" not in await owner("post_message", text="people have their inbox")
        reply, words, _ = await agent.said("post_message", text="which one?", reply_to=ask, kind="ask")
        assert "waiting" not in reply, "it is answered"
        assert "Waiting for you" not in words
        await owner("create_task", title="six", assign="agent")
        assert (await agent("heartbeat"))["waiting"] == [{"reason": "assigned", "subject": "T-6", "from": "olga"}]
        assert "waiting" not in await agent("claim_task", task="T-6"), "it is begun"
        for number in range(5):
            await helper("post_message", text=f"see {number}", to=["agent"])
        last = await owner("post_message", text="and you?", kind="ask", to=["agent"])
        for number in range(5, 7):
            await helper("post_message", text=f"see {number}", to=["agent"])
        reply, words, _ = await agent.said("create_task", title="seven")
        assert reply["waiting"][0]["subject"] == last["message"], "an ask comes first"
        assert len(reply["waiting"]) == 3
        assert "and more" in words
        found = await agent("check_in")
        await agent("check_in", after=found["cursor"])
        assert "waiting" not in await agent("create_task", title="eight")
