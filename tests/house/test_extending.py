"""`docs/extending.md` is true: who follows it, file by file, has an act, a field or a reminder that works."""

import importlib
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from teamroom.server.facts.owed import RULES, Open, Owed, ReminderRule, schedule_reminder
from teamroom.server.rules.reminders import Delay
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.statements import read_statements, sqlite_statements
from teamroom.server.store.transaction import Reading, Writing
from teamroom.server.supervisor import duties
from teamroom.server.supervisor.duties import DUTIES
from teamroom.tools.serve import TOOLS
from teamroom.tools.tool import Tool
from tests.support import client_module
from tests.support.listeners import listening
from tests.support.pages import read
from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.rooms import RunningRoom, running_room
from tests.support.tools_page import Step, section

pytestmark = house

PAGE = ROOT / "docs" / "extending.md"
CODE = ("server", "tools", "resources", "clients")
PACKAGE = "room_with_praise"

PRAISE = {
    "server/store/sql": (
        "praise.sql",
        """\
-- name: count_praise
select count(*) as praise from log where act = 'praise' and subject = :subject
""",
    ),
    "server/store/rows": (
        "rows.py",
        '''\
from typing import NamedTuple


class Praise(NamedTuple):
    """How often a task was praised."""

    praise: int
''',
    ),
    "server/acts": (
        "acts.py",
        '''\
from room_with_praise.rows import Praise
from teamroom.server import topics
from teamroom.server.acts.act import Act, Arguments, Line, Reply, TaskId, author
from teamroom.server.facts.ids import task_name
from teamroom.server.facts.roles import ROOM_OPERATORS
from teamroom.server.facts.task import find_task
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.store.transaction import Writing


class GivePraise(Arguments):
    """Arguments of `praise`."""

    task: TaskId
    words: Line


class Praised(Reply):
    """Reply of `praise`: how often the task was praised before."""

    before: int


def praise(tx: Writing, caller: Caller, arguments: GivePraise) -> Praised:
    """Praise a task. Raises Refusal."""
    task = find_task(tx, arguments.task)
    before = tx.only(Praise, "count_praise", subject=task.name).praise
    seq = log.append(tx, author(caller), act="praise", subject=task_name(task.id), summary=arguments.words)
    tx.changed(topics.task(task.id))
    return Praised(receipt=seq, before=before)


PRAISE = Act("praise", GivePraise, Praised, praise, roles=ROOM_OPERATORS)
''',
    ),
    "tools": (
        "tool.py",
        """\
from room_with_praise.acts import PRAISE
from teamroom.tools.tool import Tool

TOOLS = (
    Tool(PRAISE, "Praise a task, for all to read.", lambda reply: f"Praised; {reply.before} times before.", place=999),
)
""",
    ),
}
"""What a new act needs, by the folder that the page names: the file in the package of this test, and its content."""


# ------------------------------------------------------------------ an act


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tool]:
    """The tool of an act in a package of its own, which follows the page."""
    package = tmp_path / "packages" / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, content in PRAISE.values():
        (package / name).write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(package.parent)
    (made,) = importlib.import_module(f"{PACKAGE}.tool").TOOLS
    with patch.dict(sqlite_statements(), read_statements(package)), patch.dict(TOOLS, {made.name: made}):
        yield made
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


@pytest.fixture
async def room(tool: Tool, tmp_path: Path) -> AsyncIterator[RunningRoom]:
    """A room with that tool, an agent and a task."""
    async with running_room(tmp_path / "room", push_seconds=0.0) as room:
        (builder,) = await room.enroll("builder")
        await builder("check_in")
        await builder("create_task", title="wall")
        yield room


def test_the_package_has_the_files_that_the_page_lists_in_its_order() -> None:
    of_the_room = [file for file in files_of("Add an act") if not file.startswith(("clients/", "tests/"))]
    assert len(of_the_room) == len(PRAISE)
    assert [file for file, folder in zip(of_the_room, PRAISE, strict=True) if not file.startswith(f"{folder}/")] == []


async def test_the_act_is_listed_for_those_who_may_call_it(room: RunningRoom) -> None:
    listed = {name: await names_of_tools(room, name) for name in ("olga", "builder")}
    assert ("praise" in listed["olga"], "praise" in listed["builder"]) == (True, False)


async def test_the_door_authorises_the_act_and_the_switch_stops_it(room: RunningRoom) -> None:
    builder, olga = await room.connect("builder"), await room.owner()
    (runner,) = await room.enroll("runner", role="operator")
    assert (await builder.refused("praise", task="T-1", words="it stands"))["code"] == "not_allowed"
    await runner("praise", task="T-1", words="it stands")
    await olga("pause", target="runner", reason="a look")
    assert (await runner.refused("praise", task="T-1", words="it stands"))["code"] == "paused"
    assert (await olga.refused("praise", task="T-9", words="it stands"))["code"] == "not_found"
    assert (await olga.refused("praise", task="T-1", word="it stands"))["code"] == "invalid"


async def test_the_act_is_logged_and_its_own_statement_counts_it(room: RunningRoom) -> None:
    olga = await room.owner()
    first = await olga("praise", request_id="one", task="T-1", words="it stands")
    again = await olga("praise", request_id="one", task="T-1", words="it stands")
    second = await olga("praise", task="T-1", words="and it is straight")
    assert [reply["before"] for reply in (first, again, second)] == [0, 0, 1]
    assert again["replayed"] is not None
    receipts = (await olga("read_receipts", act="praise"))["receipts"]
    assert {(r["seq"], r["actor"], r["subject"], r["summary"]) for r in receipts} == {
        (first["receipt"], "olga", "T-1", "it stands"),
        (second["receipt"], "olga", "T-1", "and it is straight"),
    }


async def test_the_act_is_pushed_to_followers_of_what_it_changed(room: RunningRoom) -> None:
    olga = await room.owner()
    async with listening(room, "builder", "teamroom://tasks/T-1") as told:
        await olga("praise", task="T-1", words="it stands")
        assert await told.next() == "teamroom://tasks/T-1"


async def test_the_act_is_documented_with_its_arguments_and_a_real_reply(room: RunningRoom, tool: Tool) -> None:
    step = Step("olga", "praise", {"task": "T-1", "words": "it stands"})
    _, words, _ = await (await room.owner()).said("praise", **step.arguments)
    page = section(tool, [(step, words)])
    assert page.startswith("## praise\n\nPraise a task, for all to read. For: operator, owner.\n\n| argument | what |")
    assert "| `task` | text |\n| `words` | text |" in page
    assert page.endswith("and gets\n\n```text\nPraised; 0 times before.\n```\n")


# ------------------------------------------------------------------ a field of a task


def test_the_page_lists_every_file_that_a_field_touches() -> None:
    touched = {
        str(path.relative_to(ROOT))
        for folder in CODE
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sql") and "snooze_until" in path.read_text(encoding="utf-8")
    } - {str(path.relative_to(ROOT)) for path in (client_module.SHAPES, client_module.METHODS)}
    (test,) = [file for file in files_of("Add a field to a task") if file.startswith("tests/")]
    assert touched | {test} == set(files_of("Add a field to a task"))
    assert "snooze_until" in (ROOT / test).read_text(encoding="utf-8")


# ------------------------------------------------------------------ a reminder rule


def owes_a_greeting(tx: Reading, subject: int, member: int, since: float) -> Owed:
    return Open("@builder", "Nobody was greeted yet: post_message", since)


GREETING = ReminderRule("member", owes_a_greeting, lambda settings, _: Delay(settings.remind_review_seconds, 1.0))


async def test_one_entry_in_the_table_is_a_rule_by_which_the_supervisor_reminds(tmp_path: Path) -> None:
    with patch.dict(RULES, {"greeting": GREETING}), patch.dict(DUTIES, {"greeting": DUTIES["task"]}):
        async with running_room(tmp_path / "room") as room:
            (builder,) = await room.enroll("builder")
            await builder("check_in")

            def begin(tx: Writing) -> None:
                row = tx.only(MemberRow, "member_by_name", name="builder")
                schedule_reminder(tx, "greeting", row.id, row.id, "live")

            await room.room.door.act_as_room(begin)
            seen = [await an_hour_later(room) for _ in range(3)]
    (first,), (second,), _ = (told["reminders"] for told in seen)
    assert (first["rule"], first["times"], second["times"]) == ("greeting", 1, 2)


def test_the_supervisor_has_a_duty_for_each_rule_of_the_table() -> None:
    assert set(RULES) <= set(duties.DUTIES)


# ------------------------------------------------------------------ what these tests read


async def an_hour_later(room: RunningRoom) -> dict[str, Any]:
    """What @builder is told when it calls after an hour."""
    await room.later(3_600)
    return await (await room.connect("builder"))("check_in")


async def names_of_tools(room: RunningRoom, name: str) -> set[str]:
    member = await room.connect(name)
    return {tool.name for tool in (await member.client.list_tools()).tools}


def files_of(title: str) -> list[str]:
    """The files in the table of a section of the page, in order."""
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", read(PAGE), re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| \d+ \| `([^`]+)` \|", text, re.MULTILINE)
