"""One connection to PostgreSQL as transactions use it: each statement is prepared once, and no wait is endless.

A statement whose outcome nobody needs at once is deferred: it is sent with the next one, in one round trip (libpq's
pipeline mode). If it fails, that one does not run and raises the error.

The wait for an answer is cut into slices. Between two of them, the session looks whether its SELECTs have used up their
time, or somebody ended the read; then it asks the server to cancel the statement, and goes on waiting for its end.
"""

import contextlib
import itertools
import math
import select
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NoReturn

import psycopg
from psycopg import pq
from psycopg.adapt import Loader, Transformer
from psycopg.errors import error_from_result

from teamroom.server.store.batches import OvertakenError
from teamroom.server.store.engine import StorageError, TooLargeError
from teamroom.server.store.postgres.translate import translate
from teamroom.server.store.statements import is_select

SLICE_SECONDS = 0.05
"""How often a session looks whether its statement is to be ended."""

CANCEL_SECONDS = 0.5
"""How long one try to cancel a statement may take, which needs a connection of its own."""

MOST_DEFERRED = 32
"""How many statements are deferred at most."""

WAITS_FOR: Mapping[int, int] = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
"""What a connection that is being made waits for at its socket."""

ENDED_SECONDS = 2.0
"""A statement that is to be ended and has not ended after this long shows that its connection is lost."""


def never() -> bool:
    """No act overtakes this one."""
    return False


class Flag(Loader):
    """A truth value, as SQLite has it: 1 or 0."""

    def load(self, data: Any) -> int:
        """Return the number."""
        return int(bytes(data) == b"t")


class Number(Loader):
    """A sum of whole numbers, or another exact number, as SQLite has it."""

    def load(self, data: Any) -> int | float:
        """Return a whole number where it is one."""
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


class Rows:
    """The outcome of a statement."""

    __slots__ = ("_result", "_transformer", "at", "loaded")

    def __init__(self, result: pq.abc.PGresult, transformer: Any) -> None:
        self._result, self._transformer = result, transformer
        self.loaded: list[tuple[Any, ...]] | None = None
        self.at = 0

    @property
    def rowcount(self) -> int:
        """How many rows a statement changed."""
        return self._result.command_tuples or 0

    @property
    def description(self) -> list[tuple[str]]:
        """The names of the columns, each in a sequence."""
        names = (self._result.fname(number) for number in range(self._result.nfields))
        return [((name or b"").decode(),) for name in names]

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, or None."""
        rows = self._load()
        self.at += 1
        return rows[self.at - 1] if self.at <= len(rows) else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        rows, at = self._load(), self.at
        self.at = len(rows)
        return rows[at:]

    def _load(self) -> list[tuple[Any, ...]]:
        if self.loaded is None:
            self._transformer.set_pgresult(self._result)
            self.loaded = self._transformer.load_rows(0, self._result.ntuples, tuple)
        return self.loaded


class Session:
    """A connection as a transaction uses it. Its SELECTs share a budget of seconds from `begin` to `end`."""

    newest: ClassVar[int] = 0
    """The number of the connection that this process opened last."""
    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self, connection: psycopg.Connection[Any], budget: float) -> None:
        Session.newest = next(Session._numbers)
        self.connection = connection
        self._pgconn = connection.pgconn
        self._budget, self._left = budget, math.inf
        self._is_overtaken: Callable[[], bool] = never
        self.ended: StorageError | None = None
        """Why the act or read was ended, if it was. Another thread may set it."""
        self.patience = math.inf
        """After how many seconds without an answer the connection counts as lost; a SELECT has its budget besides."""
        self.is_given_up = False
        """Whether somebody found that the server does not answer. Another thread may set it."""
        self._began, self._end = 0.0, math.inf
        """When the statement that runs began, and when it is cancelled, by the steady clock."""
        self._prepared: dict[str, bytes] = {}
        self._deferred: list[tuple[str, bytes, list[bytes | None]]] = []
        """The statements that are sent with the next one: the text, the name and the values of each."""
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(self._pgconn.socket, select.POLLIN)
        self._writable.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)
        connection.adapters.register_loader("bool", Flag)
        connection.adapters.register_loader("numeric", Number)
        self._transformer = Transformer.from_context(connection)

    @property
    def is_open(self) -> bool:
        """Whether the connection was not lost, as far as is known."""
        return self._pgconn.status == pq.ConnStatus.OK

    def is_alive(self) -> bool:
        """Whether the server has not closed this idle connection."""
        if self.is_given_up or not self.is_open:
            return False
        if self._readable.poll(0):  # an idle connection has nothing to say but its end, or a notice
            with contextlib.suppress(psycopg.OperationalError):
                self._pgconn.consume_input()
        return self.is_open

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open, or waits to be rolled back after an error."""
        return self._pgconn.transaction_status != pq.TransactionStatus.IDLE

    def begin(self, is_overtaken: Callable[[], bool] = never) -> None:
        """An act or a read begins, with its whole budget. It ends before its next SELECT once another overtakes it."""
        self._left, self.ended, self._is_overtaken = self._budget, None, is_overtaken

    def lift_limit(self) -> None:
        """Let the rest of it read as long as it needs."""
        self._left = math.inf

    def end(self) -> None:
        """It is over; nothing that follows counts."""
        self._left, self.ended, self._is_overtaken = math.inf, None, never

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> Rows:
        """Run one statement. Raises psycopg.Error, or the StorageError that ended the act or read."""
        translated = translate(sql)
        values = translated.encoded(parameters)
        is_read = is_select(sql)
        if is_read:
            self._require_time()
        name = self._prepared.get(sql) or self._prepare(sql, translated.text)
        budget = self._left if is_read else math.inf
        self._began = time.monotonic()
        try:
            if self._deferred:
                return self._together((sql, name, values), budget)
            self._pgconn.send_query_prepared(name, values)
            return self._rows(self._outcome(budget))
        finally:
            if is_read:
                self._left -= time.monotonic() - self._began

    def defer(self, sql: str, parameters: Mapping[str, Any], /) -> None:
        """Run one statement with the next one, which raises its error, or in `settle`. Raises psycopg.Error."""
        translated = translate(sql)
        values = translated.encoded(parameters)
        if len(self._deferred) >= MOST_DEFERRED:
            self.settle()
        self._deferred.append((sql, self._prepared.get(sql) or self._prepare(sql, translated.text), values))

    def settle(self) -> None:
        """Run what was deferred, if anything was. Raises psycopg.Error."""
        if self._deferred:
            self._began = time.monotonic()
            self._together(self._deferred.pop(), math.inf)

    def drop_deferred(self) -> list[str]:
        """Do not run what was deferred; returns the texts of these statements."""
        dropped = [sql for sql, _, _ in self._deferred]
        self._deferred.clear()
        return dropped

    def script(self, sql: str) -> Rows:
        """Run statements without parameters in one round trip; returns what the last one found."""
        self.settle()
        self._began = time.monotonic()
        self._pgconn.send_query(sql.encode())
        return self._rows(self._outcome(math.inf))

    def notified(self, seconds: float) -> list[str]:
        """Wait for messages of the channels that this listens to; returns what came. Raises psycopg.Error."""
        if self._readable.poll(seconds * 1000):
            self._pgconn.consume_input()
        found = []
        while (message := self._pgconn.notifies()) is not None:
            found.append(message.extra.decode())
        return found

    def close(self) -> None:
        """Disconnect."""
        self.connection.close()

    def _require_time(self) -> None:
        if self.ended is None and self._is_overtaken():
            self.ended = OvertakenError("another act overtakes it")
        if self.ended is not None:
            raise self.ended
        if self._left <= 0:
            self.ended = self._too_large()
            raise self.ended

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"it reads for more than {self._budget:g} s")

    def _prepare(self, sql: str, text: bytes) -> bytes:
        name, self._began = b"s%d" % len(self._prepared), time.monotonic()
        self._pgconn.send_prepare(name, text)
        self._rows(self._outcome(math.inf))
        self._prepared[sql] = name
        return name

    def _together(self, last: tuple[str, bytes, list[bytes | None]], budget: float) -> Rows:
        """Run what was deferred, and then this statement, in one round trip.

        The budget is the last one's alone: nobody cancels what was deferred, which may write.
        """
        before = self._deferred
        self._deferred = []
        try:
            self._pgconn.enter_pipeline_mode()
            for _, name, values in before:
                self._pgconn.send_query_prepared(name, values)
            if math.isfinite(budget):
                self._pgconn.send_flush_request()  # so that it is seen when the last one begins
            self._pgconn.send_query_prepared(*last[1:])
            self._pgconn.pipeline_sync()
            result = self._outcome_of_all(len(before), budget)
            if self.is_open:
                self._pgconn.exit_pipeline_mode()
        except BaseException:
            self.close()  # nobody knows which of them were sent
            raise
        return self._rows(result)

    def _rows(self, result: pq.abc.PGresult) -> Rows:
        """The rows of a result. Raises the error that it is."""
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = error_from_result(result)
            if error.sqlstate is None:  # libpq itself says it, because nobody answers any longer
                raise psycopg.OperationalError(str(error))
            if self.ended is not None and isinstance(error, psycopg.errors.QueryCanceled):
                raise self.ended
            raise error
        return Rows(result, self._transformer)

    def _outcome(self, budget: float) -> pq.abc.PGresult:
        """Wait for the last of a script's results, or the error that ended it. Raises OperationalError if it was lost.

        After `budget` seconds, a statement is cancelled.
        """
        last = None
        self._end = self._began + budget
        for result in self._results():
            if result is None:
                break
            last = result
        return last or self._lost()

    def _outcome_of_all(self, before: int, budget: float) -> pq.abc.PGresult:
        """The same of several statements, each of which is followed by None: the last result, or the first error.

        `before`: how many come before the last one, to which the budget belongs.
        """
        last = error = None
        ended, self._end = 0, math.inf
        for result in self._results():
            if result is None:
                if not self.is_open:
                    break
                ended += 1
                if ended == before:
                    self._began = time.monotonic()
                    self._end = self._began + budget
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            elif result.status == pq.ExecStatus.FATAL_ERROR:
                error = error or result
            else:
                last = result
        return error or last or self._lost()

    def _lost(self) -> NoReturn:
        raise psycopg.OperationalError(f"the connection was lost: {self._pgconn.get_error_message()}")

    def _results(self) -> Iterator[pq.abc.PGresult | None]:
        """What libpq returns, as it comes. Without an end: the caller knows which is the last one."""
        pgconn, is_cancelled, given_up_at = self._pgconn, False, math.inf
        self._flush(self._lost_at())
        while True:
            while pgconn.is_busy():
                left = SLICE_SECONDS if self.ended is not None else self._end - time.monotonic()
                if self._readable.poll(max(min(left, SLICE_SECONDS), 0) * 1000):
                    pgconn.consume_input()
                    continue
                self._require_answer(min(self._lost_at(), given_up_at))
                if not is_cancelled and self._is_to_be_ended(left):
                    given_up_at = min(given_up_at, time.monotonic() + ENDED_SECONDS)
                    is_cancelled = self._cancel()
            yield pgconn.get_result()

    def _lost_at(self) -> float:
        """When the connection counts as lost unless it answers."""
        return self.patience + (self._began if math.isinf(self._end) else self._end)

    def _flush(self, lost_at: float) -> None:
        """Send what was not sent yet."""
        while self._pgconn.flush():
            if self._writable.poll(SLICE_SECONDS * 1000):
                self._pgconn.consume_input()
            else:
                self._require_answer(lost_at)

    def _require_answer(self, lost_at: float) -> None:
        """Raise what ended the act or read, or OperationalError, if nobody waits for the server any longer.

        What a server was asked that does not answer anybody is not too large.
        """
        if not self.is_given_up and time.monotonic() < lost_at:
            return
        self.close()
        if self.ended is not None and not (self.is_given_up and isinstance(self.ended, TooLargeError)):
            raise self.ended
        raise psycopg.OperationalError("the server does not answer")

    def _cancel(self) -> bool:
        """Ask the server to cancel the statement; returns whether it was asked. Ends once the server is given up.

        libpq's older way to ask blocks every thread of this process while a server that stands still does not answer,
        and psycopg's blocks this one.
        """
        asking, until = self._pgconn.cancel_conn(), time.monotonic() + CANCEL_SECONDS
        state: int = pq.PollingStatus.WRITING  # libpq would wait itself if it were asked before that is possible
        try:
            asking.start()
            while state in WAITS_FOR and not self.is_given_up and time.monotonic() < until:
                ready = select.poll()
                ready.register(asking.socket, WAITS_FOR[state])
                if ready.poll(SLICE_SECONDS * 1000):
                    state = asking.poll()
            return state == pq.PollingStatus.OK
        except psycopg.OperationalError:
            return False
        finally:
            asking.finish()

    def _is_to_be_ended(self, left: float) -> bool:
        if left <= 0 and self.ended is None:
            self.ended = self._too_large()
        return self.ended is not None
