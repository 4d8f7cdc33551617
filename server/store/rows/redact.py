"""Row types of entries to redact."""

from typing import NamedTuple


class EntryRow(NamedTuple):
    """A log entry that has content."""

    seq: int
    at: float
    actor: int
    act: str
    subject: str


class PageEntry(NamedTuple):
    """A log entry. `has_content`: 0 once it was redacted. `characters`: the length of its message's text."""

    seq: int
    at: float
    actor: int
    act: str
    subject: str
    has_content: int
    characters: int


class RememberedReply(NamedTuple):
    """A reply that is remembered for repeats of a call."""

    member: int
    key: str
    reply: str
