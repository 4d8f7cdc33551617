"""Readers: each read is one function in one snapshot, on one connection and its thread.

Of one member's reads one runs at a time, and the next ones wait in that member's own line: the reads of others pass. A
read ends when its time is over, when its caller leaves, and when its member is stopped. Until its thread has noticed,
its reader and its member's turn stay taken.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import Any, TypeVar

import aiosqlite

from teamroom.server.store.engine import ReadEndedError, StorageError, TooLargeError
from teamroom.server.store.transaction import Context, Reading
from teamroom.server.store.turns import ReadTurns

T = TypeVar("T")

INTERRUPT_AGAIN_SECONDS = 0.05
"""An interrupt that falls between two statements is lost, so it is repeated until the read has ended."""


class RunningRead:
    """A read on its thread, as others end it. Each statement first looks whether the read was ended."""

    def __init__(self, connection: sqlite3.Connection, member: int | None) -> None:
        self._connection = connection
        self.member = member
        self.ended: StorageError | None = None
        """Why it was ended, if it was."""
        self._is_over = False
        self._interrupts = threading.Lock()
        self._again: asyncio.TimerHandle | None = None

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> sqlite3.Cursor:
        """Run one statement. On the reader's thread. Raises the error that ended the read."""
        if self.ended is not None:
            raise self.ended
        return self._connection.execute(sql, parameters)

    def end(self, error: StorageError) -> None:
        """End it with this error, on the event loop. The first error counts."""
        with self._interrupts:
            if self._is_over:
                return
            self.ended = self.ended or error
            self._connection.interrupt()
        self._again = asyncio.get_running_loop().call_later(INTERRUPT_AGAIN_SECONDS, self.end, error)

    def finish(self) -> None:
        """Its function is over, so that no interrupt may hit what follows. On the reader's thread."""
        with self._interrupts:
            self._is_over = True

    def close(self) -> None:
        """Its thread is done with it."""
        if self._again is not None:
            self._again.cancel()


class Reader(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole read on its thread, instead of one statement at a time.

    So a read is one snapshot, and costs one switch of threads for any number of statements.
    """

    context: Context
    changes: Callable[[], int]
    _stopped: asyncio.Future[None] | None = None

    def stop(self) -> asyncio.Future[None] | None:
        """Ask the thread to end. aiosqlite calls this, and does not wait if it is cancelled while it opens."""
        self._stopped = super().stop()
        return self._stopped

    async def close(self) -> None:
        """Close the connection, and wait for the thread, which uses the event loop until it ends."""
        await super().close()
        if self._stopped is not None:
            await self._stopped

    def begin(self, member: int | None) -> RunningRead:
        """A read of this member on this connection."""
        return RunningRead(self._conn, member)

    async def run(self, work: Callable[[Reading], T], running: RunningRead) -> T:
        """Run a read function in one snapshot."""
        return await self._execute(self._in_snapshot, work, running)  # type: ignore[no-untyped-call, no-any-return]

    def _in_snapshot(self, work: Callable[[Reading], T], running: RunningRead) -> T:
        connection, statements, version = self._conn, self.context.statements, self.changes()
        try:
            connection.execute(statements["begin_read"])
            return work(Reading(running, self.context, version))
        except sqlite3.Error as error:
            raise running.ended or error from error
        finally:
            running.finish()
            if connection.in_transaction:
                connection.execute(statements["rollback"])


class Readers:
    """A fixed number of readers; a read waits for its member's turn, then for a free one."""

    def __init__(self, context: Context, changes: Callable[[], int]) -> None:
        self._context, self._changes = context, changes
        self._seconds = context.settings.read_seconds
        self._open: list[Reader] = []
        self._free: asyncio.LifoQueue[Reader] = asyncio.LifoQueue()
        self._running: dict[asyncio.Task[Any], RunningRead] = {}
        self._turns = ReadTurns()

    @property
    def busy(self) -> int:
        """How many reads are running."""
        return len(self._running)

    async def open(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Open every connection."""
        for _ in range(self._context.settings.readers):
            reader = Reader(connect, iter_chunk_size=64)
            reader.context, reader.changes = self._context, self._changes
            self._open.append(reader)
            await reader
            self._free.put_nowait(reader)

    async def run(self, work: Callable[[Reading], T], member: int | None = None) -> T:
        """Run a read once it is the member's turn and a connection is free. `member`: None for the room itself.

        Raises TooLargeError, ReadEndedError, QueueFullError, sqlite3.Error, and what `work` raises.
        """
        await self._turns.take(member)
        try:
            reader = await self._free.get()
        except BaseException:
            self._turns.give(member)
            raise
        running = reader.begin(member)
        thread = asyncio.ensure_future(reader.run(work, running))
        self._running[thread] = running
        thread.add_done_callback(partial(self._close, reader))
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(thread)
        except TimeoutError:
            running.end(TooLargeError(f"it takes longer than {self._seconds:g} s"))
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            running.end(ReadEndedError("its caller left"))
            raise

    def end(self, members: Set[int]) -> None:
        """End the reads of these members that are running."""
        for running in self._running.values():
            if running.member in members:
                running.end(ReadEndedError("its member was stopped"))

    async def close(self) -> None:
        """Close every connection, once the reads that are running have ended."""
        for running in self._running.values():
            running.end(ReadEndedError("the store is closing"))
        if self._running:
            await asyncio.wait(set(self._running))
        for reader in self._open:
            await reader.close()

    def _close(self, reader: Reader, thread: asyncio.Task[Any]) -> None:
        running = self._running.pop(thread)
        running.close()
        if not thread.cancelled():
            thread.exception()  # a caller that left does not ask for it
        self._free.put_nowait(reader)
        self._turns.give(running.member)
