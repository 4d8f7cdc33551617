"""The contract between the room and its database engine. Nothing else of an engine is used outside `server/store`.

An engine stores one room. `server/app.py` chooses it, and `tests/store/test_engine_contract.py` holds every engine to
what this file says. The rules that all engines keep:

- **One lock.** Each act first locks the room's head row. So acts follow one another, their numbers have no gaps,
  and the number and hash of an entry come from that row.
- **Whole acts.** An act is one function, from its first statement to its last. A caller that goes away in the middle
  leaves the whole act or nothing.
- **Group commit.** An engine may commit several acts at once. An act that fails in such a batch is undone alone.
- **Bounded.** What an act reads has a budget, counted in work and never in time. An act that needs more is undone
  alone and raises TooLargeError; it interrupts no statement that writes, and the other acts of its batch do not run
  again. `Writing.lift_limit` lifts the budget of one act. A read has a time, after which it is ended.
- **Commit, then effects, then the answer.** After the commit, `CarryOut` gets an act's effects on the event loop. Then
  the caller of `write` gets its result. A caller that has left does not prevent the effects.
- **Rows by name.** A cursor returns rows in the order of the statement's columns, and its `description` names them.
  `Reading` makes typed rows of them, once the names are the fields. Nobody else sees an engine's rows.
- **One history.** Only the room writes its head row. If a transaction finds another head than the last one that this
  server read or wrote, that is damage. Where several servers share a room, the entries since then must chain from it.
- **In turn.** Acts that wait are served member by member, so nobody waits for all that another member has sent. An act
  that overtakes is run next, and its batch is committed at once. An engine may undo the act that runs for it; that one
  then runs again.
- **Several loops.** Any event loop may call `write`. Effects are carried out on the loop that opened the store; a
  caller on another loop may be answered meanwhile. `Context.write_down` is called before anybody is answered.
- **Waiting.** Every method may wait for a network. The event loop runs meanwhile, so a result describes the past.
- **Errors.** An engine raises the errors of this file and no others, plus whatever the functions raise that it runs.
"""

from collections.abc import Callable, Hashable, Set
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

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


def nothing() -> None:
    """Do nothing."""


CHANGED = "its head is not the one that this server wrote last: the database was changed behind the server's back"
"""The damage of a database whose head somebody else wrote."""


class Turn(NamedTuple):
    """Whose act it is, by the member's id; 0 is the room itself. An act that `overtakes` waits for no other act."""

    member: int = 0
    overtakes: bool = False


ROOMS_TURN = Turn()


class StorageError(Exception):
    """The engine could not do its work: a lost connection, a closed store, a statement that failed.

    Any method may raise it. The transaction has then changed nothing, unless the connection was lost in the commit
    itself. The outcome is unknown then, and a call that is repeated with its request id finds out.
    """


class DiskFullError(StorageError):
    """The disk has no space for what was to be written. Raised by `open`, `create` and `write`."""


class BusyError(StorageError):
    """The database does not carry this out now, because others hold what it needs; it may in a second.

    Raised by any method. Nothing was changed.
    """


class UnreachableError(StorageError):
    """The database does not answer. Raised by any method; each one tries again by itself the next time."""


class OutcomeUnknownError(UnreachableError):
    """The connection was lost in the commit, and whether the act was carried out cannot be found out now.

    What the act causes is carried out, because whoever looks again finds out. An act that was refused is not told this.
    What it writes outside the database is written once it is known that the commit took place.
    """


class DamagedError(StorageError):
    """The database does not hold what the room wrote, so nothing is written to it.

    Raised by `write`, by a read that meets the damage, and by `open` if not even reading works.
    """


class NewerRoomError(StorageError):
    """A newer release changed what this one uses. Raised by `open`, which then has changed nothing."""


class ServersOpenError(StorageError):
    """This release changes what other servers use, which have the room open. Raised by `open`; nothing was changed."""


class TooLargeError(StorageError):
    """An act reads more than one act may, or a read took longer than it may; it was ended, and nothing was changed.

    Raised by `read` and `look_up`; given to `recover`, and raised by `write` if that reads too much as well.
    """


class ReadEndedError(StorageError):
    """A read was ended by `end_reads`."""


class QueueFullError(Exception):
    """`write` takes no act now: too many wait, or the store is closing. The act did not run.

    `read` takes no read now, because too many reads of the same member wait.
    """


class Transactions(Protocol):
    """What the door needs of a store, on one event loop."""

    async def write(
        self, work: Work, recover: Recover, when_full: bool = False, turn: Turn = ROOMS_TURN
    ) -> tuple[Any, int]:
        """Run an act in a transaction; returns its result and the number of the log's end, both durable.

        If `work` raises, its changes are undone, and `recover` runs in its place. If that raises too, its changes are
        undone and the error goes to the caller. The functions may run twice; only the last run counts.
        `when_full` marks an act that may use the space reserved for a full disk, if the engine reserves some.
        `turn` says whose act it is, and whether it overtakes; one that does never raises QueueFullError for its number.
        Raises QueueFullError at once, StorageError, DiskFullError, DamagedError, and what `recover` raises.
        """
        ...

    async def read(
        self,
        work: Callable[[Reading], T],
        is_small: bool,
        member: int | None = None,
        begins: Callable[[], object] = nothing,
    ) -> T:
        """Run a read in one snapshot, which includes the caller's standing; returns its result.

        `is_small` marks a page that an index leads to; an engine may run it on the event loop, and must run it
        elsewhere once it turns out to be larger. The snapshot holds every act that was answered before this call. The
        function may run twice. `member` is who reads, None for the room itself: of one member's large reads one runs
        at a time, so that the reads of others pass those that wait. `begins` is called before the snapshot is taken, on
        any thread, and again if it is taken again. A read ends after `read_seconds`, when its caller
        leaves, and by `end_reads`. Raises StorageError, DamagedError, TooLargeError, ReadEndedError, QueueFullError,
        and what `work` raises.
        """
        ...

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running. Call it on the event loop."""
        ...

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows, found by an index; returns its result.

        It is the cheapest read: each statement may have a snapshot of its own. It holds every act that was answered
        before this call. Raises StorageError, DamagedError, TooLargeError, and what `work` raises.
        """
        ...

    @property
    def version(self) -> Hashable:
        """The version of a `Reading` that would begin now; None if the engine knows it only once it has begun."""
        ...

    @property
    def identity_version(self) -> Hashable:
        """A value that changes before anybody is answered whose act changed whom a token identifies (see `IDENTITY`).

        None if the engine does not know that, because others change the room too.
        """
        ...

    @property
    def is_writing(self) -> bool:
        """Whether the store is open and takes acts."""
        ...

    @property
    def waiting(self) -> int:
        """How many acts wait to be committed."""
        ...


class AttachedStore(Transactions, Protocol):
    """A store for one more event loop."""

    async def close(self) -> None:
        """Close what this loop reads with."""
        ...


class Store(Transactions, Protocol):
    """The store of one room: opened once, used by one event loop, closed once."""

    async def open(self, vouch: Vouch = ..., before_migrating: Callable[[], None] = ...) -> None:
        """Open the database and apply this release's migrations, forward only.

        `vouch` is asked before anything is changed. If it finds a contradiction, or the engine finds damage, the room
        is opened for reading only: see `damage`.
        `before_migrating` runs if an existing room is to be changed, and may block; nothing is changed if it raises.
        Nothing stays open if this method raises. Raises StorageError, DiskFullError, DamagedError, NewerRoomError,
        ServersOpenError.
        """
        ...

    async def create(self, work: Callable[[Writing], T], first_hash: str) -> T:
        """Write a new room's head row and its first acts, in one transaction; returns the result of `work`.

        Call it after `open`, if the database has no head row. No effects are carried out. Raises StorageError,
        DiskFullError, and what `work` raises; the database still has no room then.
        """
        ...

    async def close(self) -> None:
        """Finish the acts that wait, and close the database. Later calls raise StorageError or QueueFullError.

        An engine across a network gives up within seconds what its database does not carry out.
        """
        ...

    async def attach(self) -> "AttachedStore":
        """This store for the event loop of the caller: it reads with connections of its own, and writes as this one.

        Close it on that loop, before this store. Raises StorageError.
        """
        ...

    @property
    def damage(self) -> str | None:
        """What is wrong with the database, in words; None if nothing was found. Nothing is written to a damaged one."""
        ...

    @property
    def committed(self) -> Head | None:
        """The head as of the last commit of this process that moved it."""
        ...

    @property
    def commits(self) -> int:
        """How many transactions this process has committed since it opened the room."""
        ...

    @property
    def acts_committed(self) -> int:
        """How many acts these transactions held."""
        ...

    @property
    def batch_sizes(self) -> list[int]:
        """How many of these transactions held up to so many acts, by `batches.BATCH_SIZES`; the last: how many more."""
        ...

    @property
    def lock_seconds(self) -> float:
        """How long they took to begin, in all: the wait for the room's one lock."""
        ...


@runtime_checkable
class Shared(Protocol):
    """Optional: several servers may have the room open at once, each with a data folder of its own.

    What another server's acts cause comes to `CarryOut` as well, in the order of their commits.
    """

    @property
    def lost_messages(self) -> int:
        """How often messages of other servers were found to be lost; everything was looked at again then."""
        ...

    @property
    def is_cut_off(self) -> bool:
        """Whether the database does not answer, so that this server refuses everything."""
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
