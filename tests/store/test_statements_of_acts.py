"""What the common calls cost in statements: each runs few, and a new one shows up here."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.store.sqlite.commit import Committer
from teamroom.server.store.sqlite.steps import SteppedConnection
from teamroom.server.store.statements import sqlite_statements
from tests.support.promises import house
from tests.support.rates import LIMITLESS
from tests.support.rooms import RunningRoom, running_room

pytestmark = house

LOGGED = "a row that the log records"
"""Statements without a name read a row of a logged table, before an act changes it and after."""

COSTS: dict[str, list[str]] = {
    "heartbeat": ["principal"],
    "check_in": ["principal", "kinds_waiting", "see"],
    "post_message": [
        *("principal", "request", "policy", "nth_newest_of_kind", "add_message", "append_entry", "remember_request"),
    ],
    "claim_task": [
        *("principal", "task", "count_held", "policy", "task_entries", LOGGED, "claim"),
        *("dependents", "schedule_both", "add_task_entry", LOGGED, "append_entry"),
    ],
    "update_task": [
        *("principal", "task", "pauses", "policy", "renew_lease", "dependents", "schedule_both", "record_progress"),
        *("add_task_entry", "append_entry"),
    ],
    "read_board": ["principal", "board_unfinished"],
    "read_messages": ["principal", "newest_messages", "message_before"],
}
"""The statements of each call in its own transaction, without those of the batch and of the token."""

BATCH = [
    "begin_write",
    "lock_head",
    "savepoint",
    "release",
    "index_messages",
    "save_head",
    "page_count",
    "commit",
]
"""The statements that the acts of a batch share, but for the two of a savepoint."""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that run, by name."""
    names = {text: name for name, text in sqlite_statements().items()}
    found: list[str] = []

    def noting(run: Callable[..., Any], of_batch: bool) -> Callable[..., Any]:
        def execute(self: Any, sql: str, *parameters: Any) -> Any:
            found.append(f"batch {sql}" if of_batch else names.get(sql, LOGGED))
            return run(self, sql, *parameters)

        return execute

    monkeypatch.setattr(SteppedConnection, "execute", noting(SteppedConnection.execute, False))
    monkeypatch.setattr(Committer, "run_named", noting(Committer.run_named, True))
    return found


@pytest.fixture
async def room(tmp_path: Path, seen: list[str]) -> AsyncIterator[RunningRoom]:
    async with running_room(tmp_path / "room", **LIMITLESS) as running:
        yield running


def of_calls(seen: list[str]) -> list[str]:
    aside = ("token_by_hash", "begin_read", "rollback")
    return [name for name in seen if not name.startswith("batch ") and name not in aside]


@pytest.mark.parametrize("tool", COSTS)
async def test_a_call_costs_these_statements(room: RunningRoom, seen: list[str], tool: str) -> None:
    (bot,) = await room.enroll("bot")
    task = (await bot("create_task", title="a task"))["task"]
    arguments: dict[str, Any] = {"post_message": {"text": "hello"}, "claim_task": {"task": task}}.get(tool, {})
    if tool == "update_task":
        arguments = {"task": task, "fence": (await bot("claim_task", task=task))["fence"], "note": "half of it"}
        room.time.forward(1)
        await bot(tool, **{**arguments, "note": "a quarter of it"})
    if tool == "read_messages":
        await bot("post_message", text="to read")
    seen.clear()
    await bot(tool, **arguments)
    assert of_calls(seen) == COSTS[tool]


async def test_a_batch_costs_a_few_statements_more(room: RunningRoom, seen: list[str]) -> None:
    (bot,) = await room.enroll("bot")
    await bot("heartbeat")
    seen.clear()
    await bot("post_message", text="hello")
    found = [name.removeprefix("batch ") for name in seen if name.startswith("batch ")]
    first = found.index("begin_write")  # what comes before it looked after the file, while nothing was to be written
    assert found[first : first + len(BATCH)] == BATCH
