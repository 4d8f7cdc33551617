"""The store: migrations forward only, one lock, and SQL that PostgreSQL understands too."""

import asyncio
import os
import re
import secrets
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from teamroom.server.settings import Settings
from teamroom.server.store.folder import FolderError, locked, make_private
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.sqlite.readers import Readers
from teamroom.server.store.statements import (
    MIGRATIONS,
    SHARED,
    SQLITE,
    known_migrations,
    read_statements,
    sqlite_statements,
)
from teamroom.server.store.transaction import Context
from tests.support.bounds import BOUND_SECONDS
from tests.support.promises import house, promise

pytestmark = house


def test_migrations_are_numbered_without_a_gap_each_once_and_applied_once(tmp_path: Path) -> None:
    assert list(known_migrations()) == list(range(1, len(list(MIGRATIONS.glob("*.sql"))) + 1))
    connection = connect_writer(tmp_path / "room.db")
    assert migrate(connection, 0.0) == [path.stem for path in known_migrations().values()]
    assert migrate(connection, 0.0) == []
    connection.close()


def test_an_interrupted_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "room.db")
    connection.execute("create table task (id integer)")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(connection, 0.0)
    connection.close()
    again = connect_writer(tmp_path / "room.db")
    assert [row["number"] for row in again.execute("select number from migration")] == []
    assert again.execute("select count(*) from sqlite_master where name = 'member'").fetchone()[0] == 0
    again.close()


def test_a_second_server_on_the_same_folder_is_refused_with_the_address_of_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    make_private(folder)
    with (
        locked(folder, "http://127.0.0.1:8765"),
        pytest.raises(FolderError, match=rf"process {os.getpid()}, http://127.0.0.1:8765"),
        locked(folder, "another"),
    ):
        pass
    with locked(folder, "free again"):
        pass


@promise("SAF1")
@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_others_can_use_is_tightened(tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "room"
    folder.mkdir()
    folder.chmod(mode)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert f"{folder} could be used by other users of this machine (mode {mode:03o})." in caplog.text


def test_a_statement_that_is_defined_twice_is_an_error(tmp_path: Path) -> None:
    for name in ("a.sql", "b.sql"):
        (tmp_path / name).write_text("-- name: same\nselect 1\n")
    with pytest.raises(ValueError, match="same is defined twice"):
        read_statements(tmp_path)


def test_a_part_takes_the_place_of_each_line_that_uses_it(tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    for folder, text in (
        (shared, "-- part: names\n-- All of them.\nfrom member\n\n-- name: all_names\nselect name\n-- use: names\n"),
        (own, "-- name: first_name\nselect min(name)\n-- use: names\nwhere id > 0;\n"),
    ):
        folder.mkdir()
        (folder / "a.sql").write_text(text)
    found = read_statements(shared, own)
    assert {name: text.split() for name, text in found.items()} == {
        "all_names": ["select", "name", "from", "member"],
        "first_name": ["select", "min(name)", "from", "member", "where", "id", ">", "0"],
    }
    with pytest.raises(KeyError, match="names"):
        read_statements(own)


def test_every_shared_statement_is_used_and_every_used_one_exists() -> None:
    shared = read_statements(SHARED)
    code = "\n".join(path.read_text() for path in Path(MIGRATIONS).parents[1].rglob("*.py"))
    unused = [name for name in shared if f'"{name}"' not in code]
    assert unused == []
    called = set(re.findall(r'tx\.(?:one|all|value|run)\(\s*"([a-z_]+)"', code))
    assert called - set(read_statements(SHARED, SQLITE)) == set()


LED_BY_AN_INDEX = (
    *("nth_newest_of_kind", "add_wake", "last_turns", "others_took_part"),
    *("thread_from", "thread_before", "mentions_from", "mentions_before", "message_before"),
    *("messages_after", "pending_wakes", "stream_page"),
    *("entries_after", "entries_of_actor_after", "entries_of_actor_and_act_after", "entries_of_subject_after"),
    *("newest_entries_of_actor", "newest_entries_of_actor_and_act", "newest_entries_of_subject"),
)
"""What a post asks, and what a page that follows a number or a filter is read with."""

ASKED_BY_A_TICK = (
    *("due_now", "next_due", "looks_too_late", "look_again", "timer", "supervisor"),
    *("cancel_timer", "postpone", "postpone_failed", "count_slot", "look_sooner", "check_leases_by"),
    *("watched", "last_act", "unanswered_wake", "oldest_ask", "trouble", "last_messages_of", "count_held"),
    *("task", "message", "offer", "has_answered", "entry_age", "pauses", "provable", "earliest_proof"),
    *("repair_of", "repaired_member", "count_reminders_of_member", "reminders_sent_to"),
    *("nth_newest_reminder", "add_wake"),
)
"""What the supervisor asks to find what is due, and to do each of its duties."""

SORTED_FEW = ("tasks_held", "watchdogs", "repairs_held", "repair_notes", "reminders_standing", "reminders_of_subject")
"""What it asks of one member or one task: an index leads to a few rows, which are then sorted."""


@pytest.mark.parametrize("name", [*LED_BY_AN_INDEX, *ASKED_BY_A_TICK])
def test_each_statement_of_a_post_a_page_or_a_tick_uses_an_index_and_does_not_sort(tmp_path: Path, name: str) -> None:
    assert [step for step in plan(tmp_path, name) if "TEMP B-TREE" in step or is_walk(step)] == []


@pytest.mark.parametrize("name", SORTED_FEW)
def test_each_sorted_statement_of_a_duty_uses_an_index(tmp_path: Path, name: str) -> None:
    assert [step for step in plan(tmp_path, name) if is_walk(step)] == []


def test_no_statement_that_reads_is_prepared_again_for_other_values(tmp_path: Path) -> None:
    """It would cost more than to run it: SQLite does so where it had to know a value to choose an index."""
    selects = {name: sql for name, sql in sqlite_statements().items() if sql.startswith(("select", "with"))}
    for name in ("places", "look_at_pages"):
        del selects[name]  # it reads pragmas, which SQLite prepares inside
    with closing(connect_writer(tmp_path / "room.db")) as connection:
        migrate(connection, 0.0)
        assert [name for name, sql in selects.items() if is_prepared_again(connection, sql)] == []
        by_value = "select count(*) from message where kind = :kind"
        assert is_prepared_again(connection, by_value), "the test would not see it"
        assert not is_prepared_again(connection, by_value.replace(":kind", "cast(:kind as text)"))


def is_prepared_again(connection: sqlite3.Connection, sql: str) -> bool:
    """Whether SQLite prepares a statement again when it is run for the second time."""
    prepared = []

    def note(*access: object) -> int:
        prepared.append(access)
        return sqlite3.SQLITE_OK

    names = re.findall(r"(?<!:):([a-z_]+)", sql)
    connection.set_authorizer(note)
    connection.execute(sql, dict.fromkeys(names, 1)).fetchall()
    prepared.clear()
    connection.execute(sql, dict.fromkeys(names, 2)).fetchall()
    return prepared != []


def is_walk(step: str) -> bool:
    """Whether a step of a plan goes through a whole table."""
    return step.startswith("SCAN ") and "CONSTANT" not in step


def plan(folder: Path, name: str) -> list[str]:
    """The steps in which a shared statement is carried out."""
    connection = connect_writer(folder / "room.db")
    migrate(connection, 0.0)
    statement = read_statements(SHARED)[name]
    parameters = dict.fromkeys(re.findall(r"(?<!:):([a-z_]+)", statement), 1)
    steps = [row["detail"] for row in connection.execute(f"explain query plan {statement}", parameters)]
    connection.close()
    parts = {step.partition(" ")[2] for step in steps if step.startswith(("CO-ROUTINE ", "MATERIALIZE "))}
    return [step for step in steps if step.partition("SCAN ")[2] not in parts]  # what a part found is gone through


async def test_a_store_that_closes_while_a_reader_opens_waits_for_its_thread(tmp_path: Path) -> None:
    asked, opens = threading.Event(), threading.Event()

    def connect() -> sqlite3.Connection:
        asked.set()
        assert opens.wait(BOUND_SECONDS)
        return sqlite3.connect(tmp_path / "room.db", check_same_thread=False)

    before = set(threading.enumerate())
    readers = Readers(Context(sqlite_statements(), Settings(), secrets.token_bytes), lambda: 0)
    opening = asyncio.ensure_future(readers.open(connect))
    await asyncio.to_thread(asked.wait, BOUND_SECONDS)
    (thread,) = {found for found in set(threading.enumerate()) - before if "connection" in found.name}
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    closing = asyncio.ensure_future(readers.close())
    await asyncio.sleep(0)
    assert not closing.done(), "the event loop would end, and the thread then answers nobody"
    opens.set()
    await asyncio.wait_for(closing, BOUND_SECONDS)
    thread.join(BOUND_SECONDS)
    assert not thread.is_alive()
