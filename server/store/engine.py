"""What the door asks of a store: the one seam between the room and its database engine."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from teamroom.server.store.transaction import Head, Reading, Writing

T = TypeVar("T")

Work = Callable[[Writing], Any]
Recover = Callable[[Writing, Exception], Any]
"""What runs in place of an act that raised, in the same transaction, after the act was undone."""


class QueueFullError(Exception):
    """More acts wait for the writer than the room allows."""


class Store(Protocol):
    """A room's store. Every method raises StorageError when the engine fails."""

    async def write(self, work: Work, recover: Recover, when_full: bool = False) -> tuple[Any, int]:
        """Run an act in a write transaction of its own; returns its result and the end of the log, both durable.

        `when_full`: the reserve is kept for this act. Raises QueueFullError at once when too many wait,
        DiskFullError when there is no room for this act, and whatever `recover` raises.
        """
        ...

    async def read(self, work: Callable[[Reading], T], is_small: bool) -> T:
        """Run a read in one snapshot. A small one, a page by index, may run on the event loop itself."""
        ...

    def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a tiny indexed read without giving the event loop back."""
        ...

    @property
    def is_writing(self) -> bool:
        """Whether acts can be carried out."""
        ...

    @property
    def committed(self) -> Head | None:
        """The head as of the last commit of this process that moved it."""
        ...
