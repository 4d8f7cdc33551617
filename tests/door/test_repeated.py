"""Refused calls that are repeated: clearer words, a growing wait, an owner who is told once, and true counts."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamroom.server.door.repeated import FORGOTTEN_AT_ONCE, KEPT_SECONDS, SHOWN_ROW_SECONDS
from teamroom.server.rules.repeats import LONGEST_RETRY_SECONDS, TOLD_AT, TOLD_IN_ALL_AT, retry_seconds
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite.connect import connect_reader
from teamroom.server.store.transaction import Writing
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, StillTime, running_room

pytestmark = promise("QUI6")

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("claim_task", {"task": "T-1"}),
    ("update_task", {"task": "T-1", "fence": 1, "note": "mine"}),
    ("complete_task", {"task": "T-9", "fence": 1, "summary": "done", "evidence": []}),
    ("hand_off", {"task": "T-1", "fence": 1, "to": "nobody", "note": "yours"}),
    ("answer_hand_off", {"offer": "O-1", "accept": True}),
    ("review_task", {"task": "T-1", "verdict": "accept", "note": "good"}),
    ("post_message", {"text": "all good", "kind": "report"}),
    ("create_task", {"title": "x", "depends_on": ["T-77"]}),
    ("check_in", {"after": 10_000}),
    ("heartbeat", {"task": "T-1", "note": "new", "busy_until": 60}),
    ("pause", {"target": "holder", "reason": "stop"}),
    ("who", {"name": "nobody"}),
    ("read_messages", {"ids": ["M-99"]}),
    ("read_board", {"task": "T-99"}),
    ("create_task", {}),
    ("post_message", {"text": "x", "summary": 7, "to": {"a": 1}}),
)
"""Calls of every kind that are refused, for their arguments or for what the room is like."""


async def room_with_a_task(room: RunningRoom) -> Member:
    """An agent whose calls will be refused, next to one that holds the only task."""
    owner = await room.owner()
    holder, agent = await room.enroll("holder", "agent")
    await owner("create_task", title="work")
    await holder("claim_task", task="T-1")
    return agent


async def test_each_kind_of_refused_call_gets_clearer_words_and_a_growing_wait_when_it_is_repeated(
    tmp_path: Path,
) -> None:
    async with running_room(tmp_path / "room", refusals_per_minute=10_000) as room:
        agent = await room_with_a_task(room)
        for tool, arguments in KINDS:
            said = [await agent.said(tool, **arguments) for _ in range(8)]
            assert all(refused for _, _, refused in said), tool
            bodies = [body for body, _, _ in said]
            assert len({body["code"] for body in bodies}) == 1, tool
            assert "retry_after_seconds" not in bodies[0], tool
            assert [body.get("retry_after_seconds") for body in bodies[1:]] == [1, 2, 4, 8, 16, 32, 64], (tool, bodies)
            assert "Stop repeating this call" in bodies[-1]["fix"], tool
            assert bodies[0]["fix"] in bodies[-1]["fix"], f"{tool}: the corrected call is still there"
            for number, (body, words, _) in enumerate(said):
                assert body["why"] in words
                assert body["fix"] in words
                assert number == 0 or f"refused {number + 1} times" in words


async def test_calls_that_differ_or_are_long_past_are_not_repeated(room: RunningRoom) -> None:
    agent = await room_with_a_task(room)
    await agent.refused("claim_task", task="T-1")
    for number in range(2, 8):
        assert "retry_after_seconds" not in await agent.refused("read_board", task=f"T-{number}")
    assert (await agent.refused("claim_task", task="T-1"))["retry_after_seconds"] == 1
    room.time.forward(601)
    assert "retry_after_seconds" not in await agent.refused("claim_task", task="T-1")


async def test_a_person_and_a_paused_agent_are_told_the_same_as_ever(room: RunningRoom) -> None:
    owner = await room.owner()
    agent = await room_with_a_task(room)
    first, *others = [await owner.refused("read_board", task="T-99") for _ in range(5)]
    assert [other["fix"] for other in others] == [first["fix"]] * 4
    await owner("pause", target="agent", reason="stop")
    paused = [await agent.refused("read_board") for _ in range(12)]
    assert {(refusal["why"], refusal["retry_after_seconds"]) for refusal in paused} == {
        (paused[0]["why"], paused[0]["retry_after_seconds"])
    }
    assert [wake for wake in (await owner("check_in"))["wakes"] if "tries again" in wake["line"]] == []


async def told(room: RunningRoom, owner: Member) -> list[str]:
    await room.later(1)
    wakes = (await owner("check_in"))["wakes"]
    return [wake["line"] for wake in wakes if wake["reason"] == "alert" and "tries again" in wake["line"]]


async def test_the_owner_is_told_once_of_one_call_or_of_many_also_after_a_restart(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", refusals_per_minute=10_000) as room:
        owner, agent = await room.owner(), await room_with_a_task(room)
        for _ in range(TOLD_AT - 1):
            await agent.refused("claim_task", task="T-1")
        assert await told(room, owner) == []
        await agent.refused("claim_task", task="T-1")
        (line,) = await told(room, owner)
        assert re.search(r"@agent was refused 10 times and tries again, last claim_task \(taken\)", line)
        for number in range(60):
            await agent.refused("read_board", task=f"T-{number + 2}")
        assert len(await told(room, owner)) == 1
        (wanders,) = await room.enroll("wanders")
        for number in range(TOLD_IN_ALL_AT):
            await wanders.refused("read_board", task=f"T-{number + 2}")
        assert len(await told(room, owner)) == 2, "another agent, whose calls all differ"
        assert len([entry for entry in room.entries() if entry["act"] == "repeated_refusals"]) == 2
        tokens = dict(room.tokens)
    async with running_room(tmp_path / "room") as room:
        room.tokens.update(tokens)
        agent = await room.connect("agent")
        for _ in range(TOLD_AT + 2):
            await agent.refused("claim_task", task="T-1")
        await room.later(1)
        assert len([entry for entry in room.entries() if entry["act"] == "repeated_refusals"]) == 2


async def refused_row(owner: Member, name: str) -> tuple[int, str] | None:
    """How often a member was refused, as the morning report says since the owner's last look."""
    shown = (await owner("overnight", hours=1))["broke"]["shown"]
    rows = [line for line in shown if line["kind"] == "refused" and line["subject"] == f"@{name}"]
    assert len(rows) <= 1
    return (rows[0]["times"], rows[0]["line"]) if rows else None


async def test_overnight_counts_every_refused_call_in_one_row_also_across_a_restart(tmp_path: Path) -> None:
    """Most leave no entry: equal ones are counted, a member leaves thirty an hour, and its rate refuses the rest."""
    async with running_room(tmp_path / "room") as room:
        owner, agent = await room.owner(), await room_with_a_task(room)
        for _ in range(150):
            await agent.refused("claim_task", task="T-1")
        for number in range(40):
            await agent.refused("update_task", task=f"T-{number + 2}", fence=1, note="x")
        for _ in range(5):
            await agent.said("no_such_tool")
        expected = (195, "@agent was refused: claim_task (150), update_task (40), unknown tool (5)")
        assert await refused_row(owner, "agent") == expected
        tokens = dict(room.tokens)
        await agent.refused("claim_task", task="T-1")
    async with running_room(tmp_path / "room", time=room.time) as room:
        room.tokens.update(tokens)
        owner = await room.owner()
        found = await refused_row(owner, "agent")
        assert found is not None
        assert found[0] == 196


async def test_each_look_counts_only_what_was_refused_since_the_look_before(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", refusals_per_minute=10_000, look_seconds=60) as room:
        owner, agent = await room.owner(), await room_with_a_task(room)
        counted = []
        for times in (3, 70, 4):
            for _ in range(times):
                await agent.refused("claim_task", task="T-1")
            room.time.forward(61)
            shown = (await owner("overnight"))["broke"]["shown"]
            counted += [line["times"] for line in shown if line["kind"] == "refused"]
            room.time.forward(61)
        assert counted == [3, 70, 4]


async def test_the_rows_that_count_refused_calls_do_not_follow_how_often_somebody_looks(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", time=StillTime(), refusals_per_minute=10_000) as room:
        owner, agent = await room.owner(), await room_with_a_task(room)
        for _ in range(30):
            await agent.refused("claim_task", task="T-1")
            await owner("overnight")
        assert await count_rows(room) == 1
        for _ in range(12):
            room.time.forward(SHOWN_ROW_SECONDS)
            await agent.refused("claim_task", task="T-1")
            await owner("overnight")
        assert await count_rows(room) <= 1 + 60 / SHOWN_ROW_SECONDS


async def test_old_counts_are_forgotten_a_few_at_a_time(tmp_path: Path) -> None:
    """However many there are, and whosever they are: no refused call pays for all of them."""
    async with running_room(tmp_path / "room", refusals_per_minute=10_000) as room:
        owner, agent = await room.owner(), await room_with_a_task(room)

        def begin_many(tx: Writing) -> None:
            for number in range(FORGOTTEN_AT_ONCE + 10):
                old = {"since": tx.now - KEPT_SECONDS - 60 - number, "now": tx.now - KEPT_SECONDS - number}
                tx.run("add_refused_calls", member=1, act="claim_task", seq=0, calls=1, **old)

        await room.room.door.act_as_room(begin_many)
        for left in (10 + 1, 1 + 1):
            room.time.forward(61)
            await agent.refused("claim_task", task="T-1")
            await owner("overnight")
            assert await count_rows(room) == left


async def count_rows(room: RunningRoom) -> int:
    with contextlib.closing(connect_reader(room.folder / DATABASE)) as connection:
        return int(connection.execute("select count(*) from refused_call").fetchone()[0])


@given(st.integers(0, 10_000))
def test_the_wait_grows_with_every_time_and_has_an_end(times: int) -> None:
    assert retry_seconds(times) <= retry_seconds(times + 1) <= LONGEST_RETRY_SECONDS
    assert retry_seconds(2) == 1
    assert retry_seconds(40) == LONGEST_RETRY_SECONDS


@pytest.mark.parametrize("wrong", [0, 1])
async def test_a_call_that_is_carried_out_ends_the_waits_of_its_act(tmp_path: Path, wrong: int) -> None:
    """Twin: without one, the waits go on to grow."""
    async with running_room(tmp_path / "room", acts_per_second=1, acts_burst=3) as room:
        (agent,) = await room.enroll("agent")
        waits = []
        for number in range(12):
            body, _, refused = await agent.said("post_message", text=f"number {number}")
            if refused:
                waits.append(body["retry_after_seconds"])
                room.time.forward(0 if wrong else 1)
        assert waits[:8] == ([1, 1, 2, 4, 8, 16, 32, 64] if wrong else [1] * len(waits[:8]))
