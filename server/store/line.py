"""The line of acts that wait to be committed: those that overtake first, then one of each member in turn.

So a member that sends a thousand acts waits for its own, and delays others by one act of its own at a time.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from teamroom.server.store.engine import Turn


class Waiting(Protocol):
    """An act that waits, as the line sees it."""

    @property
    def turn(self) -> Turn:
        """Whose act it is, and whether it overtakes."""
        ...


W = TypeVar("W", bound=Waiting)


class Line(Generic[W]):
    """Acts that wait for the next batches. One thread uses it.

    `member_acts`: how many acts of one member a batch holds at most.
    """

    def __init__(self, member_acts: int) -> None:
        self._member_acts = member_acts
        self._overtaking: deque[W] = deque()
        self._members: dict[int, deque[W]] = {}
        self._in_batch: Counter[int] = Counter()
        self._is_urgent = False

    def add(self, acts: Iterable[W]) -> None:
        """Let acts wait, each behind those of its member."""
        for act in acts:
            if act.turn.overtakes:
                self._overtaking.append(act)
            else:
                self._members.setdefault(act.turn.member, deque()).append(act)

    def put_back(self, act: W) -> None:
        """Let an act of this batch that was undone wait again. Only acts that overtake come before it."""
        member = act.turn.member
        acts = self._members.pop(member, deque())
        acts.appendleft(act)
        self._members = {member: acts, **self._members}
        self._in_batch[member] -= 1

    def first(self) -> W | None:
        """The first act of a new batch; None if none waits."""
        self._in_batch.clear()
        self._is_urgent = False
        return self.next()

    def next(self) -> W | None:
        """The next act of this batch; None if none waits that may join it.

        After an act that overtakes, only others that overtake join: the batch is committed at once.
        """
        if self._overtaking:
            self._is_urgent = True
            return self._overtaking.popleft()
        if self._is_urgent:
            return None
        member = next((member for member in self._members if self._in_batch[member] < self._member_acts), None)
        return None if member is None else self._take(member)

    @property
    def is_overtaken(self) -> bool:
        """Whether an act waits that overtakes."""
        return bool(self._overtaking)

    def __bool__(self) -> bool:
        """Whether acts wait."""
        return bool(self._overtaking or self._members)

    def _take(self, member: int) -> W:
        """The oldest act of a member, which then waits behind all other members."""
        acts = self._members.pop(member)
        act = acts.popleft()
        if acts:
            self._members[member] = acts
        self._in_batch[member] += 1
        return act
