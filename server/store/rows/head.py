"""Row types of the head row."""

from typing import NamedTuple


class ReadHead(NamedTuple):
    """The end of the log, and when the room was created."""

    epoch: int
    seq: int
    hash: str
    created_at: float
