"""Every act that changes members, tokens or standing is checked in its own transaction, whichever way it takes."""

import ast
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.acts.members.members import insert_member, issue_token
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.invariants import CHECKED
from teamroom.server.store.logged import NEW_EPOCH, change_of
from teamroom.server.store.sqlite.connect import connect_writer
from teamroom.server.store.sqlite.store import in_one_transaction
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Writing
from teamroom.server.store.words import WORDS
from tests.models.permissions import without
from tests.support.promises import promise
from tests.support.repository import ROOT
from tests.support.stores import NOW, open_store, reraise

pytestmark = promise("ID3", "CTL7")

OLGA = 2

UNCHECKED = {"acknowledge", "join_epoch", "set_mode"}
"""Statements that change nothing of a member but its cursor, its epoch and its mode."""

WRITES = re.compile(rf"\b(insert\s+into|replace\s+into|update|delete\s+from)\s+({'|'.join(CHECKED)})\b", re.IGNORECASE)


def writing() -> dict[str, str]:
    """The statements that write members, tokens or standing."""
    return {name: sql for name, sql in sqlite_statements().items() if WRITES.search(sql)}


def unnoticed(statements: dict[str, str]) -> list[str]:
    """The statements whose changes would not be noted, so that nobody would check them."""
    return [
        name
        for name, sql in statements.items()
        if name not in UNCHECKED and (name in NEW_EPOCH or change_of(sql) is None or "delete" in sql.lower())
    ]


def run_elsewhere(source: str, names: set[str]) -> Iterator[str]:
    """Statements of these names that a source names outside the methods that note what they change."""
    tree = ast.parse(source)
    noted = {
        id(call.args[0])
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("run", "run_counted")
        and call.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in noted:
            yield str(node.value)


def test_no_statement_changes_members_tokens_or_standing_unnoticed() -> None:
    found = writing()
    assert len(found) > 10, "the guard finds no statements"
    assert unnoticed(found) == []
    slipped = {**found, "promote": "with x as (select 1) update member set role = 'owner' where id = :id"}
    assert unnoticed(slipped) == ["promote"], "the twin: a form that the room does not read"


def test_these_statements_are_run_by_writing_alone() -> None:
    redacting = {name for names in WORDS.values() for name in names}
    names = set(writing()) - redacting - {"set_standing"}  # which is also the name of a function
    elsewhere = {
        path.name: found
        for path in sorted((ROOT / "server").rglob("*.py"))
        if (found := list(run_elsewhere(path.read_text(encoding="utf-8"), names)))
    }
    assert elsewhere == {}
    assert list(run_elsewhere('connection.execute(statements["add_token"], {})', names)) == ["add_token"]


def test_each_way_to_write_ends_with_the_check() -> None:
    """Whoever opens a transaction that writes must end it with `Writing.end`."""
    opened = {
        path.name: (text.count("Writing("), text.count("tx.end()"))
        for path in sorted((ROOT / "server").rglob("*.py"))
        if "Writing(" in (text := re.sub(r"class Writing\(", "", path.read_text(encoding="utf-8")))
    }
    assert opened == {"batches.py": (1, 1), "store.py": (1, 1), "stopped.py": (1, 1)}


# ------------------------------------------------------------------ what is done without the door


def agent_owns_the_room(tx: Writing) -> None:
    insert_member(tx, "bot", kind="agent", role="owner", owner=OLGA, mode="live", by=OLGA, now=tx.now)


def agent_owns_an_agent(tx: Writing) -> None:
    bot = insert_member(tx, "bot", kind="agent", role="member", owner=OLGA, mode="live", by=OLGA, now=tx.now)
    insert_member(tx, "its", kind="agent", role="member", owner=bot, mode="live", by=OLGA, now=tx.now)


def nobody_has_a_token(tx: Writing) -> None:
    tx.run("revoke_every_token", now=tx.now)


def nobody_owns_the_room(tx: Writing) -> None:
    tx.run("change_member", id=OLGA, role="member", owner=OLGA, mode="manual")


def only_a_chat_client_is_left(tx: Writing) -> None:
    issue_token(tx, OLGA, "phone", None, kind="chat")
    tx.run("revoke_tokens", member=OLGA, now=tx.now)
    issue_token(tx, OLGA, "phone", None, kind="chat")


def a_killed_person_has_agents_at_work(tx: Writing) -> None:
    pia = insert_member(tx, "pia", kind="human", role="member", owner=None, mode="manual", by=OLGA, now=tx.now)
    given: dict[str, Any] = {"until": None, "by_member": OLGA, "by_role": "owner", "reason": "x", "now": tx.now}
    tx.run("set_standing", scope="member", target=pia, state="killed", **given)


BREAKS: dict[str, tuple[Callable[[Writing], None], str]] = {
    "an agent owns the room": (agent_owns_the_room, "check_member"),
    "an agent owns an agent": (agent_owns_an_agent, "check_member"),
    "nobody has a token": (nobody_has_a_token, "find_weakened_owner"),
    "nobody owns the room": (nobody_owns_the_room, "find_weakened_owner"),
    "only a chat client is left": (only_a_chat_client_is_left, "find_weakened_owner"),
    "a killed person has agents at work": (a_killed_person_has_agents_at_work, "check_standing"),
}
"""What must never hold, made by an act of the room itself; and the check that a twin leaves out."""


@pytest.mark.parametrize("name", BREAKS)
async def test_an_act_of_the_room_itself_is_checked_too_and_undone(tmp_path: Path, name: str) -> None:
    breaks, check = BREAKS[name]
    tables = [f"select * from {table} order by 1, 2" for table in CHECKED]
    async with open_store(tmp_path / "room") as bench:

        def work(tx: Writing) -> None:
            bench.entry("wrong")(tx)
            breaks(tx)

        before = [[tuple(row) for row in bench.look(sql)] for sql in tables]
        with pytest.raises(Refusal):
            await bench.store.write(work, reraise)
        assert [[tuple(row) for row in bench.look(sql)] for sql in tables] == before
        assert bench.logged() == []
        with without(check):
            await bench.store.write(work, reraise)
        assert [[tuple(row) for row in bench.look(sql)] for sql in tables] != before, "the twin"


async def test_a_room_that_no_server_has_open_is_checked_too(tmp_path: Path) -> None:
    async with open_store(tmp_path / "room"):
        pass
    with closing(connect_writer(tmp_path / "room" / DATABASE)) as connection:
        context = Context(sqlite_statements(), Settings(), secrets.token_bytes, lambda: NOW)
        with pytest.raises(Refusal, match="no room owner could act"):
            in_one_transaction(connection, context, nobody_owns_the_room)
