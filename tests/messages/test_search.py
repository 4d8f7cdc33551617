"""Full-text search: by words, the newest and best first, with a query that is data whatever it says."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from teamroom.server import app
from teamroom.server.acts.messages import older
from teamroom.server.rules.search import SEARCHED_CHARACTERS, SEARCHED_WORDS, index_words, parse_search, rank_texts
from teamroom.server.settings import Settings
from teamroom.server.store.sqlite.connect import OWN_MIGRATIONS, connect_writer, migrate
from teamroom.server.store.statements import known_migrations, split_script, sqlite_statements
from teamroom.server.store.transaction import Context, Reading
from tests.bench.search import fill, searches
from tests.support.eventually import until
from tests.support.promises import house, promise
from tests.support.rates import LIMITLESS
from tests.support.raw import refusal, reply
from tests.support.room_in_thread import RoomInThread, room_in_thread
from tests.support.rooms import Member, RunningRoom, running_room

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


async def test_a_match_of_the_whole_word_comes_before_one_of_its_beginning(room: RunningRoom) -> None:
    owner = await room.owner()
    for number in range(3):
        await owner("post_message", text=f"deploying the build {number}")
    await owner("post_message", text="deploy")
    assert await found(owner, "deploy", limit=1) == ["deploy"]
    assert len(await found(owner, "deploy")) == 4, "a page that is not full shows beginnings too"
    assert await found(owner, "deploying", limit=2) == ["deploying the build 2", "deploying the build 1"]


@pytest.mark.parametrize(
    ("query", "best", "worse"),
    [
        ("status now", "the status now", "the status of now and of then"),
        ("T-12", "T-12 is done", "12 people, 12 T and 12 of T-12"),
        ("构建", "构建 构建", "构建 失败"),
        ("deploye", "déployé déployé", "déployé une fois"),
        ("sessionRestart", "sessionRestart", "sessionRestart and more of it"),
    ],
)
def test_a_text_that_says_it_more_often_and_less_else_is_the_better_match(query: str, best: str, worse: str) -> None:
    ranked = rank_texts(parse_search(query), [worse, best])
    assert ranked[1] > ranked[0] > 0


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


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
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
        connection.execute(run["tidy_messages"], {"pages": -1_000})
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
    await until(lambda: not any(left in path.read_bytes() for path in room.folder.glob("room.db*")))


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


# ------------------------------------------------------------------ every script

RUNS = {
    "Chinese": ("用户登录失败\uff0c需要检查令牌过期时间", ("登录", "令牌过期", "失败", "时间", "失败\uff0c需要")),
    "Chinese with names": ("重跑gen-itgc后清零\uff0c见T-12和第3季度", ("itgc", "gen", "清零", "跑gen", "3季", "季度")),
    "Japanese": ("今日は成語しりとりをした", ("しりとり", "成語", "りと")),
    "half-width Japanese": ("ﾛｸﾞｲﾝに失敗しました", ("ログイン", "失敗", "ﾛｸﾞ")),
    "Korean": ("사용자로그인이 실패했다", ("로그인", "실패", "로그")),
    "Thai": ("กรุณาตรวจสอบการเข้าสู่ระบบ", ("ตรวจสอบ", "ระบบ", "เข้าสู่")),
    "Lao": ("ກະລຸນາກວດສອບການເຂົ້າສູ່ລະບົບ", ("ກວດສອບ", "ລະບົບ")),
    "Khmer": ("សូមពិនិត្យការចូលប្រព័ន្ធ", ("ការចូល", "ប្រព័ន្ធ", "ចូលប្រព័ន្ធ")),
    "Burmese": ("အကောင့်ဝင်ရောက်ခြင်းမအောင်မြင်ပါ", ("ဝင်ရောက်", "အောင်မြင်")),
    "Tibetan": ("བོད་ཡིག་གི་ཡི་གེ", ("ཡིག", "ཡི་གེ")),
    "rare ideographs": ("𠮷野家で食べる", ("𠮷野", "野家")),
    "Hindi": ("उपयोगकर्ता लॉगिन विफल", ("लॉगिन", "विफ")),
    "Arabic": ("فشل تسجيل الدخول", ("تسجيل", "الدخو")),
    "Vietnamese": ("đăng nhập thất bại", ("nhập", "nhap")),
    "German": ("Die Straße ist geschlossen", ("strasse", "STRASSE", "straß")),
    "names": ("sessionRestart fails, HTTPServer too, in retry_after", ("restart", "sessionrestart", "server", "after")),
}  # fmt: skip
"""For each script, a text and what is found in it: parts of runs without spaces, of two letters too."""

ELSEWHERE = ("登除", "录登", "とりし", "인로그", "สอบตรวจ", "ບົບລະ", "startres", "ខ្ញុំ")


async def test_words_inside_runs_without_spaces_are_found_in_messages_and_on_the_board(room: RunningRoom) -> None:
    owner = await room.owner()
    for text, _ in RUNS.values():
        await owner("post_message", text=text)
        await owner("create_task", title=text)
        await owner("create_task", title="another", detail=f"about: {text}")
    missed = []
    for number, (script, (text, queries)) in enumerate(RUNS.items()):
        for query in queries:
            messages = await found(owner, query)
            in_order = await found(owner, query, after=0)
            tasks = {task["task"] for task in (await owner("read_board", query=query))["tasks"]}
            wanted = {f"T-{2 * number + 1}", f"T-{2 * number + 2}"}
            if not (text in messages and text in in_order and wanted <= tasks):
                missed.append((script, query))
    assert missed == []
    for query in ELSEWHERE:
        assert await found(owner, query) == [], query
        assert (await owner("read_board", query=query))["tasks"] == [], query


async def test_a_task_is_found_by_what_it_says_now(room: RunningRoom) -> None:
    owner = await room.owner()

    async def tasks(query: str, **more: object) -> list[str]:
        return [task["task"] for task in (await owner("read_board", query=query, **more))["tasks"]]

    await owner("create_task", title="修复登录", detail="the swordfish")
    await owner("update_task", task="T-1", changes={"title": "修复注册"})
    assert await tasks("登录") == []
    assert await tasks("注册") == await tasks("swordfish") == ["T-1"]
    await owner("update_task", task="T-1", status="cancelled")
    assert await tasks("注册") == []
    assert await tasks("注册", state="all") == await tasks("注册", state="cancelled") == ["T-1"]
    await owner("redact", what="T-1", reason="it was a password")
    assert await tasks("注册", state="all") == await tasks("swordfish", state="all") == []
    await until(lambda: not any(b"wordfish" in path.read_bytes() for path in room.folder.glob("room.db*")))


async def test_redacted_words_of_every_script_leave_a_sound_index(room: RunningRoom) -> None:
    owner = await room.owner()
    for text, _ in RUNS.values():
        message = (await owner("post_message", text=text))["message"]
        await owner("redact", what=message, reason="it was a password")
    for script, (_, queries) in RUNS.items():
        assert [query for query in queries if await found(owner, query)] == [], script
    with closing(connect_writer(room.room.store.path)) as connection:
        connection.execute("insert into message_text (message_text) values ('integrity-check')")
        connection.execute("insert into message_text (message_text) values ('optimize')")
        connection.execute("create virtual table temp.word using fts5vocab (main, message_text, row)")
        assert {row["term"] for row in connection.execute("select term from temp.word")} == set()


async def test_what_an_earlier_release_did_not_index_is_indexed_page_by_page_the_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PAGES_AT_START", 1)
    monkeypatch.setattr(older, "PAGE", 10)
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        for number in range(1, 36):
            await owner("post_message", text=f"message {number} 登录")
            await owner("create_task", title=f"task {number} 登录")
    with closing(connect_writer(tmp_path / "room" / "room.db")) as connection:
        connection.execute("insert into message_text (message_text) values ('delete-all')")
        connection.execute("delete from task_text")
        for script in (known_migrations()[22], OWN_MIGRATIONS / known_migrations()[22].name):
            for statement in split_script(script.read_text()):
                if statement.startswith("insert"):
                    connection.execute(statement)
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        assert len(await found(owner, "登录", limit=50)) == 10
        assert await found(owner, "35") == ["message 35 登录"]
        assert (await owner("redact", what="M-1", reason="not indexed yet"))["entries"] == 1
        await owner("post_message", text="a new one 登录")
        await room.later(0)
        assert len(await found(owner, "登录", limit=50)) == 35
        assert len((await owner("read_board", query="登录"))["tasks"]) == 35
        assert room.room.store.damage is None


def test_a_search_counts_so_many_words_and_characters() -> None:
    assert parse_search(" ".join(f"w{n}" for n in range(20))).count('"') == 2 * SEARCHED_WORDS
    assert len(parse_search("登" * 200)) == 2 * SEARCHED_CHARACTERS + 1
    assert len(index_words("\ufdfa" * 1_000)) <= 3_000, "a letter that stands for a sentence"


def test_what_readers_do_not_see_divides_no_word() -> None:
    assert index_words("ចូល\u200bប្រព័ន្ធ") == index_words("ចូលប្រព័ន្ធ")
