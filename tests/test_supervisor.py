"""The room's own loop: what falls due by itself is done once, in the open, whatever else fails."""

import math
from pathlib import Path
from typing import Any

from tests.rooms import RunningRoom, running_room

HOUR, DAY = 3600.0, 86_400.0


def acts(room: RunningRoom, act: str) -> list[Any]:
    return [entry for entry in room.entries() if entry["act"] == act]


async def test_a_lease_that_runs_out_is_said_once_and_the_task_is_free_after_the_grace(room: RunningRoom) -> None:
    holder, other = await room.enroll("holder", "other")
    task = (await holder("create_task", title="paint"))["task"]
    await holder("claim_task", task=task)
    await room.later(HOUR - 60)
    assert acts(room, "overdue") == []
    await room.later(70)
    (said,) = acts(room, "overdue")
    assert said["subject"] == task
    await room.later(HOUR)
    assert len(acts(room, "overdue")) == 1
    assert (await other("claim_task", task=task))["task"] == task


async def test_a_task_that_stands_still_is_reminded_with_doubling_gaps_then_its_owner_is_told_once(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    (holder,) = await room.enroll("holder", mode="live")
    task = (await holder("create_task", title="paint"))["task"]
    await holder("claim_task", task=task)
    minutes = []
    for minute in range(0, 3 * 24 * 60, 5):
        await holder("heartbeat", note=f"thinking {minute}")
        before = len(acts(room, "remind"))
        await room.later(300)
        if len(acts(room, "remind")) > before:
            minutes.append(minute + 5)
    assert minutes == [30, 90, 210, 450, 930]
    (told,) = acts(room, "escalate")
    assert told["subject"] == task
    wakes = (await owner("check_in"))["wakes"]
    assert [(w["reason"], w["subject"]) for w in wakes if w["reason"] == "alert"] == [("alert", task)]
    (owed,) = (await holder("check_in"))["reminders"]
    assert (owed["subject"], owed["times"]) == (task, 5)


async def test_a_tick_with_nothing_due_writes_nothing(room: RunningRoom) -> None:
    (holder,) = await room.enroll("holder")
    task = (await holder("create_task", title="paint"))["task"]
    await holder("claim_task", task=task)
    commits, head = room.room.store.commits, room.room.store.committed
    for _ in range(10):
        assert await room.room.supervisor.tick() < math.inf
    assert (room.room.store.commits, room.room.store.committed) == (commits, head)


async def test_the_loop_does_what_is_due_by_itself(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", supervised=True, lease_seconds=60, live_interval_seconds=10) as room:
        holder, watcher = await room.enroll("holder", "watcher")
        task = (await holder("create_task", title="paint"))["task"]
        await holder("claim_task", task=task)
        after = (await holder("check_in"))["cursor"]
        room.time.forward(70)
        await watcher("create_task", title="another", assign="watcher")  # any act that owes something nudges it
        room.room.supervisor.nudge(0)
        found = await holder("wait_for_wake", after=after, timeout_seconds=10)
        assert [wake["subject"] for wake in found["wakes"]] == [task]
