"""What keeps the rooms of models: files of SQLite, or schemas of one PostgreSQL database.

A place is a folder. SQLite has its files there; for PostgreSQL it holds the name of a schema. The stores have no
threads: an act is committed where it is asked for.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Coroutine, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from teamroom.server.store import folder as data_folder
from teamroom.server.store.engine import CarryOut, Recover, Turn, Vouch, Work
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_reader as connect_reader_of_postgres
from teamroom.server.store.postgres.connect import connect_writer as connect_writer_of_postgres
from teamroom.server.store.postgres.connect import snapshot
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.sqlite.connect import connect_writer
from teamroom.server.store.sqlite.readers import Readers
from teamroom.server.store.sqlite.store import SqliteStore, in_one_transaction
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.transaction import Context, Head, Reading, Writing
from teamroom.server.store.writer import CHECKPOINT_COMMITS, Writer
from tests.support import schemas
from tests.support.databases import lay_down
from tests.support.postgres import as_postgres

FILES = ("room.db", "room.db-wal")

NAME_FILE = "schema"
"""The file in a place that names its schema."""

READ_SECONDS = 60.0
"""How long an act or a read of a model may take on PostgreSQL: what they cost is tested elsewhere."""


class ModelStore(Protocol):
    """A store without threads: none of its methods waits, apart from the database."""

    @property
    def connection(self) -> Any:
        """The connection that writes."""
        ...

    def look(self, sql: str) -> list[tuple[Any, ...]]:
        """What a statement of a model finds there."""
        ...

    async def open(self) -> None: ...

    async def create(self, work: Callable[[Writing], Any], first_hash: str) -> Any: ...

    async def look_up(self, work: Callable[[Reading], Any]) -> Any: ...

    async def close(self) -> None: ...


class Engine(Protocol):
    """An engine, as a world uses it."""

    name: str

    @property
    def statements(self) -> Mapping[str, str]:
        """Its statements, without a fault."""
        ...

    def make(self, place: Path) -> None:
        """Make an empty room in a new place."""
        ...

    def copy(self, place: Path, into: Path) -> Path:
        """Copy a room that may be open into a new place; returns that."""
        ...

    def after_kill(self, place: Path, into: Path) -> Path:
        """What a server that is killed leaves; returns the place where it is."""
        ...

    def open(self, place: Path, context: Context, carry_out: CarryOut) -> Any:
        """A `ModelStore` of a place, which is not open yet."""
        ...

    def rewrite(self, place: Path, context: Context, work: Callable[[Writing], Any]) -> Any:
        """Carry out an act in a place that no server has open; returns its result."""
        ...

    def remove(self, folder: Path) -> None:
        """Remove all places in a folder."""
        ...


# ------------------------------------------------------------------ SQLite


class Files:
    """SQLite: a kill leaves the files as they are, the write-ahead log not checkpointed."""

    name = "sqlite"

    @property
    def statements(self) -> Mapping[str, str]:
        return sqlite_statements()

    def make(self, place: Path) -> None:
        data_folder.make_private(place)
        lay_down(place)

    def copy(self, place: Path, into: Path) -> Path:
        data_folder.make_private(into)
        for name in FILES:
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(place / name, into / name)  # with its mode, so that it stays private
        return into

    def after_kill(self, place: Path, into: Path) -> Path:
        return self.copy(place, into)

    def open(self, place: Path, context: Context, carry_out: CarryOut) -> "StoreWithoutThreads":
        return StoreWithoutThreads(place, context, carry_out)

    def rewrite(self, place: Path, context: Context, work: Callable[[Writing], Any]) -> Any:
        with closing(connect_writer(place / FILES[0])) as opened:
            return in_one_transaction(opened, context, work)

    def remove(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)


class WriterWithoutThread(Writer):
    """Commits each act by itself, before `run` returns, and has checkpoints as often as under load."""

    def start(self) -> None:
        self.loop = model_loop
        self.committer.open()
        self._commits = 0

    async def run(self, work: Work, recover: Recover, when_full: bool, turn: Turn) -> tuple[Any, int]:
        job = self.take_in(self.loop, work, recover, when_full, turn)
        self.answer_now(self.committer.commit_batch(job, lambda: None))
        self._commits += 1
        if self._commits >= CHECKPOINT_COMMITS:
            self.committer.checkpoint("checkpoint")
            self._commits = 0
        return await job.answer

    def stop(self) -> None:
        self.committer.close()


class WriterOfFiles(WriterWithoutThread):
    """Leaves the write-ahead log where it is, as a kill does."""

    def stop(self) -> None:
        self.committer.connection.close()  # type: ignore[attr-defined]


class NoReaders(Readers):
    """Opens none: reads run where small ones do."""

    async def open(self, connect: Any) -> None:
        pass


class StoreWithoutThreads(SqliteStore):
    """The room's store, its acts and reads done where they are asked for."""

    def __init__(self, folder: Path, context: Context, carry_out: CarryOut) -> None:
        super().__init__(folder, context, carry_out, make_writer=WriterOfFiles)
        self.reads.readers = NoReaders(context, lambda: self.committer.changes)

    @property
    def connection(self) -> Any:
        """The connection that writes."""
        return self.committer.connection

    def look(self, sql: str) -> list[tuple[Any, ...]]:
        """What a statement of a model finds."""
        return [tuple(row) for row in self.committer.connection.execute(sql)]

    async def read(self, work: Callable[[Reading], Any], is_small: bool, member: int | None = None, **more: Any) -> Any:
        return await super().read(work, True, member, **more)


# ------------------------------------------------------------------ PostgreSQL


class Schemas:
    """PostgreSQL: a kill ends the connections, and leaves what was committed."""

    name = "postgres"

    @property
    def statements(self) -> Mapping[str, str]:
        return postgres_statements()

    def make(self, place: Path) -> None:
        data_folder.make_private(place)
        (place / NAME_FILE).write_text(schemas.take())

    def copy(self, place: Path, into: Path) -> Path:
        self.make(into)
        schemas.copy(_schema(place), _schema(into))
        return into

    def after_kill(self, place: Path, into: Path) -> Path:
        return place

    def open(self, place: Path, context: Context, carry_out: CarryOut) -> "PostgresWithoutThreads":
        return PostgresWithoutThreads(_address(place), context, carry_out)

    def rewrite(self, place: Path, context: Context, work: Callable[[Writing], Any]) -> Any:
        run = context.statements
        with closing(connect_writer_of_postgres(_address(place), READ_SECONDS)) as session:
            session.script("begin")
            row = session.execute(run["lock_head"], {}).fetchone()
            assert row is not None
            tx = Writing(session, context, Head(*row))
            result = work(tx)
            tx.end()
            session.execute(run["save_head"], tx.head.values())
            session.script(run["commit"])
        return result

    def remove(self, folder: Path) -> None:
        for file in folder.rglob(NAME_FILE):
            schemas.give_back(file.read_text())
        shutil.rmtree(folder, ignore_errors=True)


class PostgresWithoutThreads(PostgresStore):
    """The room's store on PostgreSQL, its acts and reads done where they are asked for; it hears of no other server."""

    def __init__(self, address: Address, context: Context, carry_out: CarryOut) -> None:
        super().__init__(address, context, carry_out, make_writer=WriterWithoutThread)
        self._reader: Session | None = None

    @property
    def connection(self) -> Any:
        """The connection that writes."""
        return self.committer.session

    def look(self, sql: str) -> list[tuple[Any, ...]]:
        """What a statement of a model finds."""
        return self.committer.session.execute(as_postgres(sql), {}).fetchall()

    async def open(self, vouch: Vouch = lambda tx: None, before_migrating: Callable[[], None] = lambda: None) -> None:
        self.writer.start()
        self.committer.session.script("set synchronous_commit to off")  # what a disk does is tested elsewhere
        self._reader = connect_reader_of_postgres(self.address, READ_SECONDS)

    async def create(self, work: Callable[[Writing], Any], first_hash: str) -> Any:
        run, session = self.context.statements, self.committer.session
        session.script("begin")
        session.execute(run["open_head"], {"created_at": self.context.clock(), "hash": first_hash})
        row = session.execute(run["lock_head"], {}).fetchone()
        assert row is not None
        tx = Writing(session, self.context, Head(*row))
        result = work(tx)
        tx.end()
        session.execute(run["save_head"], tx.head.values())
        session.script(run["commit"])
        self.committer.last = tx.head.copy()
        return result

    async def read(self, work: Callable[[Reading], Any], is_small: bool, member: int | None = None, **more: Any) -> Any:
        assert self._reader is not None
        if (begins := more.get("begins")) is not None:
            begins()
        with snapshot(self._reader) as version:
            return work(Reading(self._reader, self.context, version))

    async def look_up(self, work: Callable[[Reading], Any]) -> Any:
        assert self._reader is not None
        return work(Reading(self._reader, self.context))

    async def close(self) -> None:
        self.writer.stop()
        if self._reader is not None:
            self._reader.close()


def _schema(place: Path) -> str:
    return (place / NAME_FILE).read_text()


def _address(place: Path) -> Address:
    return Address.parse(schemas.address_of(_schema(place)))


def run_at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something that nobody does")


model_loop = asyncio.new_event_loop()
"""Futures want one; it runs for a tick of the supervisor, which never waits."""

ENGINES: Mapping[str, Engine] = {engine.name: engine for engine in (Files(), Schemas())}
