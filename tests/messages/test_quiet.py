"""Quietness: budgets and folding, the loop guard, wakes told joined, and who hears an alert that names nobody."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.rules.text import PAGE_CHARACTERS
from teamroom.server.settings import Settings
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import promise
from tests.support.raw import reply
from tests.support.room_in_thread import room_in_thread
from tests.support.rooms import Member, RunningRoom, running_room

DEFAULTS = Settings()
ROUNDS = DEFAULTS.exchange_rounds
SHARE = DEFAULTS.wakes_from_one
NOTES = DEFAULTS.notes_per_hour
QUESTIONS = itertools.count()


async def stream(reader: Member, after: int | None = None) -> dict[str, Any]:
    """A page of the stream as data."""
    address = "teamroom://stream" if after is None else f"teamroom://stream/{after}"
    contents = (await reader.client.read_resource(address)).contents
    page: dict[str, Any] = json.loads(contents[1].text)
    assert all(entry["line"] in contents[0].text for entry in page["entries"])
    return page


async def followed(reader: Member) -> list[dict[str, Any]]:
    """The whole stream, read on from one cursor to the next."""
    entries: list[dict[str, Any]] = []
    page = await stream(reader, 0)
    while page["entries"]:
        entries += page["entries"]
        page = await stream(reader, page["cursor"])
    return entries


async def wakes(member: Member) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await member("check_in"))["wakes"]
    return found


# ------------------------------------------------------------------ budgets and folding


@promise("QUI2")
async def test_notes_beyond_the_budget_share_one_line_and_their_author_learns_it(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for number in range(NOTES):
        assert not (await builder("post_message", text=f"shown {number}"))["folded"]
    for number in range(7):
        reply, words, _ = await builder.said("post_message", text=f"folded {number}")
        assert reply["folded"]
        assert "folded into one line" in words
        assert "update_task" in reply["next"]
    last = (await stream(owner))["entries"][-1]
    assert (last["line"], last["folded"], last["count"]) == ("… and 7 more notes of @builder", True, 7)
    said = (await owner("read_messages", after=last["seq"] - 7))["messages"]
    assert [message["text"] for message in said] == [f"folded {number}" for number in range(7)]


@promise("QUI2")
async def test_a_budget_of_twelve_an_hour_has_room_again_after_an_hour(room: RunningRoom) -> None:
    (builder,) = await room.enroll("builder")
    shown = 0
    for _ in range(60):  # a note every four minutes for four hours
        shown += not (await builder("post_message", text=f"again {_}"))["folded"]
        room.time.forward(240)
    assert shown == 4 * NOTES


@promise("QUI2")
async def test_a_room_owner_changes_the_budgets_while_the_room_runs(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("set_policy", name="notes_per_hour", value=1)
    assert not (await builder("post_message", text="the one"))["folded"]
    assert (await builder("post_message", text="one more"))["folded"]
    await owner("set_policy", name="notes_per_hour", value=5)
    assert not (await builder("post_message", text="now again"))["folded"]


@promise("QUI2")
async def test_addressees_of_a_folded_note_are_still_woken(room: RunningRoom) -> None:
    builder, tester = await room.enroll("builder", "tester")
    for number in range(NOTES):
        await builder("post_message", text=f"note {number}")
    assert (await builder("post_message", text="@tester the build is red"))["folded"]
    assert [wake["line"] for wake in await wakes(tester)] == ["@tester the build is red"]


@promise("LOG1", "QUI2")
async def test_a_reader_with_a_cursor_sees_folded_notes_once_and_in_order_wherever_it_stops(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", notes_per_hour=2) as room:
        owner = await room.owner()
        members = await room.enroll("one", "two", "three")
        for number in range(60):
            await members[number % 7 % 3]("post_message", text=f"note {number}")
            if number % 9 == 0:
                await owner("create_task", title=f"task {number}")
        visible = [entry["seq"] for entry in room.entries() if entry["outcome"] == "ok"]
        entries = await followed(owner)
        assert [entry["previous"] for entry in entries] == [0, *(entry["seq"] for entry in entries[:-1])]
        spans = [[n for n in visible if entry["previous"] < n <= entry["seq"]] for entry in entries]
        assert [number for span in spans for number in span] == visible
        assert [entry["count"] for entry in entries] == [len(span) for span in spans]
        folded = [entry for entry in entries if entry["folded"]]
        assert sum(entry["count"] for entry in folded) == 60 - 2 * 3
        assert len(entries) < len(visible) / 2
        for entry in entries:  # whoever stops at any line goes on exactly behind it
            page = await stream(owner, entry["seq"])
            after = [number for number in visible if number > entry["seq"]]
            assert sum(later["count"] for later in page["entries"]) == min(len(after), 50)


@promise("QUI2")
async def test_messages_of_people_are_never_folded_or_refused(room: RunningRoom) -> None:
    owner = await room.owner()
    for number in range(NOTES + 5):
        assert not (await owner("post_message", text=f"I say {number}"))["folded"]
    for number in range(DEFAULTS.alerts_per_hour + 2):
        await owner("post_message", text=f"fire {number}", kind="alert")


@promise("QUI2")
@pytest.mark.parametrize(("kind", "limit"), [("alert", DEFAULTS.alerts_per_hour), ("ask", DEFAULTS.asks_per_hour)])
async def test_alerts_and_asks_are_refused_beyond_their_limit_until_there_is_room_again(
    room: RunningRoom, kind: str, limit: int
) -> None:
    (builder,) = await room.enroll("builder")
    for number in range(limit):
        await builder("post_message", text=f"@olga {kind} {number}", kind=kind)
    refusal = await builder.refused("post_message", text="@olga one more", kind=kind)
    assert refusal["code"] == "rate_limited"
    assert 3500 <= refusal["retry_after_seconds"] <= 3600
    assert kind in refusal["why"]
    room.time.forward(refusal["retry_after_seconds"])
    await builder("post_message", text="@olga one more", kind=kind)


@promise("QUI2")
async def test_a_report_must_be_about_a_task_of_its_author(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    refusal = await builder.refused("post_message", text="all good", kind="report")
    assert (refusal["code"], refusal["fix"]) == ("invalid", 'Call post_message again with kind "note".')
    await owner("create_task", title="theirs")
    await tester("claim_task", task="T-1")
    await owner("create_task", title="mine")
    await builder("claim_task", task="T-2")
    refusal = await builder.refused("post_message", text="all good", kind="report", task="T-1")
    assert refusal["code"] == "not_allowed"
    assert 'task "T-2"' in refusal["fix"]
    assert (await builder("post_message", text="all good", kind="report", task="T-2"))["message"] == "M-1"
    assert (await owner("post_message", text="said of my agents", kind="report", task="T-1"))["message"] == "M-2"


# ------------------------------------------------------------------ the loop guard


async def answer_each_other(one: Member, other: Member, messages: int) -> list[dict[str, Any]]:
    """Two members post to each other in turn, never the same twice; the replies."""
    pair = (one, other)
    return [
        await pair[n % 2]("post_message", text=f"what do you think, {next(QUESTIONS)}?", to=[pair[1 - n % 2].name])
        for n in range(messages)
    ]


@promise("QUI3")
async def test_two_agents_that_only_answer_each_other_are_stopped_and_their_owners_notified_once(
    room: RunningRoom,
) -> None:
    owner = await room.owner()
    (hanna,) = await room.enroll("hanna", kind="human")
    (builder,) = await room.enroll("builder")
    (tester,) = await room.enroll("tester", owner="hanna")
    replies = await answer_each_other(builder, tester, 2 * ROUNDS + 6)
    assert [bool(reply["not_woken"]) for reply in replies] == [False] * 2 * ROUNDS + [True] * 6
    stopped = replies[-2]
    assert stopped["not_woken"] == ["tester"]
    assert "not woken" in stopped["forecast"][0]["note"]
    assert stopped["forecast"][0]["expected_seconds"] is None
    assert "ask a person" in stopped["next"]
    for member in (builder, tester):
        assert len(await wakes(member)) == ROUNDS
    for person in (owner, hanna):
        (told,) = await wakes(person)
        assert (told["reason"], told["from"], told["subject"]) == ("alert", "room", f"M-{2 * ROUNDS}")
        assert "@tester" in told["line"]
        assert "@builder" in told["line"]
    lines = [entry for entry in room.entries() if entry["act"] == "stop_exchange"]
    assert len(lines) == 1
    everything = (await owner("read_messages", after=0, limit=50))["messages"]
    assert len(everything) == len(replies)


async def claims_what_one_created(room: RunningRoom) -> None:
    await (await room.connect("third"))("claim_task", task="T-2")


async def edits_what_one_holds(room: RunningRoom) -> None:
    await (await room.owner())("update_task", task="T-1", changes={"priority": 5})


async def judges_what_one_completed(room: RunningRoom) -> None:
    await (await room.connect("tester"))("complete_task", task="T-1", fence=1, summary="it stands", evidence=[])
    await (await room.connect("third"))("review_task", task="T-1", verdict="send_back", note="it leans")


async def declines_what_one_offered(room: RunningRoom) -> None:
    await (await room.connect("tester"))("hand_off", task="T-1", fence=1, to="third", note="yours")
    await (await room.connect("third"))("answer_hand_off", offer="O-1", accept=False, reason="no")


async def reports_on_its_own(room: RunningRoom) -> None:
    await (await room.connect("tester"))("update_task", task="T-1", fence=1, note="a new note")
    await (await room.connect("tester"))("heartbeat", task="T-1", note="another new note", busy_until=60)


async def creates_and_claims_its_own(room: RunningRoom) -> None:
    for name in ("builder", "tester"):
        member = await room.connect(name)
        task = (await member("create_task", title=f"work of {name}"))["task"]
        await member("claim_task", task=task)


async def judges_the_others(room: RunningRoom) -> None:
    await (await room.connect("tester"))("complete_task", task="T-1", fence=1, summary="it stands", evidence=[])
    await (await room.connect("builder"))("review_task", task="T-1", verdict="accept", note="it does")


async def hands_to_the_other(room: RunningRoom) -> None:
    await (await room.connect("tester"))("hand_off", task="T-1", fence=1, to="builder", note="yours")
    await (await room.connect("builder"))("answer_hand_off", offer="O-1", accept=True)


async def is_late_with_what_one_holds(room: RunningRoom) -> None:
    refusal = await (await room.connect("third")).refused("update_task", task="T-1", fence=1, note="mine")
    assert refusal["code"] == "stale_fence"


async def creates_a_task_of_its_own(room: RunningRoom) -> None:
    await (await room.connect("third"))("create_task", title="elsewhere")


@promise("QUI3")
@pytest.mark.parametrize(
    ("moves", "continues"),
    [
        *((moves, True) for moves in (claims_what_one_created, edits_what_one_holds)),
        *((moves, True) for moves in (judges_what_one_completed, declines_what_one_offered)),
        *((moves, False) for moves in (reports_on_its_own, creates_and_claims_its_own, judges_the_others)),
        *((moves, False) for moves in (hands_to_the_other, is_late_with_what_one_holds, creates_a_task_of_its_own)),
    ],
)
async def test_an_exchange_continues_only_if_somebody_else_moves_a_task_of_either_agent(
    room: RunningRoom, moves: Callable[[RunningRoom], Awaitable[None]], continues: bool
) -> None:
    owner = await room.owner()
    builder, tester, _ = await room.enroll("builder", "tester", "third")
    reviewers = {judges_what_one_completed: "third", judges_the_others: "builder"}
    await owner("create_task", title="work", review=reviewers.get(moves, "auto"))
    await tester("claim_task", task="T-1")
    await builder("create_task", title="for somebody")
    await answer_each_other(builder, tester, 2 * ROUNDS + 2)
    await moves(room)
    replies = await answer_each_other(builder, tester, 2 * ROUNDS + 1)
    expected = [False] * 2 * ROUNDS + [True] if continues else [True] * (2 * ROUNDS + 1)
    assert [bool(reply["not_woken"]) for reply in replies] == expected
    assert len([entry for entry in room.entries() if entry["act"] == "stop_exchange"]) == 1 + continues


@promise("QUI3")
async def test_an_exchange_continues_once_a_person_speaks_in_it(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    other = (await owner("post_message", text="the release is on Friday"))["message"]
    replies = await answer_each_other(builder, tester, 2 * ROUNDS + 1)
    await owner("post_message", text="elsewhere", reply_to=other)
    assert (await answer_each_other(tester, builder, 1))[0]["not_woken"] == ["builder"]
    await owner("post_message", text="decide: the first", reply_to=replies[-1]["message"])
    assert (await answer_each_other(builder, tester, 1))[0]["not_woken"] == []


@promise("QUI3")
async def test_a_person_who_answers_somebody_else_in_the_thread_also_counts(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester, third = await room.enroll("builder", "tester", "third")
    start = (await third("post_message", text="how shall we do it?"))["message"]
    pair, reply_to = (builder, tester), start
    for number in range(2 * ROUNDS + 1):
        names = [pair[1 - number % 2].name]
        reply = await pair[number % 2]("post_message", text=f"like {number}", to=names, reply_to=start)
    assert reply["not_woken"] == ["tester"]
    await owner("post_message", text="@third what do you say?", reply_to=reply_to)
    reply = await tester("post_message", text="once more", to=["builder"], reply_to=start)
    assert reply["not_woken"] == []


@promise("QUI3")
async def test_the_guard_does_not_stop_people_other_addressees_work_or_alerts(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester, third = await room.enroll("builder", "tester", "third")
    assert not any(reply["not_woken"] for reply in await answer_each_other(owner, builder, 2 * ROUNDS + 4))
    await owner("create_task", title="work")
    await answer_each_other(builder, tester, 2 * ROUNDS + 1)
    reply = await builder("post_message", text="both of you", to=["tester", "third"])
    assert reply["not_woken"] == ["tester"]
    assert (await wakes(third))[0]["subject"] == reply["message"]
    urgent = await builder("post_message", text="@tester the disk is full", kind="alert")
    assert urgent["not_woken"] == []
    assert (await third("claim_task"))["task"] == "T-1"


@promise("QUI3")
async def test_exchanges_about_work_that_others_move_are_never_stopped(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("create_task", title="work")
    await builder("claim_task")
    for number in range(4):
        replies = await answer_each_other(builder, tester, ROUNDS)
        assert not any(reply["not_woken"] for reply in replies)
        await owner("update_task", task="T-1", changes={"priority": number + 1})


@promise("QUI3")
async def test_no_number_of_moves_of_their_own_keeps_two_agents_in_their_loop(room: RunningRoom) -> None:
    """Two agents that report on their own tasks between all of their messages."""
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    for task, member in (("T-1", builder), ("T-2", tester)):
        await owner("create_task", title=f"work of {member.name}")
        await member("claim_task", task=task)
    woken = []
    for number in range(2 * ROUNDS + 4):
        for task, member in (("T-1", builder), ("T-2", tester)):
            await member("update_task", task=task, fence=1, note=f"step {number}")
        (reply,) = await answer_each_other(*((builder, tester) if number % 2 == 0 else (tester, builder)), 1)
        woken.append(not reply["not_woken"])
    assert woken == [True] * 2 * ROUNDS + [False] * 4


# ------------------------------------------------------------------ rings


async def go_round(ring: list[Member], laps: int, twice: bool = False) -> list[dict[str, Any]]:
    """Agents pass messages round a ring; the replies. `twice`: each says two things in its turn."""
    replies = []
    for turn in range(laps * len(ring)):
        author, other = ring[turn % len(ring)], ring[(turn + 1) % len(ring)]
        for _ in range(1 + twice):
            replies.append(await author("post_message", text=f"over to you, {next(QUESTIONS)}", to=[other.name]))
    return replies


def was_stopped(replies: list[dict[str, Any]]) -> list[bool]:
    return [bool(reply["not_woken"]) for reply in replies]


@promise("QUI3")
@pytest.mark.parametrize(("size", "twice"), [(3, False), (3, True), (4, False), (7, False)])
async def test_a_ring_of_agents_is_stopped_after_its_rounds_and_its_owners_are_told_once(
    tmp_path: Path, size: int, twice: bool
) -> None:
    rounds = 3
    async with running_room(tmp_path / "room", exchange_rounds=rounds, notes_per_hour=1000) as room:
        owner = await room.owner()
        (hanna,) = await room.enroll("hanna", kind="human")
        ring = await room.enroll(*(f"agent{number}" for number in range(size - 1)))
        ring += await room.enroll("last", owner="hanna")
        replies = await go_round(ring, rounds + 3, twice)
        turns = size * (1 + twice)
        assert was_stopped(replies) == [False] * rounds * turns + [True] * 3 * turns
        for person in (owner, hanna):
            (told,) = [wake for wake in await wakes(person) if wake["reason"] == "alert"]
            assert "@agent0 to @agent1" in told["line"]
        assert len([entry for entry in room.entries() if entry["act"] == "stop_exchange"]) == 1
        await owner("post_message", text="go on, with the second plan", to=["agent1"])
        assert was_stopped(await go_round(ring, rounds, twice)) == [False] * rounds * turns, "a person spoke"
        assert set(was_stopped(await go_round(ring, 1, twice))) == {True}
        await owner("create_task", title="work")
        await ring[1]("claim_task")
        await owner("update_task", task="T-1", changes={"priority": 3})
        assert set(was_stopped(await go_round(ring, rounds, twice))) == {False}, "somebody moved a task of one of them"


@promise("QUI3")
async def test_agents_that_pass_work_along_a_line_are_no_ring(room: RunningRoom) -> None:
    """Each gets something from the one before, and passes it on to the next: it never comes back."""
    line = await room.enroll("first", "second", "third", "fourth")
    for _ in range(2 * ROUNDS + 3):
        for author, other in itertools.pairwise(line):
            reply = await author("post_message", text=f"take {next(QUESTIONS)}", to=[other.name], kind="note")
            assert reply["not_woken"] == []


@promise("QUI3")
async def test_a_note_that_replies_to_a_message_that_asked_nothing_wakes_nobody(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    cursor = (await builder("check_in"))["cursor"]
    said = (await builder("post_message", text="the build is green", to=["tester"]))["message"]
    reply, words, _ = await tester.said("post_message", text="thanks, great", reply_to=said)
    assert reply["not_woken"] == ["builder"]
    assert "asked nothing" in words
    assert "post an ask" in reply["next"]
    assert (await builder("wait_for_wake", timeout_seconds=0))["wakes"] == []
    assert (await builder("heartbeat"))["pending"]["wakes"] == 0
    found, words, _ = await builder.said("check_in")
    assert (found["wakes"], found["quiet"]) == ([], [{"message": "M-2", "from": "tester", "line": "thanks, great"}])
    assert "M-2 from @tester: “thanks, great”" in words
    thread = (await builder("read_messages", thread=said))["messages"]
    assert [message["id"] for message in thread] == ["M-1", "M-2"]
    assert (await builder("check_in", after=found["cursor"]))["quiet"] == []
    assert cursor < found["cursor"]
    for kind, text, to, reply_kind in [
        ("ask", "is the build green", ["tester"], "note"),
        ("note", "is the build green?", ["tester"], "note"),
        ("note", "构建完成了吗\uff1f请看", ["tester"], "note"),
        ("alert", "the disk is full", ["tester"], "note"),
        ("note", "the build is green", ["tester"], "ask"),
        ("note", "the build is green", ["tester"], "alert"),
    ]:
        said = (await builder("post_message", text=text, to=to, kind=kind))["message"]
        reply = await tester("post_message", text="it is", reply_to=said, kind=reply_kind)
        assert reply["not_woken"] == [], (kind, text, reply_kind)
    said = (await builder("post_message", text="see http://a.example/?q=1", to=["tester"]))["message"]
    assert (await tester("post_message", text="seen", reply_to=said, to=["olga"]))["not_woken"] == [], "two addressees"
    assert (await tester("post_message", text="seen", reply_to=said))["not_woken"] == ["builder"]
    assert (await owner("post_message", text="good", reply_to=said))["not_woken"] == [], "a person always wakes"


@promise("QUI3")
async def test_an_answer_to_an_ask_wakes_also_where_the_guard_has_stopped_the_two(room: RunningRoom) -> None:
    builder, tester, third = await room.enroll("builder", "tester", "third")
    await answer_each_other(builder, tester, 2 * ROUNDS + 2)
    asked = await builder("post_message", text="one thing more", to=["tester"], kind="ask")
    assert asked["not_woken"] == ["tester"], "the ask itself is part of the loop"
    answer = {"text": "here it is", "reply_to": asked["message"]}
    assert (await tester("post_message", **answer))["not_woken"] == []
    in_return = await tester("post_message", text="why?", reply_to=asked["message"], kind="ask")
    assert in_return["not_woken"] == ["builder"], "a question in return is no answer"
    ring = [builder, tester, third]
    await go_round(ring, ROUNDS + 2)
    asked = await builder("post_message", text="and this", to=["third"], kind="ask")
    assert (await third("post_message", text="that", reply_to=asked["message"]))["not_woken"] == []


# ------------------------------------------------------------------ wakes joined


@promise("QUI4")
async def test_equal_wakes_are_shown_once_with_a_count_and_the_newest_line(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    await owner("create_task", title="first name", assign="builder")
    await owner("post_message", text="@builder hello")
    await owner("update_task", task="T-1", changes={"assign": ""})
    await owner("update_task", task="T-1", changes={"assign": "builder", "title": "second name"})
    found = await builder("check_in")
    assert [(w["reason"], w["subject"], w["count"]) for w in found["wakes"]] == [
        ("mention", "M-1", 1),
        ("assigned", "T-1", 2),
    ]
    assert found["wakes"][1]["line"] == "@olga assigned T-1 to you: “second name”"
    assert (await builder("check_in", after=found["cursor"]))["wakes"] == []


@promise("QUI4")
async def test_wakes_beyond_ten_in_five_minutes_from_one_sender_become_one_digest(room: RunningRoom) -> None:
    builder, tester, other = await room.enroll("builder", "tester", "other")
    for number in range(SHARE + 7):
        await builder("post_message", text=f"@tester {number}")
    await other("post_message", text="@tester and I")
    found = await tester("check_in")
    assert [w["count"] for w in found["wakes"]] == [1] * SHARE + [7, 1]
    digest = found["wakes"][SHARE]
    assert digest["from"] == "builder"
    assert digest["line"].startswith("7 more from @builder: mention M-11, M-12, M-13")
    call = digest["line"].partition("In full: read_messages mentions tester, after ")[2]
    whole = (await tester("read_messages", mentions="tester", after=int(call)))["messages"]
    assert [m["text"] for m in whole if m["author"] == "builder"] == [f"@tester {n}" for n in range(SHARE, SHARE + 7)]
    assert (await tester("check_in", after=found["cursor"]))["wakes"] == []
    room.time.forward(DEFAULTS.wakes_seconds + 1)
    await builder("post_message", text="@tester later")
    assert [w["line"] for w in await wakes(tester)] == ["@tester later"]


@promise("QUI4")
async def test_wakes_beyond_the_share_of_a_sender_are_delivered_to_a_waiting_member_when_due(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", wakes_seconds=2) as room:
        builder, tester, other = await room.enroll("builder", "tester", "other")
        for number in range(SHARE + 2):
            await builder("post_message", text=f"@tester {number}")
        seen = (await tester("wait_for_wake", timeout_seconds=0))["wakes"]
        first = seen[SHARE - 1]["seq"]
        held = await tester("wait_for_wake", after=first, timeout_seconds=0)
        assert (held["wakes"], held["cursor"]) == ([], first)
        due = await asyncio.wait_for(tester("wait_for_wake", after=first, timeout_seconds=20), BOUND_SECONDS)
        assert [w["count"] for w in due["wakes"]] == [2]
        for number in range(SHARE + 1):
            await builder("post_message", text=f"@tester again {number}")
        await tester("check_in", after=(await tester("check_in"))["cursor"])
        await builder("post_message", text="@tester beyond")
        waiting = asyncio.create_task(tester("wait_for_wake", timeout_seconds=20))
        await room.until_waiting()
        await other("post_message", text="@tester urgent")
        told = await asyncio.wait_for(waiting, BOUND_SECONDS)
        assert [w["line"] for w in told["wakes"]] == ["@tester beyond", "@tester urgent"]


@promise("QUI4")
def test_a_full_inbox_is_returned_in_pages_that_a_host_shows_in_full(tmp_path: Path) -> None:
    with room_in_thread(tmp_path / "room", batch_seconds=0, wakes_from_one=1) as room:
        senders = [f"a-sender-with-a-long-name-{number:02}" for number in range(60)]
        room.enroll("builder", *senders)
        for number in range(3):
            for name in senders:
                with room.modern(name) as sender:
                    reply(sender.call("post_message", {"text": f"@builder {number} {'long ' * 60}"}))
        counts, after = list[int](), 0
        with room.modern("builder") as builder:
            for _ in range(6):
                result = builder.call("check_in", {"after": after}).json["result"]
                assert len(result["content"][0]["text"]) <= PAGE_CHARACTERS
                assert len(json.dumps(result["structuredContent"])) <= PAGE_CHARACTERS
                counts += [wake["count"] for wake in result["structuredContent"]["wakes"]]
                after = result["structuredContent"]["cursor"]
        assert sum(counts) == 180


@promise("QUI4")
async def test_a_person_always_wakes_a_waiting_member(room: RunningRoom) -> None:
    owner = await room.owner()
    (builder,) = await room.enroll("builder")
    for number in range(SHARE + 1):
        await owner("post_message", text=f"@builder {number}")
    await builder("check_in", after=(await builder("check_in"))["cursor"])
    waiting = asyncio.create_task(builder("wait_for_wake", timeout_seconds=20))
    await room.until_waiting()
    await owner("post_message", text="@builder stop that")
    assert [w["line"] for w in (await asyncio.wait_for(waiting, BOUND_SECONDS))["wakes"]] == ["@builder stop that"]


@promise("CTL5")
async def test_wakes_held_during_a_pause_become_one_digest_on_resume(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, tester = await room.enroll("builder", "tester")
    await owner("post_message", text="@builder before")
    await owner("pause", target="builder", reason="stop", for_seconds=600)
    await owner("post_message", text="@builder first")
    await tester("post_message", text="@builder second")
    await owner("create_task", title="work", assign="builder")
    room.time.forward(601)
    await owner("post_message", text="@builder after")
    found = await builder("check_in")
    assert [w["line"] for w in found["wakes"] if w["count"] == 1] == ["@builder before", "@builder after"]
    (digest,) = [w for w in found["wakes"] if w["count"] > 1]
    assert (digest["reason"], digest["from"], digest["count"]) == ("control", "room", 3)
    assert digest["line"].startswith(
        "3 wakes arrived while you were paused: mention from @olga M-2; mention from @tester M-3; "
        "assigned from @olga T-1. In full: read_messages mentions builder, after "
    )
    assert (await builder("check_in", after=found["cursor"]))["wakes"] == []


# ------------------------------------------------------------------ alerts


@promise("HND6")
async def test_an_alert_without_addressees_wakes_live_members_that_have_what_its_task_needs(room: RunningRoom) -> None:
    owner = await room.owner()
    names = ("builder", "able", "unable", "asleep", "paused")
    builder, able, unable, asleep, paused = await room.enroll(*names)
    for member in (able, asleep, paused):
        await member("declare_capabilities", capabilities=["tool:docker"])
    room.time.forward(DEFAULTS.live_interval_seconds + 60)
    for member in (builder, able, unable, paused):
        await member("check_in")
    await owner("pause", target="paused", reason="stop")
    await owner("create_task", title="work", needs=["tool:docker"])
    reply = await builder("post_message", text="the registry is down", kind="alert", task="T-1")
    assert [forecast["to"] for forecast in reply["forecast"]] == ["able"]
    assert [(w["reason"], w["line"]) for w in await wakes(able)] == [("alert", "the registry is down")]
    for member in (unable, asleep):
        assert await wakes(member) == []


@promise("HND6")
async def test_an_alert_without_a_suitable_member_wakes_the_owner(room: RunningRoom) -> None:
    owner = await room.owner()
    builder, _ = await room.enroll("builder", "other")
    await owner("create_task", title="work", needs=["tool:docker"])
    reply = await builder("post_message", text="the registry is down", kind="alert", task="T-1")
    assert [forecast["to"] for forecast in reply["forecast"]] == ["olga"]
    assert [(w["reason"], w["from"]) for w in await wakes(owner)] == [("alert", "builder")]


@promise("HND6")
async def test_an_alert_wakes_at_most_a_few_members_or_only_those_that_it_names(room: RunningRoom) -> None:
    members = await room.enroll("builder", *(f"other{number}" for number in range(DEFAULTS.alerted + 3)))
    for member in members:
        await member("check_in")
    assert len((await members[0]("post_message", text="fire", kind="alert"))["forecast"]) == DEFAULTS.alerted
    named = await members[0]("post_message", text="@other1 fire", kind="alert")
    assert [forecast["to"] for forecast in named["forecast"]] == ["other1"]
