"""Row types of the servers of a room."""

from typing import NamedTuple


class OtherServer(NamedTuple):
    """Another server that has the room open now, and who listens or is connected there, as lists in JSON."""

    id: str
    listens: str
    connected: str


class Lease(NamedTuple):
    """Who does a duty, under which fence, and until when."""

    holder: str
    fence: int
    until: float
