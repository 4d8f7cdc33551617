"""Statements that a session of PostgreSQL sends with the next one: none is lost, and each act has its own errors."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from teamroom.server.store.engine import TooLargeError
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.commit import Committer
from teamroom.server.store.postgres.connect import connect_writer
from teamroom.server.store.postgres.session import MOST_DEFERRED, Session
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.statements import postgres_statements
from teamroom.server.store.transaction import Writing
from tests.support.engines import POSTGRES, Engine
from tests.support.postgres import address_of
from tests.support.promises import house
from tests.support.stores import open_store

pytestmark = [pytest.mark.postgres, house]

ADD, LIST = "insert into number (n) values (:n)", "select n from number order by n"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    POSTGRES.require()
    with contextlib.closing(connect_writer(Address.parse(address_of(tmp_path)), 10)) as session:
        session.script("create table number (n integer primary key)")
        yield session
    POSTGRES.clean_up()


def numbers(session: Session) -> list[int]:
    return [n for (n,) in session.execute(LIST, {}).fetchall()]


def test_what_was_deferred_runs_before_the_next_statement_in_its_order(session: Session) -> None:
    session.defer(ADD, {"n": 1})
    session.defer("update number set n = n + 10", {})
    session.defer(ADD, {"n": 2})
    assert numbers(session) == [2, 11]
    assert session.execute("delete from number", {}).rowcount == 2


@pytest.mark.parametrize("how", ["settle", "script"])
def test_what_was_deferred_runs_without_another_statement_too(session: Session, how: str) -> None:
    session.defer(ADD, {"n": 1})
    session.settle() if how == "settle" else session.script("select 1")
    assert session.drop_deferred() == []
    assert numbers(session) == [1]


def test_what_is_dropped_does_not_run(session: Session) -> None:
    session.defer(ADD, {"n": 1})
    assert session.drop_deferred() == [ADD]
    session.settle()
    assert numbers(session) == []


def test_a_bounded_number_is_deferred(session: Session) -> None:
    for n in range(MOST_DEFERRED + 1):
        session.defer(ADD, {"n": n})
    assert session.drop_deferred() == [ADD]
    assert numbers(session) == list(range(MOST_DEFERRED))


SLEEP = "select cast(pg_sleep(:seconds) as text) as slept"


def test_a_select_does_not_pay_for_what_was_deferred_before_it(tmp_path: Path) -> None:
    POSTGRES.require()
    with contextlib.closing(connect_writer(Address.parse(address_of(tmp_path)), 0.3)) as session:
        session.begin()
        session.defer(SLEEP, {"seconds": 0.6})
        assert session.execute("select 1 as one", {}).fetchone() == (1,)
        session.defer(SLEEP, {"seconds": 0.6})
        with pytest.raises(TooLargeError):
            session.execute(SLEEP, {"seconds": 3})
        session.begin()
        assert session.execute("select 2 as two", {}).fetchone() == (2,), "the connection goes on"
    POSTGRES.clean_up()


def test_large_statements_and_replies_pass_each_other(session: Session) -> None:
    for n in range(MOST_DEFERRED - 1):
        session.defer("select cast(:text as text) as text", {"text": "x" * 300_000 + str(n)})
    assert session.execute("select cast(:text as text) as text", {"text": "y" * 300_000}).fetchone() == ("y" * 300_000,)


def test_an_error_of_what_was_deferred_is_raised_by_the_next_statement_which_does_not_run(session: Session) -> None:
    session.script("begin; savepoint act")
    session.execute(ADD, {"n": 1})
    session.script("release savepoint act; savepoint act")
    session.defer(ADD, {"n": 2})
    session.defer(ADD, {"n": 1})
    with pytest.raises(errors.UniqueViolation):
        session.execute(ADD, {"n": 3})
    session.script("rollback to savepoint act")
    session.execute(ADD, {"n": 4})
    session.script("commit")
    assert numbers(session) == [1, 4]


def test_a_connection_that_is_lost_meanwhile_is_noticed(session: Session, tmp_path: Path) -> None:
    session.execute(ADD, {"n": 0})  # from now on, each statement is prepared
    numbers(session)
    (process,) = session.execute("select pg_backend_pid() as process", {}).fetchall()[0]
    with contextlib.closing(connect_writer(Address.parse(address_of(tmp_path)), 10)) as other:
        other.execute("select pg_terminate_backend(:process)", {"process": process}).fetchall()
    session.defer(ADD, {"n": 1})
    with pytest.raises(psycopg.OperationalError):
        session.execute(LIST, {})
    assert not session.is_open


class SettlesLater(Committer):
    """The twin: an act ends before all of it was carried out."""

    def _settle_act(self) -> None:
        pass


def settling(make_committer: type[Committer]) -> Engine:
    def choose(folder: Path, make_context: Any, carry_out: Any) -> PostgresStore:
        context = make_context(postgres_statements())
        return PostgresStore(Address.parse(address_of(folder)), context, carry_out, make_committer)

    return Engine("postgres", choose, POSTGRES.look, POSTGRES.change, POSTGRES.holds, POSTGRES.refused_statements)


@pytest.mark.parametrize("make_committer", [Committer, SettlesLater])
async def test_an_error_is_of_the_act_whose_statement_it_is(tmp_path: Path, make_committer: type[Committer]) -> None:
    POSTGRES.require()

    def broken(tx: Writing) -> None:
        tx.run("take_lease", duty=None, holder="x", until=1.0)

    async with open_store(tmp_path, settling(make_committer)) as bench:
        outcomes = await bench.batch(bench.entry("first"), broken, bench.entry("last"))
        failed = [isinstance(outcome, Exception) for outcome in outcomes]
        assert (failed == [False, True, False]) == (make_committer is Committer)
    POSTGRES.clean_up()
