"""The clocks. Only this file reads the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Returns the time as seconds since 1970-01-01 UTC."""

Gap = tuple[float, float]
"""A span that the room missed: when it began, and when it ended."""

GAPS_KNOWN = 16
"""How many gaps are remembered, the newest ones."""


def wall_clock() -> float:
    """Seconds since 1970-01-01 UTC, by the machine's own clock."""
    return time.time()


def steady_clock() -> float:
    """Seconds since some moment, whatever happens to the wall clock; it stops while the machine sleeps."""
    return time.monotonic()


class RoomClock:
    """The room's clock, which notices if it was stepped or the machine slept.

    `since`: since when the room has been awake without a gap (PRS6). `gaps`: the newest spans that it missed.
    """

    def __init__(self, wall: Clock, steady: Clock, step_seconds: float) -> None:
        self._wall, self._steady, self._step = wall, steady, step_seconds
        self._last = wall(), steady()
        self.since = self._last[0]
        self.gaps: tuple[Gap, ...] = ()

    def was_away_since(self, at: float) -> None:
        """Note the gap before the room started: it was last seen at a time."""
        self._missed(at, self.since)

    def __call__(self) -> float:
        """The time now."""
        before = self._last
        now, steady = self._last = self._wall(), self._steady()
        if abs((now - before[0]) - (steady - before[1])) > self._step:
            self._missed(before[0], now)
        return now

    def slept(self, seconds: float) -> None:
        """Note that the room itself did not run for some seconds, although all clocks did."""
        now = self()
        self._missed(now - seconds, now)

    def _missed(self, since: float, until: float) -> None:
        """Note a gap. Gaps that lie in the future, because the clock was set back, are forgotten."""
        self.since = until
        gaps = (*self.gaps, (since, until))[-GAPS_KNOWN:]
        self.gaps = tuple(gap for gap in gaps if gap[0] < gap[1] <= until)


def rfc3339(at: float) -> str:
    """A time as the room writes it in replies: RFC 3339, UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
