"""One list names every column that holds members' words, and a redaction removes the words from each (LOG3)."""

import json
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import anyio.to_thread
import pytest
from pydantic import BaseModel

from teamroom.clients.local.verify import verified
from teamroom.server.acts.act import Act
from teamroom.server.acts.control.control import Controlled, PauseLeft
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.words import REPLIES, SAID_AGAIN, WITHOUT_WORDS, WORDS
from teamroom.tools.serve import TOOLS
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room

pytestmark = promise("LOG3")

SECRET = "hunter2-8471-pass"

# ------------------------------------------------------------------ the list and the schema


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The type of each column of a new room, by table and column. An index of words has columns without a type."""
    with closing(connect_writer(tmp_path_factory.mktemp("schema") / "room.db")) as connection:
        migrate(connection, 0.0)
        tables = connection.execute("select name from pragma_table_list where type in ('table', 'virtual')").fetchall()
        return {
            f"{table[0]}.{column['name']}": column["type"]
            for table in tables
            if not table[0].startswith("sqlite_")
            for column in connection.execute(f"pragma table_info({table[0]})").fetchall()
        }


def unlisted(schema: dict[str, str]) -> set[str]:
    """The columns of text that are in neither list."""
    listed = set(WORDS).union(*WITHOUT_WORDS.values())
    texts = {name for name, kind in schema.items() if kind.lower() in ("text", "")}
    return texts - listed - {"message_text.message_text"}


def test_every_column_of_text_is_in_one_list(schema: dict[str, str]) -> None:
    assert unlisted(schema) == set()
    reasons = [name for names in WITHOUT_WORDS.values() for name in names]
    assert sorted([*WORDS, *reasons]) == sorted({*WORDS, *reasons}), "a column is in one list only"
    assert {*WORDS, *reasons} <= set(schema), "a column of a list is not in the schema"


def test_a_column_of_text_that_is_added_is_found(schema: dict[str, str]) -> None:
    """The twin: a migration that adds a column and names it in no list."""
    assert unlisted({**schema, "task.colour": "text"}) == {"task.colour"}


def test_each_column_with_words_has_statements_that_remove_them() -> None:
    statements = sqlite_statements()
    for column, names in WORDS.items():
        table, _, field = ("need", ".", "need") if column == "task.first_need" else column.partition(".")
        assert names, column
        for name in names:
            text = statements[name]
            assert re.match(rf"(update|delete from|insert into) {table}\b", text), f"{name} does not write {table}"
            assert text.startswith(("delete", "insert")) or re.search(rf"\b{field} =", text), f"{name}: {column}"


# ------------------------------------------------------------------ remembered replies

FORGOTTEN = {"pause": {"remaining"}, "resume": {"remaining"}, "kill": {"remaining"}, "sign_in": {"code"}}
"""Fields with words that a reply leaves out where it is remembered."""

PLAIN: frozenset[str] = frozenset(
    {
        *("message", "task", "offer", "name", "target", "reviewer", "holder", "by", "creator", "to", "from_", "member"),
        *("replayed", "until", "lease_until", "expires_at", "since", "at", "p90_seconds", "url", "token", "token_id"),
        *("state", "standing", "mode", "presence", "note", "origin", "before", "value", "others", "not_woken", "what"),
        *("channels", "head", "planted_by", "proven_by", "attested_by", "former"),
        *(
            "decision",
            "authorization",
            "revoked_by",
            "fix",
            "quiet",
            "zone",
            "digest_time",
            "own",
            "blocked_on",
            "snoozed_until",
        ),
        "reaches",
    }
)
"""Fields of replies that hold names, ids, times, states, settings or sentences of the room, and no members' words."""


def texts_of(model: type[Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """The first field of each path through a reply's model that leads to a text."""
    fields = model.model_fields if issubclass(model, BaseModel) else model.__dataclass_fields__
    for name, field in fields.items():
        if getattr(field, "exclude", None):
            continue  # it is not remembered
        kind = field.annotation if issubclass(model, BaseModel) else field.type
        for part in parts_of(kind):
            if part is str or part is Any:
                if name not in PLAIN:
                    yield (*path, name)[0]
            elif isinstance(part, type) and (issubclass(part, BaseModel) or hasattr(part, "__dataclass_fields__")):
                yield from texts_of(part, (*path, name))


def parts_of(kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Literal:
        return
    arguments = get_args(kind)
    if not arguments:
        yield kind
    for argument in arguments:
        yield from parts_of(argument)


def test_each_field_with_words_of_a_remembered_reply_is_listed() -> None:
    acts: list[Any] = [tool.does for tool in TOOLS.values() if isinstance(tool.does, Act)]
    found = {
        act.name: set(texts_of(act.reply)) - FORGOTTEN.get(act.name, set())
        for act in acts
        if act.name not in SAID_AGAIN
    }
    assert {name: fields for name, fields in found.items() if fields} == {
        name: set(fields) for name, fields in REPLIES.items()
    }
    assert set(SAID_AGAIN) <= {act.name for act in acts}
    assert texts_of(next(act for act in acts if act.name == "check_in").reply), "the guard finds fields"


def test_a_remembered_resume_has_no_words_of_the_pauses_that_remain() -> None:
    left = PauseLeft(target="room", by="olga", reason="a secret", until=None, members=["builder"])
    kept = Controlled(target="builder", standing="active", remaining=[left]).remembered()
    assert "secret" not in kept.model_dump_json()
    assert [(pause.target, pause.members) for pause in kept.remaining] == [("room", ["builder"])]


# ------------------------------------------------------------------ every column, and every page of every file


Story = Callable[[RunningRoom, Member, str], Awaitable[list[str]]]
"""Puts a text into a column; returns what is to be redacted to remove it."""


async def receipt(reply: dict[str, Any]) -> list[str]:
    return [str(reply["receipt"])]


async def message(room: RunningRoom, owner: Member, text: str) -> list[str]:
    (agent,) = await room.enroll("agent")
    await agent("post_message", text=f"@olga it is {text}", summary=f"about {text}", kind="ask")
    await owner("check_in", request_id="once")
    await agent("post_message", text="it is said", request_id=f"about {text}")
    return ["M-1"]


async def title(room: RunningRoom, owner: Member, text: str) -> list[str]:
    (agent,) = await room.enroll("agent")
    await owner("create_task", title=f"Use {text}", detail=f"it is {text}", needs=[f"tool:{text}"], assign="agent")
    await agent("check_in", request_id="once")
    return ["T-1"]


async def title_by_number(room: RunningRoom, owner: Member, text: str) -> list[str]:
    await title(room, owner, text)
    return [str(await newest(owner, "create_task"))]


async def edit_by_number(room: RunningRoom, owner: Member, text: str) -> list[str]:
    await owner("create_task", title="Paint")
    await owner("update_task", task="T-1", changes={"title": text, "detail": text, "needs": [f"tool:{text}"]})
    return [str(await newest(owner, "update_task"))]


async def imported(room: RunningRoom, owner: Member, text: str) -> list[str]:
    words = {"title": f"Use {text}", "detail": f"it is {text}", "summary": f"was {text}"}
    await owner("import_task", external=f"beads:{text}", done=True, **words)
    await owner("create_task", title="Paint", external=f"own {text}")
    return ["T-1", "T-2"]


async def imported_by_number(room: RunningRoom, owner: Member, text: str) -> list[str]:
    await imported(room, owner, text)
    return [str(await newest(owner, act)) for act in ("import_task", "create_task")]


async def holding(room: RunningRoom, owner: Member) -> tuple[Member, Member, int]:
    holder, other = await room.enroll("holder", "other")
    await owner("create_task", title="Paint")
    return holder, other, (await holder("claim_task", task="T-1"))["fence"]


async def work(room: RunningRoom, owner: Member, text: str) -> list[str]:
    holder, other, fence = await holding(room, owner)
    await holder("heartbeat", task="T-1", note=f"on {text}", busy_until=60)
    await holder("update_task", task="T-1", fence=fence, status="blocked", blocked_on="3600", note=f"the {text}")
    await other.refused("update_task", task="T-1", fence=fence, note=f"late {text}")
    await holder("complete_task", task="T-1", fence=fence, summary=text, evidence=[{"kind": "link", "ref": text}])
    await owner("review_task", task="T-1", verdict="send_back", note=f"not {text}")
    return ["T-1"]


async def work_by_number(room: RunningRoom, owner: Member, text: str) -> list[str]:
    await work(room, owner, text)
    found = (await owner("read_receipts", subject="T-1", limit=100))["receipts"]
    return [str(entry["seq"]) for entry in found]


async def block_by_number(room: RunningRoom, owner: Member, text: str) -> list[str]:
    holder, _, fence = await holding(room, owner)
    return await receipt(
        await holder("update_task", task="T-1", fence=fence, status="blocked", blocked_on="60", note=text)
    )


async def offer(room: RunningRoom, owner: Member, text: str) -> list[str]:
    holder, other, fence = await holding(room, owner)
    await other("declare_capabilities", capabilities=[f"tool:{text}"])
    artifacts = [{"kind": "link", "ref": text}]
    await holder(
        "hand_off", task="T-1", fence=fence, to="other", note=text, needs=[f"tool:{text}"], artifacts=artifacts
    )
    await other("check_in", request_id="once")
    await other("answer_hand_off", offer="O-1", accept=False, reason=f"no {text}")
    return ["O-1", "T-1", str(await newest(owner, "declare_capabilities"))]


async def decision(room: RunningRoom, owner: Member, text: str) -> list[str]:
    (agent,) = await room.enroll("agent")
    artifacts = [{"kind": "link", "ref": text}]
    about = {"detail": f"it is {text}", "options": [text, "no"], "artifacts": artifacts}
    for number in (1, 2, 3):
        await agent("request_decision", question=f"Use {text} {number} times?", **about, request_id=f"ask {number}")
    await owner("decide", decision="D-1", option="1", note=f"yes, {text}", request_id="once")
    await agent("check_in", request_id="once")
    await room.later(8 * 86_400)
    return ["D-1", "D-2", "D-3"]


async def authorisation(room: RunningRoom, owner: Member, text: str) -> list[str]:
    (agent,) = await room.enroll("agent")
    scope = f"use:{text}"
    await owner("authorize", to="agent", scope=scope, reason=f"it is {text}", request_id="once")
    await owner("create_task", title="Paint", requires=[scope])
    await owner("create_task", title="Sand")
    await owner("update_task", task="T-2", changes={"requires": [scope]})
    await agent("claim_task", task="T-1", request_id="once")
    await agent("check_authorization", scope=scope, use=True, request_id="two")
    await agent.refused("check_authorization", scope=f"{scope}-too", use=True)
    found = (await owner("read_receipts", limit=100))["receipts"]
    return ["A-1", "T-1", "T-2", *(str(entry["seq"]) for entry in found if entry["outcome"] == "refused")]


async def decision_by_number(room: RunningRoom, owner: Member, text: str) -> list[str]:
    await decision(room, owner, text)
    found = (await owner("read_receipts", limit=100))["receipts"]
    return [str(entry["seq"]) for entry in found if entry["subject"].startswith("D-")]


async def stop(room: RunningRoom, owner: Member, text: str) -> list[str]:
    (agent,) = await room.enroll("agent")
    reply = await owner("pause", target="agent", reason=f"it leaks {text}")
    await agent("heartbeat", request_id="once")
    return await receipt(reply)


async def label(room: RunningRoom, owner: Member, text: str) -> list[str]:
    return await receipt(await owner("enroll", name="agent", label=text, request_id="once"))


async def capability(room: RunningRoom, owner: Member, text: str) -> list[str]:
    (agent,) = await room.enroll("agent")
    reply = await agent("declare_capabilities", capabilities=[f"tool:{text}"], request_id="once")
    return await receipt(reply)


async def plant(room: RunningRoom, owner: Member, text: str) -> list[str]:
    (agent,) = await room.enroll("agent")
    declared = await agent("declare_capabilities", capabilities=[f"tool:{text}"])
    reply = await owner("plant", capability=f"tool:{text}", read=f"cat {text}", where=f"in {text}", request_id="once")
    await agent("check_in", request_id="two")
    return [*await receipt(reply), *await receipt(declared)]


async def repair(room: RunningRoom, owner: Member, text: str) -> list[str]:
    await room.enroll("agent", mode="live")
    (dog,) = await room.enroll("rex", role="watchdog")
    await dog("declare_capabilities", capabilities=["runtime:agent"])
    await owner("repair", name="agent", found=f"it printed {text}")
    return ["T-1"]


async def refused(room: RunningRoom, owner: Member, text: str) -> list[str]:
    """Calls that name what the room does not know."""
    (agent,) = await room.enroll("agent")
    await agent.refused("post_message", text="x", to=[f"@{text}"])
    await agent.refused("who", name=text)
    await agent.refused("declare_capabilities", proofs=[{"capability": f"tool:{text}", "value": text}])
    await agent.refused("plant", capability=f"tool:{text}", file="/proof")
    await owner.refused("redact", what=text, reason="none")
    await owner.refused("pause", target=f"owner:{text}", reason="none")
    await owner.refused("set_policy", name=text, value="1")
    found = (await owner("read_receipts", limit=100))["receipts"]
    return [str(entry["seq"]) for entry in found if entry["outcome"] == "refused"]


async def reports(room: RunningRoom, owner: Member, text: str) -> list[str]:
    """A member runs on two hosts, and its harness waits for a permission: every report has the text."""
    (agent,) = await room.enroll("agent", mode="live")
    where = dict.fromkeys(("host", "folder", "harness", "version", "branch"), text)
    asks = {"hook_event_name": "PermissionRequest", "tool_name": text}
    for _ in range(4):
        for place in (where, {**where, "host": f"{text}-2"}):
            assert not (await agent.said("heartbeat", runtime=place))[2]
            headers = {"Authorization": f"Bearer {room.tokens['agent']}"}
            assert (await room.raw("POST", "/hooks/claude", json=asks, headers=headers)).status_code == 200
            await room.later(150)
    acts = [entry["act"] for entry in (await owner("read_receipts", subject="@agent", limit=100))["receipts"]]
    assert {"two_hosts", "presence"} <= set(acts), "the owner was told of both"
    return ["@Agent"]


async def newest(owner: Member, act: str) -> int:
    return int((await owner("read_receipts", act=act, limit=1))["receipts"][0]["seq"])


STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        *(message, title, title_by_number, edit_by_number, work, work_by_number, block_by_number, offer, stop, label),
        *(decision, decision_by_number, authorisation),
        *(capability, plant, repair, refused, imported, imported_by_number, reports),
    )
}


@pytest.mark.parametrize("name", STORIES)
async def test_redacted_words_are_in_no_page_of_any_file(tmp_path: Path, name: str) -> None:
    async with running_room(tmp_path / "room", presence_write_seconds=0.0) as room:
        owner = await room.owner()
        what = await STORIES[name](room, owner, SECRET)
        before = columns_with(room.folder, SECRET)
        assert before, "what is looked for would be found"
        assert set(before) <= set(WORDS), "words are only in the columns of the list"
        for target in what:
            await owner("redact", what=target, reason="it was a password")
        assert columns_with(room.folder, SECRET) == []
        verdict = await anyio.to_thread.run_sync(verified, room.folder)
        assert verdict.good, verdict.why
    assert files_with(room.folder, SECRET) == []


async def test_the_stories_put_words_into_every_column_of_the_list(tmp_path: Path) -> None:
    found: set[str] = set()
    for name, story in STORIES.items():
        async with running_room(tmp_path / name, presence_write_seconds=0.0) as room:
            await story(room, await room.owner(), SECRET)
            found.update(columns_with(room.folder, SECRET))
    digests = {"presence.last_note", "origin.given", "decision.digest", "approval.call"}
    replaced = {"task.blocked_on", "task.summary", "task.evidence", "refusal.subject"}
    assert set(WORDS) - digests - replaced <= found, set(WORDS) - found


def columns_with(folder: Path, text: str) -> list[str]:
    """The columns of the database that hold a text now."""
    found = []
    with closing(sqlite3.connect(f"file:{folder}/room.db?mode=ro", uri=True)) as database:
        for (table,) in database.execute("select name from sqlite_schema where type = 'table'").fetchall():
            if table.startswith(("message_text_", "task_text_")):
                continue
            for column in [row[1] for row in database.execute(f"pragma table_info({table})")]:
                if column == table == "message_text":
                    continue
                where = f"select 1 from {table} where instr(cast({column} as text), ?)"
                if database.execute(where, (text,)).fetchone():
                    found.append(f"{table}.{column}")
    return found


def files_with(folder: Path, text: str) -> list[str]:
    """The files of a data folder that hold a text, whatever page of them it is on, also as JSON escapes it."""
    forms = {text.encode(), json.dumps(text)[1:-1].encode()}
    return [
        path.name for path in folder.rglob("*") if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]
