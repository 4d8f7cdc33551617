"""An act that runs for long in PostgreSQL: it is undone for a stop that comes meanwhile, and runs again after it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.acts.control.control import PAUSE
from teamroom.server.acts.presence.presence import WAKES_WAITING
from teamroom.server.refusals import Refusal
from teamroom.server.store.batches import TIMES_OVERTAKEN
from teamroom.server.store.engine import Turn
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.statements import postgres_statements
from teamroom.server.store.transaction import Writing
from tests.campaigns.shared_rooms import engine_at, enrolled, owner_of, server
from tests.support import postgres
from tests.support.engines import POSTGRES, SQLITE, Engine
from tests.support.postgres import address_of
from tests.support.promises import promise
from tests.support.stores import Bench, handed_over, open_store

pytestmark = [pytest.mark.postgres, promise("CTL9")]

STOP = Turn(7, overtakes=True)


@pytest.fixture(autouse=True)
def databases() -> Iterator[None]:
    POSTGRES.require()
    yield
    POSTGRES.clean_up()


class NeverOvertaken(Committer):
    """The twin: a stop waits for the act that runs, however long that takes."""

    def is_overtaken(self) -> bool:
        """Say that nothing overtakes it."""
        return False


def committing(make_committer: type[Committer]) -> Engine:
    def choose(folder: Path, make_context: Any, carry_out: Any) -> PostgresStore:
        context = make_context(postgres_statements())
        return PostgresStore(Address.parse(address_of(folder)), context, carry_out, make_committer)

    return Engine("postgres", choose, POSTGRES.look, POSTGRES.change, POSTGRES.holds, POSTGRES.refused_statements)


def long_act(bench: Bench, name: str) -> Callable[[Writing], int]:
    """An act that writes, is held up the first time, and reads after that."""

    def work(tx: Writing) -> int:
        seq = bench.entry(name)(tx)
        if bench.runs.count(name) == 1:
            bench.held(lambda tx: None)(tx)
        return seq + 0 * tx.number("count_upto", upto=1)

    return work


@pytest.mark.parametrize("make_committer", [Committer, NeverOvertaken])
async def test_a_stop_passes_the_act_that_runs_which_runs_again_after_it(
    tmp_path: Path, make_committer: type[Committer]
) -> None:
    async with open_store(tmp_path, committing(make_committer)) as bench:
        acts = [bench.write(bench.entry("before"), turn=Turn(1)), bench.write(long_act(bench, "long"), turn=Turn(2))]
        acts += [bench.write(bench.entry("own, later"), turn=Turn(2)), bench.write(bench.entry("after"), turn=Turn(3))]
        await bench.until_reached()
        stop = bench.write(bench.entry("stop"), turn=STOP)
        await bench.let_go()
        numbers = [await act for act in (*acts, stop)]
        by_number = [name for _, name in sorted(zip(numbers, ["before", "long", "own", "after", "stop"], strict=True))]
        if make_committer is NeverOvertaken:
            assert by_number == ["before", "long", "stop", "after", "own"]
        else:
            assert by_number == ["before", "stop", "long", "after", "own"]
            assert bench.runs.count("long") == 2
        assert len(bench.logged()) == 5, "what it did the first time is undone"
        assert [sorted(woken) for woken in bench.nudges()] == [[2]] * 5


@pytest.mark.parametrize("engine", [SQLITE, POSTGRES], ids=str)
async def test_a_stop_joins_the_batch_under_way_whose_time_is_over(tmp_path: Path, engine: Engine) -> None:
    async with open_store(tmp_path, engine, batch_seconds=0) as bench:
        before = bench.store.commits
        acts = [bench.write(bench.held(bench.entry(name)), turn=Turn(1)) for name in ("first", "later")]
        await bench.until_reached()
        stops = [bench.write(bench.entry(name), turn=STOP) for name in ("stop", "another stop")]
        await bench.let_go()
        assert await asyncio.gather(*stops, *acts) == [4, 5, 3, 6]
        assert bench.store.commits - before == 3, "the first act and the first stop share one"


async def test_an_act_that_is_refused_can_be_overtaken_too(tmp_path: Path) -> None:
    async with open_store(tmp_path, POSTGRES) as bench:

        def refused(tx: Writing) -> None:
            bench.runs.append("refused")
            raise ValueError

        def recover(tx: Writing, error: Exception) -> str:
            return f"receipt {long_act(bench, 'receipt')(tx)}"

        act = bench.write(refused, recover, turn=Turn(2))
        await bench.until_reached()
        stop = bench.write(bench.entry("stop"), turn=STOP)
        await bench.let_go()
        assert (await stop, await act) == (3, "receipt 4")
        assert bench.runs == ["refused", "receipt", "stop", "refused", "receipt"]


@pytest.mark.parametrize(("turn", "runs"), [(Turn(2), TIMES_OVERTAKEN + 1), (STOP, 1)])
async def test_an_act_is_overtaken_a_bounded_number_of_times_and_a_stop_never(
    tmp_path: Path, turn: Turn, runs: int
) -> None:
    async with open_store(tmp_path, POSTGRES) as bench:
        bench.barrier.set()
        bench.store.committer.is_overtaking = lambda: True
        assert await bench.write(long_act(bench, "long"), turn=turn) == 3
        assert bench.runs == ["long"] * runs


async def test_an_act_that_a_pause_of_its_member_overtakes_is_refused(tmp_path: Path) -> None:
    address = postgres.address_at(postgres.make_database())
    async with server(tmp_path / "room", engine_at(address)) as room, open_store(tmp_path / "barrier") as bench:
        (builder,) = await enrolled(room, "builder")
        owner = await owner_of(room)

        def held(tx: Writing) -> None:
            bench.held(lambda tx: None)(tx)
            tx.one(tuple, "policy")

        acting = bench.loop.create_task(room.door.act_for(builder, WAKES_WAITING, held))
        await bench.until_reached()
        arguments = PAUSE.arguments(target="builder", reason="a test")
        pausing = bench.loop.create_task(room.door.act(owner, PAUSE, arguments))
        await handed_over()
        bench.barrier.set()
        assert (await pausing).receipt
        with pytest.raises(Refusal) as refused:
            await acting
        assert refused.value.code == "paused"
    postgres.drop_databases()
