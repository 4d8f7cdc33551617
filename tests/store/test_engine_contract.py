"""The contract of `server/store/engine.py`, on every engine. `test_engine_twins.py` shows that a breach is found."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
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
from teamroom.server.store.engine import CarryOut, DamagedError, NewerRoomError, QueueFullError, StorageError, Store
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.statements import SHARED, known_migrations, read_statements
from teamroom.server.store.transaction import Effects, Head, Reading, Writing
from tests.support.engines import ENGINES, Engine
from tests.support.promises import house, promise
from tests.support.raw import logged
from tests.support.rooms import BOUND_SECONDS
from tests.support.stores import NOW, Bench, handed_over, make_store, open_store, reraise


class Migration(NamedTuple):
    """A migration that was applied."""

    number: int
    name: str


pytestmark = house

SECRET = "the-word-that-is-redacted"
AT_ONCE = 64


@pytest.fixture(params=ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    found: Engine = request.param
    return found


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


async def test_a_room_that_could_not_be_created_is_not_there_and_can_be_created_then(
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


async def test_a_room_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path, engine: Engine) -> None:
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


async def test_a_room_that_misses_what_its_seal_saw_is_read_and_not_written(tmp_path: Path, engine: Engine) -> None:
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


async def test_a_stop_answers_every_act_that_waits(tmp_path: Path, engine: Engine) -> None:
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


async def test_what_recover_raises_goes_to_the_caller_and_leaves_nothing(bench: Bench) -> None:
    def recover(tx: Writing, error: Exception) -> None:
        entry("receipt")(tx)
        raise KeyError(str(error))

    with pytest.raises(KeyError, match="a bug"):
        await bench.write(broken("a bug"), recover)
    assert bench.logged() == []
    assert await bench.write(entry("next")) == 3


async def test_an_act_that_raises_among_others_spoils_nobody_elses(bench: Bench) -> None:
    first, bug, last = await bench.batch(bench.entry("first"), broken("bug"), bench.entry("last"))
    assert isinstance(bug, ZeroDivisionError)
    assert (first, last) == (3, 4)
    assert bench.logged() == bench.woken() == ["first", "last"]


async def test_an_act_that_breaks_a_rule_of_the_schema_spoils_nobody_elses(bench: Bench) -> None:
    def orphan(tx: Writing) -> None:
        bench.entry("orphan")(tx)
        wake_members(tx, [999], reason="control", subject="x", sender=1, line="x")

    first, bug, last = await bench.batch(bench.entry("first"), orphan, bench.entry("last"))
    assert isinstance(bug, RuntimeError)
    assert (first, last) == (3, 4)
    assert bench.logged() == bench.woken() == ["first", "last"]


async def test_numbers_are_dense_and_the_head_is_the_last_of_them_whatever_is_undone(bench: Bench) -> None:
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


async def test_the_store_says_how_far_the_log_was_committed_and_how_often(bench: Bench) -> None:
    assert bench.store.committed is None, "this process has moved nothing yet"
    assert await bench.store.write(entry("one"), reraise) == (3, 3)
    commits, head = bench.store.commits, bench.store.committed
    assert (head.seq, head.epoch) == (3, 1)
    assert await bench.store.write(named_log, reraise) == (["one"], 3)
    assert bench.store.committed == head
    assert bench.store.commits == commits + 1
    assert bench.store.waiting == 0


async def test_a_full_queue_is_refused_at_once_and_what_waits_is_carried_out(tmp_path: Path, engine: Engine) -> None:
    async with open_store(tmp_path / "room", engine, queue_acts=16) as bench:
        first = bench.write(bench.held(bench.entry("first")))
        await bench.until_reached()
        rest = [bench.write(bench.entry(f"{n}")) for n in range(40)]
        await handed_over()
        refused = [task for task in rest if task.done()]
        waiting = [task for task in rest if not task.done()]
        assert [type(task.exception()) for task in refused] == [QueueFullError] * len(refused)
        assert len(waiting) in (15, 16)  # with the one that runs, or without it
        bench.gate.set()
        assert await asyncio.gather(first, *waiting) == list(range(3, 4 + len(waiting)))
        assert len(bench.runs) == 1 + len(waiting)


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


async def test_effects_follow_the_commit_once_and_only_for_what_remains(bench: Bench) -> None:
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


# ------------------------------------------------------------------ callers that go away


async def test_a_caller_that_leaves_before_its_turn_leaves_nothing(bench: Bench) -> None:
    first = bench.write(bench.held(bench.entry("first")))
    await bench.until_reached()
    gone, last = bench.write(bench.entry("gone")), bench.write(bench.entry("last"))
    await handed_over()
    gone.cancel()
    await asyncio.wait([gone])
    bench.gate.set()
    assert [await first, await last] == [3, 4]
    assert gone.cancelled()
    assert bench.runs == ["first", "last"]


@promise("LOG4")
async def test_a_caller_that_leaves_while_its_act_runs_leaves_a_whole_act(bench: Bench) -> None:
    def halfway(tx: Writing) -> int:
        seq = entry("gone")(tx)
        bench.reached.set()
        assert bench.gate.wait(BOUND_SECONDS)
        wake_members(tx, [2], reason="control", subject="gone", sender=1, line="gone")
        return seq

    gone = bench.write(halfway)
    await bench.until_reached()
    gone.cancel()
    await asyncio.wait([gone])
    bench.gate.set()
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
    bench.gate.set()
    assert await bench.write(bench.entry("next")) == 4
    assert bench.logged() == ["first", "next"]


# ------------------------------------------------------------------ reads


async def test_a_read_is_one_snapshot_with_the_standing_in_it(bench: Bench) -> None:
    def look(tx: Reading) -> tuple[int, str]:
        return tx.only(ReadHead, "read_head").seq, tx.only(StandingRow, "standing", scope="room", target=0).state

    def slow(tx: Reading) -> list[tuple[int, str]]:
        first = look(tx)
        bench.reached.set()
        assert bench.gate.wait(BOUND_SECONDS)
        return [first, look(tx)]

    def pause(tx: Writing) -> None:
        entry("pause")(tx)
        by = {"now": NOW, "until": None, "by_member": 1, "by_role": "room", "reason": ""}
        tx.run("set_standing", scope="room", target=0, state="paused", **by)

    reading = asyncio.ensure_future(bench.store.read(slow, is_small=False))
    await bench.until_reached()
    await bench.write(pause)
    bench.gate.set()
    assert await reading == [(2, "active"), (2, "active")]
    assert await bench.store.read(look, is_small=True) == (3, "paused")


@pytest.mark.parametrize("how", ["small", "large", "look up"])
async def test_what_was_answered_is_seen_by_every_read_after_it(bench: Bench, how: str) -> None:
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
    bench.gate.set()
    assert await act == 3


@pytest.mark.parametrize("is_small", [True, False])
async def test_a_read_changes_nothing_and_what_it_raises_goes_to_its_caller(bench: Bench, is_small: bool) -> None:
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
