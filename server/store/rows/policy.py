"""Row types of the policy."""

from typing import NamedTuple

from teamroom.server.clock import WallTime


class NewestOn(NamedTuple):
    """The newest log entry about a subject."""

    seq: int
    at: WallTime
    actor: str
