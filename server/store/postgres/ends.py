"""A room in PostgreSQL as the source or the target of a copy."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter

import psycopg

from teamroom.server.store.copying import PAGE_ROWS, CopyError, Row
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import connect_reader, connect_writer, has_room, migrate
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.postgres.stopped import opened
from teamroom.server.store.postgres.words import as_vector
from teamroom.server.store.transaction import Context, Reading

READ_SECONDS = 3600.0
"""How long the statements of a copy may read."""

WORDS = ("message_words", "task_words")
"""The tables of the search. A copy builds them again from the texts."""


@contextmanager
def open_source(address: Address, context: Context) -> Iterator["PostgresSource"]:
    """The room at an address, to be copied. Raises CopyError, StorageError."""
    with opened(connect_reader, address, READ_SECONDS) as session:
        if not has_room(session):
            raise CopyError(f"There is no room at {address}")
        if session.execute(context.statements["count_servers"], {}).fetchall()[0][0]:
            raise CopyError("A server has the room open. Stop every server of it first")
        yield PostgresSource(session, context)


@contextmanager
def open_target(address: Address, context: Context, now: float) -> Iterator["PostgresTarget"]:
    """An empty database, into which a room is copied: kept if the block succeeds. Raises CopyError, StorageError."""
    with opened(connect_writer, address, READ_SECONDS) as session:
        migrate(session, now)
        if session.execute(context.statements["read_head"], {}).fetchone() is not None:
            raise CopyError(f"There is a room at {address} already. Name an empty database")
        target = PostgresTarget(session, context)
        yield target
        session.script(context.statements["commit"])
        with contextlib.suppress(psycopg.Error):  # or the database does it by itself, a minute later
            session.script(f"vacuum (analyze) {', '.join((*target.columns(), *WORDS))}")


class PostgresSource:
    """A database that is read in one snapshot."""

    def __init__(self, session: Session, context: Context) -> None:
        self.session, self._run, self._context = session, context.statements, context
        session.script(self._run["begin_read"])

    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of each table."""
        found: dict[str, tuple[str, ...]] = {}
        for (place,) in self.session.execute(self._run["table_places"], {}).fetchall():
            table, _, column = place.partition(".")
            if table not in WORDS:
                found[table] = (*found.get(table, ()), column)
        return found

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.session.execute(f"select count(*) from {table}", {}).fetchall()[0][0])

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[list[Row]]:
        """The rows of a table, a page at a time."""
        self.session.script(f"declare copied cursor for select {', '.join(columns)} from {table}")
        while page := self.session.script(f"fetch {PAGE_ROWS} from copied").fetchall():
            yield page
        self.session.script("close copied")


class PostgresTarget(PostgresSource):
    """A database of this release in which no room was made, in a transaction that writes."""

    def __init__(self, session: Session, context: Context) -> None:
        self.session, self._run, self._context = session, context.statements, context
        session.script("begin")

    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of each table, in an order in which a table follows those that it refers to. Raises CopyError."""
        found = super().columns()
        needed: dict[str, set[str]] = {table: set() for table in found}
        for one, other in self.session.execute(self._run["references"], {}).fetchall():
            if one in found and other in found and other != one:
                needed[one].add(other)
        try:
            return {table: found[table] for table in TopologicalSorter(needed).static_order()}
        except CycleError as error:
            tables = ", ".join(sorted(set(error.args[1])))
            raise CopyError(f"These tables refer to each other, so none can be first: {tables}") from None

    def clear(self, table: str) -> None:
        """Delete the rows that the engine has made in a table."""
        self.session.script(f"delete from {table}")

    def insert(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Add rows to a table."""
        names = ", ".join(columns)
        sql = f"insert into {table} ({names}) select {names} from json_populate_recordset(null::{table}, :rows)"
        self.session.execute(sql, {"rows": _as_json(columns, rows)})

    def put(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Set columns of the rows with an id; each row begins with it."""
        sets = ", ".join(f"{column} = found.{column}" for column in columns[1:])
        sql = (
            f"update {table} set {sets} from json_populate_recordset(null::{table}, :rows) as found "
            f"where {table}.{columns[0]} = found.{columns[0]}"
        )
        self.session.execute(sql, {"rows": _as_json(columns, rows)})

    def index_words(self) -> None:
        """Make the words of all texts searchable."""
        for index, texts in (
            ("index_messages", "id, summary, text from message"),
            ("index_tasks", "id, title, detail from task"),
        ):
            self.session.script(f"declare indexed cursor for select {texts}")
            while page := self.session.script(f"fetch {PAGE_ROWS} from indexed").fetchall():
                words = [(id_, as_vector(fields)) for id_, *fields in page]
                self.session.execute(self._run[index], {"rows": json.dumps(words)})
            self.session.script("close indexed")
        self.session.script("delete from unindexed_task")

    def reading(self) -> Reading:
        """What was written so far, to be verified."""
        return Reading(self.session, self._context)


def _as_json(columns: Sequence[str], rows: list[Row]) -> str:
    return json.dumps([dict(zip(columns, row, strict=True)) for row in rows])
