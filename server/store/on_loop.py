"""A store as an event loop uses it: with reads of the loop's own, and with the one writer. Engines build on it."""

from collections.abc import Callable, Hashable, Set
from typing import Any, Protocol, TypeVar

from teamroom.server.store.batches import BatchCommitter
from teamroom.server.store.engine import ROOMS_TURN, Recover, Turn, Work, nothing
from teamroom.server.store.transaction import Head, Reading
from teamroom.server.store.writer import Writer

T = TypeVar("T")


class Reads(Protocol):
    """What one event loop reads with. The methods are those of `engine.Transactions`."""

    async def read(
        self,
        work: Callable[[Reading], T],
        is_small: bool,
        member: int | None = None,
        begins: Callable[[], object] = nothing,
    ) -> T:
        """Run a read in one snapshot."""
        ...

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows."""
        ...

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running."""
        ...

    @property
    def version(self) -> Hashable:
        """The version of a read that would begin now; None if it is not known."""
        ...

    @property
    def identity_version(self) -> Hashable:
        """What changes with whom a token identifies; None if it is not known."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class CommittingStore:
    """The store of the loop that opened it, as far as both engines have it: its reads, its writer and its commits."""

    committer: BatchCommitter
    writer: Writer
    reads: Reads

    def require(self) -> None:
        """Raise StorageError if nothing can be read or written now."""

    async def write(
        self, work: Work, recover: Recover, when_full: bool = False, turn: Turn = ROOMS_TURN
    ) -> tuple[Any, int]:
        """Run an act on the writer's thread."""
        self.require()
        return await self.writer.run(work, recover, when_full, turn)

    async def read(
        self,
        work: Callable[[Reading], T],
        is_small: bool,
        member: int | None = None,
        begins: Callable[[], object] = nothing,
    ) -> T:
        """Run a read in one snapshot."""
        self.require()
        return await self.reads.read(work, is_small, member, begins)

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows."""
        self.require()
        return await self.reads.look_up(work)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running."""
        self.reads.end_reads(members)

    @property
    def version(self) -> Hashable:
        """The version of a read that would begin now; None if it is not known."""
        return self.reads.version

    @property
    def identity_version(self) -> Hashable:
        """What changes with whom a token identifies; None if it is not known."""
        return self.reads.identity_version

    @property
    def is_writing(self) -> bool:
        """Whether the writer's thread runs and has found no damage."""
        return self.writer.is_alive and self.damage is None

    @property
    def damage(self) -> str | None:
        """What is wrong with the database, in words."""
        return self.committer.damage

    @property
    def waiting(self) -> int:
        """How many acts wait for the writer."""
        return self.writer.waiting

    @property
    def commits(self) -> int:
        """How many batches the writer has committed since it was started."""
        return self.committer.commits

    @property
    def acts_committed(self) -> int:
        """How many acts these batches held."""
        return self.committer.acts

    @property
    def batch_sizes(self) -> list[int]:
        """How many batches held up to so many acts."""
        return self.committer.sizes

    @property
    def lock_seconds(self) -> float:
        """How long the writer waited for the room's one lock, in all."""
        return self.committer.lock_seconds

    @property
    def committed(self) -> Head | None:
        """The head as of the last commit that moved it, of this server or of one whose entries it has checked."""
        return self.committer.committed


class AttachedStore:
    """A store for another event loop: it reads with connections of its own, and writes through the store's own line."""

    def __init__(self, store: CommittingStore, reads: Reads) -> None:
        self._store, self.reads = store, reads

    async def write(
        self, work: Work, recover: Recover, when_full: bool = False, turn: Turn = ROOMS_TURN
    ) -> tuple[Any, int]:
        """Run an act on the writer's thread."""
        return await self._store.write(work, recover, when_full, turn)

    async def read(
        self,
        work: Callable[[Reading], T],
        is_small: bool,
        member: int | None = None,
        begins: Callable[[], object] = nothing,
    ) -> T:
        """Run a read in one snapshot."""
        self._store.require()
        return await self.reads.read(work, is_small, member, begins)

    async def look_up(self, work: Callable[[Reading], T]) -> T:
        """Run a read of one or two rows."""
        self._store.require()
        return await self.reads.look_up(work)

    def end_reads(self, members: Set[int]) -> None:
        """End the reads of these members that are running on this loop."""
        self.reads.end_reads(members)

    @property
    def version(self) -> Hashable:
        """The version of a read that would begin now; None if it is not known."""
        return self.reads.version

    @property
    def identity_version(self) -> Hashable:
        """What changes with whom a token identifies; None if it is not known."""
        return self.reads.identity_version

    @property
    def is_writing(self) -> bool:
        """Whether the store takes acts."""
        return self._store.is_writing

    @property
    def waiting(self) -> int:
        """How many acts of all event loops wait for the writer."""
        return self._store.waiting

    async def close(self) -> None:
        """Close the connections of this loop."""
        await self.reads.close()
