"""A database that does not answer, is locked by a stranger, or has no connection left: bounded, clear refusals."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from teamroom.server.acts.control.control import KILL
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.acts.tasks.claims import CLAIM_TASK
from teamroom.server.app import Room
from teamroom.server.door.admission import admit
from teamroom.server.identity import Caller
from teamroom.server.record import journal
from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import BusyError, UnreachableError
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.link import SILENT_SECONDS
from teamroom.server.store.postgres.news import News
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.rows.messages import MessageRow
from teamroom.server.store.rows.servers import Lease
from teamroom.server.store.statements import postgres_statements
from teamroom.server.store.transaction import Reading, Writing
from tests.campaigns import network_cuts, postgres_stops, takeovers, two_servers
from tests.campaigns.shared_rooms import engine_at, enrolled, owner_of, server
from tests.support import postgres
from tests.support.bounds import BOUND_SECONDS
from tests.support.cables import Cable, cable_to
from tests.support.eventually import until
from tests.support.own_postgres import find_programs
from tests.support.promises import house, promise
from tests.support.room_in_thread import logged
from tests.support.rooms import running_room
from tests.support.stores import handed_over

pytestmark = [pytest.mark.postgres, house]

SEED = 20_261_130
HELD_SECONDS = 8.0
"""How long a stranger holds the head: an act waits for 1.5 seconds, and twenty one after the other for thirty."""

COMES_BACK_SECONDS, SLOW_MACHINE_SECONDS = 5.0, 2.0


@pytest.fixture
def address() -> Any:
    """The address of an empty database."""
    postgres.require_server()
    yield postgres.address_at(postgres.make_database())
    postgres.drop_databases()


@contextlib.asynccontextmanager
async def cabled(folder: Path, address: str) -> AsyncIterator[tuple[Room, Cable]]:
    """A server whose cable to the database a test can cut."""
    there = conninfo_to_dict(address)
    async with cable_to(str(there["host"]), int(str(there["port"]))) as cable:
        through = f"postgresql://{there['user']}@127.0.0.1:{cable.port}/{there['dbname']}"
        async with server(folder, engine_at(through)) as room:
            try:
                yield room, cable
            finally:
                cable.mend()


def post(room: Room, caller: Caller, text: str, **more: Any) -> Any:
    return room.door.act(caller, POST_MESSAGE, POST_MESSAGE.arguments(text=text, **more))


async def refusal(act: Any) -> Refusal:
    with pytest.raises(Refusal) as raised:
        await asyncio.wait_for(act, BOUND_SECONDS)
    return raised.value


# ------------------------------------------------------------------ a commit that nobody answers


class Impatient(Committer):
    """One that gives an answer little time."""

    patience_seconds = 0.5


SILENT = """
select pg_notify(:channel, :payload),
    case when (select text from message where seq = (select max(seq) from log)) = 'silence' then pg_sleep(8) end
"""
"""What is sent with a commit, which is not answered for a while if the message with this text is the newest entry."""


def silent_engine(address: str, make_committer: type[Committer] = Impatient) -> Any:
    """The engine of a room whose commit is not answered for eight seconds if its newest entry is "silence"."""

    def choose(folder: Path, make_context: Any, carry_out: Any) -> PostgresStore:
        context = make_context({**postgres_statements(), "notify": SILENT})
        context = replace(context, settings=context.settings.model_copy(update={"batch_seconds": BOUND_SECONDS}))
        return PostgresStore(Address.parse(address), context, carry_out, make_committer)

    return choose


@pytest.mark.parametrize("make_committer", [Impatient, Committer], ids=["it gives up", "the twin waits"])
async def test_an_act_whose_commit_is_not_answered_is_refused_in_time(
    tmp_path: Path, address: str, make_committer: type[Committer]
) -> None:
    async with server(tmp_path / "room", silent_engine(address, make_committer)) as room:
        (caller,) = await enrolled(room, "builder")
        began = time.monotonic()
        if make_committer is Committer:
            await post(room, caller, "silence")
            assert time.monotonic() - began >= 8
            return
        refused = await refusal(post(room, caller, "silence"))
        assert refused.code == "storage"
        assert "may have been carried out" in refused.why
        assert time.monotonic() - began < 8
        async with asyncio.timeout(BOUND_SECONDS):
            while True:
                with contextlib.suppress(Refusal):
                    await post(room, caller, "again")
                    break


@pytest.mark.parametrize("is_twin", [False, True], ids=["they are told", "the twin forgets"])
async def test_listeners_are_told_of_a_commit_whose_outcome_was_unknown(
    tmp_path: Path, address: str, is_twin: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    read = News.read
    monkeypatch.setattr(News, "read", staticmethod(lambda payload: heard.append(payload) or read(payload)))
    if is_twin:
        monkeypatch.setattr(News, "note_unknown", lambda news, before, after: None)
    async with server(tmp_path / "room", silent_engine(address)) as room:
        builder, tester = await enrolled(room, "builder", "tester")
        with room.bus.waiting(tester.member) as nudged:
            await refusal(post(room, builder, "silence", to=["tester"]))
            async with asyncio.timeout(BOUND_SECONDS):
                await nudged.wait()  # nobody knows whether it took place, so whoever waits looks
        before = len(heard)
        with room.bus.waiting(tester.member) as nudged:
            await until(lambda: len(heard) > before)
            await asyncio.sleep(0)
            assert await room.store.look_up(
                lambda tx: [row.text for row in tx.all(MessageRow, "newest_messages", limit=1)]
            )
            assert nudged.is_set() is not is_twin


async def test_an_act_that_was_refused_stays_refused_if_the_commit_of_its_batch_is_not_answered(
    tmp_path: Path, address: str
) -> None:
    async with server(tmp_path / "room", silent_engine(address)) as room:
        builder, tester = await enrolled(room, "builder", "tester")
        let_go = threading.Event()
        holding = refusal(room.door.act_as_room(lambda tx: let_go.wait(BOUND_SECONDS)))
        claim = room.door.act(tester, CLAIM_TASK, CLAIM_TASK.arguments(task="T-9"))
        acts = asyncio.gather(holding, refusal(claim), refusal(post(room, builder, "silence")))
        await until(lambda: room.store.waiting == 3)
        await handed_over()
        let_go.set()
        _, refused, unknown = await acts
        assert unknown.code == "storage"
        assert refused.code == "not_found"
        assert refused.receipt is None, "it shared the commit"


@promise("CTL2")
@pytest.mark.parametrize("takes_place", [True, False], ids=["it took place", "the twin's did not"])
async def test_a_kill_whose_commit_is_not_answered_is_in_the_journal_once_it_is_known_to_have_taken_place(
    tmp_path: Path, address: str, takes_place: bool
) -> None:
    async with server(tmp_path / "room", silent_engine(address)) as room:
        builder, _ = await enrolled(room, "builder", "tester")
        owner = await owner_of(room)

        def kill_in_silence(tx: Writing) -> None:
            admit(tx, owner, KILL.roles, while_paused=False)
            KILL.run(tx, owner, KILL.arguments(target="@tester", reason="stuck"))
            POST_MESSAGE.run(tx, owner, POST_MESSAGE.arguments(text="silence"))

        refused = await refusal(room.door.act_as_room(kill_in_silence))
        assert "may have been carried out" in refused.why
        if not takes_place:
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep' "
                    "and datname = current_database()"
                )
        async with asyncio.timeout(BOUND_SECONDS):
            while True:
                with contextlib.suppress(Refusal):
                    await post(room, builder, "again")
                    break
        found = journal.read(room.folder)
        assert found is not None
        assert (("member", "tester") in found.stops) is takes_place


# ------------------------------------------------------------------ it does not answer


@promise("CTL4", "LOG4")
async def test_a_server_that_is_cut_off_refuses_ends_its_calls_and_comes_back(tmp_path: Path, address: str) -> None:
    async with cabled(tmp_path / "room", address) as (room, cable):
        (builder,) = await enrolled(room, "builder")
        assert (await post(room, builder, "before")).receipt
        waiting = asyncio.create_task(_wait_in(room, builder))
        await asyncio.sleep(0)
        with logged():
            cable.cut()
            assert await until(waiting.done) < SILENT_SECONDS + SLOW_MACHINE_SECONDS
            refused = await refusal(post(room, builder, "cut off"))
            assert (refused.code, refused.needs["retry_after_seconds"]) == ("storage", 5)
            with pytest.raises(UnreachableError):
                await room.store.look_up(lambda tx: tx.value(int, "next_due"))
            cable.mend()
            assert await until(lambda: not room.store.link.is_cut_off) < COMES_BACK_SECONDS
        assert (await post(room, builder, "after")).receipt


async def test_a_read_to_be_ended_on_a_database_that_stands_still_holds_up_no_other_thread(
    tmp_path: Path, address: str
) -> None:
    async with cabled(tmp_path / "room", address) as (room, cable):
        room.store.context.statements["sleep"] = "select pg_sleep(60)"  # type: ignore[index]
        reading = asyncio.ensure_future(room.store.read(lambda tx: tx.number("sleep"), is_small=True))
        await asyncio.sleep(0)
        with logged():
            cable.cut()  # the event loop of this test moves the cable's bytes: it must go on for the test to end
            await until(lambda: room.store.link.is_cut_off)
            with pytest.raises(UnreachableError):
                await asyncio.wait_for(reading, BOUND_SECONDS)


class LostInCommit(Committer):
    """Its connection is lost with the next commit once it is told so."""

    is_to_be_lost = False

    def commit(self, batch: list[Any], opened: Any, head: Any) -> None:
        """Lose the connection after everything was sent but the commit itself."""
        if self.is_to_be_lost:
            self.is_to_be_lost = False
            session, execute = self.session, self.session.execute

            def lost(sql: str, parameters: Any) -> Any:
                if sql == postgres_statements()["commit"]:
                    session.settle()
                    session.close()
                return execute(sql, parameters)

            session.execute = lost  # type: ignore[method-assign]
        super().commit(batch, opened, head)


@promise("LOG4")
@pytest.mark.parametrize("has_entry", [False, True])
async def test_an_act_whose_connection_is_lost_before_the_commit_arrives_is_carried_out_once(
    tmp_path: Path, address: str, has_entry: bool
) -> None:
    async with server(tmp_path / "room", engine_at(address, LostInCommit)) as room:
        (builder,) = await enrolled(room, "builder")

        def without_entry(tx: Writing) -> None:
            tx.save_clock()
            tx.run("take_lease", duty="test", holder="test", until=1.0)

        with logged():
            room.store.committer.is_to_be_lost = True
            await (post(room, builder, "once") if has_entry else room.door.act_as_room(without_entry))
        found = await room.store.look_up(
            lambda tx: (tx.one(Lease, "lease", duty="test"), tx.all(MessageRow, "newest_messages", limit=9))
        )
        assert [row.text for row in found[1]] == (["once"] if has_entry else [])
        assert (found[0] is None) is has_entry


@promise("SAF10")
async def test_what_a_member_sent_is_told_to_other_servers_although_its_batch_ran_again(
    tmp_path: Path, address: str
) -> None:
    first = tmp_path / "first"
    async with server(first, engine_at(address, LostInCommit)) as room:
        (builder,) = await enrolled(room, "builder")
        async with server(tmp_path / "second", engine_at(address), first) as other:
            heard: list[int] = []
            other.rates.spend = lambda spent: heard.append(spent[builder.member].acts)  # type: ignore[method-assign]
            with logged():
                room.store.committer.is_to_be_lost = True
                await post(room, builder, "once")
            await until(lambda: heard)
            assert heard == [1]


async def _wait_in(room: Room, caller: Caller) -> None:
    """A call that waits until it is ended."""
    with room.bus.running(caller.member):
        await asyncio.Event().wait()


# ------------------------------------------------------------------ others hold it


@pytest.mark.parametrize("held", ["select id from head for update", "lock table log in access exclusive mode"])
async def test_an_act_that_a_stranger_holds_up_is_refused_as_busy(tmp_path: Path, address: str, held: str) -> None:
    async with server(tmp_path / "room", engine_at(address)) as room:
        (builder,) = await enrolled(room, "builder")
        with psycopg.connect(address) as stranger, logged():
            stranger.execute(held.encode())
            refused = await asyncio.gather(*(refusal(post(room, builder, f"{n}")) for n in range(3)))
            assert {(found.code, found.needs["retry_after_seconds"]) for found in refused} == {("busy", 1)}
            stranger.rollback()
        assert (await post(room, builder, "after")).receipt


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03", "53300"])
async def test_an_act_that_the_database_cannot_serve_now_is_busy_and_changes_nothing(
    tmp_path: Path, address: str, code: str
) -> None:
    async with server(tmp_path / "room", engine_at(address)) as room:
        (builder,) = await enrolled(room, "builder")
        room.store.context.statements["fails"] = (  # type: ignore[index]
            f"do $$ begin raise exception 'not now' using errcode = '{code}'; end $$"
        )

        def failing(tx: Writing) -> None:
            tx.save_clock()
            tx.run("take_lease", duty="test", holder="test", until=1.0)
            tx.run("fails")

        with logged():
            refused = await refusal(room.door.act_as_room(failing))
        assert (refused.code, refused.needs["retry_after_seconds"]) == ("busy", 1)
        assert await room.store.look_up(lambda tx: tx.one(Lease, "lease", duty="test")) is None
        assert (await post(room, builder, "after")).receipt


class NeverRunsAgain(Committer):
    """The twin: an act whose transaction the database ended is not run again."""

    def commit_batch(self, first: Any, next_job: Any) -> list[Any]:
        """Run acts as if the time for another try was over."""
        self.is_cut_off = lambda: True
        return super().commit_batch(first, next_job)


@promise("LOG4")
@pytest.mark.parametrize("make_committer", [Committer, NeverRunsAgain], ids=["it runs again", "the twin refuses"])
async def test_an_act_that_stood_still_and_lost_its_transaction_runs_again_once(
    tmp_path: Path, address: str, make_committer: type[Committer]
) -> None:
    ended = threading.Event()

    async with server(tmp_path / "room", engine_at(address)) as room:
        await enrolled(room, "builder")
        room.store.committer.__class__ = make_committer
        runs = []

        def stands_still(tx: Writing) -> int:
            runs.append(1)
            tx.save_clock()
            tx.run("take_lease", duty="test", holder="test", until=1.0)
            if len(runs) == 1:
                assert ended.wait(BOUND_SECONDS)
            return len(runs)

        def is_ended() -> bool:
            has_begun = bool(runs)  # first: a transaction that has not begun is not the one that was ended
            with psycopg.connect(address) as other:
                found = other.execute(
                    "select count(*) from pg_stat_activity where datname = current_database() "
                    "and state = 'idle in transaction' and pid <> pg_backend_pid()"
                ).fetchone()
            return has_begun and found == (0,)

        with logged():
            acting = asyncio.ensure_future(room.door.act_as_room(stands_still))
            await until(is_ended)
            ended.set()
            if make_committer is NeverRunsAgain:
                assert (await refusal(acting)).code in ("storage", "busy")
                assert runs == [1]
                return
            assert await asyncio.wait_for(acting, BOUND_SECONDS) == 2
        lease = await room.store.look_up(lambda tx: tx.one(Lease, "lease", duty="test"))
        assert lease is not None
        assert lease.fence == 1


class TriesEachAlone(Committer):
    """The twin: each act waits for the lock by itself, after all that came before it."""

    def commit_batch(self, first: Any, next_job: Any) -> list[Any]:
        """Run acts as if each had just come."""
        first.came_at = time.monotonic()
        return super().commit_batch(first, next_job)


@pytest.mark.parametrize("make_committer", [Committer, TriesEachAlone], ids=["together", "the twin piles up"])
async def test_a_long_lock_of_a_stranger_lets_acts_neither_pile_up_nor_wait_for_ever(
    tmp_path: Path, address: str, make_committer: type[Committer]
) -> None:
    async with server(tmp_path / "room", engine_at(address, make_committer)) as room:
        (builder,) = await enrolled(room, "builder")
        with psycopg.connect(address) as stranger, logged():
            stranger.execute("select id from head for update")
            calls = [asyncio.ensure_future(post(room, builder, f"{n}")) for n in range(20)]
            done, waiting = await asyncio.wait(calls, timeout=HELD_SECONDS)
            stranger.rollback()
            await asyncio.gather(*calls, return_exceptions=True)
            if make_committer is TriesEachAlone:
                assert len(waiting) > 10
                return
            assert {call.exception().code for call in done} == {"busy"}  # type: ignore[union-attr]
            assert (len(done), room.store.waiting) == (20, 0)
        assert (await post(room, builder, "after")).receipt


async def test_a_read_without_a_free_connection_is_busy_after_a_bounded_wait(tmp_path: Path) -> None:
    postgres.require_server()
    let_go = threading.Event()

    def held(tx: Reading) -> None:
        assert let_go.wait(BOUND_SECONDS)

    from tests.support.engines import POSTGRES

    async with running_room(
        tmp_path / "room", choose_engine=POSTGRES.choose, readers=1, pool_seconds=0.1, read_seconds=BOUND_SECONDS
    ) as running:
        store = running.room.store
        first = asyncio.ensure_future(store.read(held, is_small=False, member=2))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="in use"):
            await store.read(lambda tx: None, is_small=False, member=3)
        let_go.set()
        await first
        assert await store.read(lambda tx: 1, is_small=False, member=3) == 1
    POSTGRES.clean_up()


async def test_a_connection_that_the_database_ended_is_replaced(tmp_path: Path, address: str) -> None:
    async with server(tmp_path / "room", engine_at(address)) as room:
        (builder,) = await enrolled(room, "builder")
        with psycopg.connect(address, autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert (await post(room, builder, "after")).receipt
        assert await room.store.read(lambda tx: tx.number("count_members_named", name="builder"), is_small=True) == 1


# ------------------------------------------------------------------ campaigns in short


@promise("CTL2")
async def test_no_act_passes_a_pause_of_another_server(tmp_path: Path) -> None:
    postgres.require_server()
    outcome = await two_servers.campaign(tmp_path / "rooms", 15, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["refused"] > 0


@promise("CTL2")
async def test_a_plain_read_of_standing_before_the_lock_lets_acts_through(tmp_path: Path) -> None:
    postgres.require_server()
    outcome = await two_servers.campaign(tmp_path / "rooms", 25, seed=SEED, twin=True)
    assert any("after the pause was acknowledged" in fault for fault in outcome.faults)


@promise("LOG4")
@pytest.mark.skipif(find_programs() is None, reason="no initdb on this machine: PostgreSQL is not stopped under load")
async def test_a_database_that_is_stopped_at_once_loses_and_doubles_nothing(tmp_path: Path) -> None:
    outcome = await postgres_stops.campaign(tmp_path / "rooms", 2, seed=SEED)
    assert outcome.faults == []


@promise("CTL2", "CTL4", "CTL9", "LOG4")
@pytest.mark.skipif(find_programs() is None, reason="no initdb on this machine: no network is cut under load")
async def test_no_act_passes_a_pause_while_the_network_of_a_server_is_cut(tmp_path: Path) -> None:
    outcome = await network_cuts.campaign(tmp_path / "rooms", 2, seed=SEED, more_seconds=SLOW_MACHINE_SECONDS)
    assert outcome.faults == []
    assert outcome.figures["answers there"]["storage"] > 0


@promise("CTL2", "CTL4")
@pytest.mark.skipif(find_programs() is None, reason="no initdb on this machine: no network is cut under load")
async def test_a_server_that_never_notices_the_cut_is_found(tmp_path: Path) -> None:
    outcome = await network_cuts.campaign(tmp_path / "rooms", 2, seed=SEED, twin=True)
    assert any("quiet after" in fault for fault in outcome.faults)
    assert any("after the pause was acknowledged" in fault for fault in outcome.faults)


@promise("REM1")
async def test_the_duties_of_a_server_that_is_killed_are_taken_over_in_time(tmp_path: Path) -> None:
    postgres.require_server()
    outcome = await takeovers.campaign(tmp_path / "room", 1, seed=SEED, more_seconds=SLOW_MACHINE_SECONDS)
    assert outcome.faults == []
    postgres.drop_databases()


@promise("REM1")
async def test_duties_that_are_held_for_a_minute_are_found(tmp_path: Path) -> None:
    postgres.require_server()
    outcome = await takeovers.campaign(tmp_path / "room", 1, seed=SEED, twin=True)
    assert any("another holder after" in fault for fault in outcome.faults)
    postgres.drop_databases()
