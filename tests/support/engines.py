"""The database engines, as tests handle them. A second engine is one more entry of `ENGINES`."""

import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teamroom.server.app import ChooseEngine, sqlite_engine
from teamroom.server.store.folder import DATABASE
from teamroom.server.store.sqlite.commit import Committer
from teamroom.server.store.sqlite.connect import connect_writer, migrate
from teamroom.server.store.sqlite.store import MakeCommitter, MakeWriter, SqliteStore
from teamroom.server.store.sqlite.writer import Writer
from teamroom.server.store.statements import sqlite_statements
from tests.campaigns.invariants import rows


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

ENGINES = (SQLITE,)


def sqlite_with(make_committer: MakeCommitter = Committer, make_writer: MakeWriter = Writer) -> Engine:
    """The SQLite engine with a fault built in."""
    return altered(lambda *made: SqliteStore(*made, make_committer, make_writer))


def altered(make: Callable[..., SqliteStore]) -> Engine:
    """The SQLite engine with another store, made of its folder, context and `CarryOut`."""

    def choose(folder: Path, make_context: Any, carry_out: Any) -> SqliteStore:
        return make(folder, make_context(sqlite_statements()), carry_out)

    return Engine("altered sqlite", choose, rows, _change, _holds, _refused_statements)
