"""A database that stands still: its connections stay and say nothing. Whatever waits for it has an end."""

import asyncio
import contextlib
import math
import subprocess
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.door.door import STRANGERS
from teamroom.server.refusals import Refusal
from teamroom.server.store import writer
from teamroom.server.store.engine import BusyError, ReadEndedError
from teamroom.server.store.postgres import commit, link, reads, session, store
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.connect import connect_writer
from teamroom.server.store.transaction import Reading
from teamroom.server.store.turns import WAITING_READS
from tests.campaigns.shared_rooms import engine_at, enrolled, server
from tests.support import postgres
from tests.support.bounds import BOUND_SECONDS
from tests.support.cables import Cable, cable_to
from tests.support.eventually import until
from tests.support.promises import house
from tests.support.room_in_thread import logged
from tests.support.shells import TEAMROOM, up

pytestmark = [pytest.mark.postgres, house]

SHORT_SECONDS, ENDLESS_SECONDS, TWIN_SECONDS = 0.1, 3600.0, 3.0
"""Bounds of a test, bounds as if there were none, and how long a twin without bounds is watched."""

BOUNDS: tuple[tuple[Any, str], ...] = (
    (link, "CLOSE_SECONDS"),
    (store, "FINISH_SECONDS"),
    (writer, "GIVEN_UP_SECONDS"),
    (reads, "CLOSE_SECONDS"),
    (reads, "GIVEN_UP_SECONDS"),
    (session, "ENDED_SECONDS"),
)
"""Everything that bounds how long a store takes to close."""


@pytest.fixture
async def cable() -> AsyncIterator[tuple[Cable, str]]:
    """A cable to an empty database, and the address at the test's end of it."""
    postgres.require_server()
    there = conninfo_to_dict(postgres.address_at(postgres.make_database()))
    async with cable_to(str(there["host"]), int(str(there["port"]))) as cable:
        yield cable, f"postgresql://{there['user']}@127.0.0.1:{cable.port}/{there['dbname']}"
        cable.mend()
    postgres.drop_databases()


class Patient(Committer):
    """One that waits for an answer for longer than any test."""

    patience_seconds = ENDLESS_SECONDS


@pytest.mark.parametrize("bound", [SHORT_SECONDS, ENDLESS_SECONDS], ids=["it closes", "the twin waits"])
async def test_a_store_closes_although_its_database_stands_still(
    tmp_path: Path, cable: tuple[Cable, str], bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in BOUNDS:
        monkeypatch.setattr(module, name, bound)
    to_database, address = cable
    async with server(tmp_path / "room", engine_at(address, Patient)) as room:
        (builder,) = await enrolled(room, "builder")
        await room.store.read(lambda tx: tx.number("count_members_named", name="builder"), is_small=True)
        to_database.hold()
        act = asyncio.ensure_future(room.door.act(builder, POST_MESSAGE, POST_MESSAGE.arguments(text="never")))
        read = asyncio.ensure_future(room.store.read(lambda tx: tx.number("next_due"), is_small=True))
        await until(lambda: len(to_database.held_up) >= 2)
        with logged():
            closing = asyncio.ensure_future(room.store.close())
            if bound == ENDLESS_SECONDS:
                assert (await asyncio.wait({closing}, timeout=TWIN_SECONDS))[1] == {closing}
                to_database.mend()
            await asyncio.wait_for(closing, BOUND_SECONDS)
            said = await asyncio.wait_for(asyncio.gather(act, read, return_exceptions=True), BOUND_SECONDS)
        if bound == SHORT_SECONDS:
            assert [type(outcome) for outcome in said] == [Refusal, ReadEndedError]


async def test_a_store_that_is_not_open_yet_gives_up_too(tmp_path: Path, cable: tuple[Cable, str]) -> None:
    to_database, address = cable
    loop, reached, ended = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        to_database.hold()
        reached.set()

    def vouch(tx: Reading | None) -> None:
        assert tx is not None
        asyncio.run_coroutine_threadsafe(hold(), loop).result(BOUND_SECONDS)
        try:
            tx.number("count_members_named", name="builder")
        finally:
            loop.call_soon_threadsafe(ended.set)

    async with server(tmp_path / "room", engine_at(address)) as room:
        again = engine_at(address)(tmp_path, lambda statements: room.store.context, lambda effects: None)
        opening = asyncio.ensure_future(again.open(vouch))
        await asyncio.wait_for(reached.wait(), BOUND_SECONDS)
        opening.cancel()
        await asyncio.wait({opening}, timeout=BOUND_SECONDS)
        assert opening.cancelled()
        await asyncio.wait_for(ended.wait(), BOUND_SECONDS)
        to_database.mend()


@pytest.mark.parametrize("is_closed", [True, False], ids=["it was closed", "the twin goes on"])
async def test_a_store_that_was_closed_while_it_connected_does_not_look_at_its_room(
    tmp_path: Path, cable: tuple[Cable, str], is_closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it migrate it then, which comes after the look."""
    _, address = cable
    reached, let_go = threading.Event(), threading.Event()
    looks, made, connect = list[str](), list[session.Session](), store.connect_reader

    def slow(there: Address, budget: float) -> session.Session:
        reached.set()
        assert let_go.wait(BOUND_SECONDS)
        made.append(connect(there, budget))
        return made[0]

    async with server(tmp_path / "room", engine_at(address)) as room:
        again = engine_at(address)(tmp_path, lambda statements: room.store.context, lambda effects: None)
        monkeypatch.setattr(store, "connect_reader", slow)
        opening = asyncio.ensure_future(again.open(lambda tx: looks.append("vouched")))
        assert await asyncio.to_thread(reached.wait, BOUND_SECONDS)
        if is_closed:
            opening.cancel()
            await asyncio.wait({opening}, timeout=BOUND_SECONDS)
            assert opening.cancelled()
        let_go.set()
        await until(lambda: bool(made) and not made[0].is_open)
        assert bool(looks) is not is_closed
        if not is_closed:
            await asyncio.wait_for(opening, BOUND_SECONDS)
            await again.close()


@pytest.mark.parametrize("is_closed", [True, False], ids=["it was closed", "the twin goes on"])
async def test_a_store_that_was_closed_while_it_connected_again_commits_nothing_and_keeps_no_connection(
    tmp_path: Path, is_closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the writer and the link lost their connections, and a thread that connects cannot be stopped."""
    for module, name in BOUNDS:
        monkeypatch.setattr(module, name, SHORT_SECONDS)
    postgres.require_server()
    address = postgres.address_at(postgres.make_database())
    reached, let_go, made = [], threading.Event(), list[session.Session]()

    def slow(there: Address, budget: float, *more: Any) -> session.Session:
        reached.append(there)
        assert let_go.wait(BOUND_SECONDS)
        made.append(connect_writer(there, budget))
        return made[-1]

    async with server(tmp_path / "room", engine_at(address)) as room:
        (builder,) = await enrolled(room, "builder")
        monkeypatch.setattr(link, "connect_writer", slow)
        monkeypatch.setattr(commit, "connect_writer", slow)
        with logged(), psycopg.connect(address, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            act = asyncio.ensure_future(room.door.act(builder, POST_MESSAGE, POST_MESSAGE.arguments(text="late")))
            await until(lambda: len(reached) == 2)
            if is_closed:
                await asyncio.wait_for(room.store.close(), BOUND_SECONDS)
            let_go.set()
            await until(lambda: len(made) >= 2)
            if is_closed:
                await until(lambda: not any(one.is_open for one in made))
            assert isinstance((await asyncio.gather(act, return_exceptions=True))[0], Refusal) is is_closed
            found = connection.execute("select count(*) from message where text = 'late'").fetchone()
            assert found == (0 if is_closed else 1,)
    postgres.drop_databases()


async def test_small_reads_of_one_member_leave_a_connection_to_others(tmp_path: Path, cable: tuple[Cable, str]) -> None:
    """Twin: reads of the room itself have no turns, and take all connections."""
    async with server(tmp_path / "room", engine_at(cable[1])) as room:
        attached = await room.store.attach()
        may_end = threading.Event()

        def held(tx: Reading) -> None:
            may_end.wait(BOUND_SECONDS)

        def count(tx: Reading) -> int:
            return tx.number("count_members_named", name="nobody")

        flood = [asyncio.create_task(attached.read(held, is_small=True, member=7)) for _ in range(20)]
        await asyncio.sleep(0)
        assert await attached.read(count, is_small=True, member=8) == 0
        flood += [asyncio.create_task(attached.read(held, is_small=True)) for _ in range(reads.SMALL_READERS)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await attached.read(count, is_small=True, member=8)
        may_end.set()
        await asyncio.gather(*flood, return_exceptions=True)
        await attached.close()


async def test_callers_without_a_token_wait_in_one_line_beside_those_with_one(
    tmp_path: Path, cable: tuple[Cable, str]
) -> None:
    async with server(tmp_path / "room", engine_at(cable[1])) as room:
        (builder,) = await enrolled(room, "builder")
        may_end = threading.Event()

        def held(tx: Reading) -> None:
            may_end.wait(BOUND_SECONDS)

        first = asyncio.create_task(room.store.read(held, is_small=True, member=STRANGERS))
        await asyncio.sleep(0)
        asking = [asyncio.create_task(room.door.find_hash("00")) for _ in range(2 * WAITING_READS)]
        await asyncio.sleep(0)
        assert sum(call.done() for call in asking) == WAITING_READS
        reply = await room.door.act(builder, POST_MESSAGE, POST_MESSAGE.arguments(text="meanwhile"))
        assert reply.receipt
        may_end.set()
        found = await asyncio.gather(first, *asking, return_exceptions=True)
        assert {type(outcome) for outcome in found} == {BusyError, type(None)}


async def test_reads_that_wait_for_a_connection_end_when_the_store_closes(
    tmp_path: Path, cable: tuple[Cable, str]
) -> None:
    async with server(tmp_path / "room", engine_at(cable[1])) as room:
        attached = await room.store.attach()
        runs, may_end = threading.Semaphore(0), threading.Event()

        def held(tx: Reading) -> None:
            runs.release()
            may_end.wait(BOUND_SECONDS)

        readers = [asyncio.create_task(attached.read(held, is_small=True)) for _ in range(reads.SMALL_READERS)]
        for _ in readers:
            assert await asyncio.to_thread(runs.acquire, timeout=BOUND_SECONDS)
        waiting = [asyncio.create_task(attached.read(held, is_small=True)) for _ in range(10)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(attached.close())
        async with asyncio.timeout(BOUND_SECONDS):
            found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {str(error) for error in found} == {"the store is closed"}
        may_end.set()
        await closing
        await asyncio.gather(*readers, return_exceptions=True)


def test_a_read_that_ends_just_now_is_ended_without_a_fault() -> None:
    """Its thread drops the connection between two looks at it."""

    class Ending(reads.RunningRead):
        looks = 0

        @property
        def session(self) -> Any:
            self.looks += 1
            return SimpleNamespace() if self.looks == 1 else None

        @session.setter
        def session(self, found: object) -> None:
            """Drop it."""

    Ending(None).give_up()
    Ending(None).end(ReadEndedError("its member was stopped"))


async def test_down_stops_a_server_whose_database_stands_still(tmp_path: Path, cable: tuple[Cable, str]) -> None:
    """Its link has a new connection by then, so it is not cut off; a read meets one that stands still."""
    to_database, address = cable
    loop = asyncio.get_running_loop()

    async def hold() -> None:
        made = to_database.connections
        to_database.hold()
        await until(lambda: to_database.connections > made)

    async def held_up(before: set[int]) -> None:
        await until(lambda: to_database.held_up > before)

    def down() -> int:
        with up(tmp_path / "room", "--owner", "olga", TEAMROOM_DATABASE=address) as running:
            assert running.shell.run("roster").code == 0
            asyncio.run_coroutine_threadsafe(hold(), loop).result(BOUND_SECONDS)
            before, environment = set(to_database.held_up), running.shell.environment
            with subprocess.Popen([TEAMROOM, "roster"], env=environment, stderr=subprocess.DEVNULL):
                asyncio.run_coroutine_threadsafe(held_up(before), loop).result(BOUND_SECONDS)
                done = running.shell.run("down")
                assert done.code == 0, done.err
                return running.process.wait(BOUND_SECONDS)

    assert await asyncio.to_thread(down) == 0


@pytest.mark.parametrize("patience", [0.3, math.inf], ids=["it gives up", "the twin waits"])
async def test_the_second_result_of_a_script_is_waited_for_as_patiently_as_the_first(patience: float) -> None:
    address = postgres.require_server()
    with contextlib.closing(connect_writer(Address.parse(address), 60)) as found:
        found.patience = patience
        waiting = asyncio.to_thread(found.script, "select 1; select repeat('x', 20000); select pg_sleep(2)")
        if math.isinf(patience):
            assert (await waiting).fetchall() == [("",)]
            return
        with pytest.raises(psycopg.OperationalError, match="does not answer"):
            await waiting


async def test_a_statement_that_does_not_end_when_it_is_cancelled_is_not_waited_for(
    cable: tuple[Cable, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ENDED_SECONDS", SHORT_SECONDS)
    to_database, address = cable
    with contextlib.closing(await asyncio.to_thread(connect_writer, Address.parse(address), 60)) as found:
        to_database.hold()
        waiting = asyncio.ensure_future(asyncio.to_thread(found.execute, "select 1", {}))
        await until(lambda: bool(to_database.held_up))
        found.ended = ReadEndedError("its member was stopped")
        with pytest.raises(ReadEndedError):
            await asyncio.wait_for(waiting, BOUND_SECONDS)


async def test_a_statement_that_is_being_cancelled_ends_once_its_server_is_given_up(
    cable: tuple[Cable, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("CANCEL_SECONDS", "ENDED_SECONDS"):
        monkeypatch.setattr(session, bound, ENDLESS_SECONDS)
    to_database, address = cable
    with contextlib.closing(await asyncio.to_thread(connect_writer, Address.parse(address), SHORT_SECONDS)) as found:
        await asyncio.to_thread(found.execute, "select 1", {})  # which also prepares it
        found.begin()
        to_database.cut()
        waiting = asyncio.ensure_future(asyncio.to_thread(found.execute, "select 1", {}))
        await until(lambda: found.ended is not None)
        found.is_given_up = True
        with pytest.raises(psycopg.OperationalError, match="does not answer"):
            await asyncio.wait_for(waiting, BOUND_SECONDS)
        to_database.mend()
        await until(lambda: to_database.connections == 2)  # the statement's, and that of what cancels it
