"""A blocked task names what it waits for, and goes on once that is settled (TSK7)."""

import re
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.facts.blocks import LIFTED_AT_ONCE, MEMBER_SECONDS
from teamroom.server.facts.timers import BLOCK, schedule
from teamroom.server.record import chain as log
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("TSK7")

DAY = 86_400.0


async def held(room: RunningRoom) -> tuple[Member, Member, Member]:
    """@olga's tasks T-1 and T-2; @builder holds T-1, @tester holds T-2."""
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("create_task", title="design")
    await owner("create_task", title="build")
    await builder("claim_task", task="T-1")
    await tester("claim_task", task="T-2")
    return owner, builder, tester


async def block(member: Member, on: str, task: str = "T-2", **more: Any) -> dict[str, Any]:
    return await member("update_task", task=task, fence=1, status="blocked", blocked_on=on, **more)


async def state(member: Member, task: str = "T-2") -> tuple[str, str | None]:
    shown = (await member("read_board", task=task))["task"]
    return shown["state"], shown["waiting_for"]


async def lines(member: Member, reason: str = "control") -> list[str]:
    return [wake["line"] for wake in (await member("check_in"))["wakes"] if wake["reason"] == reason]


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        (".", 'blocked_on "@olga" note "."'),
        ("the password of @hanna", 'blocked_on "@hanna" note "the password of @hanna"'),
        ("T-1 and the design", 'blocked_on "T-1" note "T-1 and the design"'),
        ("M-1", 'blocked_on "@olga"'),
        ("tomorrow", 'blocked_on "@olga"'),
        ("700000", 'blocked_on "604800"'),
        ("2031-01-01T00:00:00Z", 'blocked_on "604800"'),
        ("T-2", "status released"),
        ("@tester", "status released"),
        ("D-9", "no decision D-9"),
        ("O-9", "status working"),
        ("T-9", "status working"),
        ("T-3", "status working"),
    ],
)
async def test_anything_that_nothing_settles_is_refused_with_the_corrected_call(
    room: RunningRoom, given: str, fix: str
) -> None:
    owner, _, tester = await held(room)
    await room.enroll("hanna", kind="human")
    await owner("create_task", title="over")
    await owner("update_task", task="T-3", status="cancelled")
    refusal = await tester.refused("update_task", task="T-2", fence=1, status="blocked", blocked_on=given)
    assert fix in refusal["fix"] or fix in refusal["why"]
    assert (await state(tester))[0] == "claimed"
    if refusal["fix"].startswith("Call again: update_task"):
        on = re.search(r'blocked_on "([^"]*)"', refusal["fix"])
        assert on is not None
        await block(tester, on[1], note=given)


async def test_a_task_goes_on_once_the_task_that_it_waits_for_is_done(room: RunningRoom) -> None:
    owner, builder, tester = await held(room)
    await block(tester, "t-1", note="its plan")
    assert await state(tester) == ("blocked", "T-1")
    await builder("complete_task", task="T-1", fence=1, summary="drawn", evidence=[])
    assert (await state(tester))[0] == "blocked", "its completion is only a claim"
    await owner("review_task", task="T-1", verdict="accept", note="good")
    assert (await state(tester))[0] == "claimed"
    assert await lines(tester) == ["T-2 is no longer blocked, because T-1 is done"]
    await tester("complete_task", task="T-2", fence=1, summary="built", evidence=[])


async def test_tasks_do_not_wait_for_each_other_in_a_circle(room: RunningRoom) -> None:
    _, builder, tester = await held(room)
    await block(tester, "T-1")
    refusal = await builder.refused("update_task", task="T-1", fence=1, status="blocked", blocked_on="T-2")
    assert "would wait for each other" in refusal["why"]


async def test_a_cancelled_task_holds_nothing_and_the_creators_are_asked_once(room: RunningRoom) -> None:
    owner, _, tester = await held(room)
    (planner,) = await room.enroll("planner")
    await planner("create_task", title="test it", depends_on=["T-1"], assign="tester")
    await planner("create_task", title="ship it", depends_on=["T-1", "T-2"])
    await block(tester, "T-1")
    await owner("update_task", task="T-1", status="cancelled")
    assert await lines(tester) == ["T-2 is no longer blocked, because T-1 was cancelled"]
    assert await lines(tester, "assigned") == ["T-1 was cancelled, so T-3 can start"]
    asked = await lines(planner)
    assert asked == [
        f"T-1 was cancelled, and {task} waited for it; keep, change or cancel {task} with update_task: “{title}”"
        for task, title in (("T-3", "test it"), ("T-4", "ship it"))
    ]
    assert [line for line in await lines(owner) if "T-2 waited" in line]
    board = {line["task"]: line for line in (await planner("read_board"))["tasks"]}
    assert (board["T-3"]["cancelled"], board["T-4"]["cancelled"]) == (["T-1"], ["T-1"])
    _, words, _ = await planner.said("read_board")
    assert "T-3 open (T-1 cancelled): “test it”" in words
    claimed, words, _ = await tester.said("claim_task", task="T-3")
    assert claimed["cancelled"] == ["T-1"]
    assert "Cancelled, so it no longer waits for: T-1" in words
    await room.later(30 * DAY)
    assert [line for line in await lines(planner) if "T-1 was cancelled" in line] == asked


@promise("DEC3")
async def test_everything_that_waits_for_a_decision_goes_on_in_the_same_commit(room: RunningRoom) -> None:
    owner, builder, tester = await held(room)
    await builder("request_decision", question="Which colour?", options=["red", "blue"], task="T-1")
    await block(builder, "D-1", task="T-1")
    await block(tester, "d-1")
    before = room.entries()[-1]["seq"]
    await owner("decide", decision="D-1", option="blue")
    assert [(e["act"], e["subject"]) for e in room.entries()[before:]] == [
        ("decide", "D-1"),
        ("unblock", "T-1"),
        ("unblock", "T-2"),
    ]
    assert await lines(tester) == ["T-2 is no longer blocked, because @olga decided D-1: “blue”"]
    assert [(await state(tester, task))[0] for task in ("T-1", "T-2")] == ["claimed", "claimed"]


@promise("DEC3")
@pytest.mark.parametrize("how", ["expired", "withdrawn", "redacted"])
async def test_a_decision_that_decides_nothing_holds_nothing_either(room: RunningRoom, how: str) -> None:
    owner, builder, tester = await held(room)
    await builder("request_decision", question="Which colour?", until=DAY)
    await block(tester, "D-1")
    if how == "expired":
        await room.later(DAY + 1)
    elif how == "withdrawn":
        await builder("request_decision", replaces="D-1")
    else:
        await owner("redact", what="D-1", reason="private")
        await room.later(1)
    assert (await state(tester))[0] == "claimed"
    (line,) = await lines(tester)
    assert "so nothing was decided" in line


async def test_what_waits_for_a_replaced_decision_waits_for_the_new_one(room: RunningRoom) -> None:
    owner, builder, tester = await held(room)
    await builder("request_decision", question="Which colour?")
    await block(tester, "D-1")
    await builder("request_decision", question="Which red?", replaces="D-1")
    assert await state(tester) == ("blocked", "D-2")
    await owner("decide", decision="D-2", option="no")
    assert (await state(tester))[0] == "claimed"


async def test_a_task_goes_on_once_the_member_that_it_waits_for_acts_or_posts_on_it(room: RunningRoom) -> None:
    owner, builder, tester = await held(room)
    await tester("post_message", text="@olga which blue?", task="T-2")
    for on_task in (
        lambda: owner("post_message", text="use blue", task="T-2"),
        lambda: owner("update_task", task="T-2", changes={"priority": 3}),
        lambda: owner("post_message", text="light blue", reply_to="M-1"),
    ):
        await block(tester, "olga")
        await owner("post_message", text="elsewhere", request_id=f"{on_task}")
        await builder("post_message", text="me too", task="T-2", request_id=f"also {on_task}")
        assert await state(tester) == ("blocked", "@olga")
        await on_task()
        assert (await state(tester))[0] == "claimed"
    await block(tester, "@olga")
    await room.later(MEMBER_SECONDS + 1)
    assert (await state(tester))[0] == "claimed"
    assert (await lines(tester))[-1] == "T-2 is no longer blocked, because @olga has not acted on it for 24 h"


@pytest.mark.parametrize("on", ["3600", "3600.5"])
async def test_a_task_waits_for_a_time(room: RunningRoom, on: str) -> None:
    _, _, tester = await held(room)
    await block(tester, on)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", (await state(tester))[1] or "")
    await room.later(3500)
    assert (await state(tester))[0] == "blocked"
    await room.later(102)
    assert (await state(tester))[0] == "claimed"
    assert await lines(tester) == ["T-2 is no longer blocked, because the time that it waited for has come"]


async def test_a_later_block_is_not_ended_by_the_timer_of_an_earlier_one(room: RunningRoom) -> None:
    _, _, tester = await held(room)
    await block(tester, "3600")
    await block(tester, "T-1")
    await room.later(3601)
    assert await state(tester) == ("blocked", "T-1")


@pytest.mark.parametrize("how", ["accepted", "declined", "expired"])
async def test_a_task_goes_on_once_the_offer_that_it_waits_for_is_answered(room: RunningRoom, how: str) -> None:
    _, builder, tester = await held(room)
    await builder("hand_off", task="T-1", fence=1, to="tester", note="yours")
    await block(tester, "O-1")
    if how == "expired":
        await room.later(16 * 60)
    else:
        await tester("answer_hand_off", offer="O-1", accept=how == "accepted")
    assert (await state(tester))[0] == "claimed"
    assert await lines(tester) == [f"T-2 is no longer blocked, because O-1 {'' if how == 'expired' else 'was '}{how}"]


async def test_many_blocks_on_one_thing_are_lifted_page_by_page(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", wip_cap=50) as room:
        owner, _, tester = await held(room)
        number = LIFTED_AT_ONCE + 10
        for task in range(3, 3 + number):
            await owner("create_task", title=f"work {task}")
            await tester("claim_task", task=f"T-{task}")
            await block(tester, "T-1", f"T-{task}")
        await owner("update_task", task="T-1", status="cancelled")
        assert len((await owner("read_board", state="blocked"))["tasks"]) == 10
        await room.later(1)
        assert (await owner("read_board", state="blocked"))["tasks"] == []


async def test_a_block_of_an_earlier_release_ends_after_seven_days(room: RunningRoom) -> None:
    _, _, tester = await held(room)
    await block(tester, "3600")

    def as_before(tx: Any) -> None:
        seq = log.append(tx, log.ROOM_AUTHOR, act="update_task", subject="T-2", summary="@tester is blocked on T-2")
        lease = {"lease_from": None, "lease_seconds": 3600.0}
        tx.run("progress", id=2, state="blocked", now=tx.now, **lease, blocked_on=".", seq=seq)
        schedule(tx, BLOCK, 2, log.ROOM_MEMBER, 0, at=0.0)

    await room.room.door.act_as_room(as_before)
    await room.later(6 * DAY)
    assert await state(tester) == ("blocked", ".")
    await room.later(DAY + 1)
    assert (await state(tester))[0] == "claimed"
