"""Counts the steps that SQLite takes for one act or read, and ends a SELECT that takes too many.

Only a SELECT is ever ended: SQLite rolls a whole transaction back when a statement that writes is interrupted. Steps
measure the work, never the machine: a crowded machine refuses nothing that an idle one carries out.
"""

import math
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from teamroom.server.store.statements import is_select

COUNTED_STEPS = 10_000
"""SQLite reports every so many steps of a statement. An act may take this much more than its budget."""


class SteppedConnection:
    """A connection as a transaction uses it. Its SELECTs share a budget of steps from `begin` to `end`."""

    def __init__(self, connection: sqlite3.Connection, budget: int) -> None:
        self.connection = connection
        self._budget = budget
        self._left = math.inf
        self._may_end = False
        self._before_writing: Callable[[], object] | None = None
        self.has_written = False
        """Whether a statement of the act that began last has written, or failed to."""
        self.watch()

    def watch(self) -> None:
        """Let SQLite report the steps of this connection here."""
        self.connection.set_progress_handler(self._count, COUNTED_STEPS)

    def begin(self, before_writing: Callable[[], object] | None = None) -> None:
        """An act or a read begins, with its whole budget.

        `before_writing` is called before its first statement that writes.
        """
        self._left = self._budget
        self._may_end, self.has_written = True, False
        self._before_writing = before_writing

    def lift_limit(self) -> None:
        """Let the rest of it take as many steps as it needs."""
        self._left = math.inf

    def end(self) -> None:
        """It is over; nothing that follows counts."""
        self._may_end = False

    def has_ended(self, error: BaseException) -> bool:
        """Whether a statement failed because the budget is spent."""
        return self._left < 0 and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> sqlite3.Cursor:
        """Run one statement; one that writes is never ended, and its steps do not count."""
        if is_select(sql):
            return self.connection.execute(sql, parameters)
        may_end, self._may_end = self._may_end, False
        try:
            if not self.has_written:
                self._note_writing()
            return self.connection.execute(sql, parameters)
        finally:
            self._may_end = may_end

    def _note_writing(self) -> None:
        if self._before_writing is not None:
            self._before_writing()
        self.has_written = True

    def _count(self) -> bool:
        if not self._may_end:
            return False
        self._left -= COUNTED_STEPS
        return self._left < 0
