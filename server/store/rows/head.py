"""Row types of the head row."""

from typing import NamedTuple


class LargestIds(NamedTuple):
    """The largest id of each kind that the head counts."""

    members: int
    messages: int
    tasks: int
    offers: int


class ReadHead(NamedTuple):
    """The end of the log, and when the room was created."""

    epoch: int
    seq: int
    hash: str
    created_at: float
