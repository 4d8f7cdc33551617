"""A stopped member's calls change nothing but the record of its calls and of what was refused (CTL9)."""

import contextlib
from typing import Any

import pytest

from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite.connect import connect_reader
from tests.support.promises import promise
from tests.support.rooms import Member, Refused, RunningRoom

pytestmark = promise("CTL9")

MINUTE = 60.0

OF_REFUSALS = {"refusal", "log", "head"}
"""Tables in which a refusal leaves its receipt."""

CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("check_in", {"mode": "every:600", "after": 1}),
    ("declare_capabilities", {"capabilities": ["tool:docker"]}),
    ("post_message", {"text": "hello", "to": ["olga"]}),
    ("create_task", {"title": "more"}),
    ("claim_task", {}),
    ("update_task", {"task": "T-1", "fence": 1, "note": "half of it"}),
    ("complete_task", {"task": "T-1", "fence": 1, "summary": "done", "evidence": []}),
    ("hand_off", {"task": "T-1", "fence": 1, "to": "asker", "note": "yours"}),
    ("answer_hand_off", {"offer": "O-1", "accept": True}),
    ("review_task", {"task": "T-1", "verdict": "accept", "note": "fine"}),
    ("wait_for_wake", {"timeout_seconds": 0.1}),
    ("wait_for_wake", {"after": 1, "timeout_seconds": 0.1}),
    ("read_messages", {}),
    ("read_board", {}),
    ("who", {}),
    ("heartbeat", {"note": "still here", "task": "T-1", "busy_until": 600}),
)


def content(room: RunningRoom) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the room, except when its members called."""
    with contextlib.closing(connect_reader(room.folder / DATABASE)) as connection:
        tables = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        rows = {table: [tuple(row) for row in connection.execute(f"select * from {table}")] for table in tables}
        rows["presence"] = [
            tuple(row)
            for row in connection.execute(
                "select member, last_note, busy_until, busy_task, declared_at, run_since, run_heard_at from presence"
            )
        ]
    return rows


async def suspect(room: RunningRoom) -> tuple[Member, str]:
    """A member with a task and an open challenge, and the right answer to it."""
    asker, member = await room.enroll("asker", "member", mode="live")
    await member("create_task", title="paint")
    await member("claim_task", task="T-1")
    await asker("post_message", text="are you there?", to=["member"], kind="ask")
    for _ in range(11):
        await member("heartbeat")
        await room.later(MINUTE)
    question = (await member("check_in"))["challenge"]
    return member, f"{question.split(chr(34))[1].split()[0]} T-1"


def changed(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> set[str]:
    return {table for table in after if before[table] != after[table]}


async def test_no_call_of_a_paused_member_has_an_effect(room: RunningRoom) -> None:
    """Twin: the same calls of the resumed member change the room."""
    owner = await room.owner()
    member, answer = await suspect(room)
    await owner("pause", target="member", reason="stop")
    room.time.forward(MINUTE)
    before = content(room)
    for number, (tool, arguments) in enumerate(CALLS):
        await member.said(tool, request_id=f"call-{number}", listener="1795000000000-0", **arguments)
        assert changed(before, content(room)) <= OF_REFUSALS, tool
    await member("heartbeat", request_id="answer", answer=answer)
    assert changed(before, content(room)) <= OF_REFUSALS
    await owner("resume", target="member", reason="go on")
    await member("heartbeat", request_id="answer", answer=answer)
    assert {"trouble", "request"} <= changed(before, content(room))


async def test_a_member_that_was_gone_is_not_back_before_its_pause_ends(room: RunningRoom) -> None:
    owner = await room.owner()
    (member,) = await room.enroll("member", mode="live")
    await member("check_in")
    await room.later(60 * MINUTE)
    assert [entry["summary"] for entry in room.entries()][-1].startswith("@member is gone")
    await owner("pause", target="member", reason="stop")
    end = len(room.entries())
    room.time.forward(MINUTE)
    await member("heartbeat")
    assert len(room.entries()) == end
    await owner("resume", target="member", reason="go on")
    await member("heartbeat")
    assert [entry["summary"] for entry in room.entries()][-1].startswith("@member is back")


@pytest.mark.parametrize("is_paused", [True, False])
async def test_what_a_read_writes_is_not_written_for_a_member_that_was_paused_meanwhile(
    room: RunningRoom, monkeypatch: pytest.MonkeyPatch, is_paused: bool
) -> None:
    """Such as how far a reader of `overnight` has looked. Twin: without the pause it is written."""
    owner = await room.owner()
    (member,) = await room.enroll("member", role="operator")
    read = room.room.store.read

    async def read_then_pause(*what: Any) -> Any:
        found = await read(*what)
        if is_paused:
            await owner("pause", target="member", reason="stop")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(room.room.store, "read", read_then_pause)
        await member("overnight")
    assert bool(content(room)["look"]) is not is_paused


async def test_a_listener_of_a_paused_member_replaces_none(room: RunningRoom) -> None:
    """The names that its calls give are forgotten, too: the older listener is the newest after the resume."""
    owner = await room.owner()
    (member,) = await room.enroll("member")
    older, newer = (f"{int(room.time() + ahead) * 1000}-0" for ahead in (0, 5))
    after = (await member("check_in"))["cursor"]
    await owner("pause", target="member", reason="stop")
    for tool in ("heartbeat", "wait_for_wake", "check_in"):
        with contextlib.suppress(Refused):
            await member.said(tool, listener=newer)
    await owner("resume", target="member", reason="go on")
    reply, _, refused = await member.said("wait_for_wake", listener=older, after=after, timeout_seconds=1)
    assert not refused
    assert not reply["superseded"]
