"""Row types of the policy."""

from typing import NamedTuple


class NewestOn(NamedTuple):
    """The newest log entry about a subject."""

    seq: int
    at: float
    actor: str
