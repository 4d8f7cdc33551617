"""The store as an act sees it: named statements in one transaction, and the head row that it locked."""

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

from teamroom.server.clock import Clock, Gap, RoomClock, WallTime, rfc3339, wall_clock
from teamroom.server.health import PartHealth
from teamroom.server.identity import CallingListener, Entropy
from teamroom.server.policy import Policy, SettingsError, with_policy
from teamroom.server.refusals import Refusal
from teamroom.server.settings import FixedSettings, Settings
from teamroom.server.store.invariants import check as check_invariants
from teamroom.server.store.logged import NEW_EPOCH, TABLES, Change, Key, Logged, Row, change_of
from teamroom.server.store.rows.members import Principal

R = TypeVar("R")
T = TypeVar("T")


class Cursor(Protocol):
    """What the engines' cursors have in common."""

    @property
    def rowcount(self) -> int:
        """How many rows a statement changed."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> Sequence[Any]:
        """All rows."""
        ...

    @property
    def description(self) -> Any:
        """For each column of the rows, a sequence that begins with its name."""
        ...


class Connection(Protocol):
    """What the engines' connections have in common."""

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> Cursor:
        """Run one statement."""
        ...


class MissingRowError(Exception):
    """A statement that always returns a row returned none: a fault of the server."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an engine hands to every transaction: its statements, the room's settings, randomness, and the time.

    `clock`: a `RoomClock` if a server has the room open. It knows the wall clock, and which spans the room missed.
    """

    statements: Mapping[str, str]
    settings: Settings
    entropy: Entropy
    clock: Clock = wall_clock
    health: Callable[[], Sequence[PartHealth]] = list
    """The parts of the server, with their last signs of life."""
    listens: Callable[[int], bool] = lambda member: False
    """Whether a member has a live listener now."""
    write_down: Callable[["Effects"], None] = lambda effects: None
    """Writes outside the database what must be there before anybody is answered; runs where the engine commits."""
    report: Callable[[int, int], None] = lambda done, total: None
    """Gets how far the engine is with long work before the room opens."""
    is_connected: Callable[[int], bool] = lambda member: False
    """Whether a member has a call or a stream open now."""
    take_spent: Callable[[], "dict[int, Spent]"] = dict
    """Takes what members sent to this server since this was called last; see `Effects.spent`."""


@dataclass(slots=True)
class Head:
    """The one row that is the room's lock: the end of the log, the counters of ids, and the room's clock.

    `room_at`: room time when it was last saved; `ahead`: by how many seconds the wall clock was ahead of it then.
    `recording_since`: the entry from which on the log records rows; None while it does not.
    """

    epoch: int
    seq: int
    hash: str
    members: int
    messages: int
    tasks: int
    offers: int
    room_at: float
    ahead: float
    recording_since: int | None

    def values(self) -> dict[str, Any]:
        """The columns by name; `dataclasses.asdict` takes ten times as long."""
        return {name: getattr(self, name) for name in Head.__slots__}

    def copy(self) -> "Head":
        """A copy of the numbers, to change or to restore."""
        return Head(
            self.epoch,
            self.seq,
            self.hash,
            self.members,
            self.messages,
            self.tasks,
            self.offers,
            self.room_at,
            self.ahead,
            self.recording_since,
        )

    def restore(self, before: "Head") -> None:
        """Restore the numbers of an earlier copy."""
        for name in Head.__slots__:
            setattr(self, name, getattr(before, name))


class Reading:
    """A read snapshot. It runs statements by name, and changes nothing."""

    def __init__(self, connection: Connection, context: Context, version: Hashable = None) -> None:
        self._connection = connection
        self.version = version
        """Which state of the database this sees: two of one store with equal versions see the same. None: not known."""
        self._statements = context.statements
        self._context = context
        self.settings: FixedSettings = context.settings
        self.health = context.health
        clock = context.clock
        self.now, self.ahead = clock.moment() if isinstance(clock, RoomClock) else (clock(), 0.0)
        """The room time of this transaction, in seconds: one act is one moment. All spans run on it.

        `ahead`: by how many seconds the wall clock is ahead of it.
        """
        self.caller_row: Principal | None = None
        """The caller's row as this transaction read it, set by the door; None if the room itself acts."""
        self.listener: CallingListener | None = None
        """The caller's listener if it makes this call, set by the door; None if the member itself does."""
        self.present: dict[tuple[str, int], bool] = {}
        """Of which members this transaction asked whether they listen or are connected, and what it was told."""
        self._policy: Policy | None = None

    @property
    def principal(self) -> Principal:
        """The caller's row, for acts that only members call."""
        if self.caller_row is None:
            raise MissingRowError("the room itself acts, so there is no caller")
        return self.caller_row

    @property
    def wall(self) -> WallTime:
        """The time of this transaction by the wall clock, which all dates follow."""
        return self.date_of(self.now)

    def date_of(self, at: float) -> WallTime:
        """What the wall clock shows at a room time, as it goes now."""
        return WallTime(at + self.ahead)

    def room_time_of(self, at: WallTime) -> float:
        """The room time at which the wall clock shows a date, as it goes now."""
        return at - self.ahead

    def shown(self, at: float) -> str:
        """A room time as replies show it: by the wall clock, in RFC 3339."""
        return rfc3339(self.date_of(at))

    @property
    def watched_from(self) -> float:
        """Since when the room has been awake without a gap."""
        clock = self._context.clock
        return clock.since if isinstance(clock, RoomClock) else 0.0

    @property
    def gaps(self) -> Sequence[Gap]:
        """The newest spans that the room missed, because it slept, was not running, or its clock was stepped."""
        clock = self._context.clock
        return clock.gaps if isinstance(clock, RoomClock) else ()

    def listens(self, member: int) -> bool:
        """Whether a member has a live listener now."""
        return self.is_present("listens", member)

    def is_connected(self, member: int) -> bool:
        """Whether a member has a call or a stream open now, which proves a connection and no listener."""
        return self.is_present("is connected", member) or self.listens(member)

    def is_present(self, how: str, member: int) -> bool:
        """Whether a member listens, or is connected, now. The answer is no part of the snapshot."""
        ask = self._context.listens if how == "listens" else self._context.is_connected
        found = self.present[how, member] = ask(member)
        return found

    @property
    def configured_policy(self) -> Policy:
        """The settings' values, which apply to everything that the room's own policy does not set."""
        return self._context.settings.policy

    @property
    def policy(self) -> Policy:
        """The policy in force, read at most once in this transaction.

        Raises Refusal `not_allowed` when the policy is missing or cannot be read (CTL8).
        """
        if self._policy is None:
            self._policy = self._find_policy()
        return self._policy

    def _find_policy(self) -> Policy:
        try:
            return with_policy(self.configured_policy, self.value(str, "policy"))
        except SettingsError as error:
            raise Refusal(
                "not_allowed",
                f"The room denies this, because {error}.",
                "Tell a room owner to run `teamroom policy`: it says what to set again.",
                subject="policy",
            ) from None

    def one(self, kind: type[R], name: str, /, **parameters: Any) -> R | None:
        """The first row of a statement, as a row of this kind, or None."""
        cursor = self._select(name, parameters)
        row = cursor.fetchone()
        return None if row is None else _maker(kind, name, cursor)(row)

    def only(self, kind: type[R], name: str, /, **parameters: Any) -> R:
        """The row of a statement that always has one. Raises MissingRowError."""
        row = self.one(kind, name, **parameters)
        if row is None:
            raise MissingRowError(f"{name} found no row for {parameters}")
        return row

    def all(self, kind: type[R], name: str, /, **parameters: Any) -> list[R]:
        """Every row of a statement. The statement carries the limit."""
        cursor = self._select(name, parameters)
        rows = cursor.fetchall()
        return list(map(_maker(kind, name, cursor), rows)) if rows else []

    def column(self, kind: type[T], name: str, /, **parameters: Any) -> list[T]:
        """The values of a statement with one column."""
        return [row[0] for row in self._select(name, parameters).fetchall()]

    def value(self, kind: type[T], name: str, /, **parameters: Any) -> T | None:
        """The value of a statement with one column and at most one row; None if there is no row, or it is null."""
        row = self._select(name, parameters).fetchone()
        return None if row is None else row[0]

    def number(self, name: str, /, **parameters: Any) -> int:
        """The number that a statement returns."""
        return int(self._select(name, parameters).fetchone()[0])

    def _select(self, name: str, parameters: Mapping[str, Any]) -> Cursor:
        """Run a statement that only reads."""
        return self._connection.execute(self._statements[name], parameters)

    def logged_row(self, logged: Logged, key: Key) -> Row | None:
        """The row of a logged table with a key, or None."""
        row = self._connection.execute(logged.one, logged.named(key)).fetchone()
        return None if row is None else tuple(row)

    def logged_page(self, logged: Logged, after: Key, limit: int, unfinished: bool = False) -> list[Row]:
        """The rows of a logged table after a key, in order; `unfinished`: only those that a baseline lists."""
        sql = logged.unfinished_page if unfinished else logged.page
        return list(map(tuple, self._connection.execute(sql, logged.named(after) | {"limit": limit}).fetchall()))

    def count_logged(self, logged: Logged) -> int:
        """How many rows a logged table has."""
        return int(self._connection.execute(logged.count, {}).fetchone()[0])


@cache
def looks_at_log(sql: str) -> bool:
    """Whether a statement uses the log, or a view of it."""
    return re.search(rf"\b({'|'.join(LOG_AND_VIEWS)})\b", sql) is not None


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """The columns that a kind of row has, in order: the fields of a named tuple or of a dataclass."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else tuple(kind._fields)


def _maker(kind: Any, name: str, cursor: Cursor) -> Callable[[Sequence[Any]], R]:
    """The function that makes a row of a kind.

    Raises TypeError unless the statement's columns are the kind's fields, by name and in order.
    """
    if (kind, name) not in _FITTING:
        columns = tuple(column[0] for column in cursor.description)
        if columns != _fields(kind):
            raise TypeError(f"{name} returns {columns}, but {kind.__name__} has {_fields(kind)}")
        make: Callable[..., Any] = kind
        _FITTING[kind, name] = (lambda row: make(*row)) if is_dataclass(kind) else kind._make
    return _FITTING[kind, name]


_FITTING: dict[tuple[type[Any], str], Callable[[Sequence[Any]], Any]] = {}
"""The functions that make rows, for each kind and statement whose columns were found to match."""


class Spent(NamedTuple):
    """What a member sent to a server: acts, and bytes. `share`: how many times what an agent may, it may send."""

    share: int
    acts: int = 0
    bytes: int = 0

    def with_more(self, other: "Spent") -> "Spent":
        """This and what the same member sent since."""
        return Spent(other.share, self.acts + other.acts, self.bytes + other.bytes)


@dataclass(slots=True)
class Effects:
    """What happens after the commit: which members to nudge, and whose open calls and streams to end."""

    woken: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    killed: set[int] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    """The topics that changed, which their followers must read again."""
    scrub: bool = False
    """Content was redacted: the write-ahead log is truncated, because it still contains it."""
    due: float = math.inf
    """The earliest time of the timers that this act set."""
    letters: bool = False
    """A letter was written, which the deliverer must send."""
    listening: set[int] = field(default_factory=set)
    """The members whose live listener is another one now."""
    spent: dict[int, Spent] = field(default_factory=dict)
    """What members sent to another server, by member."""
    are_lost: bool = False
    """What another server did is not known: everything that waits or follows something must look again."""
    is_cut_off: bool = False
    """The database cannot be reached: every open call and stream ends."""
    identity: bool = False
    """Whom a token identifies may have changed."""
    journal: list[dict[str, Any]] = field(default_factory=list)
    """Changed standings and revoked tokens, which are written to the control journal before the reply."""


LOG_AND_VIEWS = ("log", "entry_age", "log_now")
"""The log's table, and the views that read it."""

IDENTITY = frozenset({"member", "token", "standing"})
"""The logged tables whose rows say whom a token identifies, and whether that member was killed (`token_by_hash`)."""

FOUND_FROM = IDENTITY | {"policy"}
"""The logged tables on which depends what acts of a batch share: see `Writing.in_batch`."""

FOLLOW_WALL_CLOCK = ("note_step", "move_digests", "look_at_notices_again", "look_at_letters_again")
"""The statements with which the store follows a step of the wall clock."""


class Writing(Reading):
    """A write transaction. It has locked the head row, so it is the only one in the room."""

    def __init__(
        self,
        connection: Connection,
        context: Context,
        head: Head,
        lift_limit: Callable[[], None] = lambda: None,
        found: dict[Hashable, Any] | None = None,
    ) -> None:
        """`found`: what acts of the same batch found; see `in_batch`."""
        super().__init__(connection, context)
        self._defer: Callable[[str, Mapping[str, Any]], object] = getattr(connection, "defer", connection.execute)
        self.lift_limit = lift_limit
        """Lets this act read as much as it needs: a stop is never refused for its size."""
        self.entropy = context.entropy
        self.head = head
        self.effects = Effects()
        self._found = {} if found is None else found
        self._changes_found = False
        self.before: dict[tuple[str, Key], Row | None] = {}
        """The logged rows that this act may have changed, as they were before. None: there was no such row."""
        self.newest: Any = None
        """The newest entry of this act, which the log has yet to write; None if there is none."""
        self.write_newest: Callable[[Writing], None] | None = None
        """What writes it as it is, for statements that look at the log in the middle of the act."""
        self.at_end: Callable[[Writing], None] | None = None
        """What the log does at the end of this act; None while the act has no entry."""
        if self.ahead != head.ahead:
            self._follow_wall_clock()

    def end(self) -> None:
        """The act is over: what always holds is checked, and the log records which rows it changed.

        The engine calls this before it commits. Raises Refusal if something would no longer hold, and RuntimeError if
        the act changed logged rows and has no entry: a fault of ours.
        """
        self.lift_limit()
        check_invariants(self)
        if self.at_end is not None:
            self.at_end(self)
        for (table, key), row in self.before.items():
            if self.logged_row(TABLES[table], key) != row:
                raise RuntimeError(f"an act changed {table} {key} without an entry in the log")

    def save_clock(self) -> None:
        """Keep the room's clock in the head row, so that it goes on from here should the room stop."""
        self.head.room_at = self.now

    def _follow_wall_clock(self) -> None:
        """The first act after a step of the wall clock notes it, and moves what is due at a date."""
        moved = self.ahead - self.head.ahead
        about = {"seq": self.head.seq + 1, "ahead": self.ahead, "moved": moved, "now": self.now}
        for name in FOLLOW_WALL_CLOCK:
            self.run(name, **about)
        self.head.ahead = self.ahead
        self.save_clock()
        self.effects.due, self.effects.letters = self.now, True

    def changed(self, *topics: str) -> None:
        """State the topics that changed; their followers get a push after the commit."""
        self.effects.changed.update(topics)

    def _find_policy(self) -> Policy:
        return self.in_batch("policy", super()._find_policy)

    def in_batch(self, key: Hashable, find: Callable[[], T]) -> T:
        """What an earlier act of this batch found under a key, else what `find` finds now.

        It is dropped when an act changes a row of `FOUND_FROM`. Of what else it depends on, it is as old as the batch,
        or from an act that was undone: so it may only inform.
        """
        if self._changes_found:
            return find()
        if key not in self._found:
            self._found[key] = find()
        found: T = self._found[key]
        return found

    def run(self, name: str, /, **parameters: Any) -> None:
        """Run a statement that changes rows. Logged rows are noted first, as they are before.

        An engine across a network may send it with the next one, which then raises its error. The act raises it at
        the latest when it ends.
        """
        self._defer(self._noted(name, parameters), parameters)

    def run_counted(self, name: str, /, **parameters: Any) -> int:
        """The same at once; returns how many rows were changed."""
        return self._connection.execute(self._noted(name, parameters), parameters).rowcount

    def _noted(self, name: str, parameters: Mapping[str, Any]) -> str:
        """The text of a statement, once what it changes is noted."""
        sql = self._statements[name]
        if self.write_newest is not None and looks_at_log(sql):
            self.write_newest(self)
        if (change := change_of(sql)) is not None and name not in NEW_EPOCH:
            self._note(change, parameters)
        return sql

    def _select(self, name: str, parameters: Mapping[str, Any]) -> Cursor:
        sql = self._statements[name]
        if self.write_newest is not None and looks_at_log(sql):
            self.write_newest(self)
        return self._connection.execute(sql, parameters)

    def _note(self, change: Change, parameters: Mapping[str, Any]) -> None:
        if change.logged.table in FOUND_FROM:
            self._changes_found = True
            self._found.clear()
            self.effects.identity |= change.logged.table in IDENTITY
        logged, given = change.logged, {name: parameters[name] for name in change.names}
        rows = [] if change.is_new else list(map(tuple, self._connection.execute(change.reads, given).fetchall()))
        if not rows and (key := change.inserted(given)) is not None:
            self.before.setdefault((logged.table, key), None)
        for row in rows:
            self.before.setdefault((logged.table, logged.key_of(row)), row)
