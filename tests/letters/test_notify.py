"""Escalations that reach people: the real server, the real apprise, and receivers on this machine."""

import asyncio
import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from teamroom.server import logs
from teamroom.server.clock import wall_clock
from teamroom.server.notify import channels, deliver
from teamroom.server.rules.letters import Letter
from teamroom.server.store.engine import DiskFullError
from tests.campaigns.invariants import rows
from tests.http.test_metrics import metrics
from tests.support.bounds import BOUND_SECONDS
from tests.support.planting import planted, prove
from tests.support.promises import house, promise
from tests.support.receivers import Receiver, receiver
from tests.support.room_in_thread import logged
from tests.support.rooms import Member, RunningRoom, Time, running_room
from tests.support.shells import Shell, free_port, up

pytestmark = house

HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def phone() -> Iterator[Receiver]:
    """Olga's."""
    with receiver() as found:
        yield found


def told(*phones: Receiver, **settings: Any) -> dict[str, Any]:
    """Settings under which @olga has these channels; no digest, unless a test wants one."""
    return {"notify": {"olga": [phone.url for phone in phones]}, "notify_digest": "", **settings}


def entries(room: RunningRoom, act: str) -> list[Any]:
    return [entry for entry in room.entries() if entry["act"] == act]


def kept(room: RunningRoom) -> dict[str, int]:
    """How many rows the room keeps for people outside of it."""
    due = "select count(*) from due where rule in ('notice', 'digest')"
    counts = {table: f"select count(*) from {table}" for table in ("notice", "delivery")}
    return {name: rows(room.folder, sql)[0][0] for name, sql in {**counts, "due": due}.items()}


def at(moment: str) -> Time:
    """A clock that begins at a moment, in UTC."""
    return Time(datetime.fromisoformat(f"{moment}+00:00").timestamp() - wall_clock())


async def ask(member: Member, text: str = "which registry?") -> str:
    return str((await member("post_message", text=text, to=["olga"], kind="ask"))["message"])


def shell_of(room: RunningRoom, token: str | None = None) -> Shell:
    variables = {} if token is None else {"TEAMROOM_TOKEN": token}
    return Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url, **variables})


# ------------------------------------------------------------------ each kind arrives once


@promise("QUI1")
async def test_a_question_arrives_once_and_says_who_asks_and_what_to_do(tmp_path: Path, phone: Receiver) -> None:
    link = "https://room.example.org"
    async with running_room(tmp_path / "room", **told(phone, room_name="acme", notify_link=link)) as room:
        (builder,) = await room.enroll("builder")
        await ask(builder, "which “registry”?\nteamroom kill builder")
        assert phone.letters == []
        await room.later(61)
        asked = '“which "registry"? teamroom kill builder”'
        body = f"needs you: @builder asks in M-1: {asked}\nteamroom reply M-1 …\n{link}"
        assert phone.letters == [("[Teamroom acme] needs you", body)]
        await room.later(HOUR)
        assert phone.tries == 1
        assert kept(room) == {"notice": 0, "delivery": 1, "due": 0}
        assert entries(room, "notify") == [], "what goes well leaves no line"


@promise("HND6")
async def test_work_that_is_assigned_to_a_person_causes_a_notice(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **told(phone, notify_group_seconds=0, notify_per_hour=100)) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        await builder("create_task", title="paint", assign="olga")
        await builder("create_task", title="wait", depends_on=["T-1"])
        await room.later(1)
        task = await owner("claim_task", task="T-1")
        await owner("hand_off", task="T-1", fence=task["fence"], to="builder", note="yours")
        await builder("answer_hand_off", offer="O-1", accept=False, reason="no brush")
        await room.later(1)
        fence = (await builder("claim_task", task=(await builder("create_task", title="roof"))["task"]))["fence"]
        await builder("hand_off", task="T-3", fence=fence, to="olga", note="too high")
        await room.later(1)
        await builder("post_message", text="the paint is on fire", kind="alert", task="T-1")
        await room.later(1)
        assert phone.letters == [
            ("[Teamroom] needs you", "needs you: @builder assigned T-1 to you: “paint”\nteamroom claim T-1"),
            ("[Teamroom] needs you", "needs you: @builder declined T-1: “no brush”\nteamroom board T-1"),
            ("[Teamroom] needs you", "needs you: @builder offers you O-2: “too high”\nteamroom handoff O-2 ANSWER"),
            (
                "[Teamroom] needs you",
                "needs you: @builder raised an alert in M-1: “the paint is on fire”\nteamroom reply M-1 …",
            ),
        ]


async def test_events_that_need_no_action_of_a_person_cause_no_notice(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **told(phone)) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        await builder("post_message", text="@olga it stands")
        task = await builder("claim_task", task=(await builder("create_task", title="paint", review="none"))["task"])
        await builder("post_message", text="@olga half of it is painted", kind="report", task="T-1")
        await owner("create_task", title="varnish", depends_on=["T-1"])
        await builder("complete_task", task="T-1", fence=task["fence"], summary="done", evidence=[])
        offered = await owner("claim_task", task="T-2")
        await owner("hand_off", task="T-2", fence=offered["fence"], to="builder", note="yours")
        await builder("answer_hand_off", offer="O-1", accept=True)
        wakes = [wake["reason"] for wake in (await owner("check_in"))["wakes"]]
        assert wakes == ["mention", "mention", "assigned", "answer"], "its inbox has them all"
        await room.later(61)
        assert phone.tries == 0


async def test_a_review_that_waits_for_a_person_arrives_once(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **told(phone)) as room:
        (builder,) = await room.enroll("builder")
        task = await builder("claim_task", task=(await builder("create_task", title="paint", review="olga"))["task"])
        await builder("complete_task", task="T-1", fence=task["fence"], summary="done", evidence=[])
        await room.later(61)
        body = "review waiting: @builder completed T-1, please review: “paint”\nteamroom review T-1 VERDICT …"
        assert phone.letters == [("[Teamroom] review waiting", body)]


async def test_the_owner_of_a_member_is_notified_when_somebody_else_stops_it(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **told(phone, notify_group_seconds=1)) as room:
        owner = await room.owner()
        (hanna,) = await room.enroll("hanna", kind="human", role="owner")
        await room.enroll("builder", "tester", "scribe")
        await owner("pause", target="builder", reason="I know that")
        await room.later(2)
        assert phone.tries == 0, "who did it is not told"
        await owner("resume", target="builder", reason="go on")
        for target in ("builder", "owner:olga", "room"):
            await hanna("pause", target=target, reason="wrong repository")
            await room.later(2)
            await hanna("resume", target=target, reason="it was right")
        await hanna("kill", target="tester", reason="it leaks")
        await room.later(2)
        await hanna("pause", target="scribe", reason="a moment")
        await hanna("resume", target="scribe", reason="over")
        await room.later(2)
        said = "stopped: @hanna paused {0}: “wrong repository”\nteamroom resume {1} --reason …"
        assert [body for _, body in phone.letters] == [
            said.format("@builder", "builder"),
            said.format("owner:olga", "owner:olga"),
            said.format("room", "room"),
            "stopped: @hanna killed @tester: “it leaks”\nteamroom enroll tester --revive",
        ]


@promise("PRS4")
async def test_a_gone_member_and_an_expired_lease_are_reported_as_stuck(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **told(phone)) as room:
        live, slow = await room.enroll("live", "slow")
        await live("check_in", mode="live")
        for member, title in ((live, "paint"), (slow, "varnish")):
            await member("create_task", title=title)
            await member("claim_task")
        await room.later(1000)
        await room.later(61)
        (gone,) = phone.letters
        assert gone[0] == "[Teamroom] stuck"
        assert gone[1].startswith("stuck: @live is gone: silent for 17 min; ")
        assert gone[1].endswith("\nteamroom roster live")
        await live("update_task", task="T-1", fence=1, status="released", note="I am back, and do not want it")
        await room.later(2600)
        await room.later(61)
        assert [body.splitlines()[-1] for _, body in phone.letters[1:]] == ["teamroom board T-2"]
        assert phone.letters[1][1].startswith("stuck: The lease of @slow on T-2 expired; anyone can claim it from ")


@promise("REM2")
async def test_a_task_with_unanswered_reminders_is_reported_as_stuck(tmp_path: Path, phone: Receiver) -> None:
    settings = told(phone, lease_seconds=DAY, lease_max_seconds=DAY)
    async with running_room(tmp_path / "room", **settings) as room:
        (live,) = await room.enroll("live", mode="live")
        await live("create_task", title="paint")
        await live("claim_task")
        for quarter in range(4 * 16):
            await live("heartbeat", note=f"thinking {quarter}")
            await room.later(900)
        (reminded,) = phone.letters
        assert reminded[1].endswith(" despite 5 reminders\nteamroom board T-1")
        assert reminded[1].startswith("stuck: @live has not acted on T-1 for ")


@promise("PRS4")
async def test_a_zombie_that_acts_again_before_the_letter_is_not_mentioned_in_it(
    tmp_path: Path, phone: Receiver
) -> None:
    async with running_room(tmp_path / "room", **told(phone)) as room:
        (live,) = await room.enroll("live")
        await live("check_in", mode="live")
        await live("create_task", title="paint")
        await live("claim_task")
        await room.later(1000)
        assert kept(room)["notice"] == 1
        await live("heartbeat")
        await room.later(61)
        assert phone.tries == 0
        assert kept(room)["notice"] == 0


@promise("QUI1")
async def test_the_daily_digest_comes_at_its_time_and_only_after_a_day_with_events(
    tmp_path: Path, phone: Receiver
) -> None:
    settings = told(phone, notify_digest="08:00", notify_zone="Europe/Berlin")
    async with running_room(tmp_path / "room", time=at("2026-11-23T06:30:00"), **settings) as room:
        (builder,) = await room.enroll("builder")
        await builder("create_task", title="paint")
        await builder("claim_task")
        await room.later(29 * 60)
        assert phone.tries == 0
        await room.later(2 * 60)
        lines = [
            "who did this: 2 members, 3 acts, 0 completed",
            "who has it now: 1 claimed, 0 blocked, 0 in review, 0 open; 0 waiting for you",
            "who noticed it broke: 0 reports of stuck members, 0 letters not delivered",
            "who can stop it: stopped 0 times; 0 members paused now",
            "teamroom overnight",
        ]
        assert phone.letters == [("[Teamroom] daily digest", "\n".join(lines))]
        head = room.entries()[-1]["seq"]
        await builder("update_task", task="T-1", fence=1, status="released")
        await room.later(DAY)
        assert phone.letters[1][1].startswith("who did this: 1 member, 1 act, 0 completed\n")
        assert room.entries()[-1]["seq"] == head + 1, "a digest leaves no line"
        for _ in range(3):
            await room.later(DAY)
        assert phone.tries == 2


@pytest.mark.parametrize("begin", ["2027-03-27T12:00:00", "2027-10-30T12:00:00"])
async def test_one_digest_goes_out_on_a_day_whose_clock_is_put_forward_or_back_over_its_time(
    tmp_path: Path, phone: Receiver, begin: str
) -> None:
    settings = told(phone, notify_digest="02:30", notify_zone="Europe/Berlin")
    async with running_room(tmp_path / "room", time=at(begin), **settings) as room:
        (builder,) = await room.enroll("builder")
        for hour in range(36):
            await builder("post_message", text=f"something happens each hour: {hour}")
            await room.later(HOUR)
        assert phone.titles == ["[Teamroom] daily digest"]


@pytest.mark.parametrize(("clock", "known"), [("", 6), ("08:00", 3)])
async def test_old_letters_are_deleted_with_the_next_one(
    tmp_path: Path, phone: Receiver, clock: str, known: int
) -> None:
    """The newest letter, a digest where there is one, takes with it what is older than thirty days."""
    settings = told(phone, notify_digest=clock, notify_zone="UTC")
    async with running_room(tmp_path / "room", time=at("2026-07-01T12:00"), **settings) as room:
        (builder,) = await room.enroll("builder")
        for number in range(5):
            for part in range(3):
                await ask(builder, f"question {number}.{part}")
                await room.later(61)
            await room.later(20 * DAY)
        letters = rows(room.folder, "select count(*) from delivery where kind = 'notices' and state = 'delivered'")
        assert letters[0][0] == known
        assert len([title for title in phone.titles if "digest" not in title]) == 15


# ------------------------------------------------------------------ grouped, capped, quiet, left out


async def test_notices_within_the_span_share_one_letter_and_each_has_its_command(
    tmp_path: Path, phone: Receiver
) -> None:
    async with running_room(tmp_path / "room", **told(phone)) as room:
        (builder,) = await room.enroll("builder")
        for number in range(12):
            await ask(builder, f"question {number}")
        await room.later(30)
        await builder("create_task", title="paint", assign="olga")
        await room.later(31)
        ((title, body),) = phone.letters
        assert title == "[Teamroom] needs you (13)"
        lines = body.splitlines()
        assert lines[:20] == [
            line
            for n in range(1, 11)
            for line in (f"needs you: @builder asks in M-{n}: “question {n - 1}”", f"  teamroom reply M-{n} …")
        ]
        eleventh = entries(room, "post_message")[10]["seq"]
        assert lines[20:] == ["… and 3 more", f"teamroom stream --after {eleventh - 1}"]


@promise("DEC5")
async def test_a_letter_of_different_things_settles_each_and_has_no_other_step(tmp_path: Path, phone: Receiver) -> None:
    link = {"notify_link": "https://wiki.example.org"}
    async with running_room(tmp_path / "room", **told(phone, **link)) as room:
        (builder,) = await room.enroll("builder")
        await ask(builder)
        digest = (await builder("request_decision", question="Deploy?"))["digest"]
        await builder("create_task", title="paint", assign="olga")
        await room.later(61)
        (body,) = [body for _, body in phone.letters]
        assert [line for line in body.splitlines() if not line.startswith("needs you: ")] == [
            "  teamroom reply M-1 …",
            f"  teamroom decide D-1 OPTION --digest {digest[:8]}",
            "  teamroom claim T-1",
            "https://wiki.example.org",
        ]
    page = {"public_url": "https://room.example.org"}
    async with running_room(tmp_path / "other", **told(phone, **page)) as room:
        (builder,) = await room.enroll("builder")
        await ask(builder)
        await builder("create_task", title="paint", assign="olga")
        await room.later(61)
        links = [line.strip() for line in phone.letters[-1][1].splitlines() if not line.startswith("needs you: ")]
        assert links == ["https://room.example.org/messages/M-1", "https://room.example.org/tasks/T-1"]


async def test_notices_beyond_the_hourly_cap_are_held_and_then_sent_as_one_letter(
    tmp_path: Path, phone: Receiver
) -> None:
    async with running_room(tmp_path / "room", **told(phone, notify_per_hour=2)) as room:
        (builder,) = await room.enroll("builder")
        for number in range(4):
            await ask(builder, f"question {number}")
            await room.later(120)
        assert phone.titles == ["[Teamroom] needs you"] * 2
        assert (await metrics(room))["teamroom_notices_held"] == 2
        await room.later(HOUR - 500)
        assert phone.tries == 2
        await room.later(150)
        assert phone.titles[2:] == ["[Teamroom] needs you (2)"]
        found = await metrics(room)
        assert (found["teamroom_notices_held"], found["teamroom_deliveries_total outcome=delivered"]) == (0, 3)


async def test_debts_and_alerts_that_were_settled_in_quiet_hours_are_in_no_letter(
    tmp_path: Path, phone: Receiver
) -> None:
    settings = told(phone, notify_quiet="22:00-07:00", reminders_per_task=1, notify_per_hour=100)
    async with running_room(tmp_path / "room", time=at("2026-07-01T22:10"), **settings) as room:
        owner = await room.owner()
        asker, slow = await room.enroll("asker", "slow", mode="live")
        await slow("check_in")
        alerts = [
            (await asker("post_message", text=text, to=["olga"], kind="alert"))["message"]
            for text in ("the disk is full", "the disk is slow")
        ]
        asks = [
            (await asker("post_message", text=text, to=["slow"], kind="ask"))["message"]
            for text in ("which port?", "which host?")
        ]
        for minute in range(40):
            await slow("heartbeat", note=f"at {minute}", busy_until=HOUR)
            await asker("heartbeat", note=f"at {minute}", busy_until=HOUR)
            await room.later(60)
        assert [entry["subject"] for entry in entries(room, "escalate")] == asks
        await slow("post_message", text="8080", reply_to=asks[0])
        await owner("post_message", text="I made room", reply_to=alerts[0])
        for _ in range(10):
            for member in (slow, asker):
                await member("heartbeat", note=f"at {room.time()}", busy_until=2 * HOUR)
            await room.later(HOUR)
        ((_, body),) = phone.letters
        assert f"@asker raised an alert in {alerts[1]}" in body
        assert f"@slow has not acted on {asks[1]}" in body
        assert f"in {alerts[0]}" not in body
        assert f"acted on {asks[0]}" not in body


@pytest.mark.parametrize("how", ["renewed", "killed", "still owed"])
async def test_a_proof_that_was_renewed_or_whose_member_was_killed_is_in_no_letter(
    tmp_path: Path, phone: Receiver, how: str
) -> None:
    async with running_room(tmp_path / "room", **told(phone, reminders_per_task=1)) as room:
        owner = await room.owner()
        (builder,) = await planted(room, tmp_path / "proof", "builder")
        await prove(builder, tmp_path)
        for _ in range(24 * 8):
            await builder("heartbeat")
            await room.later(HOUR)
            if entries(room, "escalate"):
                break
        assert [entry["subject"] for entry in entries(room, "escalate")] == ["@builder"]
        assert (kept(room)["notice"], phone.letters) == (1, [])
        if how == "killed":
            await owner("kill", target="builder", reason="over")
        elif how == "renewed":
            await prove(builder, tmp_path)
        await room.later(HOUR)
        assert (kept(room)["notice"], len(phone.letters)) == (0, int(how == "still owed"))


async def test_after_quiet_hours_one_letter_has_everything_that_is_still_open(tmp_path: Path, phone: Receiver) -> None:
    settings = told(phone, notify_quiet="22:00-07:00", notify_zone="Europe/Berlin")
    async with running_room(tmp_path / "room", time=at("2026-11-23T20:58:30"), **settings) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        await ask(builder, "before")
        await room.later(65)
        assert phone.tries == 1
        answered = await ask(builder, "answered meanwhile")
        await ask(builder, "two")
        await ask(builder, "three")
        for _ in range(9):
            await room.later(HOUR)
        assert phone.tries == 1
        await owner("post_message", text="the old one", reply_to=answered)
        await room.later(HOUR)
        assert phone.titles[1:] == ["[Teamroom] needs you (2)"]
        assert [line.split(": ")[-1] for line in phone.letters[1][1].splitlines()[::2]] == ["“two”", "“three”"]


async def test_a_letter_that_was_written_before_the_quiet_hours_waits_through_them(
    tmp_path: Path, phone: Receiver
) -> None:
    settings = told(phone, notify_quiet="22:00-07:00")
    phone.status = 503
    async with running_room(tmp_path / "room", time=at("2026-11-23T21:58:50"), **settings) as room:
        (builder,) = await room.enroll("builder")
        await ask(builder)
        await room.later(61)
        assert phone.tries == 1
    phone.status = 200
    async with running_room(tmp_path / "room", time=at("2026-11-24T03:00:00"), **settings) as room:
        await room.later(60)
        assert phone.tries == 1
        await room.later(4 * HOUR)
        assert phone.titles == ["[Teamroom] needs you"]


async def test_a_notice_that_was_read_in_the_room_is_not_sent(tmp_path: Path, phone: Receiver) -> None:
    phone.status = 503
    async with running_room(tmp_path / "room", **told(phone)) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        await ask(builder, "read before the letter")
        await owner("check_in")
        await room.later(61)
        assert phone.tries == 0
        await ask(builder, "read after a try that failed")
        await room.later(61)
        await owner("check_in")
        phone.status = 200
        await room.later(HOUR)
        assert phone.tries == 1
        assert kept(room)["notice"] == 0
        assert entries(room, "notify") == []


@promise("SAF2")
async def test_redacted_content_is_in_no_letter(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room", **told(phone)) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        message = await ask(builder, "is swordfish the password?")
        await owner("redact", what=message, reason="a password")
        await room.later(61)
        assert "“(redacted)”" in phone.letters[0][1]
        assert "swordfish" not in phone.letters[0][1]


async def test_a_paused_person_gets_only_the_letter_about_the_pause_and_a_killed_one_none(
    tmp_path: Path, phone: Receiver
) -> None:
    async with running_room(tmp_path / "room", **{**told(), "notify": {"hanna": [phone.url]}}) as room:
        owner = await room.owner()
        await room.enroll("hanna", kind="human")
        await owner("pause", target="hanna", reason="on holiday")
        await owner("post_message", text="are you back?", to=["hanna"], kind="ask")
        await room.later(61)
        assert phone.titles == ["[Teamroom] stopped"]
        await room.later(HOUR)
        assert phone.tries == 1
        await owner("resume", target="hanna", reason="back")
        await room.later(HOUR)
        assert phone.titles[1:] == ["[Teamroom] needs you"]
        await owner("post_message", text="still there?", to=["hanna"], kind="ask")
        await owner("kill", target="hanna", reason="left")
        await room.later(DAY)
        assert phone.tries == 2
        assert kept(room)["notice"] == 0


# ------------------------------------------------------------------ without a channel


async def a_night(room: RunningRoom) -> None:
    """A little of everything that would ring."""
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human", role="owner")
    live, builder = await room.enroll("live", "builder")
    await live("check_in", mode="live")
    await builder("create_task", title="paint", assign="olga")
    await ask(builder)
    await live("create_task", title="varnish", review="olga")
    await live("claim_task", task="T-2")
    await hanna("pause", target="builder", reason="wrong repository")
    await owner("create_task", title="roof")
    await room.later(2 * HOUR)
    await room.later(DAY)


@promise("QUI1")
async def test_letters_are_written_only_for_people_with_a_channel(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "silent") as room:
        await a_night(room)
        assert kept(room) == {"notice": 0, "delivery": 0, "due": 0}
        assert entries(room, "notify") == []
        assert (await metrics(room))["teamroom_notices_held"] == 0
    async with running_room(tmp_path / "told", **told(phone)) as room:
        await a_night(room)
        assert kept(room)["delivery"] >= 2
        assert phone.tries >= 2


async def test_a_channel_that_was_removed_from_the_settings_leaves_nothing_behind(
    tmp_path: Path, phone: Receiver
) -> None:
    phone.status = 503
    async with running_room(tmp_path / "room", **told(phone)) as room:
        (builder,) = await room.enroll("builder")
        await ask(builder)
        await room.later(61)
        await ask(builder, "and this?")
        before = room.time.offset
    async with running_room(tmp_path / "room", time=Time(before + DAY)) as room:
        await room.room.supervisor.tick()
        await room.room.deliverer.tick()
        await room.room.deliverer.settled()
        assert kept(room) == {"notice": 0, "delivery": 1, "due": 0}
        assert rows(room.folder, "select state from delivery")[0][0] == "left out"
        assert phone.tries == 1


# ------------------------------------------------------------------ what does not arrive


async def test_a_service_that_was_down_gets_the_letter_once_it_is_up(tmp_path: Path, phone: Receiver) -> None:
    phone.status = 503
    async with running_room(tmp_path / "room", **told(phone)) as room:
        (builder,) = await room.enroll("builder")
        await ask(builder)
        await room.later(61)
        for wait in (30, 60):
            before = phone.tries
            await room.later(wait - 5)
            assert phone.tries == before
            await room.later(6)
            assert phone.tries == before + 1, "twice as long each time"
        phone.status = 200
        await room.later(121)
        assert phone.titles == ["[Teamroom] needs you"]
        await room.later(DAY)
        assert phone.tries == 4
        assert entries(room, "notify") == []
        found = await metrics(room)
        assert found["teamroom_deliveries_total outcome=retried"] == 3


@promise("QUI1")
async def test_a_receiver_that_never_is_up_leaves_one_entry_a_day_in_the_room(tmp_path: Path) -> None:
    settings = {"notify": {"olga": [f"json://mallory:sesame@127.0.0.1:{free_port()}/"]}, "notify_digest": ""}
    async with running_room(tmp_path / "room", notify_tries=3, **settings) as room:
        owner = await room.owner()
        (builder,) = await room.enroll("builder")
        for number in range(3):
            await ask(builder, f"question {number}")
            for _ in range(5):
                await room.later(61)
        (failed,) = entries(room, "notify")
        assert (failed["subject"], failed["outcome"], failed["actor"]) == ("@olga", "failed", 1)
        line = "@olga could not be reached on channel 1 of 1 after 3 tries in 2 min (the service did not accept it); "
        assert failed["summary"].startswith(line)
        shown = (await owner.client.read_resource("teamroom://stream")).contents
        assert line in shown[0].text
        assert len((await owner("check_in"))["wakes"]) == 3, "the inbox has them all"
        (room.folder / "room.toml").write_text(f"[notify]\nolga = {settings['notify']['olga']}\n")
        doctor = await shell_of(room).here("doctor", "--json")
        (found,) = [check for check in doctor.json["checks"] if check["about"] == "notify"]
        assert found["level"] == "warning"
        assert "nothing delivered yet; failed 2" in found["found"]
        assert doctor.json["settings"]["notify"]["value"] == {"olga": {"json": 1}}
        assert "sesame" not in doctor.out + "".join(map(str, map(tuple, room.entries())))
        await room.later(DAY)
        await ask(builder, "one more")
        for _ in range(5):
            await room.later(61)
        assert len(entries(room, "notify")) == 2, "equal failures are said once a day"


async def test_a_channel_that_fails_does_not_delay_the_others(tmp_path: Path, phone: Receiver) -> None:
    with receiver() as second:
        second.status = 500
        async with running_room(tmp_path / "room", **told(phone, second, notify_tries=2)) as room:
            (builder,) = await room.enroll("builder")
            await ask(builder)
            await room.later(61)
            assert phone.titles == ["[Teamroom] needs you"]
            await room.later(61)
            (failed,) = entries(room, "notify")
            assert "on channel 2 of 2 after 2 tries" in failed["summary"]
            assert (phone.tries, second.tries) == (1, 2)


async def test_a_receiver_that_hangs_slows_neither_acts_nor_others_and_is_not_called_twice(
    tmp_path: Path, phone: Receiver
) -> None:
    with receiver() as hannas:
        phone.open.clear()
        settings = {"notify": {"olga": [phone.url], "hanna": [hannas.url]}, "notify_digest": "", "notify_seconds": 1}
        async with running_room(tmp_path / "room", supervised=True, notify_group_seconds=0, **settings) as room:
            await room.enroll("hanna", kind="human")
            (builder,) = await room.enroll("builder")
            await ask(builder)
            await anyio.to_thread.run_sync(partial(phone.until, lambda it: it.tries == 1))
            for number in range(20):
                await builder("create_task", title=f"wall {number}")
            await builder("post_message", text="you?", to=["hanna"], kind="ask")
            await anyio.to_thread.run_sync(partial(hannas.until, lambda it: it.tries == 1))
            await anyio.to_thread.run_sync(partial(_until, lambda: _tries(room) == [0, 1]))
            room.time.forward(31)
            room.room.deliverer.nudge()
            await anyio.to_thread.run_sync(partial(_until, lambda: _tries(room) == [0, 2]))
            assert phone.tries == 1, "the thread that hangs is the only one"
            assert rows(room.folder, "select reason from delivery where tries = 2")[0][0] == deliver.HANGS
            phone.open.set()


def _tries(room: RunningRoom) -> list[int]:
    """How often each letter was tried in vain: one that was taken is left out."""
    found = rows(room.folder, "select state, tries from delivery order by tries")
    return sorted(0 if row[0] == "delivered" else row[1] for row in found)


def _until(is_so: Any) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + BOUND_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@promise("LOG4")
def test_a_server_killed_before_and_while_a_letter_is_sent_loses_none(tmp_path: Path, phone: Receiver) -> None:
    environment = {"TEAMROOM_NOTIFY": json.dumps({"olga": [phone.url]}), "TEAMROOM_NOTIFY_DIGEST": ""}
    owner = {"TEAMROOM_NOTIFY_GROUP_SECONDS": "1"}
    phone.status = 500
    phone.open.clear()
    with up(tmp_path / "room", "--owner", "olga", **environment, **owner) as room:
        token = room.shell.now("enroll", "hanna", "--kind", "human", "--role", "operator", "--json").json["token"]
        room.shell.now("enroll", "builder")
        hanna = room.shell.with_(TEAMROOM_TOKEN=token)
        assert hanna.now("pause", "builder", "--reason", "before the letter").code == 0
        room.process.kill()  # the notice is committed, and no letter written
        room.process.wait()
    with up(tmp_path / "room", **environment, **owner) as room:
        phone.until(lambda it: it.tries == 1)
        room.process.kill()  # the letter is written, and on its way
        room.process.wait()
    phone.status = 200
    phone.open.set()
    with up(tmp_path / "room", **environment, **owner):
        phone.until(lambda it: bool(it.letters))
    assert phone.titles == ["[Teamroom] stopped"]


async def test_the_outcome_of_a_letter_is_recorded_once_the_disk_has_room_and_it_is_not_sent_twice(
    tmp_path: Path, phone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "AGAIN_SECONDS", 0.01)
    async with running_room(tmp_path / "room", **told(phone)) as room:
        (builder,) = await room.enroll("builder")
        await ask(builder)
        room.time.forward(61)
        await room.room.supervisor.tick()
        write, refused = room.room.store.write, []

        async def full(work: Any, recover: Any, *which: Any) -> Any:
            if len(refused) < 3:
                refused.append(work)
                raise DiskFullError("a test's disk")
            return await write(work, recover, *which)

        monkeypatch.setattr(room.room.store, "write", full)
        await room.delivered()
        assert (len(refused), phone.tries) == (3, 1)
        assert rows(room.folder, "select state from delivery")[0][0] == "delivered"


async def test_a_letter_that_cannot_be_made_fails_alone(
    tmp_path: Path, phone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault of ours")

    async with running_room(tmp_path / "room", **told(phone, notify_tries=2)) as room:
        (builder,) = await room.enroll("builder")
        with monkeypatch.context() as patch, logged() as complaints:
            patch.setattr(deliver, "read_letter", broken)
            await ask(builder, "one")
            await room.later(61)
            await room.later(61)
        assert len(complaints.lines) == 2
        assert deliver.UNMADE in entries(room, "notify")[0]["summary"]
        await ask(builder, "two")
        await room.later(61)
        assert phone.titles == ["[Teamroom] needs you"]


async def test_a_room_restored_from_a_backup_sends_nothing_of_what_was_before(tmp_path: Path, phone: Receiver) -> None:
    phone.status = 503
    async with running_room(tmp_path / "room", **told(phone)) as room:
        (builder,) = await room.enroll("builder")
        await ask(builder, "a letter of it is written")
        await room.later(61)
        await ask(builder, "none of this one yet")
        assert (await shell_of(room).here("backup")).code == 0
        shell, offset = shell_of(room), room.time.offset
    phone.status = 200
    (backup,) = (tmp_path / "room" / "backups").glob("*.db")
    assert shell.now("restore", str(backup)).code == 0
    async with running_room(tmp_path / "room", time=Time(offset), **told(phone)) as room:
        await room.later(DAY)
        assert phone.tries == 1
        assert kept(room)["notice"] == 0


# ------------------------------------------------------------------ the settings, the shell, the extra


@promise("SAF2")
async def test_the_policy_holds_no_channel(room: RunningRoom) -> None:
    owner = await room.owner()
    refusal = await owner.refused("set_policy", name="notify", value='{"olga": ["json://elsewhere"]}')
    assert "not a policy setting" in refusal["why"]


async def test_the_shell_sends_a_test_letter_and_says_whether_it_arrived(tmp_path: Path, phone: Receiver) -> None:
    settings = {"notify": {"olga": [phone.url]}, "notify_quiet": "00:00-23:59"}
    async with running_room(tmp_path / "room", supervised=True, **settings) as room:
        done = await shell_of(room).here("notify", "olga")
        assert (done.code, done.out) == (0, "json  delivered\n"), "in quiet hours too"
        body = "@olga sent this test letter. No action is needed.\nteamroom letters"
        assert phone.letters == [("[Teamroom] test", body)]
        phone.status = 500
        again = await shell_of(room).here("notify", "@olga", "--json")
        assert (again.code, again.json["channels"][0]["state"]) == (1, "failed"), "each test is sent, however soon"
        assert phone.tries == 2
        phone.status = 200
        mended = await shell_of(room).here("notify", "olga")
        assert (mended.code, mended.out, phone.tries) == (0, "json  delivered\n", 3)
        shown = await shell_of(room).here("notify")
        assert shown.out.startswith("@olga  json  last delivered 20")
        assert "127.0.0.1" not in shown.out


async def test_only_operators_test_the_channels_of_others(tmp_path: Path, phone: Receiver) -> None:
    with receiver() as hannas:
        async with running_room(
            tmp_path / "room", **told(phone, notify={"olga": [phone.url], "hanna": [hannas.url]})
        ) as room:
            (hanna,) = await room.enroll("hanna", kind="human")
            (runner,) = await room.enroll("runner", role="operator")
            (builder,) = await room.enroll("builder")
            for member in (hanna, builder):
                assert (await member.refused("notify", name="olga"))["code"] == "not_allowed"
            assert (await builder.refused("notify", name="builder"))["code"] == "not_found"
            assert (await runner.refused("notify", name="builder"))["code"] == "not_found"
            await runner("notify", name="@olga")
            await hanna("notify", name="hanna")
            await room.delivered()
            assert (phone.tries, hannas.tries) == (1, 1)
            seen = json.loads((await hanna.client.read_resource("teamroom://channels")).contents[1].text)
            assert [person["name"] for person in seen["people"]] == ["hanna"]
            seen = json.loads((await runner.client.read_resource("teamroom://channels")).contents[1].text)
            assert [person["name"] for person in seen["people"]] == ["olga", "hanna"]


async def test_doctor_names_people_that_a_channel_cannot_reach(tmp_path: Path, phone: Receiver) -> None:
    async with running_room(tmp_path / "room") as room:
        await room.enroll("builder")
        toml = (
            f'[notify]\nolga = ["{phone.url}", "nowhere://key"]\nbuilder = ["{phone.url}"]\nnobody = ["{phone.url}"]\n'
        )
        (room.folder / "room.toml").write_text(toml)
        done = await shell_of(room).here("doctor", "--json")
        found = [(c["level"], c["found"]) for c in done.json["checks"] if c["about"] == "notify"]
        assert found == [
            ("ok", "@olga by json (1 of 2): nothing delivered yet."),
            ("problem", "@olga by nowhere (2 of 2): nothing delivered yet. Its URL is not valid."),
            ("warning", "Channels are configured for @builder, who is not a person in this room."),
            ("warning", "Channels are configured for @nobody, who is not a person in this room."),
        ]
        assert "nowhere://" not in done.out + done.err


async def test_without_the_extra_the_room_says_how_to_install_it(
    tmp_path: Path, phone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "find_spec", lambda name: None)
    async with running_room(tmp_path / "room", **told(phone)) as room:
        with logged(logging.WARNING) as complaints:
            await room.room.deliverer.begin()
        assert any("pip install --require-hashes -r requirements-notify.lock" in line for line in complaints.lines)
        (builder,) = await room.enroll("builder")
        await ask(builder)
        await room.later(61)
        (failed,) = entries(room, "notify")
        assert "after 1 try (apprise is not installed here)" in failed["summary"]
        (room.folder / "room.toml").write_text(f'[notify]\nolga = ["{phone.url}"]\n')
        done = await shell_of(room).here("doctor", "--json")
        fixes = [c["fix"] for c in done.json["checks"] if c["about"] == "notify" and c["level"] == "problem"]
        assert fixes == [f"Run: {channels.INSTALL}"]
        assert phone.tries == 0


def test_logs_of_libraries_about_channels_are_discarded(phone: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: from another thread the same call would leave its path in the log."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(logs, "LIBRARIES", ())
    logs.configure("plain", "debug")
    try:

        async def sent() -> None:
            send = partial(channels.send, f"{phone.url}a-secret-path", Letter("title", "body"))
            assert await channels.in_thread(send, lambda: None) == ""

        asyncio.run(sent())
        assert "secret" not in stream.getvalue()
        assert channels.send(f"{phone.url}a-secret-path", Letter("title", "body")) == ""
        assert "secret" in stream.getvalue()
    finally:
        root.handlers[:], root.level = before
    assert phone.titles == ["title", "title"]
