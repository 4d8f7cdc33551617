"""Row types of notices, letters and deliveries."""

from typing import NamedTuple

from teamroom.server.rules.notices import Kind


class NoticeRow(NamedTuple):
    """A notice with its log entry, and the wake behind it, if there was one."""

    seq: int
    reason: str
    subject: str
    kind: Kind
    act: str
    summary: str | None
    detail: str | None
    line: str | None
    sender: int | None
    sender_name: str | None


class EndedDelivery(NamedTuple):
    """How a delivery ended."""

    state: str
    ended_at: float | None


class NewestDelivery(NamedTuple):
    """The newest delivery on a channel."""

    letter: int
    state: str
    reason: str
    ended_at: float | None


class DayInNumbers(NamedTuple):
    """What happened in a part of the log, in numbers."""

    acts: int
    members: int
    completed: int
    stuck: int
    undelivered: int
    stops: int
