"""Faults at SQLite's writer: what goes wrong in one act, or in SQLite, leaves every other act whole and answered.

What holds on every engine is in `test_engine_contract.py`.
"""

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from teamroom.server.store.batches import Job
from teamroom.server.store.engine import DiskFullError, QueueFullError, StorageError
from teamroom.server.store.transaction import Writing
from teamroom.server.store.writer import Writer
from tests.campaigns.invariants import chain_faults
from tests.campaigns.write_behind import AnswersFirst
from tests.support.bounds import BOUND_SECONDS
from tests.support.engines import sqlite_with
from tests.support.promises import house, promise
from tests.support.room_in_thread import logged
from tests.support.rooms import running_room
from tests.support.stores import Bench, handed_over, interrupt_a_write, limit_pages, open_store, reraise

pytestmark = house

LARGE = "x" * 2_000_000


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_store(tmp_path / "room") as opened:
        yield opened
    assert chain_faults(opened.folder) == []


# ------------------------------------------------------------------ what one act does to others


async def test_acts_that_wait_share_one_commit_and_run_once_although_one_of_them_raises(bench: Bench) -> None:
    def broken(tx: Writing) -> None:
        bench.entry("broken")(tx)
        raise ZeroDivisionError("a bug")

    commits = bench.store.commits
    first, bug, last = await bench.batch(bench.entry("first"), broken, bench.entry("last"))
    assert isinstance(bug, ZeroDivisionError)
    assert (first, last) == (3, 4)
    assert bench.store.commits == commits + 1
    assert bench.logged() == bench.woken() == ["first", "last"]
    assert bench.runs == ["first", "broken", "last"]


# ------------------------------------------------------------------ what the engine does to a batch


@promise("SAF4")
async def test_a_full_disk_refuses_acts_that_do_not_fit_and_carries_out_the_others(bench: Bench) -> None:
    await limit_pages(bench.store, spare=40)
    with logged() as complaints:
        small, large, last = await bench.batch(bench.entry("small"), bench.entry("large", LARGE), bench.entry("last"))
    assert isinstance(large, StorageError)
    assert "full" in str(large)
    assert (small, last) == (3, 4)
    assert bench.runs == ["small", "large", "small", "large", "last"]
    assert bench.logged() == bench.woken() == ["small", "last"]
    assert bench.nudges() == [{2}, {2}]
    assert len(complaints.lines) == 1


async def test_a_disk_without_any_room_answers_each_act_and_recovers(bench: Bench) -> None:
    await limit_pages(bench.store, spare=0)
    with logged():
        answers = await bench.batch(*(bench.entry(f"{n}", LARGE) for n in range(5)))
    assert [type(answer) for answer in answers] == [DiskFullError] * 5
    assert bench.nudges() == []
    await limit_pages(bench.store, spare=10_000)
    assert await bench.write(bench.entry("room again", LARGE)) == 3
    assert bench.logged() == ["room again"]


@promise("LOG4")
async def test_an_interrupted_batch_is_answered_only_after_each_act_ran_again_alone(bench: Bench) -> None:
    answered_at_interrupt: list[bool] = []

    def interrupted(tx: Writing) -> int:
        seq = bench.entry("interrupted")(tx)
        if bench.runs.count("interrupted") == 1:
            bench.turns()
            answered_at_interrupt.extend(task.done() for task in bench.callers)
            interrupt_a_write(bench)
        return seq

    commits = bench.store.commits
    assert await bench.batch(bench.entry("first"), interrupted, bench.entry("last")) == [3, 4, 5]
    assert bench.runs == ["first", "interrupted", "first", "interrupted", "last"]
    assert answered_at_interrupt == [False, False, False]
    assert bench.store.commits == commits + 3
    assert bench.logged() == bench.woken() == ["first", "interrupted", "last"]
    assert bench.nudges() == [{2}, {2}, {2}]


async def test_an_act_that_is_always_interrupted_is_refused_and_the_others_are_not(bench: Bench) -> None:
    def interrupted(tx: Writing) -> None:
        bench.entry("interrupted")(tx)
        interrupt_a_write(bench)

    with logged():
        first, failed, last = await bench.batch(bench.entry("first"), interrupted, bench.entry("last"))
    assert isinstance(failed, StorageError)
    assert (first, last) == (3, 4)
    assert bench.logged() == ["first", "last"]


@promise("LOG4")
async def test_a_batch_answered_before_its_commit_would_report_acts_that_were_lost(tmp_path: Path) -> None:
    """The twin of the two above: whoever is answered as soon as the act ran believes what was then rolled back."""
    answered = threading.Event()

    class LosesTheRest(AnswersFirst):
        def commit_alone(self, job: Job) -> None:
            """Run nothing again."""

    async with open_store(tmp_path / "room", sqlite_with(LosesTheRest)) as bench:

        def lost(tx: Writing) -> int:
            assert answered.wait(BOUND_SECONDS)
            interrupt_a_write(bench)
            return 0

        first = bench.write(bench.held(bench.entry("first")))
        first.add_done_callback(lambda _: answered.set())
        await asyncio.to_thread(bench.reached.wait, BOUND_SECONDS)
        second = bench.write(lost)
        await handed_over()
        bench.barrier.set()
        assert await first == 3
        with contextlib.suppress(StorageError), logged():
            await second
        assert bench.logged() == []


@promise("SAF4")
async def test_over_http_a_full_disk_is_refused_as_storage_and_reads_go_on(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        (builder,) = await room.enroll("builder")
        await limit_pages(room.room.store, spare=0)
        with logged():
            refusal = await builder.refused("post_message", text="y" * 16_000)
            for _ in range(3):
                await builder.refused("post_message", text=secrets.token_hex(8_000))
        assert (refusal["code"], refusal["receipt"]) == ("storage", None)
        assert refusal["retry_after_seconds"] > 0
        assert (await builder("read_messages"))["messages"] == []
        await limit_pages(room.room.store, spare=10_000)
        assert (await builder("post_message", text="room again"))["message"] == "M-1"


# ------------------------------------------------------------------ too many, and the end


async def test_over_http_a_full_queue_is_refused_as_busy_and_leaves_no_receipt(tmp_path: Path) -> None:
    held, reached = threading.Event(), threading.Event()

    def hold(tx: Writing) -> None:
        reached.set()
        assert held.wait(BOUND_SECONDS)

    async with running_room(tmp_path / "room", queue_acts=16) as room:
        (builder,) = await room.enroll("builder")
        write = room.room.store.write
        waiting = [asyncio.ensure_future(write(hold, reraise))]
        await asyncio.to_thread(reached.wait, BOUND_SECONDS)
        waiting += [asyncio.ensure_future(write(lambda tx: None, reraise)) for _ in range(40)]
        refusal = await builder.refused("post_message", text="now?")
        assert (refusal["code"], refusal["receipt"], refusal["retry_after_seconds"]) == ("busy", None, 1)
        held.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        await builder("post_message", text="now.")
        assert [entry["outcome"] for entry in room.entries() if entry["act"] == "post_message"] == ["ok"]


async def test_a_stop_answers_every_waiting_act(tmp_path: Path) -> None:
    async with open_store(tmp_path / "room") as bench:

        def until_stopping(tx: Writing) -> int:
            bench.reached.set()
            end = time.monotonic() + BOUND_SECONDS
            while not bench.store.writer.is_stopping and time.monotonic() < end:
                time.sleep(0.001)
            return bench.entry("first")(tx)

        first = bench.write(until_stopping)
        await asyncio.to_thread(bench.reached.wait, BOUND_SECONDS)
        waiting = [bench.write(bench.entry(f"{n}")) for n in range(100)]
        await handed_over()
        await bench.store.close()
        with pytest.raises(QueueFullError):
            await bench.write(bench.entry("too late"))
        assert await asyncio.gather(first, *waiting) == list(range(3, 104))
        assert len(bench.logged()) == 101


# ------------------------------------------------------------------ callers that go away


async def test_a_caller_that_leaves_after_the_commit_and_before_its_answer_leaves_a_whole_act(tmp_path: Path) -> None:
    committed, answer = threading.Event(), threading.Event()

    class AnswersLate(Writer):
        def answer(self, batch: list[Job]) -> None:
            committed.set()
            assert answer.wait(BOUND_SECONDS)
            super().answer(batch)

    async with open_store(tmp_path / "room", sqlite_with(make_writer=AnswersLate)) as bench:
        gone = bench.write(bench.entry("gone"))
        await asyncio.to_thread(committed.wait, BOUND_SECONDS)
        gone.cancel()
        await asyncio.wait([gone])
        answer.set()
        assert await bench.write(bench.entry("next")) == 4
        assert bench.logged() == bench.woken() == ["gone", "next"]
