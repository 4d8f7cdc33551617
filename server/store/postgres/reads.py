"""What one event loop reads with: connections for small reads, and others for large ones, each a bounded number.

A read runs on a thread, because it waits for a network. It waits for a free connection for `pool_seconds` at most. A
connection that was lost is opened again by the next read that needs it, so reads work as soon as the database does.

`psycopg_pool.ConnectionPool` would not make this shorter or better (tried with 3.3):

- By default, it waits longer and longer between its tries: after 12 s without a database, it was back 3.4 s late.
- Told to give up at once (`min_size=0`, a short `reconnect_timeout`), it is back at once. But each read without a
  database then waits for its whole timeout and learns no reason: "busy", where the room says "unreachable".
- It adds four threads to each pool. The threads of reads, and how they are ended and given up, would stay here.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import psycopg

from teamroom.server.store.engine import (
    BusyError,
    ReadEndedError,
    StorageError,
    TooLargeError,
    UnreachableError,
    nothing,
)
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import AGAIN_SECONDS, connect_reader, snapshot
from teamroom.server.store.postgres.faults import as_storage_error
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.transaction import Context, Reading
from teamroom.server.store.turns import ReadTurns

T = TypeVar("T")

LOOK_UPS = 2
"""Connections of an event loop for look-ups of a row or two, with which each call begins. They wait for no read."""

LOOK_UP_SECONDS = 2.0
"""The least time that a look-up waits for a connection: a stop begins with one, and is late rather than refused."""

SMALL_READERS = 2
"""Connections of an event loop for small reads."""

SMALL_READ_SECONDS = 1.0
"""How long a small read may take before it counts as a large one."""

PATIENCE_SECONDS = 10.0
"""How long a statement of a read may go unanswered, its budget not counted, before its connection counts as lost."""

CLOSE_SECONDS, GIVEN_UP_SECONDS = 2.0, 1.0
"""How long `close` waits for the reads that it ended, and then for those whose connection it gave up."""


class RunningRead:
    """A read on its way: it waits for a connection, or runs on one."""

    def __init__(self, member: int | None, begins: Callable[[], object] = nothing) -> None:
        """`begins`: see `engine.Transactions.read`."""
        self.member, self.begins = member, begins
        self.session: Session | None = None
        self.ended: StorageError | None = None
        """Why it was ended, if it was."""
        self.is_given_up = False
        """Whether its connection is not waited for any longer."""

    def use(self, session: Session) -> None:
        """Run on this connection from now on. On the read's thread. Raises what ended it."""
        self.session = session
        session.is_given_up = session.is_given_up or self.is_given_up
        if self.ended is not None:
            raise self.ended

    def give_up(self) -> None:
        """Wait for its connection no longer. Any thread may do this."""
        self.is_given_up = True
        if (session := self.session) is not None:  # once: the read's thread drops it when it has ended
            session.is_given_up = True

    def end(self, error: StorageError) -> None:
        """End it with this error; the first one counts. Any thread may do this."""
        self.ended = self.ended or error
        if (session := self.session) is not None:
            session.ended = self.ended


class Pool:
    """A fixed number of connections, each opened when it is first needed, and the threads that use them."""

    def __init__(
        self, address: Address, context: Context, size: int, budget: float, name: str, least_wait: float = 0.0
    ) -> None:
        self._address, self._context = address, context
        self._wait_seconds = max(context.settings.pool_seconds, least_wait)
        self._size, self._budget = size, budget
        self._threads = ThreadPoolExecutor(size, name)
        self._free: asyncio.LifoQueue[Session | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._free.put_nowait(None)
        self._running: dict[asyncio.Future[Any], RunningRead] = {}
        self._is_closed = False

    async def run(self, work: Callable[[Reading], T], running: RunningRead, is_snapshot: bool = True) -> T:
        """Run a read on a free connection. Raises StorageError, and what `work` raises."""
        session = await self._take()
        function = partial(self._read, session, work, running, is_snapshot)
        thread = asyncio.get_running_loop().run_in_executor(self._threads, function)
        self._running[thread] = running
        thread.add_done_callback(self._done)
        try:
            return (await asyncio.shield(thread))[0]
        except asyncio.CancelledError:
            running.end(ReadEndedError("its caller left"))
            raise

    def end(self, is_meant: Callable[[RunningRead], bool], error: StorageError) -> None:
        """End the reads that are meant."""
        for running in self._running.values():
            if is_meant(running):
                running.end(error)

    def abandon(self) -> None:
        """Give up the connections of the reads that run: their server does not answer."""
        for running in list(self._running.values()):
            running.give_up()

    async def close(self) -> None:
        """End the reads that are running, and close every connection; give up those that the database holds up.

        Takes at most `CLOSE_SECONDS` and `GIVEN_UP_SECONDS`. A thread that still connects ends after this, in time.
        """
        self._is_closed = True
        self._free.put_nowait(None)  # the first one that waits for a connection leaves, and wakes the next
        self.end(lambda running: True, ReadEndedError("the store is closing"))
        if self._running:
            await asyncio.wait(set(self._running), timeout=CLOSE_SECONDS)
        if self._running:
            self.abandon()
            await asyncio.wait(set(self._running), timeout=GIVEN_UP_SECONDS)
        while not self._free.empty():
            if (session := self._free.get_nowait()) is not None:
                session.close()
        self._threads.shutdown(wait=False)

    async def _take(self) -> Session | None:
        if self._is_closed:
            raise StorageError("the store is closed")
        try:
            async with asyncio.timeout(self._wait_seconds):
                session = await self._free.get()
        except TimeoutError:
            raise BusyError(f"all {self._size} connections for reads are in use") from None
        if self._is_closed:
            self._free.put_nowait(session)
            raise StorageError("the store is closed")
        return session

    def _done(self, thread: asyncio.Future[tuple[Any, Session]]) -> None:
        self._running.pop(thread)
        session = None
        if not thread.cancelled() and thread.exception() is None:
            session = thread.result()[1]
        elif not thread.cancelled() and isinstance(error := thread.exception(), _FailedError):
            session = error.session
        if self._is_closed and session is not None:
            session.close()
        else:
            self._free.put_nowait(session)

    # on a thread from here on

    def _read(
        self, session: Session | None, work: Callable[[Reading], T], running: RunningRead, is_snapshot: bool
    ) -> tuple[T, Session]:
        try:
            session = self._opened(session)
            running.use(session)
            running.begins()
            with snapshot(session) if is_snapshot else _without_snapshot(session) as version:
                if running.ended is not None:
                    raise running.ended
                return work(Reading(session, self._context, version)), session
        except Exception as error:
            raise _FailedError(error, session if session is not None and session.is_open else None) from error
        finally:
            running.session = None

    def _opened(self, session: Session | None) -> Session:
        """A connection that works, as far as is known."""
        if session is not None and session.is_alive():
            return session
        if session is not None:
            session.close()
        session = connect_reader(self._address, self._budget, AGAIN_SECONDS)
        session.patience = PATIENCE_SECONDS
        return session


class _FailedError(Exception):
    """A read failed; its connection goes back to the pool, unless it was lost."""

    def __init__(self, error: Exception, session: Session | None) -> None:
        super().__init__(str(error))
        self.error, self.session = error, session


@contextlib.contextmanager
def _without_snapshot(session: Session) -> Iterator[None]:
    session.begin()
    try:
        yield
    finally:
        session.end()


class Reads:
    """Runs the reads of one event loop. `note_failure` gets each error of PostgreSQL, which may be damage."""

    def __init__(self, address: Address, context: Context, note_failure: Callable[[Exception], None]) -> None:
        self._context, self._note_failure = context, note_failure
        settings = context.settings
        self._look_ups = Pool(
            address, context, LOOK_UPS, SMALL_READ_SECONDS, "teamroom-look-ups", least_wait=LOOK_UP_SECONDS
        )
        self._small = Pool(address, context, SMALL_READERS, SMALL_READ_SECONDS, "teamroom-small-reads")
        self._large = Pool(address, context, settings.readers, settings.read_seconds, "teamroom-reads")
        self._turns, self._small_turns = ReadTurns(), ReadTurns()
        """Of each member, one large and one small read run at a time, so that nobody takes all connections."""
        self._times_abandoned = 0

    async def read(
        self,
        work: Callable[[Reading], T],
        is_small: bool,
        member: int | None = None,
        begins: Callable[[], object] = nothing,
    ) -> T:
        """Run a read in one snapshot: a small one passes large ones, until it turns out to be large."""
        if is_small:
            await self._small_turns.take(member)
            try:
                return await self._run(self._small, work, RunningRead(member, begins))
            except TooLargeError:
                pass  # it is a large one
            finally:
                self._small_turns.give(member)
        await self._turns.take(member)
        try:
            return await self._run_large(work, RunningRead(member, begins))
        finally:
            self._turns.give(member)

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows; each statement has a snapshot of its own."""
        return await self._run(self._look_ups, work, RunningRead(None), is_snapshot=False)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running."""
        error = ReadEndedError("its member was stopped")
        for pool in (self._small, self._large):
            pool.end(lambda running: running.member in members, error)

    @property
    def version(self) -> None:
        """Not known: only a snapshot tells which one it is, as other servers change the room too."""

    @property
    def identity_version(self) -> None:
        """Not known, for the same reason."""

    def abandon(self) -> None:
        """Give up the connections that are in use: the database does not answer."""
        self._times_abandoned += 1
        for pool in (self._look_ups, self._small, self._large):
            pool.abandon()

    async def close(self) -> None:
        """End the reads that are running, and close every connection. Bounded, as `Pool.close` says."""
        await asyncio.gather(*(pool.close() for pool in (self._look_ups, self._small, self._large)))

    async def _run_large(self, work: Callable[[Reading], T], running: RunningRead) -> T:
        reading = asyncio.ensure_future(self._run(self._large, work, running))
        seconds = self._context.settings.read_seconds
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(reading)
        except TimeoutError:
            running.end(TooLargeError(f"it takes longer than {seconds:g} s"))
            return await reading
        except asyncio.CancelledError:
            running.end(ReadEndedError("its caller left"))
            with contextlib.suppress(Exception):
                await reading
            raise

    async def _run(self, pool: Pool, work: Callable[[Reading], T], running: RunningRead, is_snapshot: bool = True) -> T:
        abandoned = self._times_abandoned
        try:
            return await self._once(pool, work, running, is_snapshot)
        except UnreachableError:  # the database may have ended just this connection; the next one is a new one
            if self._times_abandoned != abandoned:
                raise
            return await self._once(pool, work, running, is_snapshot)

    async def _once(self, pool: Pool, work: Callable[[Reading], T], running: RunningRead, is_snapshot: bool) -> T:
        try:
            return await pool.run(work, running, is_snapshot)
        except _FailedError as failed:
            error = failed.error
            if isinstance(error, psycopg.Error):
                self._note_failure(error)
                raise as_storage_error(error) from error
            raise error from error.__cause__
