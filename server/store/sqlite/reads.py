"""What one event loop reads with: a connection for small reads on the loop itself, and readers on threads."""

import sqlite3
from collections.abc import Callable, Set
from typing import TypeVar

from teamroom.server.store.engine import StorageError, TooLargeError, nothing
from teamroom.server.store.sqlite.faults import as_storage_error
from teamroom.server.store.sqlite.readers import Readers
from teamroom.server.store.sqlite.steps import SteppedConnection
from teamroom.server.store.transaction import Context, Reading

T = TypeVar("T")

SMALL_READ_STEPS = 100_000
"""Steps that a read takes on the event loop at most: a few milliseconds."""


class Reads:
    """Runs the reads of one event loop. `note_failure` gets each error of SQLite, which may be damage.

    `changes`: how many transactions have changed what reads find. It has risen before anybody is answered whose act
    a read would show. `identities`: the same of those that changed whom a token identifies.
    """

    def __init__(
        self,
        context: Context,
        note_failure: Callable[[sqlite3.Error], None],
        changes: Callable[[], int],
        identities: Callable[[], int],
    ) -> None:
        self._context = context
        self._note_failure = note_failure
        self._changes, self._identities = changes, identities
        self.readers = Readers(context, changes)
        self._direct: SteppedConnection | None = None

    async def open(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Open every connection. Raises sqlite3.Error."""
        await self.readers.open(connect)
        self._direct = SteppedConnection(connect(), SMALL_READ_STEPS)

    async def read(
        self,
        work: Callable[[Reading], T],
        is_small: bool,
        member: int | None = None,
        begins: Callable[[], object] = nothing,
    ) -> T:
        """Run a read in one snapshot: a small one on the event loop, one that may scan on a reader's thread.

        A thread gives up the interpreter with every row it fetches, and waits to get it back. A page of
        fifty rows costs three times as much there as on the event loop. A read that takes more than
        `SMALL_READ_STEPS` on the event loop runs again on a reader's thread.
        """
        connection = self.open_connection()
        begins()
        if is_small:
            try:
                return self._in_snapshot(connection, work)
            except TooLargeError:
                pass
        try:
            return await self.readers.run(work, member)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read on the event loop itself, which costs less than the way to a thread and back."""
        return self._on_loop(self.open_connection(), work)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running."""
        self.readers.end(members)

    @property
    def version(self) -> int:
        """The version of a read that would begin now: the number of changes."""
        return self._changes()

    @property
    def identity_version(self) -> int:
        """How many transactions changed whom a token identifies."""
        return self._identities()

    async def close(self) -> None:
        """Close every connection, once the reads that are running have ended."""
        await self.readers.close()
        if self._direct is not None:
            self._direct.connection.close()
            self._direct = None

    def _in_snapshot(self, connection: SteppedConnection, work: Callable[[Reading], T]) -> T:
        statements, version = self._context.statements, self.version  # what it sees is no older
        try:
            connection.execute(statements["begin_read"], {})
            try:
                return self._on_loop(connection, work, version)
            finally:
                connection.execute(statements["rollback"], {})
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _on_loop(self, connection: SteppedConnection, work: Callable[[Reading], T], version: int | None = None) -> T:
        """Run a read on the event loop, with a budget of steps. Raises TooLargeError, StorageError."""
        connection.begin()
        try:
            return work(Reading(connection, self._context, version))
        except sqlite3.Error as error:
            if connection.has_ended(error):
                raise TooLargeError(f"it takes more than {SMALL_READ_STEPS} steps of the database") from None
            raise self._failed(error) from error
        finally:
            connection.end()

    def _failed(self, error: sqlite3.Error) -> StorageError:
        self._note_failure(error)
        return as_storage_error(error)

    def open_connection(self) -> SteppedConnection:
        """The connection for small reads on the event loop. Raises StorageError once it is closed."""
        if self._direct is None:
            raise StorageError("the store is closed")
        return self._direct
