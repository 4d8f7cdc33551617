"""Row types of a restored room."""

from typing import NamedTuple


class StoppedTarget(NamedTuple):
    """A standing that is not active, by name."""

    scope: str
    name: str
    state: str
    until: float | None
    by_role: str
