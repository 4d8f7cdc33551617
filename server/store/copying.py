"""Copies a whole room from one engine to another: every row as it is, so that numbers, hashes, fences and cursors stay.

The source is read in one snapshot. The target is written in one transaction, so it holds the whole room or none.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from teamroom.server.store.transaction import Reading

Row = tuple[Any, ...]
Progress = Callable[[int, int], None]
"""Gets how much is done, and how much there is."""

PAGE_ROWS = 500

NOT_COPIED = frozenset({"migration", "server", "lease", "unindexed_task"})
"""Tables of the database itself, and of servers that run."""

WHOLE = frozenset({"member"})
"""Tables whose rows refer to each other, so that they are written at once."""

DERIVED = ("waits", "first_need")
"""Columns of a task that the engine keeps up to date; they are written again once all that they count is there."""


class CopyError(Exception):
    """A room cannot be copied. The text says why; the target is unchanged."""


class Source(Protocol):
    """A room that is copied."""

    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of each table."""
        ...

    def count(self, table: str) -> int:
        """How many rows a table has."""
        ...

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[list[Row]]:
        """The rows of a table, a page at a time."""
        ...


class Target(Protocol):
    """An empty database of this release, in a transaction."""

    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of each table, in an order in which a table follows those that it refers to."""
        ...

    def clear(self, table: str) -> None:
        """Delete the rows that the engine has made in a table."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Add rows to a table."""
        ...

    def put(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Set columns of the rows with an id; each row begins with it."""
        ...

    def index_words(self) -> None:
        """Make the words of all texts searchable."""
        ...

    def reading(self) -> Reading:
        """What was written so far, to be verified."""
        ...


def copy_rows(source: Source, target: Target, progress: Progress) -> int:
    """Copy every row of a room; returns how many there are. Raises CopyError, and errors of the engines."""
    there, here = source.columns(), target.columns()
    tables = [table for table in here if table in there and table not in NOT_COPIED]
    for table in tables:
        if set(there[table]) != set(here[table]):
            raise CopyError(
                f"The table {table} differs, so both must be of this release. Open the room once, then copy it"
            )
    total, done = sum(map(source.count, tables)), 0
    for table in tables:
        target.clear(table)
        waiting: list[Row] = []
        for page in source.rows(table, here[table]):
            waiting += page
            done += len(page)
            if table not in WHOLE:
                target.insert(table, here[table], waiting)
                waiting = []
            progress(done, total)
        if waiting:
            target.insert(table, here[table], waiting)
    for page in source.rows("task", ("id", *DERIVED)):
        target.put("task", ("id", *DERIVED), page)
    target.index_words()
    return total
