"""Row types of listeners."""

from typing import NamedTuple


class ListenerRow(NamedTuple):
    """The one live listener of an agent."""

    fence: int
    mechanism: str
    listener: str | None
    server: str
    began_at: float
