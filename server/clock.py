"""The only place that asks what time it is."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Returns the time as seconds since 1970-01-01 UTC."""


def wall_clock() -> float:
    """Seconds since 1970-01-01 UTC, by the machine's own clock."""
    return time.time()


def rfc3339(at: float) -> str:
    """A time as the room writes it in replies: RFC 3339, UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
