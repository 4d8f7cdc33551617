"""Row types of repairs."""

from typing import NamedTuple


class RepairedMember(NamedTuple):
    """A repair task and the member it is about."""

    task: int
    member: int
    name: str
    standing: str | None


class LostRepair(NamedTuple):
    """An open repair, and the member whose runtime it is for."""

    task: int
    member: int
    name: str


class RepairRow(NamedTuple):
    """A member's newest repair. The numbers are log entries: given up last, ordered last by a person."""

    task: int
    state: str
    holder: str | None
    asked_by: str
    released_seq: int | None
    ordered_seq: int | None
