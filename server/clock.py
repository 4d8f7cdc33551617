"""The clocks. Only this file reads the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Returns the time as seconds since 1970-01-01 UTC."""

Gap = tuple[float, float]
"""A span, from when until when, in which the room saw nothing."""

GAPS_KNOWN = 16
"""So many gaps, the newest, are remembered."""


def wall_clock() -> float:
    """Seconds since 1970-01-01 UTC, by the machine's own clock."""
    return time.time()


def steady_clock() -> float:
    """Seconds from some moment on, as they really pass; it stands still while the machine sleeps."""
    return time.monotonic()


class RoomClock:
    """The room's clock, which notices when it was stepped or the machine slept.

    `since`: from when on the room has seen all time pass; what happened before it may have missed (PRS6). `gaps`: the
    spans that it missed, as far as it knows when they began.
    """

    def __init__(self, wall: Clock, steady: Clock, step_seconds: float) -> None:
        self._wall, self._steady, self._step = wall, steady, step_seconds
        self._last = wall(), steady()
        self.since = self._last[0]
        self.gaps: tuple[Gap, ...] = ()

    def was_away_since(self, at: float) -> None:
        """The room begins now, and was last seen at a time."""
        self._missed(at, self.since)

    def __call__(self) -> float:
        """The time now."""
        before = self._last
        now, steady = self._last = self._wall(), self._steady()
        if abs((now - before[0]) - (steady - before[1])) > self._step:
            self._missed(before[0], now)
        return now

    def slept(self, seconds: float) -> None:
        """The room itself stood still for a while, though all clocks went on."""
        now = self()
        self._missed(now - seconds, now)

    def _missed(self, since: float, until: float) -> None:
        """Note a gap. One that a clock that was set back since has made to lie ahead is forgotten."""
        self.since = until
        gaps = (*self.gaps, (since, until))[-GAPS_KNOWN:]
        self.gaps = tuple(gap for gap in gaps if gap[0] < gap[1] <= until)


def rfc3339(at: float) -> str:
    """A time as the room writes it in replies: RFC 3339, UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
