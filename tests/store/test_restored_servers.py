"""A room in PostgreSQL whose database was restored with PostgreSQL's own tools: a new epoch, and stops that last."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from teamroom.server.accept import Accepted, AcceptError, accept
from teamroom.server.acts.control.control import KILL
from teamroom.server.acts.messages.messages import POST_MESSAGE
from teamroom.server.clock import wall_clock
from teamroom.server.record.seal import HISTORY
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.store.folder import SEAL
from teamroom.server.store.postgres.translate import translate
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.statements import postgres_statements
from tests.campaigns.shared_rooms import engine_at, enrolled, owner_of, server
from tests.support import postgres
from tests.support.own_postgres import find_programs
from tests.support.promises import house, promise

pytestmark = [pytest.mark.postgres, house]


@pytest.fixture
def address() -> Iterator[str]:
    postgres.require_server()
    if find_programs() is None:
        pytest.skip("no pg_dump and pg_restore on this machine")
    yield postgres.address_at(postgres.make_database())
    postgres.drop_databases()


def dump(address: str, into: Path) -> None:
    subprocess.run(["pg_dump", "--format=custom", f"--file={into}", address], check=True)


def put_back(address: str, dumped: Path) -> None:
    how = ("--clean", "--if-exists", "--exit-on-error", "--single-transaction", f"--dbname={address}")
    subprocess.run(["pg_restore", *how, str(dumped)], check=True)


def accepted(folder: Path, address: str, *others: Path) -> Accepted:
    return accept(folder, wall_clock(), Settings(database=address), is_restored=True, others=others)


@promise("SAF5")
async def test_who_was_killed_after_the_dump_on_any_server_stays_killed_in_a_new_epoch(
    tmp_path: Path, address: str
) -> None:
    first, second, dumped = tmp_path / "first", tmp_path / "second", tmp_path / "room.dump"
    choose = engine_at(address)
    async with server(first, choose) as here:
        [builder, tester] = await enrolled(here, "builder", "tester")
        async with server(second, choose, first) as there:
            dump(address, dumped)
            await here.door.act(await owner_of(here), KILL, KILL.arguments(target="builder", reason="done"))
            await there.door.act(await owner_of(there), KILL, KILL.arguments(target="tester", reason="done"))
    put_back(address, dumped)
    async with server(first, choose) as here:
        assert here.store.damage is not None
        with pytest.raises(Refusal):
            await here.door.act(builder, POST_MESSAGE, POST_MESSAGE.arguments(text="still here"))
    done = accepted(first, address, second)
    assert done.epoch == 2
    assert "@builder is killed" in " ".join(done.stopped)
    assert "@tester is killed" in " ".join(done.stopped)
    for name in (SEAL, HISTORY):
        (second / name).unlink(missing_ok=True)
    async with server(first, choose) as here, server(second, choose) as there:
        assert here.store.damage is there.store.damage is None
        for caller in (builder, tester):
            with pytest.raises(Refusal):
                await here.door.act(caller, POST_MESSAGE, POST_MESSAGE.arguments(text="still here"))
        posted = await there.door.act(await owner_of(there), POST_MESSAGE, POST_MESSAGE.arguments(text="it goes on"))
        assert posted.receipt > done.seq
        rows = await here.store.read(lambda tx: tx.all(LogEntry, "log_page", after=0, limit=100), is_small=False)
        assert [row.seq for row in rows] == list(range(1, posted.receipt + 1))
        assert [row.epoch for row in rows] == sorted(row.epoch for row in rows)


async def test_a_restored_room_is_not_accepted_while_a_server_has_it_open_or_without_its_key(
    tmp_path: Path, address: str
) -> None:
    first, second, dumped = tmp_path / "first", tmp_path / "second", tmp_path / "room.dump"
    choose = engine_at(address)
    async with server(first, choose) as here:
        dump(address, dumped)
        await enrolled(here, "builder")
        here.seal()
    put_back(address, dumped)
    async with server(second, choose) as there:  # an empty folder joins the room as it is
        await there.servers.sign()
        with pytest.raises(AcceptError, match="Another server"):
            accepted(first, address)
        with pytest.raises(AcceptError, match=r"room\.key is missing"):
            accepted(second, address)
    assert accepted(first, address).epoch == 2


def test_every_time_is_a_fraction_in_every_statement(address: str) -> None:
    """PostgreSQL takes `:now + 3600` as a whole number, and refuses the room's time there."""
    times = {"now", "at", "since", "until", "next_at", "ahead", "moved", "room_at"}
    wrong, seen = [], 0
    with psycopg.connect(address, autocommit=True) as connection:
        for name, text in postgres_statements().items():
            names = list(dict.fromkeys(re.findall(r"(?<!:):([a-z_]+)", text)))
            if not times & set(names):
                continue
            connection.execute(b"prepare looked_at as " + translate(text).text)
            found = "select parameter_types::text[] from pg_prepared_statements where name = 'looked_at'"
            row = connection.execute(found.encode()).fetchone()
            connection.execute("deallocate looked_at")
            assert row is not None
            seen += len(row[0])
            types = zip(names, row[0], strict=True)
            wrong += [f"{name}: {given}" for given, kind in types if given in times and kind in ("integer", "bigint")]
    assert seen > 300
    assert wrong == []
