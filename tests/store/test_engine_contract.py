"""The contract of `server/store/engine.py`, on every engine. `test_engine_twins.py` shows that a breach is found."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from teamroom.server.acts.members.members import open_room
from teamroom.server.facts.task import ROOM_AUTHOR
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.record.chain import Verifier
from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import (
    CarryOut,
    DamagedError,
    NewerRoomError,
    QueueFullError,
    ReadEndedError,
    StorageError,
    Store,
    TooLargeError,
    Turn,
)
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.statements import SHARED, known_migrations, read_statements
from teamroom.server.store.transaction import Effects, Head, Reading, Writing
from tests.support.bounds import BOUND_SECONDS
from tests.support.engines import ENGINES, Engine
from tests.support.promises import house, promise
from tests.support.room_in_thread import logged
from tests.support.stores import NOW, Bench, handed_over, make_store, open_store, reraise


class Migration(NamedTuple):
    """A migration that was applied."""

    number: int
    name: str


pytestmark = house

SECRET = "the-word-that-is-redacted"
AT_ONCE = 64


@pytest.fixture(params=[pytest.param(one, marks=one.marks) for one in ENGINES], ids=str)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn."""
    found: Engine = request.param
    found.require()
    yield found
    found.clean_up()


@pytest.fixture
async def bench(tmp_path: Path, engine: Engine) -> AsyncIterator[Bench]:
    async with open_store(tmp_path / "room", engine) as opened:
        yield opened
        assert (await verdict(opened.store)).good


async def verdict(store: Store) -> Any:
    """What the log's own verification says."""
    verifier = Verifier(None, None)
    while (found := await store.read(verifier.step, is_small=False)) is None:
        pass
    return found


async def read_head(store: Store) -> Any:
    return await store.look_up(lambda tx: tx.one(ReadHead, "read_head"))


def named_log(tx: Reading) -> list[str]:
    """The subjects of the acts of tests, as a transaction sees them."""
    return [entry.subject for entry in tx.all(LogEntry, "log_page", after=0, limit=1000) if entry.act == "test"]


@asynccontextmanager
async def opened(folder: Path, engine: Engine, carry_out: CarryOut = lambda _: None, **open_: Any) -> Any:
    """A store that is open as long as the block runs."""
    store = make_store(folder, engine, carry_out)
    await store.open(**open_)
    try:
        yield store
    finally:
        await store.close()


async def create(store: Store) -> str:
    return await store.create(lambda tx: open_room(tx, "olga"), log.FIRST_HASH)


def entry(name: str) -> Callable[[Writing], int]:
    return lambda tx: log.append(tx, ROOM_AUTHOR, act="test", subject=name, summary=name)


def broken(name: str) -> Callable[[Writing], None]:
    """An act that writes, and then turns out to be a bug."""

    def work(tx: Writing) -> None:
        tx.head.tasks += 1
        entry(name)(tx)
        raise ZeroDivisionError(name)

    return work


# ------------------------------------------------------------------ open, create, close


async def test_a_new_room_is_created_whole_and_found_again(tmp_path: Path, engine: Engine) -> None:
    async with opened(tmp_path / "room", engine) as store:
        assert await read_head(store) is None
        assert await create(store)
        head = await read_head(store)
        assert (head.epoch, head.seq, head.created_at) == (1, 2, NOW)
        assert (await verdict(store)).good
    async with opened(tmp_path / "room", engine) as again:
        assert await read_head(again) == head
        assert await again.write(entry("next"), reraise) == (3, 3)


async def test_a_room_that_could_not_be_created_leaves_nothing_and_can_be_created_later(
    tmp_path: Path, engine: Engine
) -> None:
    def fails(tx: Writing) -> None:
        open_room(tx, "olga")
        raise ZeroDivisionError

    async with opened(tmp_path / "room", engine) as store:
        with pytest.raises(ZeroDivisionError):
            await store.create(fails, log.FIRST_HASH)
        assert await read_head(store) is None
        await create(store)
        assert (await read_head(store)).seq == 2


async def test_a_room_is_created_once(bench: Bench) -> None:
    with pytest.raises(StorageError):
        await create(bench.store)
    assert (await read_head(bench.store)).seq == 2


async def test_migrations_are_applied_once_in_order_and_recorded(tmp_path: Path, engine: Engine) -> None:
    asked: list[str] = []
    for _ in range(2):
        async with opened(tmp_path / "room", engine, before_migrating=lambda: asked.append("changes")) as store:
            found = await store.look_up(lambda tx: tx.all(Migration, "migrations"))
            assert [migration.number for migration in found] == list(known_migrations())
            if await read_head(store) is None:
                await create(store)
    assert asked == [], "no room was there to be changed"


async def test_a_room_from_a_newer_release_is_refused_and_left_unchanged(tmp_path: Path, engine: Engine) -> None:
    def from_the_future(tx: Writing) -> None:
        tx.run("record_migration", number=999, name="from_the_future", applied_at=NOW)

    async with open_store(tmp_path / "room", engine) as bench:
        await bench.write(from_the_future)
    before = engine.look(tmp_path / "room", "select number, name from migration order by number")
    store = make_store(tmp_path / "room", engine)
    with pytest.raises(NewerRoomError, match="999"):
        await store.open()
    with pytest.raises(StorageError):
        await read_head(store)
    assert engine.look(tmp_path / "room", "select number, name from migration order by number") == before


async def test_a_room_that_lacks_sealed_entries_is_read_only(tmp_path: Path, engine: Engine) -> None:
    seen: list[Any] = []

    def vouch(tx: Reading | None) -> str | None:
        seen.append(None if tx is None else tx.only(ReadHead, "read_head").seq)
        return None if tx is None else "entry 9 is missing"

    async with opened(tmp_path / "room", engine, vouch=vouch) as store:
        await create(store)
        await store.write(entry("kept"), reraise)
    async with opened(tmp_path / "room", engine, vouch=vouch) as store:
        assert "entry 9 is missing" in str(store.damage)
        assert not store.is_writing
        with pytest.raises(DamagedError, match="entry 9 is missing"):
            await store.write(entry("lost"), reraise)
        assert await store.look_up(named_log) == ["kept"]
        assert await store.read(named_log, is_small=False) == ["kept"]
    assert seen == [None, 3]


@promise("LOG3")
@pytest.mark.parametrize("change", ["seq = seq + 1", "seq = seq - 1", "hash = 'ff'", "epoch = 2", "tasks = 9"])
async def test_a_head_that_somebody_else_wrote_is_damage_and_nothing_follows_it(
    tmp_path: Path, engine: Engine, change: str
) -> None:
    async with open_store(tmp_path / "room", engine) as bench:
        assert await bench.write(bench.entry("before")) == 3
        engine.change(tmp_path / "room", f"update head set {change}")
        for _ in range(2):
            with logged(), pytest.raises(DamagedError, match="behind the server's back"):
                await bench.write(bench.entry("after"))
        assert not bench.store.is_writing
        assert bench.store.committed.seq == 3, "what this server wrote, and not what it found"
        assert bench.logged() == await bench.store.read(named_log, is_small=True) == ["before"]


async def test_a_closed_store_refuses_everything(tmp_path: Path, engine: Engine) -> None:
    async with opened(tmp_path / "room", engine) as store:
        await create(store)
        assert store.is_writing
    assert not store.is_writing
    for refused in (store.look_up(named_log), store.read(named_log, is_small=True), store.read(named_log, False)):
        with pytest.raises(StorageError):
            await refused
    with pytest.raises(QueueFullError):
        await store.write(entry("too late"), reraise)
    await store.close()


async def test_a_stop_answers_every_waiting_act(tmp_path: Path, engine: Engine) -> None:
    async with open_store(tmp_path / "room", engine) as bench:
        waiting = [bench.write(entry(f"{n}")) for n in range(AT_ONCE)]
        await handed_over()
        await bench.store.close()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert answers == list(range(3, 3 + AT_ONCE))
        assert bench.logged() == [f"{n}" for n in range(AT_ONCE)]


# ------------------------------------------------------------------ acts


@promise("LOG4")
async def test_an_act_that_was_answered_is_durable_and_whole(bench: Bench) -> None:
    for number in range(10):
        assert await bench.write(bench.entry(f"{number}")) == 3 + number
        assert bench.logged() == bench.woken() == [f"{n}" for n in range(number + 1)]
        assert [row["seq"] for row in bench.look("select seq from head")] == [3 + number]


async def test_recover_runs_in_place_of_an_act_that_raised_and_sees_nothing_of_it(bench: Bench) -> None:
    def work(tx: Writing) -> None:
        entry("refused")(tx)
        raise Refusal("conflict", "no", "call another")

    def recover(tx: Writing, error: Exception) -> Any:
        seen = named_log(tx)
        return seen, error, entry("receipt")(tx)

    commits = bench.store.commits
    seen, error, seq = await bench.write(work, recover)
    assert (seen, seq) == ([], 3)
    assert isinstance(error, Refusal)
    assert bench.logged() == ["receipt"]
    assert bench.store.commits == commits + 1


async def test_an_exception_of_recover_goes_to_the_caller_and_leaves_nothing(bench: Bench) -> None:
    def recover(tx: Writing, error: Exception) -> None:
        entry("receipt")(tx)
        raise KeyError(str(error))

    with pytest.raises(KeyError, match="a bug"):
        await bench.write(broken("a bug"), recover)
    assert bench.logged() == []
    assert await bench.write(entry("next")) == 3


async def test_an_act_that_raises_in_a_batch_does_not_affect_other_acts(bench: Bench) -> None:
    first, bug, last = await bench.batch(bench.entry("first"), broken("bug"), bench.entry("last"))
    assert isinstance(bug, ZeroDivisionError)
    assert (first, last) == (3, 4)
    assert bench.logged() == bench.woken() == ["first", "last"]


async def test_an_act_that_raises_before_its_first_statement_undoes_nothing_of_other_acts(bench: Bench) -> None:
    def bug(tx: Writing) -> None:
        raise ZeroDivisionError

    outcomes = await bench.batch(bug, bench.entry("first"), bug, bug, bench.entry("last"), bug)
    assert [outcomes[1], outcomes[4]] == [3, 4]
    assert bench.logged() == bench.woken() == ["first", "last"]


async def test_an_act_that_breaks_a_rule_of_the_schema_does_not_affect_other_acts(bench: Bench) -> None:
    def orphan(tx: Writing) -> None:
        bench.entry("orphan")(tx)
        wake_members(tx, [999], reason="control", subject="x", sender=1, line="x")

    first, bug, last = await bench.batch(bench.entry("first"), orphan, bench.entry("last"))
    assert isinstance(bug, RuntimeError)
    assert (first, last) == (3, 4)
    assert bench.logged() == bench.woken() == ["first", "last"]


def remembering(found: list[int], *before: Callable[[Writing], object]) -> Callable[[Writing], int]:
    """An act that asks for what its batch found, after some other steps; `found` gets a number for each look."""

    def look() -> int:
        found.append(len(found))
        return len(found)

    def work(tx: Writing) -> int:
        for step in before:
            step(tx)
        return tx.in_batch("a key", look)

    return work


def set_policy(tx: Writing) -> None:
    tx.run("set_policy", document="{}")
    entry("policy")(tx)


def pause_room(tx: Writing) -> None:
    about = {"now": tx.now, "until": None, "reason": "test", "by_member": 2, "by_role": "owner"}
    tx.run("set_standing", scope="room", target=0, state="paused", **about)
    entry("pause")(tx)


def fail(tx: Writing) -> None:
    raise ZeroDivisionError


async def test_acts_of_a_batch_share_what_one_of_them_found_and_the_next_batch_looks_again(bench: Bench) -> None:
    found: list[int] = []
    assert await bench.batch(remembering(found), bench.entry("between"), remembering(found)) == [1, 3, 1]
    assert await bench.batch(remembering(found)) == [2]


@pytest.mark.parametrize("change", [set_policy, pause_room])
async def test_no_act_gets_what_was_found_before_or_by_a_change(
    bench: Bench, change: Callable[[Writing], None]
) -> None:
    found: list[int] = []
    acts = [remembering(found), remembering(found, change), remembering(found), remembering(found)]
    assert await bench.batch(*acts) == [1, 2, 3, 3]


@pytest.mark.parametrize("change", [set_policy, pause_room])
async def test_what_an_undone_change_found_is_not_shared(bench: Bench, change: Callable[[Writing], None]) -> None:
    found: list[int] = []

    def undone(tx: Writing) -> None:
        remembering(found, change)(tx)
        fail(tx)

    first, failed, last = await bench.batch(remembering(found), undone, remembering(found))
    assert isinstance(failed, ZeroDivisionError)
    assert (first, last) == (1, 3)


async def test_numbers_are_dense_and_end_at_the_head_despite_rollbacks(bench: Bench) -> None:
    works = [broken(f"{n}") if n % 3 == 0 else bench.entry(f"{n}") for n in range(AT_ONCE)]
    answers = await asyncio.gather(*(bench.write(work) for work in works), return_exceptions=True)
    kept = [answer for answer in answers if isinstance(answer, int)]
    assert sorted(kept) == list(range(3, 3 + len(kept)))
    assert [row["seq"] for row in bench.look("select seq from log order by seq")] == list(range(1, 3 + len(kept)))
    (head,) = bench.look("select seq, hash, tasks from head")
    (last,) = bench.look("select seq, hash from log order by seq desc limit 1")
    assert (head["seq"], head["hash"], head["tasks"]) == (last["seq"], last["hash"], 0)


@promise("LOG1")
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


async def test_the_store_reports_the_end_of_the_log_and_the_number_of_commits(bench: Bench) -> None:
    assert bench.store.committed is None, "this process has moved nothing yet"
    assert await bench.store.write(entry("one"), reraise) == (3, 3)
    commits, head = bench.store.commits, bench.store.committed
    assert (head.seq, head.epoch) == (3, 1)
    assert await bench.store.write(named_log, reraise) == (["one"], 3)
    assert bench.store.committed == head
    assert bench.store.commits == commits + 1
    assert bench.store.waiting == 0


async def test_a_full_queue_refuses_new_acts_at_once_and_carries_out_those_that_wait(
    tmp_path: Path, engine: Engine
) -> None:
    async with open_store(tmp_path / "room", engine, queue_acts=16) as bench:
        first = bench.write(bench.held(bench.entry("first")))
        await bench.until_reached()
        rest = [bench.write(bench.entry(f"{n}")) for n in range(40)]
        await handed_over()
        refused = [task for task in rest if task.done()]
        waiting = [task for task in rest if not task.done()]
        assert [type(task.exception()) for task in refused] == [QueueFullError] * len(refused)
        assert len(waiting) in (15, 16)  # with the one that runs, or without it
        bench.barrier.set()
        assert await asyncio.gather(first, *waiting) == list(range(3, 4 + len(waiting)))
        assert len(bench.runs) == 1 + len(waiting)


async def test_members_are_served_in_turn_however_much_one_of_them_sent(bench: Bench) -> None:
    first = bench.write(bench.held(bench.entry("first")), turn=Turn(1))
    await bench.until_reached()
    many = [bench.write(bench.entry(f"many {n}"), turn=Turn(1)) for n in range(40)]
    few = [bench.write(bench.entry(f"few {n}"), turn=Turn(n)) for n in (2, 3)]
    await bench.let_go()
    await asyncio.gather(first, *many, *few)
    assert [name for name in bench.logged() if name.startswith("many")] == [f"many {n}" for n in range(40)]
    assert max(bench.logged().index(f"few {n}") for n in (2, 3)) <= 4


@promise("CTL9")
async def test_an_act_that_overtakes_is_next_however_many_acts_wait(tmp_path: Path, engine: Engine) -> None:
    async with open_store(tmp_path / "room", engine, queue_acts=16) as bench:
        first = bench.write(bench.held(bench.entry("first")))
        await bench.until_reached()
        waiting = [bench.write(bench.entry(f"{n}"), turn=Turn(n)) for n in range(1, 40)]
        await handed_over()
        stops = [bench.write(bench.entry(f"stop {n}"), turn=Turn(50, overtakes=True)) for n in range(2)]
        await bench.let_go()
        answers = await asyncio.gather(first, *stops, *waiting, return_exceptions=True)
        assert answers[:3] == [3, 4, 5]
        assert bench.logged()[:3] == ["first", "stop 0", "stop 1"]


async def test_another_event_loop_may_write_and_effects_stay_on_the_stores_own(bench: Bench) -> None:
    def in_a_loop_of_its_own() -> Any:
        return asyncio.run(bench.store.write(bench.entry("from elsewhere"), reraise))

    others = [bench.write(bench.entry(f"{n}")) for n in range(5)]
    _, seq = await asyncio.to_thread(in_a_loop_of_its_own)
    assert await asyncio.gather(*others)
    assert bench.logged()[seq - 3] == "from elsewhere"
    assert len(bench.nudges()) == 6
    assert bench.store.waiting == 0


async def test_another_event_loop_reads_with_connections_of_its_own(bench: Bench) -> None:
    await bench.write(bench.entry("before"))

    async def elsewhere() -> list[list[str]]:
        attached = await bench.store.attach()
        try:
            await attached.write(bench.entry("from elsewhere"), reraise)
            return [
                await attached.look_up(named_log),
                await attached.read(named_log, is_small=True),
                await attached.read(named_log, is_small=False, member=1),
            ]
        finally:
            await attached.close()

    found = await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
    assert found == [["before", "from elsewhere"]] * 3
    assert await bench.store.look_up(named_log) == found[0]


async def test_what_goes_outside_the_database_is_written_before_the_answer(tmp_path: Path, engine: Engine) -> None:
    """Twin: the same act without anything to write down."""
    written: list[Effects] = []

    def stops(tx: Writing) -> int:
        tx.effects.journal.append({"token": "t"})
        return entry("stop")(tx)

    async with open_store(tmp_path / "room", engine, write_down=written.append) as bench:
        await bench.write(entry("nothing to write down"))
        assert written == []
        await bench.write(stops)
        assert [effects.journal for effects in written] == [[{"token": "t"}]]


# ------------------------------------------------------------------ what an act causes


async def test_effects_are_carried_out_on_the_event_loop_after_the_commit_and_before_the_answer(
    tmp_path: Path, engine: Engine
) -> None:
    seen: list[Any] = []

    def carry_out(effects: Effects) -> None:
        if effects.woken:
            seen.append((bench.logged(), bench.callers[-1].done(), threading.current_thread() is here))

    here = threading.current_thread()
    async with open_store(tmp_path / "room", engine, carry_out=carry_out) as bench:
        await bench.write(bench.entry("act"))
    assert seen == [(["act"], False, True)]


async def test_effects_follow_the_commit_once_and_only_for_acts_that_were_committed(bench: Bench) -> None:
    def undone(tx: Writing) -> None:
        tx.effects.ended.add(7)
        raise ZeroDivisionError

    await bench.batch(bench.entry("first"), undone, bench.entry("last"))
    assert [(effects.woken, effects.ended) for effects in bench.caused] == [({2}, set()), ({2}, set())]


async def test_effects_that_cannot_be_carried_out_are_logged_and_the_act_remains(
    tmp_path: Path, engine: Engine
) -> None:
    def carry_out(effects: Effects) -> None:
        raise ZeroDivisionError("a bug in an effect")

    async with open_store(tmp_path / "room", engine, carry_out=carry_out) as bench:
        with logged() as complaints:
            assert await bench.write(bench.entry("act")) == 3
        assert bench.logged() == ["act"]
    assert len(complaints.lines) == 1


async def test_redacted_content_is_nowhere_once_a_later_act_is_answered(bench: Bench) -> None:
    def redact(tx: Writing) -> None:
        tx.run("take_content", seq=3)
        tx.effects.scrub = True

    await bench.write(bench.entry("told", SECRET))
    assert bench.engine.holds(bench.folder, SECRET.encode())
    await bench.write(redact)
    await bench.write(bench.entry("later"))
    assert not bench.engine.holds(bench.folder, SECRET.encode())


# ------------------------------------------------------------------ what an act and a read may take


A_FEW, ENDLESS = 100, 2**31 - 1
"""How far a statement of tests counts. `Engine.too_many` is more than an act may read."""


def count(upto: int) -> Callable[[Reading], int]:
    return lambda tx: tx.number("count_upto", upto=upto)


@promise("SAF9")
async def test_an_act_that_reads_too_much_is_undone_alone_and_recovered_from(bench: Bench) -> None:
    def large(tx: Writing) -> int:
        bench.entry("large")(tx)
        return count(bench.engine.too_many)(tx)

    def recover(tx: Writing, error: Exception) -> Any:
        bench.entry("receipt")(tx)
        return error

    first, refused, last = await bench.batch(bench.entry("first"), (large, recover), bench.entry("last"))
    assert isinstance(refused, TooLargeError)
    assert (first, last) == (3, 5)
    assert bench.logged() == bench.woken() == ["first", "receipt", "last"]
    assert bench.runs == ["first", "large", "receipt", "last"], "nothing ran twice"


@promise("SAF9")
async def test_many_small_reads_of_one_act_share_its_budget(bench: Bench) -> None:
    def many(tx: Writing) -> None:
        for _ in range(bench.engine.too_many // A_FEW):
            count(A_FEW)(tx)

    with pytest.raises(TooLargeError):
        await bench.write(many)
    for _ in range(bench.engine.too_many // A_FEW // 10):
        assert await bench.write(count(A_FEW)) == A_FEW, "each act has a budget of its own"


@promise("SAF9")
async def test_a_recovery_that_reads_too_much_leaves_nothing_either(bench: Bench) -> None:
    with pytest.raises(TooLargeError):
        await bench.write(broken("a bug"), lambda tx, error: count(bench.engine.too_many)(tx))
    assert await bench.write(bench.entry("next")) == 3


@promise("SAF9")
async def test_a_statement_that_writes_is_never_ended(bench: Bench) -> None:
    def writes(tx: Writing) -> int:
        tx.run("wake_upto", upto=bench.engine.too_many // 16)
        return bench.entry("written")(tx)

    first, written, last = await bench.batch(bench.entry("first"), writes, bench.entry("last"))
    assert (first, written, last) == (3, 4, 5)
    assert bench.runs == ["first", "written", "last"]


@promise("SAF9")
async def test_an_act_whose_limit_is_lifted_reads_as_much_as_it_needs(bench: Bench) -> None:
    def stops(tx: Writing) -> int:
        tx.lift_limit()
        return count(bench.engine.too_many)(tx)

    assert await bench.write(stops) == bench.engine.too_many
    with pytest.raises(TooLargeError):
        await bench.write(count(bench.engine.too_many))


@promise("SAF9")
async def test_a_read_on_the_event_loop_is_ended_there_and_a_page_goes_on_elsewhere(
    tmp_path: Path, engine: Engine
) -> None:
    where: list[str] = []

    def page(tx: Reading) -> int:
        where.append(threading.current_thread().name)
        return count(4 * engine.too_many)(tx)

    async with open_store(tmp_path / "room", engine, read_seconds=BOUND_SECONDS) as bench:
        with pytest.raises(TooLargeError):
            await bench.store.look_up(count(ENDLESS))
        assert await bench.store.read(page, is_small=True) == 4 * engine.too_many
        assert len(set(where)) == len(where) == 2
        assert await bench.store.look_up(named_log) == []


@promise("SAF9")
async def test_a_read_ends_after_its_time(tmp_path: Path, engine: Engine) -> None:
    async with open_store(tmp_path / "room", engine, read_seconds=0.1) as bench:
        for is_small in (True, False):
            with pytest.raises(TooLargeError):
                await asyncio.wait_for(bench.store.read(count(ENDLESS), is_small), BOUND_SECONDS)
        assert await bench.store.read(named_log, is_small=False) == []


@promise("SAF9")
@pytest.mark.parametrize("how", ["is stopped", "leaves"])
async def test_a_read_ends_when_its_member_is_stopped_or_its_caller_leaves(
    tmp_path: Path, engine: Engine, how: str
) -> None:
    async with open_store(tmp_path / "room", engine, readers=1, read_seconds=BOUND_SECONDS * 2) as bench:

        def endless(tx: Reading) -> int:
            bench.loop.call_soon_threadsafe(began.set)
            return count(ENDLESS)(tx)

        began = asyncio.Event()
        reading = asyncio.ensure_future(bench.store.read(endless, is_small=False, member=2))
        await asyncio.wait_for(began.wait(), BOUND_SECONDS)
        if how == "leaves":
            reading.cancel()
        else:
            bench.store.end_reads({3})
            bench.store.end_reads({2})
        outcome = await asyncio.gather(reading, return_exceptions=True)
        assert isinstance(outcome[0], asyncio.CancelledError if how == "leaves" else ReadEndedError)
        for member in (2, 3):
            read = bench.store.read(named_log, is_small=False, member=member)
            assert await asyncio.wait_for(read, BOUND_SECONDS) == []


async def test_a_member_has_one_reader_and_the_reads_of_others_pass_those_that_wait(bench: Bench) -> None:
    runs, crowd = [], []

    def held(tx: Reading) -> None:
        if runs and not bench.barrier.is_set():
            crowd.append("a second read of the member runs")
            bench.barrier.set()
        runs.append("a read")
        bench.reached.set()
        assert bench.barrier.wait(BOUND_SECONDS)

    greedy = [asyncio.ensure_future(bench.store.read(held, is_small=False, member=2)) for _ in range(8)]
    await bench.until_reached()
    for _ in range(3):
        other = bench.store.read(named_log, is_small=False, member=3)
        assert await asyncio.wait_for(other, BOUND_SECONDS) == []
    greedy[3].cancel()
    bench.barrier.set()
    done = await asyncio.wait_for(asyncio.gather(*greedy, return_exceptions=True), BOUND_SECONDS)
    assert [type(outcome) for outcome in done].count(asyncio.CancelledError) == 1
    assert (len(runs), crowd) == (7, [])


@promise("SAF3")
async def test_the_line_of_one_member_has_an_end(bench: Bench) -> None:
    def held(tx: Reading) -> None:
        bench.reached.set()
        assert bench.barrier.wait(BOUND_SECONDS)

    first = asyncio.ensure_future(bench.store.read(held, is_small=False, member=2))
    await bench.until_reached()
    rest = [asyncio.ensure_future(bench.store.read(named_log, is_small=False, member=2)) for _ in range(500)]
    await handed_over()
    assert any(read.done() for read in rest)
    bench.barrier.set()
    outcomes = await asyncio.wait_for(asyncio.gather(first, *rest, return_exceptions=True), BOUND_SECONDS)
    refused = [outcome for outcome in outcomes if isinstance(outcome, QueueFullError)]
    assert 0 < len(refused) < 500
    assert outcomes.count([]) == 500 - len(refused)


# ------------------------------------------------------------------ callers that go away


async def test_a_caller_that_leaves_before_its_turn_leaves_nothing(bench: Bench) -> None:
    first = bench.write(bench.held(bench.entry("first")))
    await bench.until_reached()
    gone, last = bench.write(bench.entry("gone")), bench.write(bench.entry("last"))
    await handed_over()
    gone.cancel()
    await asyncio.wait([gone])
    bench.barrier.set()
    assert [await first, await last] == [3, 4]
    assert gone.cancelled()
    assert bench.runs == ["first", "last"]


@promise("LOG4")
async def test_a_caller_that_leaves_while_its_act_runs_leaves_a_whole_act(bench: Bench) -> None:
    def halfway(tx: Writing) -> int:
        seq = entry("gone")(tx)
        bench.reached.set()
        assert bench.barrier.wait(BOUND_SECONDS)
        wake_members(tx, [2], reason="control", subject="gone", sender=1, line="gone")
        return seq

    gone = bench.write(halfway)
    await bench.until_reached()
    gone.cancel()
    await asyncio.wait([gone])
    bench.barrier.set()
    assert await bench.write(bench.entry("next")) == 4
    assert gone.cancelled()
    assert bench.logged() == bench.woken() == ["gone", "next"]
    assert bench.nudges() == [{2}, {2}]


async def test_a_batch_whose_callers_all_left_answers_the_next_one(bench: Bench) -> None:
    first = bench.write(bench.held(bench.entry("first")))
    await bench.until_reached()
    crowd = [first, *(bench.write(bench.entry(f"{n}")) for n in range(20))]
    await handed_over()
    for task in crowd:
        task.cancel()
    await asyncio.wait(crowd)
    bench.barrier.set()
    assert await bench.write(bench.entry("next")) == 4
    assert bench.logged() == ["first", "next"]


# ------------------------------------------------------------------ reads


async def test_a_read_is_one_snapshot_with_the_standing_in_it(bench: Bench) -> None:
    def look(tx: Reading) -> tuple[int, str]:
        return tx.only(ReadHead, "read_head").seq, tx.only(StandingRow, "standing", scope="room", target=0).state

    def slow(tx: Reading) -> list[tuple[int, str]]:
        first = look(tx)
        bench.reached.set()
        assert bench.barrier.wait(BOUND_SECONDS)
        return [first, look(tx)]

    def pause(tx: Writing) -> None:
        entry("pause")(tx)
        by = {"now": NOW, "until": None, "by_member": 1, "by_role": "room", "reason": ""}
        tx.run("set_standing", scope="room", target=0, state="paused", **by)

    reading = asyncio.ensure_future(bench.store.read(slow, is_small=False))
    await bench.until_reached()
    await bench.write(pause)
    bench.barrier.set()
    assert await reading == [(2, "active"), (2, "active")]
    assert await bench.store.read(look, is_small=True) == (3, "paused")


@pytest.mark.parametrize("how", ["small", "large", "look up"])
async def test_every_read_sees_all_acts_acknowledged_before_it(bench: Bench, how: str) -> None:
    for number in range(10):
        await bench.write(entry(f"{number}"))
        if how == "look up":
            seen = await bench.store.look_up(named_log)
        else:
            seen = await bench.store.read(named_log, is_small=how == "small")
        assert seen == [f"{n}" for n in range(number + 1)]


async def test_reads_that_come_at_once_are_all_answered_while_an_act_runs(bench: Bench) -> None:
    act = bench.write(bench.held(entry("act")))
    await bench.until_reached()
    reads = [bench.store.read(named_log, is_small=n % 2 == 0) for n in range(AT_ONCE)]
    assert await asyncio.wait_for(asyncio.gather(*reads), BOUND_SECONDS) == [[]] * AT_ONCE
    bench.barrier.set()
    assert await act == 3


@pytest.mark.parametrize("is_small", [True, False])
async def test_a_read_changes_nothing_and_its_exception_goes_to_its_caller(bench: Bench, is_small: bool) -> None:
    def writes(tx: Reading) -> None:
        tx.value(int, "record_migration", number=998, name="by a read", applied_at=NOW)

    def fails(tx: Reading) -> None:
        raise KeyError("a bug")

    with pytest.raises(StorageError):
        await bench.store.read(writes, is_small)
    with pytest.raises(KeyError):
        await bench.store.read(fails, is_small)
    with pytest.raises(StorageError):
        await bench.store.look_up(writes)
    with pytest.raises(KeyError):
        await bench.store.look_up(fails)
    assert bench.look("select number from migration where number = 998") == []
    assert await bench.store.read(named_log, is_small) == []


# ------------------------------------------------------------------ statements and rows


async def test_rows_have_the_names_of_their_columns_and_these_must_be_the_fields(bench: Bench) -> None:
    def look(tx: Reading) -> None:
        head = tx.only(Head, "lock_head")
        assert (head.epoch, head.seq, head.members) == (1, 2, 2)
        assert [entry.seq for entry in tx.all(LogEntry, "log_page", after=0, limit=5)] == [1, 2]
        assert tx.all(LogEntry, "log_page", after=2, limit=5) == []
        assert tx.one(LogEntry, "log_page", after=2, limit=1) is None
        assert tx.number("count_notices_held") == 0
        assert tx.value(float, "next_due") is None
        with pytest.raises(TypeError, match="read_head returns"):
            tx.only(Migration, "read_head")

    await bench.write(look)
    await bench.store.read(look, is_small=True)
    await bench.store.read(look, is_small=False)
    await bench.store.look_up(look)


def test_every_shared_statement_is_one_that_the_engine_understands(tmp_path: Path, engine: Engine) -> None:
    assert engine.refused_statements(tmp_path, read_statements(SHARED)) == {}
    assert set(engine.refused_statements(tmp_path, {"wrong": "select nothing from nowhere"})) == {"wrong"}
