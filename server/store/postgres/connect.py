"""Connections to the room's PostgreSQL database, and the migrations that update it to this release."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.session import SLICE_SECONDS, Session
from teamroom.server.store.postgres.translate import as_schema
from teamroom.server.store.statements import POSTGRES, missing_migrations, postgres_statements, split_script

OWN_MIGRATIONS = POSTGRES / "migrations"
"""The part of a migration that only PostgreSQL understands, in a file of the same name. It runs after that one."""


OPEN_SECONDS, AGAIN_SECONDS = 10, 2
"""How long a try to connect takes at most: when a room opens, and when a connection was lost."""


def connect_writer(
    address: Address, budget: float, seconds: int = OPEN_SECONDS, is_given_up: Callable[[], bool] = lambda: False
) -> Session:
    """Return a connection that writes; the SELECTs of an act share `budget` seconds. Raises psycopg.Error.

    It is not waited for any longer once `is_given_up` says so.
    """
    attempt = Attempt(lambda: _connect(address, budget, seconds, "set_up"))
    while not is_given_up():
        if (session := attempt.wait(SLICE_SECONDS)) is not None:
            return session
    attempt.give_up()
    raise psycopg.OperationalError("the server does not answer")


class Attempt:
    """A try to connect on a thread of its own, because libpq's cannot be ended."""

    def __init__(self, connect: Callable[[], Session]) -> None:
        self._connect = connect
        self._lock, self._done = threading.Lock(), threading.Event()
        self._found: Session | Exception | None = None
        self._is_given_up = False
        threading.Thread(target=self._run, name="teamroom-connect", daemon=True).start()

    def wait(self, seconds: float) -> Session | None:
        """The connection, if there is one by then. Raises what the try raised."""
        self._done.wait(seconds)
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    def give_up(self) -> None:
        """Close the connection if there is ever one."""
        with self._lock:
            self._is_given_up = True
            if isinstance(self._found, Session):
                self._found.close()

    def _run(self) -> None:
        found: Session | Exception
        try:
            found = self._connect()
        except Exception as error:
            found = error
        with self._lock:
            self._found = found
            if self._is_given_up and isinstance(found, Session):
                found.close()
        self._done.set()


def connect_reader(address: Address, budget: float, seconds: int = OPEN_SECONDS) -> Session:
    """Return a connection that cannot write; the statements of a read share `budget` seconds. Raises psycopg.Error."""
    return _connect(address, budget, seconds, "set_up", "only_reads")


def _connect(address: Address, budget: float, seconds: int, *set_up: str) -> Session:
    given = make_conninfo(address.conninfo, connect_timeout=seconds)
    connection: psycopg.Connection[Any] = psycopg.connect(given, autocommit=True)
    session = Session(connection, budget)
    session.patience = seconds
    try:
        for name in set_up:
            session.script(postgres_statements()[name])
        session.patience = math.inf
    except BaseException:
        session.close()
        raise
    return session


@contextmanager
def snapshot(session: Session) -> Iterator[Session]:
    """Let a block read one snapshot of the database, and no more than the session's budget."""
    run = postgres_statements()
    session.script(run["begin_read"])
    session.begin()
    try:
        yield session
    finally:
        session.end()
        if session.is_open:
            session.script(run["rollback"])


def has_room(session: Session) -> bool:
    """Whether the schema of a connection holds tables of a room."""
    return bool(session.execute(postgres_statements()["has_room"], {}).fetchall()[0][0])


def migrate(session: Session, now: float, before: Callable[[], None] = lambda: None) -> list[str]:
    """Apply the missing migrations, in one transaction; returns their names.

    `before` runs first if the database holds a room. Raises NewerRoomError if a newer release wrote the database.
    """
    run = postgres_statements()
    session.script(run["begin_migrations"])
    try:
        session.script(as_schema(run["create_migrations"]))
        applied = [number for number, _ in session.execute(run["migrations"], {}).fetchall()]
        missing = missing_migrations(applied)
        if applied and missing and session.execute(run["read_head"], {}).fetchone() is not None:
            before()
        for number, path in missing.items():
            for script in (path, OWN_MIGRATIONS / path.name):
                for statement in split_script(script.read_text(encoding="utf-8")) if script.exists() else ():
                    session.script(as_schema(statement))
            about = {"number": number, "name": path.stem, "applied_at": now}
            session.execute(run["record_migration"], about)
        session.script(run["commit"])
    except BaseException:
        if session.is_open:
            session.script(run["rollback"])
        raise
    return [path.stem for path in missing.values()]
