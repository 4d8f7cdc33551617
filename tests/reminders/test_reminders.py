"""Reminders: one for each slot, fewer and fewer, silent for a reason, and ended only by what really moves."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.facts.timers import find_timer
from teamroom.server.rules.reminders import (
    Circumstances,
    Owed,
    decide,
    fills_the_day,
    slot_time,
    slots_passed,
)
from teamroom.server.settings import Settings
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.rows.supervisor import SupervisorRow
from teamroom.server.supervisor.duties import carry_out
from tests.campaigns.invariants import rows
from tests.support.planting import planted, prove
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("REM2")

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SETTINGS = Settings()
WELL = Circumstances("active", "live", None, 0, 0.0)

spans = st.floats(60, 7 * DAY)
times = st.floats(0, 400 * DAY)


# ------------------------------------------------------------------ slots


@given(since=times, first=spans, slot=st.integers(1, 60))
def test_a_slot_is_due_from_its_time_and_not_before(since: float, first: float, slot: int) -> None:
    at = slot_time(since, first, DAY, slot)
    assert slots_passed(since, first, DAY, at + 0.01) == slot
    assert slots_passed(since, first, DAY, at - 0.01) == slot - 1


@given(since=times, first=spans, slot=st.integers(1, 60))
def test_the_gap_between_slots_doubles_up_to_a_day(since: float, first: float, slot: int) -> None:
    before, at, after = (slot_time(since, first, DAY, n) for n in (slot, slot + 1, slot + 2))
    assert at - before == pytest.approx(min(first * 2**slot, DAY), abs=0.01)
    assert after - at >= at - before - 0.01


@promise("REM1")
@given(first=spans, looks=st.lists(st.floats(0, 30 * DAY), min_size=1, max_size=60), cap=st.integers(1, 8))
def test_a_late_supervisor_decides_no_slot_twice_and_counts_missed_ones(
    first: float, looks: list[float], cap: int
) -> None:
    owed, decided, escalations, now = Owed(0.0, first), [], 0, 0.0
    for span in looks:
        now += span
        decision = decide(owed, WELL, cap, now, SETTINGS)
        assert decision.next_at > now
        if decision.outcome is not None:
            decided.append(decision.slot)
            assert decision.missed == decision.slot - owed.slot - 1
        escalations += decision.escalate
        owed = Owed(0.0, first, decision.slot, decision.counted, owed.escalated or decision.escalate)
    assert len(decided) == len(set(decided)) <= cap
    assert escalations <= 1
    assert (escalations == 1) == (len(decided) == cap)


@promise("REM3")
@pytest.mark.parametrize(
    ("circumstances", "outcome", "counts"),
    [
        (WELL, "sent", 1),
        (Circumstances("paused", "paused", None, 0, 0), "silent", 0),
        (Circumstances("killed", "killed", None, 0, 0), "silent", 0),
        (Circumstances("active", "live", 2 * HOUR, 0, 0), "silent", 0),
        (Circumstances("active", "live", HOUR, 0, 0), "sent", 1),
        (Circumstances("active", "zombie", None, 0, 0), "silent", 1),
        (Circumstances("active", "gone", None, 0, 0), "silent", 1),
        (Circumstances("active", "suspect", None, 0, 0), "silent", 1),
        (Circumstances("active", "live", None, SETTINGS.reminders_per_day, 0), "silent", 1),
        (Circumstances("active", "live", None, SETTINGS.reminders_per_day - 1, 0), "sent", 1),
        (Circumstances("active", "asleep", None, 0, 0), "held", 1),
        (Circumstances("active", "overdue", None, 0, 0), "sent", 1),
    ],
)
def test_the_reason_against_a_reminder_is_named(circumstances: Circumstances, outcome: str, counts: int) -> None:
    decision = decide(Owed(0.0, HOUR), circumstances, 5, HOUR, SETTINGS)
    assert (decision.outcome, decision.counted) == (outcome, counts)
    assert bool(decision.reason) == (outcome != "sent")


def test_the_hourly_cap_of_the_room_only_postpones_a_reminder() -> None:
    full = Circumstances("active", "live", None, 0, HOUR + 600)
    decision = decide(Owed(0.0, HOUR), full, 5, HOUR, SETTINGS)
    assert (decision.outcome, decision.slot, decision.next_at) == (None, 0, HOUR + 600)


@given(gaps=st.lists(st.floats(60, 2 * DAY), min_size=1, max_size=40), a_day=st.integers(1, 6))
def test_an_owner_is_notified_once_while_the_daily_reminder_limit_is_reached(gaps: list[float], a_day: int) -> None:
    now, sent, told = 0.0, list[float](), list[float]()
    for gap in gaps:
        now += gap
        if sum(now - at < DAY for at in sent) < a_day:
            sent.insert(0, now)
            is_full = sum(now - at < DAY for at in sent) == a_day
            if fills_the_day([at for at in sent if at > now - 2 * DAY][: 2 * a_day], a_day, now):
                assert is_full
                assert all(now - before >= DAY for before in told)
                told.append(now)
            elif is_full:
                assert any(before < now for before in told), "the first one is told"


# ------------------------------------------------------------------ in a real room


def acts(room: RunningRoom, act: str) -> list[Any]:
    return [entry for entry in room.entries() if entry["act"] == act]


async def holding(room: RunningRoom, *, mode: str = "live") -> tuple[Member, str, int]:
    """A member that holds a task, and its fence."""
    (holder,) = await room.enroll("holder", mode=mode)
    task = (await holder("create_task", title="paint"))["task"]
    return holder, task, (await holder("claim_task", task=task))["fence"]


async def here(room: RunningRoom, member: Member, hours: float) -> None:
    """Let time pass while a member works on something else, beating with new notes."""
    for step in range(int(hours * 12)):
        await member("post_message", text=f"on something else: {room.time.offset} {step}", kind="note")
        await room.later(5 * MINUTE)


async def decision_page(member: Member) -> Any:
    content = (await member.client.read_resource("teamroom://decisions/D-1")).contents[1]
    return json.loads(content.text)


async def ledger(room: RunningRoom, member: Member, task: str) -> list[tuple[str, str]]:
    shown = (await member("read_board", task=task))["task"]["reminders"]
    return [(slot["outcome"], slot["reason"]) for slot in reversed(shown)]


@promise("REM4")
async def test_only_a_report_ends_a_reminder_and_a_note_does_not(room: RunningRoom) -> None:
    holder, task, fence = await holding(room)
    await here(room, holder, 0.75)
    assert len(acts(room, "remind")) == 1
    await holder("post_message", text="on it", task=task)
    await here(room, holder, 1)
    assert len(acts(room, "remind")) == 2
    await holder("update_task", task=task, fence=fence, note="half is painted")
    before = len(acts(room, "remind"))
    await here(room, holder, 0.4)
    assert len(acts(room, "remind")) == before
    await here(room, holder, 0.5)
    assert len(acts(room, "remind")) == before + 1, "the twin: where nothing moves again, it is reminded again"
    assert len((await holder("check_in"))["reminders"]) == 1


@promise("REM3")
async def test_an_edit_by_somebody_else_makes_the_next_slot_silent(room: RunningRoom) -> None:
    owner = await room.owner()
    holder, task, _ = await holding(room)
    await here(room, holder, 0.4)
    await owner("update_task", task=task, changes={"title": "paint it blue"})
    await here(room, holder, 0.25)
    assert acts(room, "remind") == []
    assert await ledger(room, holder, task) == [("silent", "it moved")]
    await here(room, holder, 0.5)
    assert len(acts(room, "remind")) == 1


@promise("REM3")
async def test_a_paused_member_is_not_reminded_and_its_pause_does_not_count(room: RunningRoom) -> None:
    owner = await room.owner()
    _, task, _ = await holding(room)
    await owner("pause", target="holder", reason="lunch")
    for _ in range(24):
        await room.later(HOUR / 2)
    assert acts(room, "remind") == []
    assert acts(room, "escalate") == []
    assert {outcome for outcome, _ in await ledger(room, owner, task)} == {"silent"}
    assert (await ledger(room, owner, task))[-1] == ("silent", "the member is paused")


@promise("REM3")
async def test_a_snoozed_task_is_silent_until_the_snooze_ends(room: RunningRoom) -> None:
    holder, task, fence = await holding(room)
    await holder("update_task", task=task, fence=fence, snooze_until=6 * HOUR)
    await here(room, holder, 5.5)
    assert acts(room, "remind") == []
    assert ("silent", "snoozed") in await ledger(room, holder, task)
    await here(room, holder, 8)
    assert len(acts(room, "remind")) >= 1
    refused = await holder.refused("update_task", task=task, fence=fence, snooze_until=8 * DAY)
    assert refused["code"] == "invalid"


@promise("REM3")
async def test_a_sleeping_member_gets_the_reminder_with_its_next_wake(room: RunningRoom) -> None:
    holder, task, _ = await holding(room, mode="every:7200")
    await room.later(HOUR)
    await room.later(4 * HOUR)
    assert acts(room, "remind") == [] or len(acts(room, "remind")) == 1
    found = await holder("check_in")
    assert [owed["subject"] for owed in found["reminders"]] == [task]


async def test_reminders_of_an_ask_continue_until_it_is_answered_in_its_thread(room: RunningRoom) -> None:
    asker, asked = await room.enroll("asker", "asked", mode="live")
    await asked("check_in")
    message = (await asker("post_message", text="which colour?", to=["asked"], kind="ask"))["message"]
    await here(room, asked, 0.5)
    (said,) = acts(room, "remind")
    assert said["subject"] == message
    await asked("post_message", text="blue", reply_to=message)
    await here(room, asked, 3)
    assert len(acts(room, "remind")) == 1
    assert (await asked("check_in"))["reminders"] == []


@promise("REM1", "DEC5")
async def test_a_person_is_reminded_of_an_open_decision_until_it_is_made(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await builder("request_decision", question="Deploy?")
    await room.later(16 * MINUTE)
    await room.later(15 * MINUTE)
    assert [entry["subject"] for entry in acts(room, "remind")] == ["D-1"] * len(acts(room, "remind"))
    (owed,) = (await owner("check_in"))["reminders"]
    assert (owed["rule"], owed["subject"]) == ("decision", "D-1")
    shown = await decision_page(owner)
    slots = [(slot["rule"], slot["member"]) for slot in shown["reminders"]]
    assert slots == [("decision", "olga")] * owed["times"]
    await owner("decide", decision="D-1", option="yes")
    sent = len(acts(room, "remind"))
    await room.later(3 * HOUR)
    assert len(acts(room, "remind")) == sent
    assert (await owner("check_in"))["reminders"] == []


@promise("REM2")
async def test_reminders_of_a_decision_end_at_the_cap_as_those_of_an_ask_do(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", reminders_per_task=2) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        await builder("request_decision", question="Deploy?")
        for _ in range(45):
            await owner("heartbeat")
            await room.later(4 * MINUTE)
        line = "@olga is reminded: @builder waits for your decision D-1 for another 7 d: decide"
        assert [entry["summary"] for entry in acts(room, "remind")] == [line] * 2
        (told,) = acts(room, "escalate")
        assert told["subject"] == "D-1"
        assert "despite 2 reminders" in told["summary"]


@promise("HND5")
async def test_an_offer_is_reminded_once_and_expires_back_to_its_giver(room: RunningRoom) -> None:
    giver, task, fence = await holding(room)
    (receiver,) = await room.enroll("receiver", mode="live")
    await receiver("check_in")
    offer = (await giver("hand_off", task=task, fence=fence, to="receiver", note="yours"))["offer"]
    await here(room, receiver, 0.2)
    assert [entry["subject"] for entry in acts(room, "remind")] == [offer]
    await here(room, receiver, 0.2)
    (expired,) = acts(room, "expire_offer")
    assert expired["subject"] == offer
    wakes = (await giver("check_in"))["wakes"]
    assert [(w["reason"], w["subject"]) for w in wakes if w["reason"] == "answer"] == [("answer", offer)]
    assert [entry["subject"] for entry in acts(room, "remind") if entry["subject"] == offer] == [offer]


async def test_the_giver_of_an_offer_that_was_declined_is_reminded_from_then_on(room: RunningRoom) -> None:
    giver, task, fence = await holding(room)
    (receiver,) = await room.enroll("receiver", mode="every:7200")
    offer = (await giver("hand_off", task=task, fence=fence, to="receiver", note="yours"))["offer"]
    await here(room, giver, 0.75)
    await receiver("answer_hand_off", offer=offer, accept=False)
    await here(room, giver, 0.75)
    assert [entry["subject"] for entry in acts(room, "remind")] == [task], "not once the offer would have ended"
    await here(room, giver, 0.5)
    assert [entry["subject"] for entry in acts(room, "overdue")] == [task]


async def test_the_assigned_member_is_reminded_when_a_task_reopens(room: RunningRoom) -> None:
    owner = await room.owner()
    holder, other = await room.enroll("holder", "other", mode="live")
    task = (await owner("create_task", title="paint", assign="holder"))["task"]
    fence = (await holder("claim_task", task=task))["fence"]
    offer = (await holder("hand_off", task=task, fence=fence, to="other", note="yours"))["offer"]
    fence = (await other("answer_hand_off", offer=offer, accept=True))["fence"]
    await here(room, holder, 0.75)
    assert [entry["subject"] for entry in acts(room, "remind")] == []
    await other("update_task", task=task, fence=fence, status="released")
    await here(room, holder, 0.75)
    assert [entry["summary"] for entry in acts(room, "remind")] == [
        f"@holder is reminded: {task} is assigned to you: claim_task"
    ]


@promise("REM4")
async def test_settled_debts_are_not_shown_even_before_the_supervisor_checks(room: RunningRoom) -> None:
    asker, holder = await room.enroll("asker", "holder", mode="live")
    await holder("check_in")
    message = (await asker("post_message", text="which colour?", to=["holder"], kind="ask"))["message"]
    task = (await holder("create_task", title="paint", review="none"))["task"]
    fence = (await holder("claim_task", task=task))["fence"]
    await here(room, holder, 0.75)
    assert {owed["subject"] for owed in (await holder("check_in"))["reminders"]} == {message, task}
    await holder("post_message", text="blue", reply_to=message)
    await holder("complete_task", task=task, fence=fence, summary="it is blue", evidence=[])
    assert (await holder("check_in"))["reminders"] == []


async def test_a_late_supervisor_announces_an_expired_lease_once(
    room: RunningRoom,
) -> None:
    giver, task, fence = await holding(room)
    await room.enroll("receiver", mode="every:7200")
    await giver("hand_off", task=task, fence=fence, to="receiver", note="yours")
    room.time.forward(8 * HOUR)
    await giver("heartbeat", note="back")
    await room.room.supervisor.tick()
    assert [entry["act"] for entry in room.entries() if entry["act"] in ("expire_offer", "overdue")] == [
        "expire_offer",
        "overdue",
    ]


async def test_the_reason_for_a_missing_reminder_is_shown_with_the_ask_or_offer(room: RunningRoom) -> None:
    owner = await room.owner()
    giver, task, fence = await holding(room)
    (receiver,) = await room.enroll("receiver", mode="live")
    await receiver("check_in")
    message = (await giver("post_message", text="which colour?", to=["receiver"], kind="ask"))["message"]
    await giver("hand_off", task=task, fence=fence, to="receiver", note="yours")
    await owner("pause", target="receiver", reason="lunch")
    await here(room, giver, 0.2)
    (offered,) = (await owner("read_board", task=task))["task"]["reminders"]
    assert (offered["rule"], offered["member"], offered["outcome"]) == ("offer", "receiver", "silent")
    assert offered["reason"] == "the member is paused"
    await here(room, giver, 0.2)
    (asked,) = (await owner("read_messages", ids=[message]))["messages"]
    assert [(slot["outcome"], slot["reason"]) for slot in asked["reminders"]] == [("silent", "the member is paused")]
    _, words, _ = await owner.said("read_messages", ids=[message])
    assert "ask of @receiver: silent, the member is paused" in words


async def test_the_reason_for_a_missing_reminder_of_a_proof_is_shown_with_the_member(
    room: RunningRoom, tmp_path: Path
) -> None:
    owner = await room.owner()
    (prover,) = await planted(room, tmp_path / "proof", "prover")
    await prover("check_in", mode="live")
    await prove(prover, tmp_path)
    await room.later(6 * DAY + 6 * HOUR)
    (shown,) = (await owner("who", name="prover"))["members"]
    why = "the member is gone, and its owner knows"
    assert ("proof", "silent", why) in [(slot["rule"], slot["outcome"], slot["reason"]) for slot in shown["reminders"]]
    (listed,) = [member for member in (await owner("who"))["members"] if member["name"] == "prover"]
    assert listed["reminders"] == [], "a page of the roster stays small"


async def test_a_reviewer_is_reminded_and_after_an_hour_the_owner_is_asked_automatically(room: RunningRoom) -> None:
    owner = await room.owner()
    reviewer, other = await room.enroll("reviewer", "worker", mode="live")
    await reviewer("check_in")
    task = (await other("create_task", title="paint"))["task"]
    fence = (await other("claim_task", task=task))["fence"]
    completed = await other("complete_task", task=task, fence=fence, summary="done", evidence=[])
    assert completed["reviewer"] == "reviewer"
    await here(room, reviewer, 0.75)
    assert [entry["subject"] for entry in acts(room, "remind")] == [task]
    await here(room, reviewer, 0.5)
    wakes = (await owner("check_in"))["wakes"]
    assert [(w["reason"], w["subject"]) for w in wakes if w["reason"] == "review"] == [("review", task)]


async def test_a_member_gets_at_most_twelve_reminders_a_day_and_its_owner_is_notified_once(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", reminders_per_day=6, wip_cap=10) as room:
        owner = await room.owner()
        (holder,) = await room.enroll("holder", mode="live")
        for number in range(4):
            task = (await holder("create_task", title=f"wall {number}"))["task"]
            await holder("claim_task", task=task)
        await here(room, holder, 9)
        assert len(acts(room, "remind")) == 6
        days = [entry for entry in acts(room, "escalate") if entry["subject"] == "@holder"]
        assert len(days) == 1
        assert any(w["subject"] == "@holder" for w in (await owner("check_in"))["wakes"])


async def test_the_room_sends_a_limited_number_of_reminders_an_hour_and_the_others_later(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", reminders_per_hour=3, wip_cap=10) as room:
        (holder,) = await room.enroll("holder", mode="live")
        for number in range(5):
            await holder("claim_task", task=(await holder("create_task", title=f"wall {number}"))["task"])
        await here(room, holder, 1)
        assert len(acts(room, "remind")) == 3
        await here(room, holder, 3)
        assert len({entry["subject"] for entry in acts(room, "remind")}) == 5


@promise("REM1")
async def test_missed_slots_become_one_reminder_that_says_how_many(room: RunningRoom) -> None:
    holder, _, _ = await holding(room)
    room.time.forward(4 * HOUR)
    await holder("heartbeat", note="back")
    await room.room.supervisor.tick()
    (said,) = acts(room, "remind")
    assert "2 reminders were missed" in said["summary"]


@promise("REM1")
async def test_outdated_timers_and_outdated_supervisors_are_ignored(
    room: RunningRoom,
) -> None:
    holder, task, _ = await holding(room)
    await here(room, holder, 0.4)
    member = room.look_up(lambda tx: tx.only(MemberRow, "member_by_name", name="holder")).id
    seen = room.look_up(lambda tx: find_timer(tx, "task", int(task[2:]), member))
    assert seen is not None
    await here(room, holder, 0.2)  # the supervisor does it
    assert len(acts(room, "remind")) == 1
    fence = room.look_up(lambda tx: tx.only(SupervisorRow, "supervisor")).fence
    act = room.room.door.act_as_room
    assert await act(lambda tx: carry_out(tx, seen, fence)) is False
    now_due = room.look_up(lambda tx: find_timer(tx, "task", int(task[2:]), member))
    assert now_due is not None
    assert await act(lambda tx: carry_out(tx, now_due, fence - 1)) is False
    assert len(acts(room, "remind")) == 1


@promise("REM3")
async def test_a_killed_member_gets_no_reminders_and_a_revived_one_those_that_it_still_owes(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, slow = await room.enroll("asker", "slow", mode="live")
    await slow("check_in")
    port = (await asker("post_message", text="which port?", to=["slow"], kind="ask"))["message"]
    host = (await asker("post_message", text="which host?", to=["slow"], kind="ask"))["message"]
    await owner("create_task", title="paint", assign="slow")
    await slow("post_message", text="a.example", reply_to=host)
    await owner("kill", target="slow", reason="it ran wild")
    for _ in range(60):
        await room.later(DAY)
    about = "select rule, subject, outcome, reason from reminder order by rule"
    dead = ("silent", "the member is killed")
    assert [tuple(row) for row in rows(room.folder, about)] == [("ask", 1, *dead)], "its task is free"
    assert (await owner("overnight"))["waits"]["counts"] == {}
    token = (await owner("enroll", name="slow", revive=True))["token"]
    slow = await room.connect("slow", token)
    cursor = (await slow("check_in"))["cursor"]
    await room.later(MINUTE)
    told = await slow("check_in", after=cursor)
    assert {reminder["subject"] for reminder in told["reminders"]} == {port}
    assert {wake["subject"] for wake in told["wakes"]} == {port}, "what was answered is over"


async def test_open_work_of_a_killed_member_is_not_shown_as_waiting_for_a_person(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", reminders_per_task=1) as room:
        owner = await room.owner()
        asker, slow = await room.enroll("asker", "slow", mode="live")
        (hanna,) = await room.enroll("hanna", kind="human")
        for member in (slow, hanna):
            await member("check_in")
        await asker("post_message", text="which port?", to=["slow"], kind="ask")
        await asker("post_message", text="which host?", to=["hanna"], kind="ask")
        await owner("create_task", title="choose a name", assign="hanna")
        for _ in range(50):
            await slow("heartbeat")
            await asker("heartbeat", note=f"at {room.time()}")
            await room.later(MINUTE)
        waits = (await owner("overnight"))["waits"]
        assert waits["counts"] == {"escalation": 1, "ask": 1, "assigned": 1}, "the twin: while they live, it waits"
        for name in ("slow", "hanna"):
            await owner("kill", target=name, reason="over")
        assert (await owner("overnight"))["waits"] == {"counts": {}, "shown": [], "left_out": {}}


async def test_a_duty_that_fails_is_postponed_while_the_others_continue(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from teamroom.server.supervisor import duties

    holder, task, _ = await holding(room)

    def fails(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(duties, "DUTIES", {**duties.DUTIES, "task": fails})
    await here(room, holder, 0.75)
    assert acts(room, "remind") == []
    await here(room, holder, 0.5)
    assert [entry["subject"] for entry in acts(room, "overdue")] == [task], "the lease's duty is done all the same"
    assert "will be retried" in caplog.text
    assert 1 <= caplog.text.count("RuntimeError: broken") <= 8, "it is tried at doubling distances"
    monkeypatch.undo()
    await here(room, holder, 1.5)
    assert acts(room, "remind"), "nothing is lost by it"
    metrics = (await room.room.metrics.text()).decode().splitlines()
    assert 'rule="task"' in next(line for line in metrics if 'outcome="failed"' in line)
