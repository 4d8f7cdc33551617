"""Connections to the room's PostgreSQL database, and the migrations that update it to this release."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import capabilities
from psycopg.conninfo import make_conninfo

from teamroom.server.store.engine import ServersOpenError
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.faults import BUSY
from teamroom.server.store.postgres.session import SLICE_SECONDS, Session
from teamroom.server.store.postgres.translate import as_schema
from teamroom.server.store.statements import (
    POSTGRES,
    is_expansion,
    missing_migrations,
    postgres_statements,
    split_script,
)

OWN_MIGRATIONS = POSTGRES / "migrations"
"""The part of a migration that only PostgreSQL understands, in a file of the same name. It runs after that one."""


SERVERS_SINCE = 39
"""The migration since which a room knows its servers."""

MIGRATION_TRIES = 20
"""How often a migration is tried that has to wait for others."""

OPEN_SECONDS, AGAIN_SECONDS = 10, 2
"""How long a try to connect takes at most: when a room opens, and when a connection was lost."""


class Version(NamedTuple):
    """What a snapshot sees: the transactions that have ended, as PostgreSQL writes them.

    A database that recovers from a crash can give numbers of transactions again that had changed nothing durable. All
    connections have ended then: `newest` is the newest connection of this process before the snapshot was taken.
    """

    newest: int
    ended: str


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
    capabilities.has_cancel_safe(check=True)  # an older libpq blocks every thread while it cancels a statement
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
def snapshot(session: Session) -> Iterator[Version]:
    """Let a block read one snapshot of the database, and no more than the session's budget; yields its version."""
    run, newest = postgres_statements(), Session.newest
    row = session.script(run["begin_read"]).fetchone()
    session.begin()
    try:
        yield Version(newest, "" if row is None else row[0])
    finally:
        session.end()
        if session.is_open:
            session.script(run["rollback"])


def has_room(session: Session) -> bool:
    """Whether the schema of a connection holds tables of a room."""
    return bool(session.execute(postgres_statements()["has_room"], {}).fetchall()[0][0])


def migrate(session: Session, now: float, before: Callable[[], None] = lambda: None) -> list[str]:
    """Apply the missing migrations, in one transaction; returns their names.

    `before` runs first if the database holds a room. Acts of servers that have it open wait meanwhile. The migration
    begins again if it has to wait for long. Raises NewerRoomError if a newer release changed what this one uses, and
    ServersOpenError if this one changes what servers use that have the room open.
    """
    for tries_left in reversed(range(MIGRATION_TRIES)):
        try:
            return _migrate(session, now, before)
        except BUSY:
            if not tries_left:
                raise
        finally:
            if session.is_open and session.is_in_transaction:
                session.script(postgres_statements()["rollback"])
    raise AssertionError("there is at least one try")


def _migrate(session: Session, now: float, before: Callable[[], None]) -> list[str]:
    run = postgres_statements()
    session.script(run["begin_migrations"])
    session.script(as_schema(run["create_migrations"]))
    applied = dict(session.execute(run["migrations"], {}).fetchall())
    missing = missing_migrations(applied)
    if applied and missing:
        _require_alone(session, applied, missing)
        session.script(run["hold_head"])
        if session.execute(run["read_head"], {}).fetchone() is not None:
            before()
    for number, path in missing.items():
        for script in (path, OWN_MIGRATIONS / path.name):
            for statement in split_script(script.read_text(encoding="utf-8")) if script.exists() else ():
                session.script(as_schema(statement))
        session.execute(run["record_migration"], {"number": number, "name": path.stem, "applied_at": now})
    session.script(run["commit"])
    return [path.stem for path in missing.values()]


def _require_alone(session: Session, applied: Mapping[int, str], missing: Mapping[int, Path]) -> None:
    """Refuse to change what servers use that have the room open. Earlier releases than the first said nothing of it."""
    if SERVERS_SINCE not in applied or all(is_expansion(path.stem) for path in missing.values()):
        return
    if count := session.execute(postgres_statements()["count_servers"], {}).fetchall()[0][0]:
        raise ServersOpenError(
            f"{count} {'server has' if count == 1 else 'servers have'} the room open, and this release changes what "
            "an earlier one uses. Stop them, then start this one; nothing was changed."
        )
