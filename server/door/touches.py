"""When members last called, to be written together: a call that changes nothing else does not wait for the disk.

It is written `SOON_SECONDS` later. What a crash loses, the member's next call makes good.
"""

from collections.abc import Sequence
from typing import NamedTuple

from teamroom.server.door.principal import find_principal, is_live, touch
from teamroom.server.facts.standing import state_of
from teamroom.server.identity import Caller
from teamroom.server.store.transaction import Writing

TOUCHES_AT_ONCE = 64
"""How many calls share a transaction."""


class Touch(NamedTuple):
    """A call of a member, and its time in seconds of the room's clock."""

    caller: Caller
    at: float


class Touches:
    """The newest call of each member that is not written yet."""

    def __init__(self) -> None:
        self._unwritten: dict[int, Touch] = {}

    def note(self, caller: Caller, at: float) -> bool:
        """Note that a member called; returns whether this is the first call to be written."""
        is_first = not self._unwritten
        self._unwritten[caller.member] = Touch(caller, at)
        return is_first

    def take(self) -> list[Touch]:
        """All of them; from now on, they count as written."""
        taken, self._unwritten = list(self._unwritten.values()), {}
        return taken


def write_touches(tx: Writing, touches: Sequence[Touch]) -> None:
    """Record these calls, of those members that may still act."""
    for caller, at in touches:
        row = find_principal(tx, caller)
        may_act = row is not None and is_live(row, tx.now) and state_of(row, tx.now) == "active"
        if row is not None and may_act and (row.last_call_at is None or row.last_call_at < at):
            touch(tx, caller, row, at=at)
