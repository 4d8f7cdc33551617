"""What a model is told, in words and in data: some clients show it only the one, some only the other."""

from typing import Any

import pytest

from teamroom.tools.tool import ALWAYS_LOAD
from tests.rooms import Member, RunningRoom

CORE = {"check_in", "wait_for_wake", "post_message", "claim_task", "update_task", "complete_task"}


async def advice(member: Member, tool: str, **arguments: Any) -> str:
    """The advice of a reply, which must stand in its words and in its data."""
    data, words, refused = await member.said(tool, **arguments)
    assert not refused, words
    assert f"Next: {data['next']}" in words
    return str(data["next"])


async def test_a_check_in_says_what_comes_first(room: RunningRoom) -> None:
    builder, tester = await room.enroll("builder", "tester")
    assert "claim_task" in await advice(builder, "check_in")
    task = (await builder("create_task", title="a wall"))["task"]
    fence = (await builder("claim_task", task=task))["fence"]
    assert "your tasks" in await advice(builder, "check_in")
    await builder("hand_off", task=task, fence=fence, to="tester", note="yours")
    seen = await tester("check_in")
    assert f"after {seen['cursor']}" in seen["next"]
    assert "answer_hand_off" in await advice(tester, "check_in", after=seen["cursor"])


async def test_a_heartbeat_says_when_to_stop_and_when_to_look(room: RunningRoom) -> None:
    builder, tester = await room.enroll("builder", "tester")
    owner = await room.owner()
    assert "next" not in await builder("heartbeat")
    await tester("post_message", text="@builder look")
    assert await advice(builder, "heartbeat") == "check_in."
    await owner("pause", target="builder", reason="enough")
    assert "stop" in await advice(builder, "heartbeat")


async def test_who_waits_is_told_how_to_go_on(room: RunningRoom) -> None:
    builder, tester = await room.enroll("builder", "tester")
    nothing = await builder("wait_for_wake", timeout_seconds=0)
    assert f"after {nothing['cursor']}" in nothing["next"]
    await tester("post_message", text="@builder look")
    assert "act on your wakes" in await advice(builder, "wait_for_wake", after=nothing["cursor"])


async def test_a_giver_is_told_that_it_still_holds_the_task(room: RunningRoom) -> None:
    builder, _ = await room.enroll("builder", "tester")
    task = (await builder("create_task", title="a wall"))["task"]
    fence = (await builder("claim_task", task=task))["fence"]
    assert "you hold the task until" in await advice(
        builder, "hand_off", task=task, fence=fence, to="tester", note="yours"
    )


async def test_a_wake_says_what_is_asked_of_whom(room: RunningRoom) -> None:
    builder, tester = await room.enroll("builder", "tester")
    task = (await builder("create_task", title="a wall", assign="tester", review="builder"))["task"]
    assigned = (await tester("check_in"))["wakes"][0]
    assert (assigned["reason"], assigned["line"]) == ("assigned", f"@builder assigned {task} to you: a wall")
    fence = (await tester("claim_task", task=task))["fence"]
    await tester("complete_task", task=task, fence=fence, summary="it stands", evidence=[])
    review = (await builder("check_in"))["wakes"][0]
    assert (review["reason"], review["line"]) == ("review", f"@tester completed {task}, please review: a wall")
    await builder("review_task", task=task, verdict="accept", note="it does")
    verdict = (await tester("check_in"))["wakes"][-1]
    assert (verdict["reason"], verdict["line"]) == ("answer", f"@builder accepted {task}: it does")


async def test_tools_of_every_day_are_kept_at_hand(room_of_each_era: RunningRoom) -> None:
    (builder,) = await room_of_each_era.enroll("builder")
    tools = (await builder.client.list_tools()).tools
    assert {tool.name for tool in tools if (tool.meta or {}).get(ALWAYS_LOAD)} == CORE


@pytest.mark.parametrize("bound", ["member", "owner", "room"])
async def test_a_pause_is_told_in_full_sentences(room: RunningRoom, bound: str) -> None:
    (builder,) = await room.enroll("builder")
    target = {"member": "builder", "owner": "owner:olga", "room": "room"}[bound]
    await (await room.owner())("pause", target=target, reason="the disk is full")
    refusal = await builder.refused("post_message", text="on we go")
    assert refusal["why"].endswith(": the disk is full.")
    assert "end your turn" in refusal["fix"]
