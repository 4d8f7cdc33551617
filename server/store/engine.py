"""The contract between the room and its database engine. Nothing else of an engine is used outside `server/store`.

An engine stores one room. `server/app.py` chooses it, and `tests/store/test_engine_contract.py` holds every engine to
what this file says. The rules that all engines keep:

- **One lock.** Each act first locks the room's head row. So acts follow one another, their numbers have no gaps,
  and the number and hash of an entry come from that row.
- **Whole acts.** An act is one function, from its first statement to its last. A caller that goes away in the middle
  leaves the whole act or nothing.
- **Group commit.** An engine may commit several acts at once. An act that fails in such a batch is undone alone.
- **Commit, then effects, then the answer.** `CarryOut` gets an act's effects on the event loop, after the commit
  and before the caller of `write` gets its result. A caller that has left does not prevent them.
- **Rows by name.** A cursor returns rows in the order of the statement's columns, and its `description` names them.
  `Reading` makes typed rows of them, once the names are the fields. Nobody else sees an engine's rows.
- **One history.** Only the room writes its head row. If a transaction finds another head than the last one that this
  server read or wrote, that is damage. Where several servers share a room, the entries since then must chain from it.
- **Waiting.** Every method may wait for a network. The event loop runs meanwhile, so a result describes the past.
- **Errors.** An engine raises the errors of this file and no others, plus whatever the functions raise that it runs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from teamroom.server.store.transaction import Effects, Head, Reading, Writing

T = TypeVar("T")

Work = Callable[[Writing], Any]
"""An act. It may block, because it does not run on the event loop."""

Recover = Callable[[Writing, Exception], Any]
"""Runs in place of an act that raised: in the same transaction, after the act was undone."""

CarryOut = Callable[[Effects], None]
"""Carries out what an act causes outside the database. An error in it is logged, and the act remains."""

Vouch = Callable[[Reading | None], str | None]
"""What contradicts the room that a database holds, in words; None if nothing does. Gets None if it holds no room.

The database may be of an earlier release: it is read before it is migrated.
"""


CHANGED = "its head is not the one that this server wrote last: the database was changed behind the server's back"
"""The damage of a database whose head somebody else wrote."""


class StorageError(Exception):
    """The engine could not do its work: a lost connection, a closed store, a statement that failed.

    Any method may raise it. The transaction has then changed nothing, unless the connection was lost in the commit
    itself: then nobody knows, and a call that is repeated with its request id finds out.
    """


class DiskFullError(StorageError):
    """The disk has no space for what was to be written. Raised by `open`, `create` and `write`."""


class DamagedError(StorageError):
    """The database does not hold what the room wrote, so nothing is written to it.

    Raised by `write`, by a read that meets the damage, and by `open` if not even reading works.
    """


class NewerRoomError(StorageError):
    """A newer release wrote this room. Raised by `open`, which then has changed nothing."""


class QueueFullError(Exception):
    """`write` takes no act now: too many wait, or the store is closing. The act did not run."""


class Store(Protocol):
    """The store of one room: opened once, used by one event loop, closed once."""

    async def open(self, vouch: Vouch = ..., before_migrating: Callable[[], None] = ...) -> None:
        """Open the database and apply this release's migrations, forward only.

        `vouch` is asked before anything is changed. If it finds a contradiction, or the engine finds damage, the room
        is opened for reading only: see `damage`.
        `before_migrating` runs if an existing room is to be changed, and may block; nothing is changed if it raises.
        Nothing stays open if this method raises. Raises StorageError, DiskFullError, DamagedError, NewerRoomError.
        """
        ...

    async def create(self, work: Callable[[Writing], T], first_hash: str) -> T:
        """Write a new room's head row and its first acts, in one transaction; returns the result of `work`.

        Call it after `open`, if the database has no head row. No effects are carried out. Raises StorageError,
        DiskFullError, and what `work` raises; the database still has no room then.
        """
        ...

    async def close(self) -> None:
        """Finish the acts that wait, and close the database. Later calls raise StorageError or QueueFullError."""
        ...

    async def write(self, work: Work, recover: Recover, when_full: bool = False) -> tuple[Any, int]:
        """Run an act in a transaction; returns its result and the number of the log's end, both durable.

        If `work` raises, its changes are undone, and `recover` runs in its place. If that raises too, its changes are
        undone and the error goes to the caller. The functions may run twice; only the last run counts.
        `when_full` marks an act that may use the space reserved for a full disk, if the engine reserves some.
        Raises QueueFullError at once, StorageError, DiskFullError, DamagedError, and what `recover` raises.
        """
        ...

    async def read(self, work: Callable[[Reading], T], is_small: bool) -> T:
        """Run a read in one snapshot, which includes the caller's standing; returns its result.

        `is_small` marks a page that an index leads to; an engine may run it on the event loop. The snapshot holds
        every act that was answered before this call. Raises StorageError, DamagedError, and what `work` raises.
        """
        ...

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows, found by an index; returns its result.

        It is the cheapest read: each statement may have a snapshot of its own. It holds every act that was answered
        before this call. Raises StorageError, DamagedError, and what `work` raises.
        """
        ...

    @property
    def damage(self) -> str | None:
        """What is wrong with the database, in words; None if nothing was found. Nothing is written to a damaged one."""
        ...

    @property
    def is_writing(self) -> bool:
        """Whether the store is open and takes acts."""
        ...

    @property
    def committed(self) -> Head | None:
        """The head as of the last commit of this process that moved it."""
        ...

    @property
    def waiting(self) -> int:
        """How many acts wait to be committed."""
        ...

    @property
    def commits(self) -> int:
        """How many transactions this process has committed since it opened the room."""
        ...


@runtime_checkable
class InOneFile(Protocol):
    """Optional: the engine stores the room in one file in the data folder.

    Online copies, `restore` and `verify` work on that file (`sqlite/copy.py`). Its sizes are in the metrics.
    """

    @property
    def path(self) -> Path:
        """The database file."""
        ...

    @property
    def log_path(self) -> Path:
        """The engine's own write-ahead log, which is absent or empty at times."""
        ...
