"""What an act sees of the store: named statements inside one transaction, and the head row it locked."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from teamroom.server.clock import Clock, Gap, Watch, wall_clock
from teamroom.server.identity import Entropy
from teamroom.server.refusals import Refusal
from teamroom.server.settings import FixedSettings, Policy, Settings, SettingsError, with_policy
from teamroom.server.store.changes import CHANGES


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


class Connection(Protocol):
    """What the engines' connections have in common."""

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> Cursor:
        """Run one statement."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What an engine hands to every transaction: its statements, the room's settings, randomness, and the time.

    `clock`: a `Watch` where a server has the room open, which knows what time it missed.
    """

    statements: Mapping[str, str]
    settings: Settings
    entropy: Entropy
    clock: Clock = wall_clock
    listens: Callable[[int], bool] = lambda member: False
    """Whether a member has a call or a stream open now."""


@dataclass(slots=True)
class Head:
    """The one row that is the room's lock: the end of the log, and the counters of ids."""

    epoch: int
    seq: int
    hash: str
    members: int
    messages: int
    tasks: int
    offers: int

    def copy(self) -> "Head":
        """The same numbers, to change or to come back to."""
        return Head(self.epoch, self.seq, self.hash, self.members, self.messages, self.tasks, self.offers)

    def restore(self, before: "Head") -> None:
        """Take the numbers of an earlier copy."""
        for name in Head.__slots__:
            setattr(self, name, getattr(before, name))


class Reading:
    """A read snapshot: statements by name, and nothing that changes."""

    def __init__(self, connection: Connection, context: Context) -> None:
        self._connection = connection
        self._statements = context.statements
        self._context = context
        self.settings: FixedSettings = context.settings
        self.now = context.clock()
        """The time of this transaction: one act is one moment. Seconds since 1970-01-01 UTC."""
        self.principal: Any = None
        """The caller's row as this transaction read it; the door sets it before an act or a read runs."""
        self._policy: Policy | None = None

    @property
    def watched_from(self) -> float:
        """Since when the room has seen all time pass."""
        clock = self._context.clock
        return clock.since if isinstance(clock, Watch) else 0.0

    @property
    def gaps(self) -> Sequence[Gap]:
        """The spans, the newest, of which the room saw nothing: it slept, was not running, or its clock was stepped."""
        clock = self._context.clock
        return clock.gaps if isinstance(clock, Watch) else ()

    def listens(self, member: int) -> bool:
        """Whether a member has a call or a stream open now."""
        return self._context.listens(member)

    @property
    def configured_policy(self) -> Policy:
        """What the settings say where the room's own policy is silent."""
        return self._context.settings.policy

    @property
    def policy(self) -> Policy:
        """The policy in force, read once in this transaction by whoever needs it.

        Raises Refusal `not_allowed` when the policy is missing or cannot be read (CTL8).
        """
        if self._policy is None:
            try:
                self._policy = with_policy(self.configured_policy, self.value("policy"))
            except SettingsError as error:
                raise Refusal(
                    "not_allowed",
                    f"The room denies this, because {error}.",
                    "Tell a room owner to run `teamroom policy`: it says what to set again.",
                    subject="policy",
                ) from None
        return self._policy

    def one(self, name: str, /, **parameters: Any) -> Any:
        """The first row, or None."""
        return self._connection.execute(self._statements[name], parameters).fetchone()

    def all(self, name: str, /, **parameters: Any) -> Sequence[Any]:
        """Every row. The statement carries the limit."""
        return self._connection.execute(self._statements[name], parameters).fetchall()

    def value(self, name: str, /, **parameters: Any) -> Any:
        """The first column of the first row, or None."""
        row = self._connection.execute(self._statements[name], parameters).fetchone()
        return None if row is None else row[0]


@dataclass(slots=True)
class Effects:
    """What happens after the commit: whom to nudge, whose open calls and streams to end."""

    woken: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    killed: set[int] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    """The topics of what members look at and have to read again."""
    scrub: bool = False
    """Content was taken away: the write-ahead log that still holds it is cut."""
    due: float = math.inf
    """When the next thing is due that this act added."""
    letters: bool = False
    """A letter was written that leaves the room."""
    journal: list[dict[str, Any]] = field(default_factory=list)
    """Who was stopped or let go on, and which tokens ended: written outside the database before the answer."""


class Writing(Reading):
    """A write transaction that holds the head row, so that it is the only one at work in the room."""

    def __init__(self, connection: Connection, context: Context, head: Head) -> None:
        super().__init__(connection, context)
        self.entropy = context.entropy
        self.head = head
        self.effects = Effects()

    def run(self, name: str, /, **parameters: Any) -> int:
        """Run a statement that changes rows; returns how many."""
        if (change := CHANGES.get(name)) is not None:
            self.effects.changed.update(change(parameters, self.principal))
        return self._connection.execute(self._statements[name], parameters).rowcount
