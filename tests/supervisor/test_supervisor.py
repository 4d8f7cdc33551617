"""The room's own loop: what falls due by itself is done once, in the open, whatever else fails."""

import asyncio
import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import DiskFullError
from teamroom.server.supervisor import duties, loop
from tests.support.eventually import until
from tests.support.promises import promise
from tests.support.room_in_thread import logged
from tests.support.rooms import RunningRoom, running_room

pytestmark = promise("REM1")

HOUR, DAY = 3600.0, 86_400.0


def acts(room: RunningRoom, act: str) -> list[Any]:
    return [entry for entry in room.entries() if entry["act"] == act]


@promise("TSK3")
async def test_an_expired_lease_is_announced_once_and_the_task_can_be_claimed_after_the_grace_period(
    room: RunningRoom,
) -> None:
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


@promise("TSK3")
async def test_a_long_lease_of_a_paused_member_is_shown_as_overdue_after_an_hour(room: RunningRoom) -> None:
    owner = await room.owner()
    (holder,) = await room.enroll("holder", mode="every:28800")
    task = (await holder("create_task", title="paint"))["task"]
    await holder("claim_task", task=task)
    await owner("pause", target="holder", reason="lunch")
    await room.later(HOUR - 60)
    assert acts(room, "overdue") == []
    await room.later(130)
    assert [entry["subject"] for entry in acts(room, "overdue")] == [task], "not only a day after it was claimed"


def free_from(refusal: dict[str, Any]) -> float:
    """When a task is free to claim, as a refusal says."""
    (found,) = re.findall(r"you can claim it from (\S+Z)", refusal["fix"])
    return datetime.fromisoformat(found).timestamp()


@promise("PRS6")
async def test_a_lease_that_expired_while_the_room_slept_leaves_its_holder_time_to_renew(room: RunningRoom) -> None:
    holder, other = await room.enroll("holder", "other", mode="live")
    task = (await holder("create_task", title="paint"))["task"]
    fence = (await holder("claim_task", task=task))["fence"]
    room.time.sleep(3 * HOUR)
    for _ in range(2):
        refusal = await other.refused("claim_task", task=task)
        assert refusal["code"] == "taken"
        assert room.time() + 60 < free_from(refusal) <= room.time() + 360, "an interval and the grace"
        assert acts(room, "overdue") == []
        await room.later(149)
    assert (await other.refused("claim_task"))["code"] == "not_found"
    await room.later(3)
    assert [entry["subject"] for entry in acts(room, "overdue")] == [task]
    await room.later(55)
    assert (await other.refused("claim_task", task=task))["code"] == "taken", "its grace begins then"
    await holder("update_task", task=task, fence=fence, note="further")
    await room.later(HOUR + 58)
    assert (await other.refused("claim_task", task=task))["code"] == "taken"
    await room.later(3)
    await other("claim_task", task=task)


async def test_reminders_of_a_stalled_task_double_their_gaps_until_its_owner_is_notified_once(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    (holder,) = await room.enroll("holder", mode="live")
    task = (await holder("create_task", title="paint"))["task"]
    await holder("claim_task", task=task)
    minutes = []
    for minute in range(10, 2010, 10):  # past the next one, if the gap doubled once more
        await holder("post_message", text=f"on something else: {minute}", kind="note")
        await room.later(600)
        minutes += [minute] * (len(acts(room, "remind")) - len(minutes))
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
    await room.room.supervisor.tick()  # writes where the members' clients run
    commits, head = room.room.store.commits, room.room.store.committed
    for _ in range(10):
        assert await room.room.supervisor.tick() < math.inf
    assert (room.room.store.commits, room.room.store.committed) == (commits, head)


async def test_the_loop_carries_out_due_timers(tmp_path: Path) -> None:
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


async def test_the_loop_does_not_oversleep_when_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOOK_UP_SECONDS", 0.01)
    async with running_room(tmp_path / "room", supervised=True, live_interval_seconds=10) as room:
        (member,) = await room.enroll("member", mode="live")
        room.time.step(DAY)
        await member("check_in")
        room.time.step(-DAY)
        await member("heartbeat")
        room.time.forward(31)
        await until(lambda: bool(acts(room, "presence")))
        assert ["is gone" in entry["summary"] for entry in acts(room, "presence")] == [True]


async def test_a_supervisor_that_cannot_start_waits_before_it_retries(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = asyncio.Event()

    async def fails(work: Any) -> Any:
        raise DiskFullError("a test's disk")

    async def waits(nudge: Any, seconds: float) -> None:
        nudge.close()
        slept.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as broken:
        broken.setattr(room.room.store, "look_up", fails)
        broken.setattr(loop.asyncio, "wait_for", waits)
        running = asyncio.create_task(room.room.supervisor.run())
        await slept.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_duty_that_fails_is_logged_and_retried_while_the_others_continue(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    (holder,) = await room.enroll("holder")
    task = (await holder("create_task", title="paint"))["task"]
    await holder("claim_task", task=task)
    tries = []

    def fails(tx: Any, due: Any) -> None:
        tries.append(tx.now)
        raise ZeroDivisionError("a fault of ours")

    with monkeypatch.context() as broken, logged() as complaints:
        broken.setitem(duties.DUTIES, "task", fails)
        await room.later(HOUR + 70)
        assert [entry["subject"] for entry in acts(room, "overdue")] == [task], "the lease is said all the same"
        assert acts(room, "remind") == []
        assert len(tries) == len(complaints.lines) == 1
        for wait in (30, 60, 120):
            await room.later(wait - 15)
            before = len(tries)
            await room.later(15)
            assert len(tries) == before + 1, "twice as long each time"
    for _ in range(15):
        await holder("heartbeat")
        await room.later(HOUR / 15)
    assert task in [entry["subject"] for entry in acts(room, "remind")], "nothing that was due is lost"


async def test_timers_wait_on_a_full_disk_without_counting_as_faults(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    (holder,) = await room.enroll("holder")
    tasks = [(await holder("create_task", title=f"wall {number}"))["task"] for number in range(3)]
    for task in tasks:
        await holder("claim_task", task=task)
    write, asked = room.room.store.write, []

    async def full(work: Any, recover: Any, *which: Any) -> Any:
        asked.append(work)
        if len(asked) == 1:
            return await write(work, recover, *which)  # it leads, and then the disk is full
        raise DiskFullError("a test's disk")

    with monkeypatch.context() as disk, logged() as complaints:
        disk.setattr(room.room.store, "write", full)
        with pytest.raises(Refusal, match="disk is full"):
            await room.later(2 * HOUR)
    assert complaints.lines == []
    await room.later(1)
    assert sorted(entry["subject"] for entry in acts(room, "overdue")) == tasks, "done at once, not put off"
