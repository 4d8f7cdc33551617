"""A room of an earlier release: backed up, brought up to this one whole or not at all, with nothing lost.

`tests/releases/NUMBER` holds a room as the release with that many migrations wrote it: four members of which one
was killed and one paused, a token that was rotated away, tasks in work, in review and offered, and messages.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.local.verify import verified
from teamroom.server.clock import wall_clock
from teamroom.server.record.backups import BACKUPS, BackupError, backups
from teamroom.server.store.folder import DATABASE, OWNER_TOKEN, FolderError, make_private
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.sqlite.copy import checked
from teamroom.server.store.statements import known_migrations
from tests.support.promises import house, promise
from tests.support.room_in_thread import logged
from tests.support.rooms import Time, running_room
from tests.support.strides import stride

pytestmark = house

RELEASES = Path(__file__).with_name("releases")
FIRST = RELEASES / "0001"

STEPS_SECONDS = 120


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of the first release's room, as it was left."""
    folder = tmp_path / "room"
    make_private(folder)
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.executescript((FIRST / "room.sql").read_text(encoding="utf-8"))
        database.execute("pragma journal_mode = wal")
    for name in ("room.key", "seal.json"):
        shutil.copyfile(FIRST / name, folder / name)
    (folder / OWNER_TOKEN).write_text(tokens()["olga"] + "\n")
    return folder


def tokens() -> dict[str, str]:
    return dict(json.loads((FIRST / "tokens.json").read_text()))


def numbers(database: Path) -> list[int]:
    """The migrations that were applied."""
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("select number from migration order by number")]


DROPPED = {("capability", "state"), ("capability", "until")}
"""Columns of the first release that a later one took away; it keeps what they said in others."""


def content(database: Path) -> dict[str, list[Any]]:
    """Every row of the first release's tables, in the columns that it had and that are still there."""
    with closing(sqlite3.connect(":memory:")) as first:
        first.executescript((FIRST / "room.sql").read_text(encoding="utf-8"))
        tables = [row[0] for row in first.execute("select name from sqlite_schema where type = 'table'")]
        kept = {table: [c for c in columns(first, table) if (table, c) not in DROPPED] for table in tables}
    del kept["migration"]
    with closing(sqlite3.connect(database)) as connection:
        return {
            table: sorted(connection.execute(f"select {', '.join(names)} from {table}"), key=repr)
            for table, names in kept.items()
        }


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"pragma table_info({table})")]


# ------------------------------------------------------------------ the room of an earlier release


async def test_a_room_of_the_first_release_opens_with_its_messages_tasks_tokens_and_chain(old: Path) -> None:
    before = content(old / DATABASE)
    async with running_room(old, time=Time(before["log"][-1][2] - wall_clock())) as room:
        assert content(old / DATABASE) == before
        owner = await room.owner()
        builder, tester = [await room.connect(name, tokens()[name]) for name in ("builder", "tester")]
        texts = [message["text"] for message in (await owner("read_messages"))["messages"]]
        assert texts[0].startswith("Good morning.")
        assert len(texts) == 3
        board = {task["task"]: task["state"] for task in (await owner("read_board"))["tasks"]}
        assert board == {"T-1": "claimed", "T-2": "open", "T-3": "in_review", "T-4": "offered"}
        assert (await builder("update_task", task="T-1", fence=1, note="It goes on."))["receipt"] == 26
        assert (await builder("answer_hand_off", offer="O-1", accept=True))["receipt"] == 27
        assert (await builder("check_in"))["offers"] == []
        scribe = await room.connect("scribe", tokens()["scribe"])
        assert (await scribe.refused("read_board"))["code"] == "paused"
        assert (await tester("read_messages", query="limiter"))["messages"]
        for name in ("guest", "tester (rotated away)"):
            answer = await room.raw(headers={"Authorization": f"Bearer {tokens()[name]}"}, json={})
            assert answer.status_code == 401
    found = verified(old)
    assert found.good
    assert found.verification.entries >= 27


@promise("ID5")
async def test_existing_names_that_look_alike_are_kept(old: Path) -> None:
    """A room from before that rule has both; each stays, and gets new tokens."""
    with closing(sqlite3.connect(old / DATABASE)) as database, database:
        database.execute("update member set name = 'bui1der', folded = 'bui1der' where name = 'tester'")
    async with running_room(old) as room:
        owner = await room.owner()
        for name in ("builder", "bui1der"):
            assert (await owner("enroll", name=name, rotate=True))["token"]
        assert "looks like" in (await owner.refused("enroll", name="buiIder"))["why"]


async def test_a_room_is_backed_up_before_it_is_changed_and_only_then(old: Path) -> None:
    before = content(old / DATABASE)
    for _ in range(2):
        async with running_room(old):
            pass
    [backup] = backups(old / BACKUPS)
    assert numbers(backup.path) == [1]
    assert numbers(old / DATABASE) == list(known_migrations())
    assert content(backup.path) == before


async def test_a_new_room_makes_no_backup(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room"):
        assert not (tmp_path / "room" / BACKUPS).exists()


async def test_without_a_backup_nothing_is_changed(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise BackupError("the disk is full")

    monkeypatch.setattr("teamroom.server.app.make_backup", fails)
    with pytest.raises(FolderError, match="no backup can be made first: the disk is full"):
        async with running_room(old):
            pass
    assert numbers(old / DATABASE) == [1]


# ------------------------------------------------------------------ killed on the way


STRIDE = stride(16)
"""Each this many steps, a copy is killed, and one in each migration; `make faults` kills one at every step."""


def killed_at_steps(template: Path, folder: Path, *flags: str, stride: int = 1) -> list[Path]:
    """Copies of a room, each as a process left it that was killed at one step of its migration."""
    command = [sys.executable, "-m", "tests.support.killed_migrations", str(template), str(folder), str(stride), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=STEPS_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert steps[-1] > 3 * len(known_migrations())
    return [folder / f"{step}.db" for step in steps]


def faults(database: Path, before: dict[str, list[Any]]) -> list[str]:
    """What is wrong with a room after a kill, before it is opened again and after."""
    applied = numbers(database)
    found = [] if applied == list(known_migrations())[: len(applied)] else [f"applied {applied}"]
    try:
        with closing(connect_writer(database)) as connection:
            migrate(connection, 0.0)
        with checked(database):
            pass
    except sqlite3.Error as error:
        return [*found, str(error)]
    if numbers(database) != list(known_migrations()):
        found.append("not brought up to this release")
    if content(database) != before:
        found.append("something was lost")
    return found


def test_a_migration_that_is_killed_at_any_step_leaves_the_old_room_or_the_new_one(old: Path, tmp_path: Path) -> None:
    before = content(old / DATABASE)
    copies = killed_at_steps(old / DATABASE, tmp_path / "killed", stride=STRIDE)
    left = {len(numbers(copy)) for copy in copies}
    assert left == set(range(1, len(known_migrations()))), "no process was killed in some migration"
    assert [(copy.name, found) for copy in copies if (found := faults(copy, before))] == []


def test_without_transactions_a_killed_migration_leaves_a_mixed_room(old: Path, tmp_path: Path) -> None:
    """The twin: the same kills find a migration that is made of separate commits."""
    before = content(old / DATABASE)
    copies = killed_at_steps(old / DATABASE, tmp_path / "killed", "--without-transactions", stride=60)
    assert any(faults(copy, before) for copy in copies)


async def test_a_room_whose_migration_was_killed_opens_and_has_its_backup(old: Path, tmp_path: Path) -> None:
    copies = killed_at_steps(old / DATABASE, tmp_path / "killed", stride=120)
    # the server seals the room before it upgrades it; these processes only upgrade, so the room must have no seal yet
    sealed = next(number for number, path in known_migrations().items() if "seal_history" in path.name)
    middle = next(copy for copy in reversed(copies) if max(numbers(copy)) < sealed)
    for end in ("", "-wal"):
        if (found := middle.with_name(middle.name + end)).exists():
            shutil.copyfile(found, old / (DATABASE + end))
    with logged():
        async with running_room(old) as room:
            assert (await (await room.owner())("read_board"))["tasks"]
    assert backups(old / BACKUPS)
