"""What a tool's annotations say of it is true: a client decides by them what it asks its person about."""

from typing import Any

import pytest

from teamroom.server.acts.act import Act
from teamroom.server.store.logged import FIRST, TABLES
from teamroom.server.store.rows.members import LiveToken
from teamroom.server.store.rows.messages import MessageRow
from teamroom.server.store.transaction import Reading
from teamroom.tools.serve import TOOLS
from tests.support.promises import house
from tests.support.rooms import Member, RunningRoom

pytestmark = house

ROWS = 1000

BOT = 3
"""The number of the first member that is enrolled."""

MADE: dict[str, tuple[dict[str, Any], ...]] = {
    "check_in": ({"mode": "on_demand"}, {"after": 1}),
    "declare_capabilities": ({"capabilities": ["repo:a", "runtime:bot"]},),
    "pause": ({"target": "bot", "reason": "looking"}, {"target": "room"}, {"target": "owner:olga", "for": "1h"}),
    "resume": ({"target": "stopped", "reason": "go on"}, {"target": "room"}),
    "kill": ({"target": "bot", "reason": "it went wrong"},),
    "revoke": ({"name": "bot"}, {"name": "bot", "issued": True}),
    "set_policy": ({"name": "wip_cap", "value": "4"}, {"name": "wip_cap"}),
    "redact": ({"what": "M-1", "reason": "a secret"},),
}
"""Calls of each tool that says that it can be repeated."""

Rows = dict[str, set[tuple[Any, ...]]]


def rows(room: RunningRoom) -> Rows:
    """Everything that the log determines, without its times and the spans of pauses."""

    def read(tx: Reading) -> Rows:
        pages = {table: tx.logged_page(logged, FIRST[table], ROWS) for table, logged in TABLES.items()}
        return {
            table: {tuple(v for v in row if not isinstance(v, float)) for row in page}
            for table, page in pages.items()
            if table != "pause"
        }

    return room.look_up(read)


@pytest.fixture
async def owner(room: RunningRoom) -> Member:
    """A room owner, in a room with something to stop, revoke and redact."""
    owner = await room.owner()
    bot, _ = await room.enroll("bot", "stopped")
    await bot("create_task", title="a task")
    await bot("claim_task", task="T-1")
    await bot("post_message", text="a secret")
    await owner("pause", target="stopped", reason="looking")
    return owner


def test_each_tool_that_can_be_repeated_is_tried() -> None:
    assert {tool.name for tool in TOOLS.values() if tool.idempotent and isinstance(tool.does, Act)} == set(MADE)


@pytest.mark.parametrize(
    ("tool", "arguments"), [(tool, arguments) for tool, calls in MADE.items() for arguments in calls]
)
async def test_the_same_call_again_changes_nothing_more(
    room: RunningRoom, owner: Member, tool: str, arguments: dict[str, Any]
) -> None:
    await owner.said(tool, **arguments)
    once = rows(room)
    await owner.said(tool, **arguments)
    assert rows(room) == once


async def test_a_call_that_cannot_be_repeated_would_be_found(room: RunningRoom, owner: Member) -> None:
    """The twin."""
    await owner("enroll", name="bot", rotate=True)
    once = rows(room)
    await owner("enroll", name="bot", rotate=True)
    assert rows(room) != once


DESTROY = {"enroll", "kill", "redact", "revoke"}
"""They end tokens, or remove what members wrote. No later call brings that back."""


async def test_a_pause_takes_nothing_away_that_a_resume_does_not_bring_back(room: RunningRoom, owner: Member) -> None:
    assert {tool.name for tool in TOOLS.values() if tool.destroys} == DESTROY
    before = rows(room)
    await owner("pause", target="bot", reason="looking")
    assert rows(room)["standing"] != before["standing"]
    await owner("resume", target="bot", reason="looking")
    after = rows(room)
    assert {table for table in before if after[table] - before[table]} <= {"standing", "pause"}
    assert {table for table in before if before[table] - after[table]} <= {"standing"}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("enroll", {"name": "bot", "rotate": True}),
        ("kill", {"target": "bot", "reason": "it went wrong"}),
        ("redact", {"what": "M-1", "reason": "a secret"}),
        ("revoke", {"name": "bot"}),
    ],
)
async def test_what_destroys_ends_a_token_or_removes_a_text(
    room: RunningRoom, owner: Member, tool: str, arguments: dict[str, Any]
) -> None:
    def left(tx: Reading) -> tuple[set[Any], str]:
        tokens = tx.all(LiveToken, "live_tokens", member=BOT, now=tx.now)
        return {token.id for token in tokens}, tx.only(MessageRow, "message", id=1).text

    live, text = room.look_up(left)
    await owner(tool, **arguments)
    still, now = room.look_up(left)
    assert live - still or text != now
