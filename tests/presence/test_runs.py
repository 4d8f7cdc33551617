"""A run under a listener: it counts as work while it moves, then for a while, and only its live listener reports it."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from teamroom.server.store.transaction import Writing
from tests.presence.test_zombies import HOUR, MINUTE, beats, said, verdict
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, Time, running_room

pytestmark = promise("PRS3")

OLDER, NEWER = "1764000000000-a", "1764000001000-b"
"""Names of listeners, by when they began."""


def run(began: float, moved: float) -> dict[str, float]:
    """What a listener reports of a run, in seconds ago."""
    return {"began_seconds_ago": began, "moved_seconds_ago": moved}


async def hears(member: Member, began: float | None = None, moved: float = 0.0, listener: str = NEWER) -> None:
    """Let the listener of a member send a heartbeat, with a report of its run or without one."""
    report = None if began is None else run(began, moved)
    _, text, refused = await member.said("heartbeat", listener=listener, run=report)
    assert not refused, text


async def asked(room: RunningRoom, name: str = "builder") -> tuple[Member, Member]:
    """Somebody, and a live member with a listener that was asked something."""
    asker, member = await room.enroll("asker", name, mode="live")
    await member.said("check_in", listener=NEWER)
    await asker("post_message", text="what is the state?", to=[name], kind="ask")
    return asker, member


async def goes_on(room: RunningRoom, member: Member, until: int, since: int = 0, still_from: int | None = None) -> None:
    """Let a run go on that began at minute 0, with a report every five minutes; it may stand still from one on."""
    for minute in range(since, until, 5):
        moved = 1.0 if still_from is None else (minute - still_from) * MINUTE
        await hears(member, minute * MINUTE, min(moved, minute * MINUTE))
        await room.later(5 * MINUTE)


async def shown(asker: Member, name: str = "builder") -> dict[str, Any]:
    return dict((await asker("who", name=name))["members"][0])


async def test_an_agent_in_one_long_turn_is_at_work_as_long_as_its_run_moves(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await goes_on(room, member, 6 * 60)
    assert said(room, "builder") == []
    found = await shown(asker)
    assert found["presence"] == "working"
    assert (
        found["reason"] == "its run began 6 h ago and moved 301 s ago".replace("301 s", "5 min")
        or "moved" in found["reason"]
    )
    text = (await asker.said("who", name="builder"))[1]
    assert f"run since {found['run']['since']}, moved {found['run']['moved']}" in text


async def test_the_same_beats_without_a_run_make_a_zombie(room: RunningRoom) -> None:
    """The twin."""
    _, member = await asked(room)
    for _ in range(6):
        await hears(member)
        await room.later(5 * MINUTE)
    assert said(room, "builder") == ["suspect", "suspect", "zombie"]


async def test_a_run_that_stands_still_is_suspect_after_two_hours_and_then_challenged(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await goes_on(room, member, 120, still_from=0)
    assert said(room, "builder") == ["suspect"]
    assert (await shown(asker))["reason"] == "connected, but its run has not moved for 2 h"
    await goes_on(room, member, 140, since=120, still_from=0)
    assert said(room, "builder") == ["suspect", "suspect", "zombie"]


async def test_a_run_that_hangs_is_found_although_nothing_waits_for_its_member(room: RunningRoom) -> None:
    (member,) = await room.enroll("builder", mode="live")
    await member.said("check_in", listener=NEWER)
    await goes_on(room, member, 115, still_from=0)
    assert said(room, "builder") == []
    await goes_on(room, member, 135, since=115, still_from=0)
    assert said(room, "builder") == ["suspect", "suspect"]
    await member("post_message", text="I waited for a machine")
    await goes_on(room, member, 155, since=135, still_from=0)
    assert said(room, "builder")[2:] == ["recovered"], "an act is a sign of its run, too"


async def test_a_run_may_stand_still_for_three_times_the_slowest_that_answered(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await goes_on(room, member, 60)
    await member("post_message", text="it is done", reply_to="M-1")
    await hears(member)
    await asker("post_message", text="and now?", to=["builder"], kind="ask")
    await goes_on(room, member, 3 * 55 - 5, still_from=0)
    assert said(room, "builder") == []
    await goes_on(room, member, 3 * 55 + 5, since=3 * 55 - 5, still_from=0)
    assert said(room, "builder") == ["suspect"]


async def test_a_slow_run_that_did_not_answer_gives_no_later_one_more_time(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await goes_on(room, member, 60)
    await hears(member)
    await member("post_message", text="now it is done", reply_to="M-1")
    await asker("post_message", text="and now?", to=["builder"], kind="ask")
    before = len(said(room, "builder"))
    await goes_on(room, member, 115, still_from=0)
    assert len(said(room, "builder")) == before
    await goes_on(room, member, 125, since=115, still_from=0)
    assert said(room, "builder")[before:] == ["suspect"]


@promise("PRS4")
async def test_a_suspect_whose_run_moves_again_is_at_work_and_is_not_judged(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await goes_on(room, member, 125, still_from=0)
    assert await verdict(asker, "builder") == "suspect"
    await goes_on(room, member, 185, since=125)
    assert (said(room, "builder"), await verdict(asker, "builder")) == (["suspect"], "working")
    task = (await asker("create_task", title="paint", assign="builder"))["task"]
    assert task, "who is at work gets new work"
    await member("post_message", text="it is done", reply_to="M-1")
    assert said(room, "builder") == ["suspect", "recovered"]


async def test_what_comes_during_a_run_may_wait_for_the_next_and_what_came_before_it_may_not(
    room: RunningRoom,
) -> None:
    asker, member = await asked(room)
    await goes_on(room, member, 30)
    await hears(member)
    await room.later(1)
    assert said(room, "builder") == ["suspect"], "its turn ended without an answer"
    await member("post_message", text="it is done", reply_to="M-1")
    await hears(member, 0)
    await asker("post_message", text="and now?", to=["builder"], kind="ask")
    await goes_on(room, member, 35, since=5)
    await hears(member)
    await beats(room, member, 8)
    assert said(room, "builder") == ["suspect", "recovered"]
    await beats(room, member, 3)
    assert said(room, "builder") == ["suspect", "recovered", "suspect"]


async def test_a_laptop_that_slept_in_the_middle_of_a_run_is_forgiven(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await goes_on(room, member, 20)
    await room.later(8 * HOUR)
    assert said(room, "builder") == ["gone"], "nobody hears of it"
    await hears(member, 20 * MINUTE, 2.0)
    assert (said(room, "builder"), await verdict(asker, "builder")) == (["gone", "recovered"], "working")
    since = (await shown(asker))["run"]["since"]
    await goes_on(room, member, 60, since=20, still_from=20)
    assert (await shown(asker))["run"]["since"] == since
    assert (said(room, "builder"), await verdict(asker, "builder")) == (["gone", "recovered"], "working")


async def test_a_run_of_a_listener_that_was_killed_counts_no_longer_than_its_connection(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await goes_on(room, member, 20)
    await room.later(3 * MINUTE)
    assert (await shown(asker))["run"] is None
    await room.later(8 * MINUTE)
    assert said(room, "builder") == ["gone"]


@promise("PRS5")
async def test_only_the_newest_listener_reports_a_run(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await hears(member, 10, listener=OLDER)
    assert (await shown(asker))["run"] is None
    await hears(member, 10)
    assert (await shown(asker))["run"] is not None
    await hears(member, listener=OLDER)
    assert (await shown(asker))["run"] is not None, "nor does an older one end it"
    await member("heartbeat")
    assert (await shown(asker))["run"] is not None, "nor what is no listener"
    await member.said("wait_for_wake", listener=NEWER, after=1, timeout_seconds=0)
    assert (await shown(asker))["run"] is None


@promise("SAF6")
@pytest.mark.parametrize(
    "report",
    [
        *("now", [], {}, True, {"began_seconds_ago": 1}, {**run(2, 1), "more": 1}),
        *(run(1, 2), run(-1, -1), run(2, -1), run(10**10, 1), {"began_seconds_ago": "9", "moved_seconds_ago": 1}),
        {"began_seconds_ago": True, "moved_seconds_ago": False},
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(room: RunningRoom, report: Any) -> None:
    (member,) = await room.enroll("builder", mode="live")
    body, _, refused = await member.said("heartbeat", listener=NEWER, run=report)
    assert (refused, body["code"]) == (True, "invalid")
    assert '"teamroom/run": {"began_seconds_ago": 2100, "moved_seconds_ago": 3}' in body["fix"]


async def test_a_run_without_a_listener_is_refused_and_a_person_has_none(room: RunningRoom) -> None:
    (member,) = await room.enroll("builder", mode="live")
    body, _, refused = await member.said("heartbeat", run=run(2, 1))
    assert (refused, body["code"]) == (True, "invalid")
    owner = await room.owner()
    await hears(owner, 10)
    assert (await shown(owner, "olga"))["run"] is None


async def test_a_run_that_the_room_first_hears_of_late_excuses_no_more_than_two_hours(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await hears(member, 300 * 24 * HOUR, 1.0)
    await member("post_message", text="it is done", reply_to="M-1")
    await hears(member)
    await asker("post_message", text="and now?", to=["builder"], kind="ask")
    await goes_on(room, member, 6 * 60 + 10, still_from=0)
    assert said(room, "builder")[-1] == "suspect", "three times two hours, not three times 300 days"


@promise("CTL3", "CTL9")
async def test_the_listener_of_a_paused_member_reports_nothing(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, member = await asked(room)
    await owner("pause", target="builder", reason="lunch")
    await hears(member, 10)
    await owner("resume", target="builder", reason="back")
    assert (await shown(asker))["run"] is None
    await hears(member, 20, 1.0)
    await owner("pause", target="builder", reason="lunch again")
    await room.later(3 * HOUR)
    await hears(member)
    await owner("resume", target="builder", reason="back again")
    await hears(member, 3 * HOUR, 3 * HOUR)
    await room.later(10 * MINUTE)
    assert said(room, "builder") == [], "what stands still under a pause does what it should"


async def test_a_killed_member_has_no_run(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, member = await asked(room)
    await hears(member, 10)
    await owner("kill", target="builder", reason="it ran wild")
    assert (await shown(asker))["run"] is None
    token = (await owner("enroll", name="builder", revive=True))["token"]
    await (await room.connect("builder", token))("heartbeat")
    assert (await shown(asker))["run"] is None


@promise("PRS6")
async def test_a_run_goes_on_when_the_room_comes_back(tmp_path: Path) -> None:
    time = Time()
    async with running_room(tmp_path / "room", time=time) as room:
        asker, member = await asked(room)
        await goes_on(room, member, 20)
        since = (await shown(asker))["run"]["since"]
    time.forward(3 * HOUR)
    async with running_room(tmp_path / "room", time=time) as again:
        again.tokens = room.tokens
        asker, member = await again.connect("asker"), await again.connect("builder")
        await hears(member, 20 * MINUTE + 3 * HOUR, 1.0)
        assert (await shown(asker))["run"]["since"] == since
        await goes_on(again, member, 230, since=200)
        assert (said(again, "builder"), await verdict(asker, "builder")) == ([], "working")


async def test_a_report_writes_no_more_than_a_heartbeat_without_one(room: RunningRoom) -> None:
    asker, member = await asked(room)
    await hears(member, 0)
    await room.later(10)
    written: list[str] = []
    write = Writing.run

    def noted(tx: Writing, name: str, /, **parameters: Any) -> None:
        written.append(name)
        write(tx, name, **parameters)

    with patch.object(Writing, "run", noted):
        await hears(member, 10)
        await hears(asker)
        await hears(member, 10)
    assert written == ["touch_run", "touch_presence"], "and none within five seconds of another"
