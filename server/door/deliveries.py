"""Which wakes listeners were given, to be written together: no delivery waits for the disk.

What a crash loses counts as not seen. Nothing is assumed from what came later.
"""

from collections import defaultdict
from collections.abc import Sequence

from teamroom.server.facts.steps import Delivery, note_notified
from teamroom.server.store.transaction import Writing

DELIVERIES_KEPT = 10_000
"""How many deliveries wait to be written. Further ones are not recorded."""


DELIVERIES_AT_ONCE = 32
"""How many deliveries share a transaction."""


class Deliveries:
    """The deliveries that are not written yet, by member."""

    def __init__(self) -> None:
        self._unwritten: dict[int, list[Delivery]] = defaultdict(list)
        self._count = 0

    def note(self, delivery: Delivery) -> bool:
        """Note that a listener was given wakes; returns whether it is the first delivery to be written."""
        if self._count >= DELIVERIES_KEPT:
            return False
        self._unwritten[delivery.caller.member].append(delivery)
        self._count += 1
        return self._count == 1

    def of(self, member: int) -> tuple[Delivery, ...]:
        """The deliveries to a member. They stay to be written; to write one twice changes nothing."""
        return tuple(self._unwritten.get(member, ()))

    def take(self) -> list[Delivery]:
        """All of them, in order for each member; from now on, they count as written."""
        taken = [one for of_member in self._unwritten.values() for one in of_member]
        self._unwritten, self._count = defaultdict(list), 0
        return taken

    def put_back(self, taken: Sequence[Delivery]) -> None:
        """Keep deliveries that could not be written."""
        for one in taken:
            self.note(one)


def write_deliveries(tx: Writing, deliveries: Sequence[Delivery]) -> None:
    """Record the wakes that listeners were given."""
    for one in deliveries:
        note_notified(tx, one)
