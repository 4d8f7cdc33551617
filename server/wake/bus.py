"""Nudges inside one server: who waits for whom, and which calls and streams are open.

A nudge carries nothing and may be lost: the log is the truth, and whoever wakes reads from its cursor.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from teamroom.server.clock import Clock

HEARD_SECONDS = 25.0
"""A listener that does not wait is there for so long after it was heard: it beats more than twice as often."""

LISTENERS_KNOWN = 16
"""Of so many listeners of a member, the newest ones heard of, the room remembers when they began."""

MILLISECONDS = 1000


class Listening:
    """A call of an agent that waits for its wakes: the newest one is told, an older one is not any more (PRS5)."""

    __slots__ = ("listener", "superseded")

    def __init__(self, listener: str | None = None) -> None:
        self.listener = listener
        self.superseded = False


@dataclass
class Newest:
    """The newest listener of a member: which, when it began, and until when it is there without a waiting call."""

    listener: str
    began: float
    until: float


class Bus:
    """Waiting members, and the open calls and streams that a pause, a kill or a revoked token ends."""

    def __init__(self, clock: Clock, steady: Clock) -> None:
        self._clock, self._steady = clock, steady
        self._waiting: dict[int, set[anyio.Event]] = defaultdict(set)
        self._listening: dict[int, Listening] = {}
        self._newest: dict[int, Newest] = {}
        self._began: dict[int, dict[str, float]] = defaultdict(dict)
        self._open: dict[int, set[anyio.CancelScope]] = defaultdict(set)
        self.on_ended: list[Callable[[Set[int], Set[int]], None]] = []
        self.on_revoked: list[Callable[[Set[str]], None]] = []
        self.stopping = False

    @contextmanager
    def waiting(self, member: int) -> Iterator[anyio.Event]:
        """An event that the member's next nudge sets. Arm it before reading, so that nothing is missed."""
        event = anyio.Event()
        self._waiting[member].add(event)
        try:
            yield event
        finally:
            self._discard(self._waiting, member, event)

    @contextmanager
    def listening(self, member: int, listener: str | None) -> Iterator[tuple[Listening, bool]]:
        """The one live listener of a member, and whether it took that over from an older one, which ends.

        `listener`: which one it is, where it says so. One that began before the newest is superseded from the start.
        """
        mine, older = Listening(listener), self._listening.get(member)
        if listener is not None and not self.hear(member, listener):
            mine.superseded = True
            yield mine, False
            return
        self._listening[member] = mine
        if older is not None:
            older.superseded = True
            self.nudge(member)
        is_answered = False
        try:
            yield mine, older is not None
            is_answered = True
        finally:
            if self._listening.get(member) is mine:
                del self._listening[member]
                self._hung_up(member, mine, is_answered)

    def hear(self, member: int, listener: str) -> bool:
        """Note that a listener of a member is there; False: the newest is there too, and began after it."""
        now, began = self._steady(), self._began_at(member, listener)
        newest = self._newest.get(member)
        is_older = newest is not None and (began, listener) < (newest.began, newest.listener)
        if newest is not None and is_older and self._is_there(member, newest, now):
            return False
        self._newest[member] = Newest(listener, began, now + HEARD_SECONDS)
        return True

    def _hung_up(self, member: int, call: Listening, is_answered: bool) -> None:
        """A waiting call ended: who was answered will call soon, who broke it off is gone until it calls again."""
        newest = self._newest.get(member)
        if newest is not None and newest.listener == call.listener:
            newest.until = self._steady() + (HEARD_SECONDS if is_answered else 0)

    def _is_there(self, member: int, newest: Newest, now: float) -> bool:
        waits = self._listening.get(member)
        return now < newest.until or (waits is not None and waits.listener == newest.listener)

    def _began_at(self, member: int, listener: str) -> float:
        """When a listener began, by the room's steady clock: as it says, and at its first call at the latest.

        A step of either clock later changes nothing about it.
        """
        known = self._began[member]
        if listener not in known:
            said = int(listener.partition("-")[0]) / MILLISECONDS
            known[listener] = self._steady() - max(0.0, self._clock() - said)
            if len(known) > LISTENERS_KNOWN:
                del known[next(iter(known))]
        return known[listener]

    @property
    def waiting_calls(self) -> int:
        """How many calls wait for a wake."""
        return sum(map(len, self._waiting.values()))

    def nudge(self, member: int) -> None:
        """Wake whoever waits for this member."""
        for event in self._waiting.get(member, ()):
            event.set()

    @contextmanager
    def running(self, member: int) -> Iterator[anyio.CancelScope]:
        """A call or stream of a member that its pause or kill ends; the scope tells whether it was."""
        with anyio.CancelScope() as scope:
            self._open[member].add(scope)
            try:
                yield scope
            finally:
                self._discard(self._open, member, scope)

    def is_open(self, member: int) -> bool:
        """Whether a member has a call or a stream open that waits."""
        return member in self._open

    def end(self, members: Set[int], killed: Set[int]) -> None:
        """End every open call and stream of these members, some of whom were killed."""
        for member in members:
            for scope in list(self._open.get(member, ())):
                scope.cancel()
        for hook in self.on_ended:
            hook(members, killed)

    def revoke(self, tokens: Set[str]) -> None:
        """End the connections that these tokens opened."""
        for hook in self.on_revoked:
            hook(tokens)

    def stop(self) -> None:
        """The server stops: everybody who waits is answered now."""
        self.stopping = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    @staticmethod
    def _discard(index: dict[int, set[Callable[..., object]]] | dict[int, set], member: int, item: object) -> None:  # type: ignore[type-arg]
        items = index.get(member)
        if items is not None:
            items.discard(item)
            if not items:
                del index[member]
