"""Readers: each read is one function in one snapshot, on one connection and its thread."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

import aiosqlite

from teamroom.server.store.transaction import Context, Reading

T = TypeVar("T")


class Reader(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole read on its thread, instead of one statement at a time.

    So a read is one snapshot, and costs one switch of threads for any number of statements.
    """

    context: Context

    async def run(self, work: Callable[[Reading], T]) -> T:
        """Run a read function in one snapshot."""
        return await self._execute(self._in_snapshot, work)  # type: ignore[no-untyped-call, no-any-return]

    def _in_snapshot(self, work: Callable[[Reading], T]) -> T:
        connection, statements = self._conn, self.context.statements
        connection.execute(statements["begin_read"])
        try:
            return work(Reading(connection, self.context))
        finally:
            connection.execute(statements["rollback"])


class Readers:
    """A fixed number of readers; a read waits for a free one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._open: list[Reader] = []
        self._free: asyncio.LifoQueue[Reader] = asyncio.LifoQueue()

    async def open(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Open every connection."""
        for _ in range(self._context.settings.readers):
            reader = Reader(connect, iter_chunk_size=64)
            reader.context = self._context
            self._open.append(reader)
            await reader
            self._free.put_nowait(reader)

    async def run(self, work: Callable[[Reading], T]) -> T:
        """Run a read on the next free connection."""
        reader = await self._free.get()
        try:
            return await reader.run(work)
        finally:
            self._free.put_nowait(reader)

    async def close(self) -> None:
        """Close every connection."""
        for reader in self._open:
            await reader.close()
