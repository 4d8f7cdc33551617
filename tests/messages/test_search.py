"""Full-text search: by words, the newest and best first, with a query that is data whatever it says."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from teamroom.server.settings import Settings
from teamroom.server.store.sqlite.connect import OWN_MIGRATIONS, connect_writer, migrate
from teamroom.server.store.statements import known_migrations, split_script, sqlite_statements
from teamroom.server.store.transaction import Context, Reading
from tests.bench.search import fill, searches
from tests.support.promises import house, promise
from tests.support.rates import LIMITLESS
from tests.support.raw import RoomInThread, refusal, reply, room_in_thread
from tests.support.rooms import BOUND_SECONDS, Member, RunningRoom

pytestmark = house

SYNTAX = (
    '"', '""', '"unclosed', "text:", "text:build", "-build", "^build", "build*", "*", "NEAR(a b, 2)", "a AND", "AND",
    "OR", "NOT", "a NOT b", "(", ")", "((((", "{text}:x", "a + b", "a:b:c", "'; drop table message; --", "%", "_", "\\",
    "?1", ":words", "“”", "…", "é", "日本語", "🙂",
)  # fmt: skip


async def found(member: Member, query: str, **more: object) -> list[str]:
    return [m["text"] for m in (await member("read_messages", query=query, **more))["messages"]]


async def test_words_are_found_regardless_of_case_accents_and_order(room: RunningRoom) -> None:
    owner = await room.owner()
    for text in ("The Café is closed", "build green on main", "Build RED: main is broken", "mainly unrelated"):
        await owner("post_message", text=text)
    assert await found(owner, "cafe") == ["The Café is closed"]
    assert await found(owner, "MAIN red") == ["Build RED: main is broken"]
    assert set(await found(owner, "build mai")) == {"build green on main", "Build RED: main is broken"}
    assert len(await found(owner, "main")) == 3
    assert await found(owner, "ain") == []
    assert await found(owner, "nowhere") == []


async def test_a_search_also_covers_summaries(room: RunningRoom) -> None:
    owner = await room.owner()
    await owner("post_message", text="it is done", summary="the migration is finished")
    assert await found(owner, "migration") == ["it is done"]


async def test_the_best_matches_come_first_and_of_equal_ones_the_newest(room: RunningRoom) -> None:
    owner = await room.owner()
    texts = [
        "deploy deploy deploy",
        "one deploy two",
        "two deploy one",
        "a long text that says deploy once among others",
    ]
    for text in texts:
        await owner("post_message", text=text)
    assert await found(owner, "deploy") == [texts[0], texts[2], texts[1], texts[3]]


@promise("LOG1")
async def test_a_search_continues_after_a_number_in_order_and_names_the_previous_match(room: RunningRoom) -> None:
    owner = await room.owner()
    (tester,) = await room.enroll("tester")
    start = (await owner("post_message", text="match 0"))["message"]
    for number in range(1, 30):
        word = "match" if number % 3 == 0 else "other"
        more = {"reply_to": start} if number % 2 else {"to": ["tester"]}
        await owner("post_message", text=f"{word} {number}", **more)
    page = await tester("read_messages", query="match", after=0, limit=6)
    rest = await tester("read_messages", query="match", after=page["cursor"], limit=50)
    matches = page["messages"] + rest["messages"]
    assert [m["text"] for m in matches] == [f"match {number}" for number in range(0, 30, 3)]
    assert [m["previous"] for m in matches] == [0, *(m["seq"] for m in matches[:-1])]
    assert await found(tester, "match", thread=start) == [f"match {n}" for n in (27, 21, 15, 9, 3, 0)]
    assert await found(tester, "match", mentions="tester", after=0) == [f"match {n}" for n in range(6, 30, 6)]
    assert await found(tester, "match", thread=start, mentions="tester") == []


async def test_filters_without_a_query_read_the_same_by_index(room: RunningRoom) -> None:
    owner = await room.owner()
    (tester,) = await room.enroll("tester")
    start = (await owner("post_message", text="0"))["message"]
    for number in range(1, 12):
        more = {"reply_to": start} if number % 2 else {}
        to = {"to": ["tester"]} if number % 3 == 0 else {}
        await owner("post_message", text=str(number), **more, **to)
    both = await tester("read_messages", thread=start, mentions="tester", after=0)
    assert [m["text"] for m in both["messages"]] == ["3", "9"]
    newest = await tester("read_messages", mentions="tester", limit=2)
    assert [m["text"] for m in newest["messages"]] == ["6", "9"]
    assert newest["messages"][0]["previous"] == (await tester("read_messages", ids=["M-4"]))["messages"][0]["seq"]


@pytest.mark.parametrize("query", SYNTAX)
async def test_query_syntax_in_a_search_is_treated_as_text(room: RunningRoom, query: str) -> None:
    owner = await room.owner()
    await owner("post_message", text="a plain text about the build")
    hidden = {m["id"] for m in (await owner("read_messages", query=query))["messages"]}
    assert hidden <= {"M-1"}
    await owner("post_message", text=f"it says {query} here")
    again = {m["id"] for m in (await owner("read_messages", query=query))["messages"]}
    assert again <= {"M-1", "M-2"}
    if any(letter.isalnum() for letter in query):
        assert "M-2" in again
    assert (await owner("read_messages"))["messages"][-1]["id"] == "M-2"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> RoomInThread:
    with room_in_thread(tmp_path_factory.mktemp("search") / "room", refusals_per_hour=1000, **LIMITLESS) as served:
        served.enroll("bot")
        yield served
        assert served.log.lines == []


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.text(max_size=200), st.booleans())
def test_no_query_breaks_the_room(searched: RoomInThread, query: str, after: bool) -> None:
    with searched.modern("bot") as bot:
        answer = bot.call("read_messages", {"query": query, **({"after": 0} if after else {})})
    if answer.json["result"].get("isError"):
        assert refusal(answer)["code"] in ("invalid", "too_large")
    else:
        assert reply(answer)["messages"] == []


def _fill(path: Path) -> None:
    """A room's database of the first release, with two messages."""
    with closing(connect_writer(path)) as connection:
        run = sqlite_statements()
        connection.execute(run["create_migrations"])
        for number in (1, 2, 3):
            script = known_migrations()[number]
            for statement in split_script(script.read_text()):
                connection.execute(statement)
            connection.execute(run["record_migration"], {"number": number, "name": script.stem, "applied_at": 0.0})
        connection.execute(
            "insert into member (id, name, folded, kind, role, owner, mode, created_at, acknowledged) "
            "values (1, 'room', 'room', 'room', 'owner', 1, 'manual', 0, 0)"
        )
        for number, text in ((1, "an old message"), (2, "another")):
            connection.execute(
                "insert into message (id, seq, author, at, kind, summary, text, thread) "
                "values (?, ?, 1, 0, 'note', '', ?, ?)",
                (number, number, text, number),
            )


def test_the_messages_of_an_older_room_are_indexed_by_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    _fill(path)
    with closing(connect_writer(path)) as connection:
        assert "0004_keep_quiet" in migrate(connection, 1.0)
        rows = connection.execute(sqlite_statements()["best_matches"], {"words": "old", "looked_at": 10, "limit": 10})
        assert [row["id"] for row in rows] == [1]


def test_what_an_engine_adds_to_a_migration_commits_or_fails_with_it(tmp_path: Path) -> None:
    assert {path.name for path in OWN_MIGRATIONS.glob("*.sql")} <= {path.name for path in known_migrations().values()}
    path = tmp_path / "room.db"
    _fill(path)
    with closing(connect_writer(path)) as connection:
        connection.execute("create table message_text (x integer)")
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(connection, 1.0)
    with closing(connect_writer(path)) as connection:
        assert 4 not in [row["number"] for row in connection.execute("select number from migration")]
        assert "folded" not in [row["name"] for row in connection.execute("pragma table_info (message)")]


async def test_a_message_is_removed_from_the_search_index_only_once(room: RunningRoom) -> None:
    owner = await room.owner()
    seq = (await owner("post_message", text="the secret word"))["receipt"]
    await owner("post_message", text="another secret")
    run = sqlite_statements()
    with closing(connect_writer(room.room.store.path)) as connection:
        for _ in range(2):
            connection.execute(run["unindex_message"], {"seq": seq})
            connection.execute("update message set text = '', summary = '' where id = 1")
        connection.execute("insert into message_text (message_text) values ('integrity-check')")
        left = "select count(*) from message_text_data where instr(block, cast('word' as blob))"
        assert connection.execute(left).fetchone()[0] > 0
        connection.execute(run["tidy_index"], {"pages": -1_000})
        assert connection.execute(left).fetchone()[0] == 0
    assert await found(owner, "secret") == ["another secret"]
    assert await found(owner, "word") == []


async def test_redacted_content_is_not_found_and_is_not_in_the_index(room: RunningRoom) -> None:
    owner = await room.owner()
    await owner("post_message", text="the password is swordfish")
    await owner("post_message", text="the password was changed")
    left = b"wordfish"  # what two words begin with is kept once, so the first letter may stand elsewhere
    assert left in room.room.store.path.with_name("room.db-wal").read_bytes()
    await owner("redact", what="M-1", reason="it was a password")
    assert await found(owner, "swordfish") == []
    assert await found(owner, "password") == ["the password was changed"]
    async with asyncio.timeout(BOUND_SECONDS):
        while any(left in path.read_bytes() for path in room.folder.glob("room.db*")):
            await anyio.lowlevel.checkpoint()


def test_a_common_word_is_found_without_looking_at_every_message(tmp_path: Path) -> None:
    """Steps of SQLite's machine, not time: ten times the messages must not cost ten times the steps."""
    costs = []
    for messages in (500, 5_000):
        path = tmp_path / f"{messages}.db"
        fill(path, messages)
        with closing(connect_writer(path)) as connection:
            tx = Reading(connection, Context(sqlite_statements(), Settings(), lambda size: b""))
            steps = [0]

            def count(steps: list[int] = steps) -> int:
                steps[0] += 1
                return 0

            connection.set_progress_handler(count, 10)
            for search in searches(tx, messages).values():
                search()
            costs.append(steps[0])
    assert costs[1] < 3 * costs[0]


async def test_a_refused_message_is_never_found(room: RunningRoom) -> None:
    owner = await room.owner()
    await owner.refused("post_message", text="a word that was refused", to=["nobody"])
    await owner("post_message", text="a word that stands")
    assert await found(owner, "word") == ["a word that stands"]
