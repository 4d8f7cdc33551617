"""Nudges inside one server: which calls wait for a member, and which calls and streams are open.

A nudge carries no data and may be lost. The log is complete, and every reader continues from its cursor.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from typing import TypeVar

import anyio

T = TypeVar("T")


class Bus:
    """Waiting members, and the open calls and streams that a pause, a kill or a revoked token ends."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[anyio.Event]] = defaultdict(set)
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

    @property
    def waiting_calls(self) -> int:
        """How many calls wait for a wake."""
        return sum(map(len, self._waiting.values()))

    def nudge(self, member: int) -> None:
        """Wake the calls that wait for this member's wakes."""
        for event in self._waiting.get(member, ()):
            event.set()

    def nudge_all(self) -> None:
        """Wake every call that waits: nobody knows what was missed."""
        for member in list(self._waiting):
            self.nudge(member)

    @property
    def open_members(self) -> set[int]:
        """The members that have a call or a stream open now."""
        return set(self._open)

    @contextmanager
    def running(self, member: int) -> Iterator[anyio.CancelScope]:
        """Run a call or stream that a pause or kill of the member ends; the scope says whether that happened."""
        with anyio.CancelScope() as scope:
            self._open[member].add(scope)
            try:
                yield scope
            finally:
                self._discard(self._open, member, scope)

    def is_open(self, member: int) -> bool:
        """Whether a member has a waiting call or an open stream."""
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
        """Answer every waiting call now, because the server stops."""
        self.stopping = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    @staticmethod
    def _discard(index: dict[int, set[T]], member: int, item: T) -> None:
        items = index.get(member)
        if items is not None:
            items.discard(item)
            if not items:
                del index[member]
