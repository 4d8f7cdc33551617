"""Row types of what was seen of wakes."""

from typing import NamedTuple

from teamroom.server.identity import Kind


class StepsRow(NamedTuple):
    """What was seen of a wake: when each step was, None if it was not seen; and which listener was given it."""

    seq: int
    listener: str
    notified_at: float | None
    woken_at: float | None
    acted_at: float | None


class AddresseeSteps(NamedTuple):
    """An addressee of a message, and what was seen of its wake; `at` None: the message did not wake it."""

    id: int
    name: str
    kind: Kind
    owner: int
    at: float | None
    notified_at: float | None
    woken_at: float | None
    acted_at: float | None
