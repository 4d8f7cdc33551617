"""Row types of entries to redact."""

from typing import NamedTuple


class EntryRow(NamedTuple):
    """A log entry that has content."""

    seq: int
    at: float
    act: str
    subject: str


class PageEntry(NamedTuple):
    """A log entry. `has_content`: 0 once it was redacted. `characters`: the length of its message's text."""

    seq: int
    at: float
    act: str
    subject: str
    has_content: int
    characters: int
