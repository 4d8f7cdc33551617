"""A PostgreSQL server for tests, and a database of its own for each place that a test makes."""

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from teamroom.server.store.folder import make_private
from teamroom.server.store.postgres import link
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_writer, migrate
from tests.support.own_postgres import start_own

ADDRESS = "postgresql://postgres@127.0.0.1:5432/postgres"
"""Where a server is looked for, unless TEAMROOM_TEST_DATABASE names another."""

NAME_FILE = "database"
"""The file in a room's data folder that names its database, or has its address, so that a test finds it again."""


SLOW_SECONDS = 20.0
"""How long a database may be silent that other tests keep busy."""

_FROM_JSON = re.compile(r"((?:\w+\.)?\w+) ->>")


def as_postgres(sql: str) -> str:
    """A statement of a test for PostgreSQL: texts that hold JSON need a cast, and rows are in order of their place."""
    return _FROM_JSON.sub(r"cast(\1 as json) ->>", sql).replace("rowid", "ctid")


@cache
def find_server() -> str | None:
    """The address of a server that tests may use; None if none can be reached or started."""
    for address in (os.environ.get("TEAMROOM_TEST_DATABASE"), ADDRESS):
        if address is not None and _answers(address):
            return address
    return start_own()


def require_server() -> str:
    """The address of a server; skips the test, with a line in the summary, where there is none."""
    address = find_server()
    if address is None:
        pytest.skip("no PostgreSQL at TEAMROOM_TEST_DATABASE or 127.0.0.1:5432, and no initdb: PostgreSQL is untested")
    return address


def _answers(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def address_of(place: Path) -> str:
    """The address of the database that belongs to a room's data folder; it is made if there is none."""
    file = place / NAME_FILE
    if not file.exists():
        file.write_text(make_database())
    named = file.read_text()
    return named if "://" in named else address_at(named)


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """Let a database be slow while other tests make and drop theirs, except where a test is about one that is."""
    with mock.patch.multiple(link, ANSWER_SECONDS=SLOW_SECONDS, SILENT_SECONDS=SLOW_SECONDS):
        yield


def make_database() -> str:
    """Make a database of this release in which no room was made yet; returns its name."""
    name = f"teamroom_test_{secrets.token_hex(8)}"
    _administer(f"create database {name} template {_migrated()}")
    _made.append(name)
    return name


def keep_database() -> str:
    """Make an empty database that is dropped when the tests end; returns its name."""
    name = f"teamroom_test_{secrets.token_hex(8)}"
    _administer(f"create database {name} template template0 encoding 'UTF8'")
    _kept.append(name)
    return name


@cache
def _migrated() -> str:
    """A database to copy: the migrations cost more than most tests do."""
    name = keep_database()
    with contextlib.closing(connect_writer(Address.parse(address_at(name)), 60)) as session:
        migrate(session, 0.0)
    return name


def drop_databases() -> None:
    """Drop every database that was made since this was done last."""
    while _made:
        _administer(f"drop database if exists {_made.pop()} with (force)")


def drop_all() -> None:
    """Drop what is left when the tests end."""
    _made.extend(_kept)
    _kept.clear()
    _migrated.cache_clear()
    drop_databases()


_made: list[str] = []
_kept: list[str] = []


def _administer(statement: str) -> None:
    with psycopg.connect(require_server(), autocommit=True) as connection:
        connection.execute(statement.encode())


def address_at(name: str) -> str:
    """The address of a database on the server that tests use."""
    given = conninfo_to_dict(require_server())
    password = f":{given['password']}" if given.get("password") else ""
    host, port = given.get("host") or "127.0.0.1", given.get("port") or 5432
    return f"postgresql://{given.get('user') or 'postgres'}{password}@{host}:{port}/{name}"


class NamedRow(tuple[Any, ...]):
    """A row whose values are found by number and by name, as SQLite's rows are."""

    names: tuple[str, ...]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.names.index(key) if isinstance(key, str) else key)


def named_row(cursor: Any) -> Callable[[Sequence[Any]], NamedRow]:
    """A row factory of psycopg."""
    names = tuple(column.name for column in cursor.description or ())
    kind = type("NamedRow", (NamedRow,), {"names": names})
    return lambda values: kind(values)


def keep_in_database(place: Path, address: str | None = None) -> None:
    """Let the room of a new data folder be kept in a database: a new one, or the one at an address."""
    make_private(place)
    (place / NAME_FILE).write_text(address or make_database())


def is_in_database(place: Path) -> bool:
    """Whether a room's data folder names a database."""
    return (place / NAME_FILE).exists()


@contextlib.contextmanager
def connected(place: Path) -> Iterator[psycopg.Connection[Any]]:
    """A connection of a test's own to the database of a room's data folder."""
    with psycopg.connect(address_of(place), autocommit=True, row_factory=dict_row) as connection:
        yield connection
