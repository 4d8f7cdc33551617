"""The database engines, as tests handle them. A second engine is one more entry of `ENGINES`."""

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from teamroom.server.app import ChooseEngine, sqlite_engine
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_writer as connect_writer_of_postgres
from teamroom.server.store.postgres.connect import migrate as migrate_postgres
from teamroom.server.store.postgres.store import PostgresStore
from teamroom.server.store.postgres.translate import translate
from teamroom.server.store.sqlite.commit import Committer
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.sqlite.store import MakeCommitter, MakeWriter, SqliteStore
from teamroom.server.store.statements import postgres_statements, sqlite_statements
from teamroom.server.store.writer import Writer
from tests.campaigns.invariants import rows
from tests.support.postgres import address_of, connected, drop_databases, is_in_database, require_server


@dataclass(frozen=True)
class Engine:
    """An engine, and how a test looks at what it stores without it. A place is a room's data folder."""

    name: str
    choose: ChooseEngine
    look: Callable[[Path, str], list[Any]]
    """What a statement finds in a place on a connection of its own: what was committed, and nothing else."""
    change: Callable[[Path, str], None]
    """Run a statement in a place on a connection of its own, behind the back of the room's server."""
    holds: Callable[[Path, bytes], bool]
    """Whether anything that the engine keeps in a place still contains these bytes."""
    refused_statements: Callable[[Path, Mapping[str, str]], dict[str, str]]
    """Which of these statements the engine cannot prepare on a room of this release in an empty place, and why."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of this engine, with which the contract's tests run."""
    too_many: int = 200_000
    """How far a statement counts that takes more than one act may, with these settings."""

    marks: Sequence[Any] = ()
    """Marks of the tests that run on it."""
    require: Callable[[], object] = lambda: None
    """Skips the test where the engine has no server."""
    clean_up: Callable[[], object] = lambda: None
    """Removes what a test left in the engine's server."""

    def __str__(self) -> str:
        return self.name


def _holds(place: Path, content: bytes) -> bool:
    return any(content in path.read_bytes() for path in place.glob(f"{DATABASE}*"))


def _refused_statements(place: Path, statements: Mapping[str, str]) -> dict[str, str]:
    refused = {}
    with closing(connect_writer(place / DATABASE)) as connection:
        migrate(connection, 0.0)
        for name, text in statements.items():
            try:
                connection.execute(f"explain {text}", dict.fromkeys(re.findall(r"(?<!:):([a-z_]+)", text)))
            except sqlite3.Error as error:
                refused[name] = str(error)
    return refused


def _change(place: Path, statement: str) -> None:
    with closing(sqlite3.connect(place / DATABASE)) as connection, connection:
        connection.execute(statement)


SQLITE = Engine("sqlite", sqlite_engine, rows, _change, _holds, _refused_statements)


def _postgres_engine(folder: Path, make_context: Any, carry_out: Any) -> PostgresStore:
    return PostgresStore(Address.parse(address_of(folder)), make_context(postgres_statements()), carry_out)


def _look_in_postgres(place: Path, statement: str) -> list[Any]:
    with connected(place) as connection:
        return connection.execute(statement.encode()).fetchall()


def _change_in_postgres(place: Path, statement: str) -> None:
    with connected(place) as connection:
        connection.execute(statement.encode())


def _postgres_holds(place: Path, content: bytes) -> bool:
    """Whether any row of any table contains the words. What PostgreSQL keeps of earlier rows is not the room's."""
    with connected(place) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = current_schema()").fetchall()
        holding = "select 1 from {} as row where position(%s in row::text) > 0"
        return any(
            connection.execute(holding.format(table["tablename"]).encode(), [content.decode()]).fetchone()
            for table in tables
        )


def _refused_by_postgres(place: Path, statements: Mapping[str, str]) -> dict[str, str]:
    refused = {}
    with closing(connect_writer_of_postgres(Address.parse(address_of(place)), 60)) as session:
        migrate_postgres(session, 0.0)
        for name, text in statements.items():
            try:
                if not text.startswith("create"):
                    session.script(f"prepare refused as {translate(text).text.decode()}; deallocate refused")
            except psycopg.Error as error:
                refused[name] = str(error)
    return refused


POSTGRES = Engine(
    "postgres",
    _postgres_engine,
    _look_in_postgres,
    _change_in_postgres,
    _postgres_holds,
    _refused_by_postgres,
    settings={"act_read_seconds": 0.3, "read_seconds": 10},
    too_many=5_000_000,
    marks=(pytest.mark.postgres,),
    require=require_server,
    clean_up=drop_databases,
)

ENGINES = (SQLITE, POSTGRES)


def engine_of(place: Path) -> Engine:
    """The engine that keeps the room of a data folder: PostgreSQL if the folder names a database."""
    return POSTGRES if is_in_database(place) else SQLITE


def sqlite_with(make_committer: MakeCommitter = Committer, make_writer: MakeWriter = Writer) -> Engine:
    """The SQLite engine with a fault built in."""
    return altered(lambda *made: SqliteStore(*made, make_committer, make_writer))


def altered(make: Callable[..., SqliteStore]) -> Engine:
    """The SQLite engine with another store, made of its folder, context and `CarryOut`."""

    def choose(folder: Path, make_context: Any, carry_out: Any) -> SqliteStore:
        return make(folder, make_context(sqlite_statements()), carry_out)

    return Engine("altered sqlite", choose, rows, _change, _holds, _refused_statements)
