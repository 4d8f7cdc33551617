"""What is left of redacted content goes in small steps, and the writer never waits for a reader."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.store import writer
from teamroom.server.store.sqlite import commit
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.transaction import Context, Writing
from tests.support.engines import Engine, altered
from tests.support.promises import promise
from tests.support.stores import Bench, open_store

SECRET = "the-word-that-is-redacted"
FOREVER = "pragma busy_timeout = 600000"
"""Longer than any test waits."""


def patient(folder: Path, context: Context, carry_out: Any) -> SqliteStore:
    """An engine whose writer would wait for a reader until the test fails."""
    return SqliteStore(
        folder, replace(context, statements={**context.statements, "wait_for_locks": FOREVER}), carry_out
    )


PATIENT: Engine = altered(patient)


@contextmanager
def reading(bench: Bench) -> Iterator[None]:
    """Somebody looks into the database for a while."""
    with closing(sqlite3.connect(bench.folder / "room.db", isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from log").fetchone()
        yield
        reader.execute("rollback")


def redact(seq: int) -> Callable[[Writing], None]:
    def work(tx: Writing) -> None:
        tx.run("take_content", seq=seq)
        tx.effects.scrub = True

    return work


@promise("SAF9")
async def test_acts_go_on_while_a_reader_holds_up_what_removes_redacted_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "SCRUB_AGAIN_SECONDS", 0.0)
    async with open_store(tmp_path / "room", PATIENT) as bench:
        await bench.write(bench.entry("first", SECRET))
        await bench.write(redact(3))
        with reading(bench):
            await bench.write(bench.entry("second", SECRET))
            await bench.write(redact(4))
            for number in range(5):
                await bench.write(bench.entry(f"{number}"))
            assert bench.engine.holds(bench.folder, SECRET.encode()), "the reader still sees it"
        await bench.write(bench.entry("later"))
        await bench.write(bench.entry("last"))
        assert not bench.engine.holds(bench.folder, SECRET.encode())


def say(bench: Bench) -> Callable[[Writing], None]:
    """Forty messages of many words."""

    def work(tx: Writing) -> None:
        for _ in range(40):
            tx.head.messages += 1
            seq = bench.entry(f"M-{tx.head.messages}")(tx)
            text = " ".join(f"word{seq * 1000 + n}" for n in range(300))
            about = {"id": tx.head.messages, "seq": seq, "author": 1, "at": tx.now, "kind": "note", "summary": "s"}
            more = {"reply_to": None, "thread": tx.head.messages, "task": None, "folded": 0}
            tx.run("add_message", **about, text=text, **more)

    return work


def take(messages: int) -> Callable[[Writing], None]:
    """Redact the first messages."""

    def work(tx: Writing) -> None:
        for seq in tx.column(int, "log_page", after=2, limit=messages):
            tx.run("unindex_message", seq=seq)
            tx.run("take_message", seq=seq, taken="(redacted)")
        tx.effects.scrub = True

    return work


@promise("LOG3")
async def test_the_words_of_many_redacted_messages_leave_the_index_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "MERGED_PAGES", 1)
    steps, scrub = list[commit.Committer](), commit.Committer.scrub

    def counted(committer: commit.Committer) -> None:
        steps.append(committer)
        scrub(committer)

    monkeypatch.setattr(commit.Committer, "scrub", counted)

    async with open_store(tmp_path / "room") as bench:
        for _ in range(5):
            await bench.write(say(bench))
        await bench.write(take(1000))
        while bench.store.committer.is_to_be_scrubbed:
            await bench.write(bench.entry("a step"))
        assert len(steps) > 1, "one step does not do it all"
        assert not bench.engine.holds(bench.folder, b"word3000")


@promise("SAF4")
async def test_what_the_next_checkpoint_needs_is_known_after_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that merges an index makes the database longer, and no act measures it again."""
    monkeypatch.setattr(commit, "MERGED_PAGES", 20)
    known, scrub = list[tuple[int, int]](), commit.Committer.scrub

    def measured(committer: commit.Committer) -> None:
        scrub(committer)
        pages = committer.run_named("page_count").fetchone()["page_count"]
        size = committer.run_named("page_size").fetchone()["page_size"]
        known.append((committer.growth(), pages * size - bench.store.path.stat().st_size))

    monkeypatch.setattr(commit.Committer, "scrub", measured)
    async with open_store(tmp_path / "room") as bench:
        for _ in range(20):
            await bench.write(say(bench))
        await bench.write(take(5))
        while bench.store.committer.is_to_be_scrubbed:
            await bench.write(bench.entry("a step"))
    assert len({needed for _, needed in known}) > 1, "some steps change it"
    assert [found for found, _ in known] == [needed for _, needed in known]


@promise("SAF9")
async def test_a_log_that_grew_while_it_was_read_is_cut_with_the_next_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "LARGE_LOG_BYTES", 100_000)
    monkeypatch.setattr(writer, "CHECKPOINT_COMMITS", 1)
    async with open_store(tmp_path / "room", PATIENT) as bench:
        with reading(bench):
            for number in range(30):
                await bench.write(bench.entry(f"{number}", "x" * 8_000))
            assert bench.store.log_path.stat().st_size > 100_000
        for number in range(3):
            await bench.write(bench.entry(f"after {number}"))
        assert bench.store.log_path.stat().st_size < 100_000
