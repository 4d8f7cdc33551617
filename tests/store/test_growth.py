"""A room that lives long: its write-ahead log is cut, free space goes back to the disk, and an old file is rebuilt."""

import itertools
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from teamroom.clients.local import check_folder
from teamroom.clients.session.place import Place
from teamroom.server.store import writer
from teamroom.server.store.sqlite import commit, rebuild
from teamroom.server.store.sqlite.connect import connect_reader, connect_writer, migrate
from teamroom.server.store.sqlite.copy import checked, open_to_read
from teamroom.server.store.transaction import Writing
from tests.support.bounds import BOUND_SECONDS
from tests.support.disks import small_disk
from tests.support.promises import promise
from tests.support.room_in_thread import logged
from tests.support.rooms import running_room
from tests.support.stores import Bench, open_store

pytestmark = promise("SAF9")


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    with anyio.fail_after(BOUND_SECONDS):
        while not holds():
            await anyio.lowlevel.checkpoint()


def log_bytes(bench: Bench) -> int:
    return bench.store.log_path.stat().st_size


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Somebody looks into the database for a while."""
    with closing(sqlite3.connect(folder / "room.db", isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from log").fetchone()
        yield
        reader.execute("rollback")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer counts as idle almost at once."""
    monkeypatch.setattr(writer, "IDLE_SECONDS", 0.01)


# ------------------------------------------------------------------ the write-ahead log


@pytest.mark.usefixtures("soon")
async def test_the_log_is_cut_when_nothing_waits_and_also_once_a_reader_has_left(tmp_path: Path) -> None:
    async with open_store(tmp_path / "room") as bench:
        await bench.write(bench.entry("first", "x" * 100_000))
        await until(lambda: log_bytes(bench) == 0)
        with reading(bench.folder):
            for number in range(5):
                await bench.write(bench.entry(f"{number}", "x" * 100_000))
            assert log_bytes(bench) > 500_000
        await until(lambda: log_bytes(bench) == 0)  # without another act
        assert await bench.write(bench.entry("last")) == 9


async def test_a_large_log_is_cut_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "LARGEST_LOG_BYTES", 200_000)
    async with open_store(tmp_path / "room") as bench:
        sizes = []
        for number in range(30):
            await bench.write(bench.entry(f"{number}", "x" * 50_000))
            sizes.append(log_bytes(bench))
        assert max(sizes) < 400_000


async def test_a_large_log_is_used_again_under_load_and_cut_when_nothing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "LARGEST_LOG_BYTES", 400_000)
    run, ran = commit.Committer.run_named, list[str]()

    def noted(committer: commit.Committer, name: str, *given: Any) -> sqlite3.Cursor:
        ran.append(name)
        return run(committer, name, *given)

    monkeypatch.setattr(commit.Committer, "run_named", noted)
    monkeypatch.setattr(writer, "IDLE_SECONDS", BOUND_SECONDS)
    async with open_store(tmp_path / "room") as bench:
        sizes = []
        for number in range(100):
            await bench.write(bench.entry(f"{number}", "x" * 20_000))
            sizes.append(log_bytes(bench))
        assert ran.count("checkpoint") >= 4, "2 MB were written"
        assert "checkpoint_and_cut" not in ran
        assert 400_000 < max(sizes) < 500_000
        assert sizes[40:].count(max(sizes)) == len(sizes[40:]), "it is neither cut nor made longer any more"
        monkeypatch.setattr(writer, "IDLE_SECONDS", 0.01)
        await bench.write(bench.entry("last"))
        await until(lambda: log_bytes(bench) == 0)


@promise("SAF4")
async def test_a_log_that_filled_the_disk_is_cut_once_its_reader_has_left(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 10) as disk:
        async with running_room(disk.folder / "room", reserve_bytes=1_048_576) as room:
            owner = await room.owner()
            with logged(), reading(room.folder):
                posts = itertools.count()
                while not (await owner.said("post_message", text=f"{next(posts)} in short"))[2]:
                    pass
                assert next(posts) < 3_000, "what was posted is far less than what the disk has"
                assert (await room.raw("GET", "/readyz")).status_code == 503
            with anyio.fail_after(BOUND_SECONDS):
                while (await owner.said("post_message", text=f"{next(posts)}"))[2]:
                    await owner("pause", target="room", reason="the disk is full")
                    await owner("resume", target="room", reason="again")


def test_the_doctor_says_that_somebody_holds_a_large_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "room.db").touch(0o600)
    (tmp_path / "room.db-wal").touch(0o600)
    (tmp_path / "room.db-wal").write_bytes(bytes(3_000))
    assert [found.level for found in check_folder.check_folder(Place(tmp_path)) if "-wal" in found.found] == []
    monkeypatch.setattr(check_folder, "LARGEST_LOG_BYTES", 1_000)
    assert [found.level for found in check_folder.check_folder(Place(tmp_path)) if "-wal" in found.found] == ["warning"]


# ------------------------------------------------------------------ space that is free


@pytest.mark.usefixtures("soon")
async def test_free_space_goes_back_to_the_disk_while_nothing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(tx: Writing) -> None:
        for seq in tx.column(int, "log_page", after=2, limit=1000):
            tx.run("take_content", seq=seq)

    async with open_store(tmp_path / "room") as bench:
        for number in range(30):
            await bench.write(bench.entry(f"{number}", "x" * 400_000))
        await until(lambda: log_bytes(bench) == 0)
        full = bench.store.path.stat().st_size
        await bench.write(take)
        await until(lambda: bench.store.path.stat().st_size < full / 2)
        assert await bench.write(bench.entry("last")) == 33
    with checked(tmp_path / "room" / "room.db"):
        pass


def old_file(path: Path) -> None:
    """A database as earlier releases made it: it cannot give space back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table of_old (text)")
        connection.execute("insert into of_old values ('what was there')")
    with closing(connect_writer(path)) as connection:
        migrate(connection, 0.0)


def how(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("pragma auto_vacuum").fetchone()[0])


def test_a_new_file_can_give_space_back_and_an_older_one_is_rebuilt_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "REPORTED_STEPS", 1)
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    with closing(connect_writer(new)) as connection:
        migrate(connection, 0.0)
    old_file(old)
    assert (how(new), how(old)) == (2, 0)
    reports = list[tuple[int, int]]()
    assert not rebuild.rebuild(new, lambda done, total: reports.append((done, total)))
    assert reports == []
    old.with_name(f"old.db{rebuild.REBUILT}").write_text("of a server that was killed")
    with logged():
        assert rebuild.rebuild(old, lambda done, total: reports.append((done, total)))
    assert reports
    assert all(done <= total for done, total in reports)
    assert how(old) == 2
    assert old.stat().st_mode & 0o077 == 0
    with checked(old) as connection:
        assert connection.execute("select text from of_old").fetchone()["text"] == "what was there"
    assert not rebuild.rebuild(old, lambda done, total: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.db", "old.db"]


def test_a_file_that_somebody_reads_or_that_does_not_fit_twice_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "room.db"
    old_file(old)
    with logged(logging.WARNING) as complaints:
        with closing(sqlite3.connect(old, isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select count(*) from of_old").fetchone()
            assert not rebuild.rebuild(old, lambda done, total: None)
        monkeypatch.setattr(rebuild, "KEPT_FREE", 1 << 40)
        assert not rebuild.rebuild(old, lambda done, total: None)
    assert len([line for line in complaints.lines if "is not rebuilt now" in line]) == 2
    assert how(old) == 0
    assert not old.with_name(f"room.db{rebuild.REBUILT}").exists()


# ------------------------------------------------------------------ nothing outside the data folder


def test_no_connection_needs_a_place_for_temporary_files(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    with closing(connect_writer(path)) as connection:
        migrate(connection, 0.0)
    in_memory = 2
    for connect in (connect_writer, connect_reader, open_to_read):
        with closing(connect(path)) as connection:
            assert connection.execute("pragma temp_store").fetchone()[0] == in_memory, connect.__name__
