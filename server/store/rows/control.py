"""Row types of standing, pauses, counted refusals and remembered requests."""

from typing import NamedTuple

from teamroom.server.rules.standing import Level


class StandingRow(NamedTuple):
    """The standing stored at one level, and who set it."""

    state: str
    since: float
    until: float | None
    by_role: str
    reason: str
    by_member: int
    by_name: str


class PauseRow(NamedTuple):
    """A pause at one level. `until` None: it has no end."""

    scope: Level
    since: float
    until: float | None


class RefusalRow(NamedTuple):
    """Equal refusals of a member: the first one, its log entry, and how many followed."""

    act: str
    code: str
    subject: str
    first_at: float
    seq: int
    repeats: int


class RequestRow(NamedTuple):
    """A remembered call and its reply, as JSON. It is repeated until `until`."""

    act: str
    arguments: str
    reply: str
    at: float
    until: float


class StandingCount(NamedTuple):
    """How many members have a standing of their own."""

    state: str
    members: int


class SenderRow(NamedTuple):
    """A member that woke another one; `waits`: 1 if one of its wakes was not acknowledged."""

    sender: int
    waits: int


class HeldBack(NamedTuple):
    """An agent that waits to be let go, and whose agents were paused; 0 for the room."""

    member: int
    owner: int


class PauseInForce(NamedTuple):
    """A pause in force: whom it binds, who set it, why and until when."""

    name: str
    by_name: str
    reason: str
    until: float | None
