"""Stores without a room around them, for tests: acts that wait for the writer, batches that a test makes, faults."""

import asyncio
import contextlib
import secrets
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from teamroom.server.acts.members.members import open_room
from teamroom.server.facts.task import ROOM_AUTHOR
from teamroom.server.facts.wakes import wake_members
from teamroom.server.private import write_private
from teamroom.server.record import chain as log
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.engine import ROOMS_TURN, CarryOut, Store, Turn
from teamroom.server.store.sqlite.connect import connect_writer
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.statements import sqlite_statements
from teamroom.server.store.transaction import Context, Effects, Reading, Writing
from tests.support.bounds import BOUND_SECONDS
from tests.support.databases import lay_down
from tests.support.engines import SQLITE, Engine

NOW = 1_795_000_000.0

TURNS = 5
"""After so many turns of the event loop, whatever was begun has gone as far as it can."""


@dataclass
class Bench:
    """A room's store without a room around it, and a barrier at which an act holds the writer up."""

    store: Any
    """A `Store`; tests of one engine use what only that one has."""
    folder: Path
    engine: Engine
    loop: asyncio.AbstractEventLoop
    caused: list[Effects] = field(default_factory=list)
    callers: list[asyncio.Task[Any]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    barrier: threading.Event = field(default_factory=threading.Event)

    def write(
        self, work: Callable[[Writing], Any], recover: Callable[..., Any] | None = None, turn: Turn = ROOMS_TURN
    ) -> asyncio.Task[Any]:
        """Let an act wait for the writer; its task is what the caller gets."""
        task = self.loop.create_task(self._answer(work, recover or reraise, turn))
        self.callers.append(task)
        return task

    async def _answer(self, work: Callable[[Writing], Any], recover: Callable[..., Any], turn: Turn) -> Any:
        async with asyncio.timeout(BOUND_SECONDS):
            result, _ = await self.store.write(work, recover, turn=turn)
        return result

    def entry(self, name: str, text: str = "") -> Callable[[Writing], int]:
        """An act of three statements: an entry in the log, a task's number, and a wake."""

        def work(tx: Writing) -> int:
            self.runs.append(name)
            seq = log.append(tx, ROOM_AUTHOR, act="test", subject=name, summary=name, detail={"text": text})
            wake_members(tx, [2], reason="control", subject=name, sender=1, line=name)
            return seq

        return work

    def held(self, work: Callable[[Writing], Any]) -> Callable[[Writing], Any]:
        """The same act, but the first time it runs the writer waits at the barrier."""

        def waiting(tx: Writing) -> Any:
            self.reached.set()
            assert self.barrier.wait(BOUND_SECONDS)
            return work(tx)

        return waiting

    async def until_reached(self) -> None:
        """Wait until an act holds the writer at the barrier."""
        await asyncio.to_thread(self.reached.wait, BOUND_SECONDS)

    async def let_go(self) -> None:
        """Open the barrier once everything that was begun waits behind it."""
        await handed_over()
        self.barrier.set()

    async def batch(self, *works: Callable[[Writing], Any] | tuple[Callable[..., Any], ...]) -> list[Any]:
        """Acts that share one transaction: the first holds the writer until all the others wait."""
        self.reached.clear()
        self.barrier.clear()
        pairs = [work if isinstance(work, tuple) else (work, reraise) for work in works]
        first = self.write(self.held(pairs[0][0]), pairs[0][1])
        await asyncio.to_thread(self.reached.wait, BOUND_SECONDS)
        rest = [self.write(work, recover) for work, recover in pairs[1:]]
        await handed_over()
        self.barrier.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    def turns(self) -> None:
        """On the writer's thread: wait until the event loop has done what it was given before, and what followed."""
        for _ in range(TURNS):
            turned = threading.Event()
            self.loop.call_soon_threadsafe(turned.set)
            assert turned.wait(BOUND_SECONDS)

    def logged(self) -> list[str]:
        """The names of the acts in the log, in order."""
        return [row["subject"] for row in self.look("select subject from log where act = 'test' order by seq")]

    def nudges(self) -> list[set[int]]:
        """Whom the acts woke after their commit."""
        return [effects.woken for effects in self.caused if effects.woken]

    def woken(self) -> list[str]:
        """The names of the acts that woke somebody, in order."""
        return [row["subject"] for row in self.look("select subject from wake order by seq")]

    def look(self, sql: str) -> list[Any]:
        """What a statement finds that was committed."""
        return self.engine.look(self.folder, sql)


async def handed_over() -> None:
    """Wait until every act that was begun is with the writer."""
    for _ in range(TURNS):
        await anyio.lowlevel.checkpoint()


def reraise(tx: Writing, error: Exception) -> None:
    raise error


@contextlib.asynccontextmanager
async def open_store(
    folder: Path,
    engine: Engine = SQLITE,
    carry_out: CarryOut | None = None,
    write_down: CarryOut = lambda _: None,
    **settings: Any,
) -> AsyncIterator[Bench]:
    """A store of a new room; a batch may take long, so that a test decides what shares one."""
    caused: list[Effects] = []
    store = make_store(folder, engine, carry_out or caused.append, write_down, **settings)
    await store.open()
    await store.create(lambda tx: open_room(tx, "olga"), log.FIRST_HASH)
    write_private(folder / data_folder.KEY, "00" * 32)
    bench = Bench(store, folder, engine, asyncio.get_running_loop(), caused)
    try:
        yield bench
    finally:
        bench.barrier.set()
        await store.close()


COUNT_UPTO = (
    "with recursive n (i) as (select 1 as i union all select i + 1 from n where i < :upto) select count(*) as n from n"
)
"""A statement of tests, named `count_upto`: it reads for as long as a test wants, and writes nothing."""

WAKE_UPTO = (
    "insert into wake (member, seq, reason, subject, sender, line) "
    "select 2, n.i, 'control', 'x', 1, 'x' from "
    "(with recursive m (i) as (select 1 as i union all select i + 1 from m where i < :upto) select i from m) as n"
)
"""Another, named `wake_upto`: it writes for as long as a test wants."""

TEST_STATEMENTS = {"count_upto": COUNT_UPTO, "wake_upto": WAKE_UPTO}


def make_store(
    folder: Path,
    engine: Engine = SQLITE,
    carry_out: CarryOut = lambda _: None,
    write_down: CarryOut = lambda _: None,
    **settings: Any,
) -> Store:
    """A store that is not open yet, in a folder that is made if there is none."""
    data_folder.make_private(folder)
    found = Settings(**{"batch_seconds": 1, **engine.settings, **settings})

    def context(statements: Mapping[str, str]) -> Context:
        known = {**statements, **TEST_STATEMENTS}
        return Context(known, found, secrets.token_bytes, lambda: NOW, write_down=write_down)

    return engine.choose(folder, context, carry_out)


async def limit_pages(store: SqliteStore, spare: int) -> None:
    """Let the database grow by so many pages and no more."""

    def work(tx: Writing) -> None:
        connection = store.committer.connection
        used = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {used + spare}")

    await store.write(work, reraise)


def interrupt_a_write(bench: Bench) -> None:
    """On the writer's thread: a statement that changes rows is interrupted, so SQLite ends the transaction."""
    connection = bench.store.committer.connection
    connection.set_progress_handler(lambda: 1, 1)
    try:
        with pytest.raises(sqlite3.OperationalError, match="interrupted") as interrupted:
            connection.execute(
                "insert into wake (member, seq, reason, subject, sender, line) "
                "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000) "
                "select 2, i, 'control', 'x', 1, 'x' from n"
            )
    finally:
        connection.set_progress_handler(None, 1)
    assert not connection.in_transaction
    raise interrupted.value


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[Reading]:
    """A read of a new, empty database, without a store around it."""
    lay_down(folder)
    with contextlib.closing(connect_writer(folder / "room.db")) as connection:
        yield Reading(connection, Context(sqlite_statements(), Settings(), secrets.token_bytes, lambda: NOW))
