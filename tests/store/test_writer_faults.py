"""Faults at the writer: what goes wrong in one act, or in the engine, leaves every other act whole and answered."""

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.facts.task import ROOM_AUTHOR
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import QueueFullError
from teamroom.server.store.sqlite.writer import Writer
from teamroom.server.store.transaction import DiskFullError, StorageError, Writing
from tests.campaigns.invariants import chain_faults
from tests.support.raw import logged
from tests.support.rooms import BOUND_SECONDS, running_room
from tests.support.stores import Bench, handed_over, interrupt_a_write, limit_pages, open_store, reraise

LARGE = "x" * 2_000_000


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_store(tmp_path / "room") as opened:
        yield opened
    assert chain_faults(opened.folder) == []


# ------------------------------------------------------------------ what one act does to others


async def test_an_act_that_raises_in_a_batch_spoils_nobody_elses(bench: Bench) -> None:
    def broken(tx: Writing) -> None:
        bench.entry("broken")(tx)
        raise ZeroDivisionError("a bug")

    commits = bench.writer.commits
    first, bug, last = await bench.batch(bench.entry("first"), broken, bench.entry("last"))
    assert isinstance(bug, ZeroDivisionError)
    assert (first, last) == (3, 4)
    assert bench.writer.commits == commits + 1
    assert bench.logged() == bench.woken() == ["first", "last"]
    assert bench.runs == ["first", "broken", "last"]


async def test_an_act_that_breaks_a_rule_of_the_schema_spoils_nobody_elses(bench: Bench) -> None:
    def orphan(tx: Writing) -> None:
        bench.entry("orphan")(tx)
        wake_members(tx, [999], reason="control", subject="x", sender=1, line="x")

    first, bug, last = await bench.batch(bench.entry("first"), orphan, bench.entry("last"))
    assert isinstance(bug, RuntimeError)
    assert "FOREIGN KEY" in str(bug)
    assert (first, last) == (3, 4)
    assert bench.logged() == bench.woken() == ["first", "last"]


async def test_an_undone_act_leaves_no_gap_in_numbers_or_ids(bench: Bench) -> None:
    def task(name: str, fails: bool) -> Callable[[Writing], tuple[int, int]]:
        def work(tx: Writing) -> tuple[int, int]:
            tx.head.tasks += 1
            seq = bench.entry(name)(tx)
            if fails:
                raise Refusal("conflict", "no", "call another")
            return seq, tx.head.tasks

        return work

    def receipt(tx: Writing, error: Exception) -> Any:
        bench.entry("refused")(tx)
        return error

    answers = await bench.batch(task("a", False), (task("b", True), receipt), task("c", True), task("d", False))
    assert answers[0] == (3, 1)
    assert isinstance(answers[1], Refusal)
    assert isinstance(answers[2], Refusal)
    assert answers[3] == (5, 2)
    assert bench.logged() == ["a", "refused", "d"]


async def test_effects_follow_the_commit_once_and_only_for_what_stands(bench: Bench) -> None:
    def broken(tx: Writing) -> None:
        tx.effects.ended.add(7)
        raise ZeroDivisionError

    await bench.batch(bench.entry("first"), broken, bench.entry("last"))
    assert [(effects.woken, effects.ended) for effects in bench.caused] == [({2}, set()), ({2}, set())]


# ------------------------------------------------------------------ what the engine does to a batch


async def test_a_full_disk_refuses_what_does_not_fit_and_carries_the_rest_out(bench: Bench) -> None:
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


async def test_an_interrupted_batch_is_answered_only_after_each_act_ran_again_alone(bench: Bench) -> None:
    answered_at_interrupt: list[bool] = []

    def interrupted(tx: Writing) -> int:
        seq = bench.entry("interrupted")(tx)
        if bench.runs.count("interrupted") == 1:
            bench.turns()
            answered_at_interrupt.extend(task.done() for task in bench.callers)
            interrupt_a_write(bench)
        return seq

    commits = bench.writer.commits
    assert await bench.batch(bench.entry("first"), interrupted, bench.entry("last")) == [3, 4, 5]
    assert bench.runs == ["first", "interrupted", "first", "interrupted", "last"]
    assert answered_at_interrupt == [False, False, False]
    assert bench.writer.commits == commits + 3
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


async def test_a_batch_answered_before_its_commit_would_have_told_lies(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the two above: whoever is answered as soon as the act ran believes what was then rolled back."""
    run_act = Writer._run_act

    def answers_first(self: Writer, job: Any, head: Any) -> None:
        run_act(self, job, head)
        self._answer([job])

    def lost(tx: Writing) -> int:
        assert answered.wait(BOUND_SECONDS)
        interrupt_a_write(bench)
        return 0

    answered = threading.Event()
    monkeypatch.setattr(Writer, "_run_act", answers_first)
    monkeypatch.setattr(Writer, "_commit_alone", lambda self, job: None)
    first = bench.write(bench.held(bench.entry("first")))
    first.add_done_callback(lambda _: answered.set())
    await asyncio.to_thread(bench.reached.wait, BOUND_SECONDS)
    second = bench.write(lost)
    await handed_over()
    bench.gate.set()
    assert await first == 3
    with contextlib.suppress(StorageError), logged():
        await second
    assert bench.logged() == []


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


async def test_a_full_queue_is_refused_at_once_and_what_waits_is_carried_out(tmp_path: Path) -> None:
    async with open_store(tmp_path / "room", queue_acts=16) as bench:
        first = bench.write(bench.held(bench.entry("first")))
        await asyncio.to_thread(bench.reached.wait, BOUND_SECONDS)
        rest = [bench.write(bench.entry(f"{n}")) for n in range(40)]
        await handed_over()
        refused = [task for task in rest if task.done()]
        waiting = [task for task in rest if not task.done()]
        assert [type(task.exception()) for task in refused] == [QueueFullError] * len(refused)
        assert len(waiting) in (15, 16)  # with the one that runs, or without it
        bench.gate.set()
        assert await asyncio.gather(first, *waiting) == list(range(3, 4 + len(waiting)))
        assert len(bench.runs) == 1 + len(waiting)


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


async def test_a_stop_answers_every_act_that_waits(tmp_path: Path) -> None:
    async with open_store(tmp_path / "room") as bench:

        def until_stopping(tx: Writing) -> int:
            bench.reached.set()
            end = time.monotonic() + BOUND_SECONDS
            while not bench.writer._stopping and time.monotonic() < end:
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


async def test_a_caller_that_leaves_before_its_turn_leaves_nothing(bench: Bench) -> None:
    first = bench.write(bench.held(bench.entry("first")))
    await asyncio.to_thread(bench.reached.wait, BOUND_SECONDS)
    gone, last = bench.write(bench.entry("gone")), bench.write(bench.entry("last"))
    await handed_over()
    gone.cancel()
    await asyncio.wait([gone])
    bench.gate.set()
    assert [await first, await last] == [3, 4]
    assert gone.cancelled()
    assert bench.runs == ["first", "last"]


async def test_a_caller_that_leaves_while_its_act_runs_leaves_a_whole_act(bench: Bench) -> None:
    def halfway(tx: Writing) -> int:
        seq = log.append(tx, ROOM_AUTHOR, act="test", subject="gone", summary="gone")
        bench.reached.set()
        assert bench.gate.wait(BOUND_SECONDS)
        wake_members(tx, [2], reason="control", subject="gone", sender=1, line="gone")
        return seq

    gone = bench.write(halfway)
    await asyncio.to_thread(bench.reached.wait, BOUND_SECONDS)
    gone.cancel()
    await asyncio.wait([gone])
    bench.gate.set()
    assert await bench.write(bench.entry("next")) == 4
    assert gone.cancelled()
    assert bench.logged() == bench.woken() == ["gone", "next"]
    assert bench.nudges() == [{2}, {2}]


async def test_a_caller_that_leaves_after_the_commit_and_before_its_answer_leaves_a_whole_act(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, answer = threading.Event(), Writer._answer

    def late(self: Writer, batch: list[Any]) -> None:
        committed.set()
        assert bench.gate.wait(BOUND_SECONDS)
        answer(self, batch)

    monkeypatch.setattr(Writer, "_answer", late)
    gone = bench.write(bench.entry("gone"))
    await asyncio.to_thread(committed.wait, BOUND_SECONDS)
    gone.cancel()
    await asyncio.wait([gone])
    bench.gate.set()
    assert await bench.write(bench.entry("next")) == 4
    assert bench.logged() == bench.woken() == ["gone", "next"]
    assert bench.nudges() == [{2}, {2}]


async def test_a_batch_whose_callers_all_left_answers_the_next_one(bench: Bench) -> None:
    first = bench.write(bench.held(bench.entry("first")))
    await asyncio.to_thread(bench.reached.wait, BOUND_SECONDS)
    crowd = [first, *(bench.write(bench.entry(f"{n}")) for n in range(20))]
    await handed_over()
    for task in crowd:
        task.cancel()
    await asyncio.wait(crowd)
    bench.gate.set()
    assert await bench.write(bench.entry("next")) == 4
    assert bench.logged() == ["first", "next"]
