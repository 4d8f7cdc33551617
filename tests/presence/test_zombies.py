"""Presence tells the truth: who listens but does not think is found, asked, named, repaired, and forgiven at once."""

import json
from pathlib import Path

import pytest

from teamroom.server.store.rows.members import MemberRow
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, Time, running_room

pytestmark = promise("PRS3")

MINUTE, HOUR = 60.0, 3600.0


def said(room: RunningRoom, name: str) -> list[str]:
    """What the room found about a member, in order."""
    found = [e for e in room.entries() if e["act"] == "presence" and e["subject"] == f"@{name}"]
    return [json.loads(entry["detail"])["verdict"] for entry in found]


async def beats(room: RunningRoom, member: Member, minutes: int, every: int = 1) -> None:
    """Let a listener beat for a while, and nobody behind it think."""
    for _ in range(0, minutes, every):
        await member("heartbeat")
        await room.later(every * MINUTE)


async def a_task_of(member: Member) -> str:
    """A task that a member claims; returns its id."""
    task = str((await member("create_task", title="a long build"))["task"])
    await member("claim_task", task=task)
    return task


async def verdict(asker: Member, name: str) -> str:
    return str((await asker("who", name=name))["members"][0]["presence"])


async def challenge(member: Member) -> str:
    """The question that a member is asked."""
    return str((await member("check_in"))["challenge"])


async def test_a_listener_without_a_model_becomes_suspect_and_after_two_challenges_a_zombie(
    room: RunningRoom,
) -> None:
    asker, hollow = await room.enroll("asker", "hollow", mode="live")
    await hollow("check_in")
    await asker("post_message", text="are you there?", to=["hollow"], kind="ask")
    await beats(room, hollow, 9)
    assert said(room, "hollow") == []
    await beats(room, hollow, 2)
    assert said(room, "hollow") == ["suspect"]
    assert await verdict(asker, "hollow") == "suspect"
    await beats(room, hollow, 8)
    assert said(room, "hollow") == ["suspect", "suspect"], "it is asked a second time"
    await beats(room, hollow, 8)
    assert said(room, "hollow") == ["suspect", "suspect", "zombie"]
    assert await verdict(asker, "hollow") == "zombie"
    owner = await room.owner()
    told = [wake["line"] for wake in (await owner("check_in"))["wakes"] if wake["reason"] == "alert"]
    assert len(told) == 1
    assert "@hollow is zombie" in told[0]
    await beats(room, hollow, 120, every=5)
    assert said(room, "hollow") == ["suspect", "suspect", "zombie"], "it is said once"


async def test_a_member_whose_harness_uses_its_own_tools_is_at_work_and_no_zombie(room: RunningRoom) -> None:
    """The test before this one is the twin: without a gate, the same member is suspect after eleven minutes."""
    asker, builder = await room.enroll("asker", "builder", mode="live")
    await builder("check_in")
    await asker("post_message", text="are you there?", to=["builder"], kind="ask")
    for _ in range(6):
        asked = await room.raw(
            "POST",
            "/hooks/claude",
            json={"hook_event_name": "PreToolUse", "tool_name": "Bash"},
            headers={"Authorization": f"Bearer {room.tokens['builder']}"},
        )
        assert asked.status_code == 200
        await room.later(1)
        await beats(room, builder, 4)
        assert await verdict(asker, "builder") == "working"
    assert said(room, "builder") == []
    await beats(room, builder, 8)
    assert said(room, "builder") == ["suspect"], "it no longer uses a tool"


@promise("PRS4")
async def test_an_act_of_a_suspect_clears_the_suspicion_at_once(room: RunningRoom) -> None:
    asker, late = await room.enroll("asker", "late", mode="live")
    await late("check_in")
    message = (await asker("post_message", text="are you there?", to=["late"], kind="ask"))["message"]
    await beats(room, late, 30)
    assert await verdict(asker, "late") == "zombie"
    await late("post_message", text="yes, I was thinking", reply_to=message)
    assert await verdict(asker, "late") == "live"
    assert said(room, "late")[-1] == "recovered"
    await beats(room, late, 60, every=5)
    assert said(room, "late")[-1] == "recovered"


async def test_the_challenge_is_about_its_own_work_and_only_its_answer_counts(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "member", mode="live")
    task = (await member("create_task", title="paint"))["task"]
    await member("claim_task", task=task)
    await asker("post_message", text="are you there?", to=["member"], kind="ask")
    await beats(room, member, 11)
    question = await challenge(member)
    nonce = question.split('"')[1].split()[0]
    assert task not in question, "whoever answers has to look it up"
    assert len(question) <= 140
    refused = await member.refused("heartbeat", answer=f"{nonce} T-999")
    assert refused["code"] == "bad_proof"
    assert (await member.refused("heartbeat", answer=task))["code"] == "bad_proof"
    assert await verdict(asker, "member") == "suspect"
    await member("heartbeat", answer=f"{nonce} {task}")
    assert await verdict(asker, "member") == "live"
    await beats(room, member, 9)
    assert said(room, "member") == ["suspect", "recovered"]


async def test_a_member_without_tasks_is_asked_for_its_last_message_and_one_without_any_for_its_name(
    room: RunningRoom,
) -> None:
    asker, wordy, new = await room.enroll("asker", "wordy", "new", mode="live")
    posted = (await wordy("post_message", text="here"))["message"]
    await new("check_in")
    for name in ("wordy", "new"):
        await asker("post_message", text=f"are you there, {name}?", to=[name], kind="ask")
    for _ in range(11):
        await wordy("heartbeat")
        await new("heartbeat")
        await room.later(MINUTE)
    for member, answer in ((wordy, posted), (new, "new")):
        nonce = (await challenge(member)).split('"')[1].split()[0]
        await member("heartbeat", answer=f"{nonce} {answer}")
        assert said(room, member.name) == ["suspect", "recovered"]


@pytest.mark.parametrize("mode", ["live", "every:600", "every:7200"])
async def test_a_member_that_answers_its_wakes_is_never_suspect(room: RunningRoom, mode: str) -> None:
    asker, honest = await room.enroll("asker", "honest", mode=mode)
    interval = 300 if mode == "live" else int(mode.partition(":")[2])
    cursor = (await honest("check_in"))["cursor"]
    for hour in range(40):
        if hour % 5 == 0:
            await asker("post_message", text=f"note {hour}", to=["honest"])
        if hour % 5 == 1:
            await asker("post_message", text=f"ask {hour}", to=["honest"], kind="ask")
        await room.later(interval)
        found = await honest("check_in", after=cursor)
        cursor = found["cursor"]
        for wake in found["wakes"]:
            if wake["line"].startswith("ask"):
                await honest("post_message", text=f"answer {hour}", reply_to=wake["subject"])
    assert said(room, "honest") == []


@promise("PRS2")
async def test_declared_work_prevents_suspicion_only_while_its_notes_change(room: RunningRoom) -> None:
    asker, busy, stuck = await room.enroll("asker", "busy", "stuck", mode="live")
    task, other = await a_task_of(busy), await a_task_of(stuck)
    await busy("heartbeat", task=task, note="step 0", busy_until=1800)
    await stuck("heartbeat", task=other, note="same", busy_until=1800)
    for name in ("busy", "stuck"):
        await asker("post_message", text=f"are you there, {name}?", to=[name], kind="ask")
    for step in range(1, 25):
        await busy("heartbeat", task=task, note=f"step {step}", busy_until=1800)
        await stuck("heartbeat", task=other, note="same", busy_until=1800)
        await room.later(5 * MINUTE)
    assert said(room, "busy") == []
    assert said(room, "stuck")[-1] == "zombie"


@promise("PRS6")
@pytest.mark.parametrize("how", ["a pause", "a sleep of the machine", "a sleep of the room"])
async def test_declared_work_is_extended_by_a_pause_or_a_sleep_of_the_room(room: RunningRoom, how: str) -> None:
    asker, busy = await room.enroll("asker", "busy", mode="live")
    owner = await room.owner()
    await busy("heartbeat", task=await a_task_of(busy), note="step 0", busy_until=40 * MINUTE)
    await asker("post_message", text="are you there?", to=["busy"], kind="ask")
    await beats(room, busy, 35, every=5)
    if how == "a pause":
        await owner("pause", target="busy", reason="a look")
        await beats(room, busy, 60, every=5)
        await owner("resume", target="busy", reason="it is right")
    elif how == "a sleep of the machine":
        room.time.sleep(HOUR)
    else:
        room.time.forward(HOUR)
        room.room.clock.slept(HOUR)
    await beats(room, busy, 39, every=3)
    assert await verdict(asker, "busy") == "working"
    assert said(room, "busy") == []
    await beats(room, busy, 30)
    assert said(room, "busy")[-1] == "zombie", "the twin: once that is over, it is looked at like anybody"


@promise("PRS6")
async def test_declared_work_continues_when_the_room_comes_back(tmp_path: Path) -> None:
    time = Time()
    async with running_room(tmp_path / "room", time=time) as room:
        asker, busy = await room.enroll("asker", "busy", mode="live")
        await busy("heartbeat", task=await a_task_of(busy), note="step 0", busy_until=40 * MINUTE)
        await asker("post_message", text="are you there?", to=["busy"], kind="ask")
        await beats(room, busy, 35, every=5)
    time.forward(HOUR)
    async with running_room(tmp_path / "room", time=time) as again:
        again.tokens = room.tokens
        asker, busy = await again.connect("asker"), await again.connect("busy")
        await beats(again, busy, 39, every=3)
        assert await verdict(asker, "busy") == "working"
        assert said(again, "busy") == []
        await beats(again, busy, 30)
        assert said(again, "busy")[-1] == "zombie"


async def test_silence_during_declared_work_counts_only_from_its_end(room: RunningRoom) -> None:
    asker, busy = await room.enroll("asker", "busy", mode="live")
    await busy("heartbeat", note="one long build", busy_until=2 * HOUR)
    await room.later(2 * HOUR - 1)
    assert await verdict(asker, "busy") == "working"
    await room.later(14 * MINUTE)
    assert await verdict(asker, "busy") == "overdue"
    assert said(room, "busy") == []
    await room.later(MINUTE + 2)
    assert await verdict(asker, "busy") == "gone"
    assert said(room, "busy") == ["gone"]


async def test_a_member_that_ends_declared_work_early_and_dies_is_noticed_in_time(room: RunningRoom) -> None:
    (agent,) = await room.enroll("agent", mode="live")
    await agent("heartbeat", note="one long build", busy_until=4 * HOUR)
    await beats(room, agent, 20)
    await agent("heartbeat", note="it is built")
    await room.later(16 * MINUTE)
    assert said(room, "agent") == ["gone"]


async def test_a_listener_that_checks_in_with_another_mode_does_not_count_as_evidence_of_work(
    room: RunningRoom,
) -> None:
    asker, hollow = await room.enroll("asker", "hollow", mode="live")
    await hollow("check_in")
    await asker("post_message", text="are you there?", to=["hollow"], kind="ask")
    await beats(room, hollow, 27)
    assert said(room, "hollow")[-1] == "zombie"
    for mode in ("every:300", "live"):
        await hollow("check_in", mode=mode)
        await room.later(MINUTE)
    assert said(room, "hollow")[-1] == "zombie"
    await hollow("post_message", text="I am")
    assert said(room, "hollow")[-1] == "recovered"


async def test_a_silent_member_is_gone_after_three_intervals_and_returns_with_its_first_call(room: RunningRoom) -> None:
    (crashed,) = await room.enroll("crashed", mode="live")
    task = (await crashed("create_task", title="paint"))["task"]
    await crashed("claim_task", task=task)
    await room.later(14 * MINUTE)
    assert said(room, "crashed") == []
    await room.later(MINUTE + 1)
    assert said(room, "crashed") == ["gone"]
    owner = await room.owner()
    assert [w["subject"] for w in (await owner("check_in"))["wakes"] if w["reason"] == "alert"] == ["@crashed"]
    await room.later(HOUR)
    await crashed("heartbeat")
    assert said(room, "crashed") == ["gone", "recovered"]
    await room.later(16 * MINUTE)
    assert said(room, "crashed") == ["gone", "recovered", "gone"], "it is watched again"


async def test_people_and_members_that_wake_on_demand_are_never_challenged(room: RunningRoom) -> None:
    owner = await room.owner()
    (asker,) = await room.enroll("asker")
    (person,) = await room.enroll("person", kind="human")
    (guest,) = await room.enroll("guest")
    for name in ("person", "guest", "olga"):
        await asker("post_message", text=f"are you there, {name}?", to=[name], kind="ask")
    for _ in range(24):
        for member in (owner, person, guest):
            await member("heartbeat")
        await room.later(5 * MINUTE)
    assert [said(room, name) for name in ("person", "guest", "olga")] == [[], [], []]


@promise("PRS6")
async def test_no_presence_is_judged_for_an_interval_after_a_clock_step(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "member", mode="live")
    await member("check_in")
    await asker("post_message", text="are you there?", to=["member"], kind="ask")
    room.time.step(2 * HOUR)
    await room.later(1)
    assert said(room, "member") == []
    assert await verdict(asker, "member") != "gone"
    await room.later(14 * MINUTE)
    assert said(room, "member") == []
    await room.later(2 * MINUTE)
    assert said(room, "member") == ["gone"], "the twin: without a step the same silence counts"


@promise("PRS4")
async def test_a_repair_goes_to_the_watchdogs_of_the_runtime_and_only_one_of_them_makes_it(
    room: RunningRoom,
) -> None:
    (crashed,) = await room.enroll("crashed", mode="live")
    dogs = await room.enroll("rex", "fido", "other", role="watchdog", mode="live")
    for dog, reaches in zip(dogs, ("crashed", "crashed", "another"), strict=True):
        await dog("declare_capabilities", capabilities=[f"runtime:{reaches}"])
    await crashed("check_in")
    for _ in range(16):
        for dog in dogs:
            await dog("heartbeat")
        await room.later(MINUTE)
    wakes = [[w for w in (await dog("check_in"))["wakes"] if w["reason"] == "repair"] for dog in dogs]
    assert [len(found) for found in wakes] == [1, 1, 0]
    task = wakes[0][0]["subject"]
    await dogs[0]("claim_task", task=task)
    assert (await dogs[1].refused("claim_task", task=task))["code"] == "taken"
    assert (await dogs[2].refused("claim_task", task=task))["code"] in ("missing_capability", "taken")


async def test_a_repair_that_nobody_claimed_is_cancelled_when_the_member_returns(room: RunningRoom) -> None:
    (crashed,) = await room.enroll("crashed", mode="live")
    (dog,) = await room.enroll("rex", role="watchdog", mode="live")
    await dog("declare_capabilities", capabilities=["runtime:crashed"])
    await crashed("check_in")
    await room.later(16 * MINUTE)
    (task,) = (await dog("read_board"))["tasks"]
    await crashed("heartbeat")
    assert (await dog("read_board", task=task["task"]))["task"]["state"] == "cancelled"


@promise("PRS2")
async def test_a_stream_that_is_open_is_a_connection_and_ends_with_it(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", live_interval_seconds=60) as room:
        (asker,) = await room.enroll("asker", mode="live")
        (member,) = await room.enroll("member", mode="live")
        await member("check_in")
        row = room.look_up(lambda tx: tx.only(MemberRow, "member_by_name", name="member"))
        with room.room.bus.running(row.id):
            for _ in range(20):
                await room.later(30)
            assert said(room, "member") == []
            assert (await asker("who", name="member"))["members"][0]["reason"].startswith("connected")
        for _ in range(8):
            await room.later(30)
        assert said(room, "member") == ["gone"]


@promise("PRS4")
async def test_a_zombie_gets_no_new_work_and_its_results_are_still_accepted(room: RunningRoom) -> None:
    asker, hollow = await room.enroll("asker", "hollow", mode="live")
    task = (await hollow("create_task", title="paint"))["task"]
    fence = (await hollow("claim_task", task=task))["fence"]
    await asker("post_message", text="are you there?", to=["hollow"], kind="ask")
    other = (await asker("create_task", title="sand"))["task"]
    mine = (await asker("claim_task", task=other))["fence"]
    for _ in range(30):
        await asker("heartbeat")
        await beats(room, hollow, 1)
    assert await verdict(asker, "hollow") == "zombie"
    refused = await asker.refused("hand_off", task=other, fence=mine, to="hollow", note="yours")
    assert refused["code"] == "not_allowed"
    assert (await asker.refused("create_task", title="scrape", assign="hollow"))["code"] == "not_allowed"
    assert (await asker.refused("update_task", task=other, changes={"assign": "hollow"}))["code"] == "not_allowed"
    done = await asker("complete_task", task=other, fence=mine, summary="sanded", evidence=[])
    assert done["reviewer"] != "hollow"
    completed = await hollow("complete_task", task=task, fence=fence, summary="painted", evidence=[])
    assert completed["state"] == "in_review", "its results stay welcome"
    assert await verdict(asker, "hollow") == "live"
    await asker("create_task", title="scrape", assign="hollow")


@promise("HND4")
async def test_a_forecast_without_an_estimate_names_other_members(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, paused, able, unable = await room.enroll("asker", "paused", "able", "unable", mode="live")
    await able("declare_capabilities", capabilities=["tool:docker"])
    await unable("check_in")
    task = (await asker("create_task", title="build", needs=["tool:docker"]))["task"]
    await owner("pause", target="paused", reason="lunch")
    posted = await asker.said("post_message", text="build it?", to=["paused", "able"], task=task, kind="ask")
    forecasts = {f["to"]: f for f in posted[0]["forecast"]}
    assert forecasts["paused"]["others"] == ["able"]
    assert forecasts["able"]["others"] == []
    assert "instead: @able" in posted[1]
    assert (await paused.refused("check_in"))["code"] == "paused"


@promise("PRS1")
async def test_the_roster_keeps_the_facts_apart(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "member", mode="every:600")
    await member("check_in")
    shown = (await asker("who", name="member"))["members"][0]
    assert (shown["connected"], shown["mode"], shown["last_progress"]) == (True, "every:600", None)
    assert shown["last_call"] < shown["next_wake"]
    assert shown["run"] is None
    await member("heartbeat", note="half is done")
    shown = (await asker("who", name="member"))["members"][0]
    assert shown["last_progress"] is None, "a note about no task is no progress"
    await member("heartbeat", task=await a_task_of(member), note="half of it is done")
    shown = (await asker("who", name="member"))["members"][0]
    assert shown["last_progress"] is not None
    room.time.forward(16 * MINUTE)
    shown = (await asker("who", name="member"))["members"][0]
    assert (shown["connected"], shown["presence"]) == (False, "overdue")


@promise("CTL5")
async def test_a_wake_that_waited_through_a_pause_counts_from_its_end(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, member = await room.enroll("asker", "member", mode="live")
    await member("check_in")
    await asker("post_message", text="are you there?", to=["member"], kind="ask")
    await beats(room, member, 11)
    assert said(room, "member") == ["suspect"]
    await owner("pause", target="member", reason="lunch")
    await beats(room, member, 60, every=5)
    await owner("resume", target="member", reason="back to work")
    await beats(room, member, 5)
    assert said(room, "member") == ["suspect"], "who may not read its inbox misses no challenge"
    await beats(room, member, 20)
    assert said(room, "member")[-1] == "zombie", "the twin: without the pause it misses them"


@promise("CTL5")
async def test_a_member_that_ended_its_turn_in_a_pause_is_not_gone_at_the_resume(room: RunningRoom) -> None:
    owner = await room.owner()
    (member,) = await room.enroll("member", mode="live")
    await member("check_in")
    await owner("pause", target="owner:olga", reason="lunch")
    await room.later(2 * HOUR)
    await owner("resume", target="owner:olga", reason="back to work")
    await room.later(14 * MINUTE)
    assert said(room, "member") == []
    await room.later(2 * MINUTE)
    assert said(room, "member") == ["gone"]


@promise("PRS2")
async def test_a_listener_that_returns_still_has_to_answer_its_waiting_wakes(room: RunningRoom) -> None:
    asker, hollow = await room.enroll("asker", "hollow", mode="live")
    await hollow("check_in")
    await asker("post_message", text="are you there?", to=["hollow"], kind="ask")
    await room.later(16 * MINUTE)
    await beats(room, hollow, 11)
    assert said(room, "hollow") == ["gone", "recovered", "suspect"], "a call proves a connection and nothing more"


@promise("PRS2")
async def test_a_refused_call_proves_only_a_connection(room: RunningRoom) -> None:
    asker, hollow = await room.enroll("asker", "hollow", mode="live")
    await hollow("check_in")
    await asker("post_message", text="are you there?", to=["hollow"], kind="ask")
    for _ in range(11):
        await hollow.refused("claim_task")
        await room.later(MINUTE)
    assert said(room, "hollow") == ["suspect"], "it is there, so it is not gone; and it did nothing"


async def test_a_member_that_was_revived_is_watched_again(room: RunningRoom) -> None:
    owner = await room.owner()
    (member,) = await room.enroll("member", mode="live")
    await member("check_in")
    await owner("kill", target="member", reason="it ran wild")
    await room.later(HOUR)
    token = (await owner("enroll", name="member", revive=True))["token"]
    await (await room.connect("member", token))("heartbeat")
    await room.later(16 * MINUTE)
    assert said(room, "member") == ["gone"]


@promise("PRS4")
async def test_a_runtime_is_repaired_once_at_a_time_though_its_member_comes_and_goes(room: RunningRoom) -> None:
    crashed, dog = (await room.enroll("crashed", mode="live"))[0], (await room.enroll("rex", role="watchdog"))[0]
    await dog("declare_capabilities", capabilities=["runtime:crashed"])
    await crashed("check_in")
    await room.later(16 * MINUTE)
    (task,) = (await dog("read_board"))["tasks"]
    fence = (await dog("claim_task", task=task["task"]))["fence"]
    await crashed("heartbeat")
    await room.later(16 * MINUTE)
    assert said(room, "crashed") == ["gone", "recovered", "gone"]
    assert len((await dog("read_board"))["tasks"]) == 1, "the one that was claimed goes on"
    await dog("complete_task", task=task["task"], fence=fence, summary="restarted", evidence=[])
    await crashed("heartbeat")
    await room.later(16 * MINUTE)
    assert len((await dog("read_board"))["tasks"]) == 1, "the twin: once it is done, a new one is asked for"


@promise("PRS6")
async def test_members_are_checked_on_time_after_the_clock_was_set_back(room: RunningRoom) -> None:
    (member,) = await room.enroll("member", mode="live")
    room.time.step(24 * HOUR)
    await member("check_in")
    await room.later(1)
    room.time.step(-24 * HOUR)
    await member("heartbeat")
    await room.later(1)
    await room.later(14 * MINUTE)
    assert said(room, "member") == []
    await room.later(2 * MINUTE)
    assert said(room, "member") == ["gone"]
