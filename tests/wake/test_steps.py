"""A wake is notified, woken and acted on: each step is recorded when it is seen, and none is assumed (WAK1, WAK2)."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio.lowlevel
import pytest

from teamroom.server.facts import steps
from teamroom.server.refusals import Refusal
from teamroom.server.rules.wakes import LOST_RUNS, NOT_VERIFIED, UNACTED
from teamroom.server.store.transaction import Writing
from tests.support.bounds import BOUND_SECONDS
from tests.support.listeners import listening as streaming
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("WAK1")

OLDER, NEWER = "1764000000000-a", "1764000001000-b"
MINUTE = 60.0
numbers = itertools.count()
CALLED, SILENT = {"code": 0, "called": True}, {"code": 0, "called": False}


async def posts(sender: Member, receiver: str = "builder", **more: Any) -> str:
    text = f"please look at {next(numbers)}"
    return str((await sender("post_message", text=text, to=[receiver], **more))["message"])


async def seen(room: RunningRoom, reader: Member, message: str) -> dict[str, Any]:
    """What was seen of the wake of a message with one addressee."""
    await room.room.door.write_deliveries()
    (found,) = (await reader("read_messages", ids=[message]))["messages"]
    (wake,) = found["wakes"]
    return dict(wake)


async def reached(room: RunningRoom, reader: Member, message: str) -> list[str]:
    """The steps that were seen of it."""
    found = await seen(room, reader, message)
    return [step for step in ("held", "notified", "woken", "acted") if found[step] is not None]


async def waits(member: Member, listener: str | None = NEWER, after: int | None = None) -> int:
    """Let a listener wait for wakes that are there; returns the cursor."""
    body, text, refused = await member.said("wait_for_wake", listener=listener, after=after, timeout_seconds=0)
    assert not refused, text
    assert body["wakes"]
    return int(body["cursor"])


async def wakes(member: Member, cursor: int, listener: str = NEWER) -> None:
    """Let a listener say that it handed its wakes to a harness, which started."""
    _, text, refused = await member.said("heartbeat", listener=listener, woke=cursor)
    assert not refused, text


async def acts(member: Member) -> None:
    await member("create_task", title=f"what I was asked {next(numbers)}")


async def woken_once(room: RunningRoom, asker: Member, member: Member) -> str:
    """A wake that goes through all three steps."""
    message = await posts(asker)
    await wakes(member, await waits(member))
    await acts(member)
    await room.room.door.write_deliveries()
    return message


async def roster(asker: Member, name: str = "builder") -> tuple[dict[str, Any], str]:
    body, text, _ = await asker.said("who", name=name)
    return dict(body["members"][0]), text


def told(room: RunningRoom) -> list[str]:
    """What owners were told of wakes that led to no act."""
    return [entry["summary"] for entry in room.entries() if entry["act"] == "unanswered_wakes"]


async def test_each_step_is_recorded_when_it_is_seen(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    assert await reached(room, asker, message) == []
    cursor = await waits(member)
    assert await reached(room, asker, message) == ["notified"]
    room.time.forward(2)
    await wakes(member, cursor)
    assert await reached(room, asker, message) == ["notified", "woken"]
    room.time.forward(2)
    await acts(member)
    found = await seen(room, asker, message)
    assert found["notified"] < found["woken"] < found["acted"]
    text = (await asker.said("read_messages", ids=[message]))[1]
    assert f"- @builder: notified {found['notified']}, woken {found['woken']}, acted {found['acted']}" in text


async def test_the_first_time_of_each_step_stays(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await woken_once(room, asker, member)
    first = await seen(room, asker, message)
    room.time.forward(5)
    await wakes(member, (await member.said("wait_for_wake", listener=OLDER[:-1] + "0", timeout_seconds=0))[0]["cursor"])
    await acts(member)
    assert await seen(room, asker, message) == first


async def test_no_step_is_assumed_from_a_later_one(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    await wakes(member, 1_000_000)
    assert await reached(room, asker, message) == [], "a listener cannot hand on what it was not given"
    await member("check_in")
    assert await reached(room, asker, message) == [], "it looked; it did not act"
    await acts(member)
    assert await reached(room, asker, message) == ["acted"]


@contextlib.contextmanager
def assuming() -> Iterator[None]:
    """The twin: who acts was surely woken, and notified before that."""
    note_acted = steps.note_acted

    def acted(tx: Writing, member: int, after: int, upto: int) -> None:
        note_acted(tx, member, after, upto)
        bounds = {"member": member, "listener": "", "at": tx.now, "from_seq": after, "upto": upto}
        tx.run("note_notified", **bounds)
        tx.run("note_woken", **bounds)

    with patch("teamroom.server.door.admission.note_acted", acted):
        yield


async def test_the_twin_that_assumes_the_earlier_steps_is_seen(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    with assuming():
        await member("check_in")
        await acts(member)
    assert await reached(room, asker, message) == ["notified", "woken", "acted"]


async def test_an_act_without_a_look_at_the_wake_is_not_an_act_on_it(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    await waits(member)
    await acts(member)
    assert await reached(room, asker, message) == ["notified"], "its harness was not started"


async def test_a_check_in_with_a_cursor_is_an_act_and_one_of_a_listener_or_a_poll_is_none(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    cursor = await waits(member)
    for listener in (NEWER, OLDER):
        await member.said("check_in", listener=listener, after=cursor)
    assert await reached(room, asker, message) == ["notified"]
    message = await posts(asker)
    cursor = await waits(member)
    await member("wait_for_wake", after=cursor, timeout_seconds=0)
    assert await reached(room, asker, message) == ["notified"]
    message = await posts(asker)
    cursor = await waits(member)
    await member("check_in", after=cursor)
    assert await reached(room, asker, message) == ["notified", "acted"]


async def test_what_a_listener_does_in_the_name_of_its_member_is_not_the_members_act(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    await wakes(member, await waits(member))
    await member.said("create_task", listener=NEWER, title="mine")
    await member("heartbeat", note="here")
    assert await reached(room, asker, message) == ["notified", "woken"]
    await acts(member)
    assert await reached(room, asker, message) == ["notified", "woken", "acted"]


async def test_a_check_in_of_the_live_listener_gives_it_the_wakes_that_waited(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    found, _, _ = await member.said("check_in", listener=NEWER)
    assert await reached(room, asker, message) == ["notified"]
    await wakes(member, found["cursor"])
    await acts(member)
    assert await reached(room, asker, message) == ["notified", "woken", "acted"]


@promise("PRS5")
async def test_only_the_members_newest_listener_says_what_became_of_its_wakes(room: RunningRoom) -> None:
    asker, other, member = await room.enroll("asker", "other", "builder", mode="live")
    message = await posts(asker)
    cursor = await waits(member)
    await wakes(member, cursor, listener=OLDER)
    await wakes(other, cursor)
    body, _, refused = await member.said("heartbeat", woke=cursor)
    assert (refused, body["code"]) == (True, "invalid")
    assert await reached(room, asker, message) == ["notified"]


async def test_a_listener_says_it_with_any_call_also_one_that_only_reads(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    for tool, arguments in (("who", {}), ("wait_for_wake", {"timeout_seconds": 0}), ("check_in", {})):
        message = await posts(asker)
        cursor = await waits(member)
        _, text, refused = await member.said(tool, listener=NEWER, woke=cursor, **arguments)
        assert not refused, text
        assert "woken" in await reached(room, asker, message), tool


async def test_a_burst_of_wakes_is_one_delivery_and_all_of_them_are_woken(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    messages = [await posts(asker) for _ in range(4)]
    cursor = await waits(member)
    await wakes(member, cursor)
    await acts(member)
    for message in messages:
        assert await reached(room, asker, message) == ["notified", "woken", "acted"]


async def test_a_stream_on_the_inbox_notifies_and_one_on_the_board_does_not(room_of_each_era: RunningRoom) -> None:
    room = room_of_each_era
    asker, _ = await room.enroll("asker", "builder", mode="live")
    async with streaming(room, "builder", "teamroom://board") as others:
        message = await posts(asker)
        await asker("create_task", title="something")
        assert await others.next() == "teamroom://board"
    assert await reached(room, asker, message) == []
    async with streaming(room, "builder", "teamroom://inbox") as mine:
        message = await posts(asker)
        assert await mine.next() == "teamroom://inbox"

        async def is_noted() -> None:
            while await reached(room, asker, message) != ["notified"]:
                await anyio.lowlevel.checkpoint()

        await asyncio.wait_for(is_noted(), BOUND_SECONDS)


@promise("CTL5")
async def test_a_wake_under_a_pause_is_held_and_a_stopped_member_records_nothing(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, member = await room.enroll("asker", "builder", mode="live")
    first = await posts(asker)
    cursor = await waits(member)
    await owner("pause", target="builder", reason="lunch")
    held = await posts(asker)
    for tool in ("wait_for_wake", "heartbeat", "check_in", "create_task", "who"):
        arguments = {"title": "more"} if tool == "create_task" else {}
        await member.said(tool, listener=NEWER, woke=cursor + 2, ended=SILENT, **arguments)
    assert await reached(room, asker, first) == ["notified"]
    assert await reached(room, asker, held) == ["held"]
    text = (await asker.said("read_messages", ids=[held]))[1]
    assert "@builder: held since " in text
    await owner("resume", target="builder", reason="back")
    await waits(member)
    assert await reached(room, asker, held) == ["held", "notified"]
    assert await reached(room, asker, first) == ["notified"]


async def test_a_message_that_wakes_nobody_says_so(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    answer = (await member("post_message", text="thank you", reply_to=message))["message"]
    found = await seen(room, asker, answer)
    assert (found["to"], found["wakes"]) == ("asker", False)


# ------------------------------------------------------------------ what is said of a member


async def test_a_member_is_not_verified_until_one_wake_of_its_listener_went_through_all_steps(
    room_of_each_era: RunningRoom,
) -> None:
    room = room_of_each_era
    asker, member = await room.enroll("asker", "builder", mode="live")

    async def is_verified() -> bool:
        await room.room.door.write_deliveries()
        shown, text = await roster(asker)
        assert (NOT_VERIFIED in text) == (not shown["wake_verified"])
        return bool(shown["wake_verified"])

    assert not await is_verified()
    await posts(asker)
    cursor = await waits(member)
    assert not await is_verified()
    await wakes(member, cursor)
    assert not await is_verified()
    await acts(member)
    assert await is_verified()
    await posts(asker)
    assert await is_verified(), "the next one only just began"
    newest = "1764000002000-c"
    await waits(member, newest)
    assert not await is_verified(), "another listener"


@promise("HND4", "PRS2")
async def test_a_sender_gets_no_estimate_from_a_listener_that_was_not_seen_to_work(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    for _ in range(3):
        await posts(asker)
        cursor = await waits(member, None)
        await member("check_in", after=cursor)
        await acts(member)
    await posts(asker)
    cursor = await waits(member)

    async def note() -> tuple[float | None, str]:
        (forecast,) = (await asker("post_message", text=f"and now? {next(numbers)}", to=["builder"]))["forecast"]
        return forecast["expected_seconds"], forecast["note"]

    expected, words = await note()
    assert expected is None
    assert f"no estimate: {NOT_VERIFIED}" in words
    await wakes(member, cursor)
    await acts(member)
    expected, words = await note()
    assert expected is not None
    assert NOT_VERIFIED not in words


async def lead_to_nothing(room: RunningRoom, asker: Member, member: Member, count: int = UNACTED) -> None:
    for _ in range(count):
        await posts(asker)
        await wakes(member, await waits(member))
    await room.room.door.write_deliveries()


async def test_a_member_is_not_verified_again_once_its_newest_wakes_lead_to_no_act(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, member = await room.enroll("asker", "builder", mode="live")
    await woken_once(room, asker, member)
    await lead_to_nothing(room, asker, member, UNACTED - 1)
    await room.later(20 * MINUTE)
    await member.said("heartbeat", listener=NEWER)
    assert (await roster(asker))[0]["wake_verified"], "two may be chance"
    await lead_to_nothing(room, asker, member, 1)
    assert (await roster(asker))[0]["wake_verified"], "it may still act"
    await room.later(11 * MINUTE)
    await member.said("wait_for_wake", listener=NEWER, timeout_seconds=0)
    shown, text = await roster(asker)
    assert not shown["wake_verified"]
    assert f"{NOT_VERIFIED}: its last 3 led to no act" in text
    (line,) = told(room)
    assert "teamroom listen --as builder -- COMMAND" in line
    lines = [wake["line"] for wake in (await owner("check_in"))["wakes"] if wake["reason"] == "alert"]
    assert line in lines
    await member("check_in")
    await acts(member)
    assert (await roster(asker))[0]["wake_verified"], "it acts again"


async def test_an_owner_is_told_once_a_day(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="on_demand")
    for hours, minutes, times in ((0, 11, 1), (1, 30, 1), (25, 90, 2)):
        await room.later(hours * 60 * MINUTE)
        await lead_to_nothing(room, asker, member)
        await room.later(minutes * MINUTE)  # longer each time: the room waits as long as the member usually takes
        assert len(told(room)) == times
        await member("check_in")
        await acts(member)


async def test_wakes_that_lead_to_acts_tell_nobody(room: RunningRoom) -> None:
    """The twin: the same wakes with an act of the member after them."""
    asker, member = await room.enroll("asker", "builder", mode="on_demand")
    await lead_to_nothing(room, asker, member)
    await acts(member)
    await room.later(11 * MINUTE)
    assert told(room) == []


async def test_time_under_a_pause_does_not_count_against_a_member(room: RunningRoom) -> None:
    owner = await room.owner()
    asker, member = await room.enroll("asker", "builder", mode="on_demand")
    await lead_to_nothing(room, asker, member)
    await owner("pause", target="builder", reason="lunch")
    await room.later(60 * MINUTE)
    await owner("resume", target="builder", reason="back")
    await room.later(1 * MINUTE)
    assert told(room) == []
    await room.later(11 * MINUTE)
    assert len(told(room)) == 1


# ------------------------------------------------------------------ runs without a call


@promise("WAK2")
@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (SILENT, "exit code 0, no call"),
        ({"code": 127, "called": False}, "exit code 127, no call"),
        ({"code": -9, "called": False}, "signal 9, no call"),
        ({"code": 1, "called": True}, "exit code 1"),
    ],
)
async def test_an_owner_is_told_why_after_three_runs_that_answered_nothing(
    room: RunningRoom, ended: dict[str, Any], why: str
) -> None:
    owner = await room.owner()
    _, member = await room.enroll("asker", "builder", mode="live")
    await member.said("check_in", listener=NEWER)
    for run in range(2 * LOST_RUNS):
        assert len(told(room)) == (run >= LOST_RUNS)
        await member.said("heartbeat", listener=NEWER, ended=ended)
    (line,) = told(room)
    assert f"3 runs answered no wake ({why})" in line
    assert "teamroom doctor --wake builder" in line
    assert line in [wake["line"] for wake in (await owner("check_in"))["wakes"]]


@promise("WAK2")
async def test_a_run_that_called_and_an_act_begin_the_count_again(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    await member.said("check_in", listener=NEWER)
    for ended in (SILENT, SILENT, CALLED, SILENT, SILENT):
        await member.said("heartbeat", listener=NEWER, ended=ended)
    await posts(asker)
    await member("check_in")
    await acts(member)
    for listener in (NEWER, NEWER, OLDER):
        await member.said("heartbeat", listener=listener, ended=SILENT)
    assert told(room) == []
    await member.said("heartbeat", listener=NEWER, ended=SILENT)
    assert len(told(room)) == 1


@promise("SAF6")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("woke", value) for value in (True, "9", -1, 1.5, 2**70, [], {})),
        *(
            ("ended", value)
            for value in (0, "crashed", {}, {"code": 0}, {"code": "0", "called": True}, {**SILENT, "x": 1})
        ),
        *(("ended", {"code": value, "called": False}) for value in (True, None, 2**70)),
        ("ended", {"code": 0, "called": "no"}),
    ],
)
async def test_what_makes_no_sense_is_refused(room: RunningRoom, key: str, value: Any) -> None:
    (member,) = await room.enroll("builder", mode="live")
    body, _, refused = await member.said("heartbeat", listener=NEWER, **{key: value})
    assert (refused, body["code"]) == (True, "invalid")
    body, _, refused = await member.said("heartbeat", **{key: 3 if key == "woke" else SILENT})
    assert (refused, body["code"]) == (True, "invalid"), "it is no listener"


# ------------------------------------------------------------------ what it costs


async def test_a_post_costs_no_statement_more_and_deliveries_are_written_together(room: RunningRoom) -> None:
    asker, member, other = await room.enroll("asker", "builder", "other", mode="live")
    ran = list[str]()
    run, run_counted = Writing.run, Writing.run_counted

    def noting(run_it: Callable[..., Any]) -> Callable[..., Any]:
        def noted(tx: Writing, name: str, /, **parameters: Any) -> Any:
            ran.append(name)
            return run_it(tx, name, **parameters)

        return noted

    room.room.door.on_delivered = lambda at: None
    with patch.object(Writing, "run", noting(run)), patch.object(Writing, "run_counted", noting(run_counted)):
        await posts(asker)
        assert not {"note_notified", "note_woken", "note_acted_on", "count_unacted"} & set(ran)
        for receiver in (member, other):
            await posts(asker, receiver.name)
            await waits(receiver)
        ran.clear()
        await room.room.door.write_deliveries()
        assert ran.count("note_notified") == 2
        await room.room.door.write_deliveries()
        assert ran.count("note_notified") == 2


async def test_deliveries_that_cannot_be_written_now_are_written_later(room: RunningRoom) -> None:
    asker, member = await room.enroll("asker", "builder", mode="live")
    message = await posts(asker)
    room.room.door.on_delivered = lambda at: None
    await waits(member)
    refusal = Refusal("storage", "The disk is full.", "Free space.")
    with patch.object(room.room.door, "act_as_room", side_effect=refusal):
        await room.room.door.write_deliveries()
    assert await reached(room, asker, message) == ["notified"]


async def test_what_was_seen_outlives_the_server(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        asker, member = await room.enroll("asker", "builder", mode="live")
        message = await woken_once(room, asker, member)
        found, tokens = await seen(room, asker, message), room.tokens
    async with running_room(tmp_path / "room") as room:
        asker = await room.connect("asker", tokens["asker"])
        assert await seen(room, asker, message) == found
        assert (await roster(asker))[0]["wake_verified"]
