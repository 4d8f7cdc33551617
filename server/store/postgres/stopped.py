"""A room in PostgreSQL without its servers: looked at, and changed in one transaction."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import psycopg

from teamroom.server.clock import Moment, RoomClock, WallTime, steady_clock
from teamroom.server.store.engine import StorageError, Vouch
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_reader, connect_writer, has_room, migrate, snapshot
from teamroom.server.store.postgres.faults import as_storage_error
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.transaction import Context, Head, Reading, Writing

T = TypeVar("T")


@contextlib.contextmanager
def opened(
    connect: Callable[[Address, float], Session], address: Address, seconds: float = math.inf
) -> Iterator[Session]:
    """A connection to a room's database, as long as the block runs; its reads share `seconds`. Raises StorageError."""
    try:
        with contextlib.closing(connect(address, seconds)) as session:
            yield session
    except psycopg.Error as error:
        raise as_storage_error(error) from error


def look(address: Address, context: Context, vouch: Vouch) -> str | None:
    """What is wrong with a room, in words. Changes nothing. Raises StorageError."""
    with opened(connect_reader, address) as session:
        if not has_room(session):
            return vouch(None)
        with snapshot(session):
            return vouch(Reading(session, context))


@contextlib.contextmanager
def reading(address: Address, now: WallTime, make_context: Callable[[RoomClock], Context]) -> Iterator[Reading]:
    """A snapshot of a room, which servers may have open, by the room's clock. Raises StorageError."""
    with opened(connect_reader, address) as session:
        if not has_room(session):
            raise StorageError("the database holds no room")
        context = make_context(_saved_clock(session, make_context, now))
        with snapshot(session):
            yield Reading(session, context)


def change(
    address: Address, now: WallTime, make_context: Callable[[RoomClock], Context], work: Callable[[Writing], T]
) -> T:
    """Bring a room up to this release, and run an act in one transaction, by the room's clock.

    Raises StorageError; nothing was changed then.
    """
    with opened(connect_writer, address) as session:
        migrate(session, now)
        return _change(session, make_context(_saved_clock(session, make_context, now)), work)


def _change(session: Session, context: Context, work: Callable[[Writing], T]) -> T:
    run = context.statements
    session.script("begin")
    row = session.execute(run["lock_head"], {}).fetchone()
    if row is None:
        raise StorageError("the database holds no room")
    tx = Writing(session, context, Head(*row))
    result = work(tx)
    tx.end()
    session.execute(run["save_head"], tx.head.values())
    session.script(run["commit"])
    return result


def _saved_clock(session: Session, make_context: Callable[[RoomClock], Context], now: WallTime) -> RoomClock:
    clock = RoomClock(lambda: now, steady_clock, math.inf)
    row = session.execute(make_context(clock).statements["clock_state"], {}).fetchone()
    if row is not None:
        clock.resume(Moment(*row))
    return clock
