"""The clocks: the machine's, and the room's own. Only this file reads the time.

Spans (leases, pauses, offers, budgets, tokens for N seconds) run on room time, which measures the time that really
passes. Dates (entries, due dates, quiet hours, everything that is shown) follow the wall clock.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, NewType

Clock = Callable[[], float]
"""Returns the time as seconds since 1970-01-01 UTC."""

WallTime = NewType("WallTime", float)
"""A moment by the wall clock, in seconds since 1970-01-01 UTC. Every other moment in the room is in room time."""

Gap = tuple[float, float]
"""A span that the room missed: when it began, and when it ended."""

GAPS_KNOWN = 16
"""How many gaps are remembered, the newest ones."""

FOLLOW_SECONDS = 0.1
"""Differences between the clocks that change by less than this are the noise of reading two clocks."""

PART_OF_SECOND = 1024
"""The difference is kept as a whole number of such parts of a second, so that adding it to a time loses nothing."""

READINGS = 3
"""How often the clocks are read at most, until both are read at one moment."""


def wall_clock() -> WallTime:
    """Seconds since 1970-01-01 UTC, by the machine's own clock."""
    return WallTime(time.time())


def _counts_sleep() -> int:
    """The machine's clock that never goes back and counts suspended time, by its number."""
    number = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    try:
        time.clock_gettime(number)
    except OSError:
        return time.CLOCK_MONOTONIC
    return number


_STEADY = _counts_sleep()


def steady_clock() -> float:
    """Seconds from some moment on, as they really pass, also while the machine sleeps."""
    return time.clock_gettime(_STEADY)


def awake_clock() -> float:
    """Seconds from some moment on; it stands still while the machine sleeps."""
    return time.monotonic()


class Moment(NamedTuple):
    """One moment by both clocks.

    `now`: room time. `ahead`: by how many seconds the wall clock is ahead of it, which is negative if it is behind.
    """

    now: float
    ahead: float


class RoomClock:
    """The room's clock, which measures the time that passes, whatever the wall clock says.

    It runs on a steady clock, never goes back, and nothing that is done to the wall clock moves it. How far the wall
    clock is ahead of it, it follows. It also notices when the wall clock was stepped or the machine slept:

    `since`: from when on the room has seen all time pass; what happened before it may have missed (PRS6). `gaps`: the
    spans that it missed, as far as it knows when they began. `steps`: how often the wall clock was stepped.
    """

    def __init__(self, wall: Clock, steady: Clock, step_seconds: float, awake: Clock | None = None) -> None:
        self._wall, self._steady, self._awake, self._step = wall, steady, awake or steady, step_seconds
        self._follows_machine = wall is wall_clock
        self._shared = 0.0
        self._reading = threading.Lock()
        self._last = steady()
        self._asleep = self._last - self._awake()
        self.since = wall()
        self._began = self.since - self._last
        self._ahead = 0.0
        self.steps = 0
        self.gaps: tuple[Gap, ...] = ()

    def resume(self, then: Moment) -> None:
        """Go on from a moment before the room stopped.

        Only the wall clock knows how much time has passed since: a step forward counts as time that passed, a step
        backward as none.
        """
        with self._reading:
            self._last, wall = self._steady(), self._wall()
            self.since, self.gaps = max(then.now, wall - then.ahead), ()
            self._began, self._ahead = self.since - self._last, then.ahead
            self._follow(wall, self.since)

    def was_away_since(self, at: float) -> None:
        """Note the gap before the room started: it was last seen at a time."""
        self._missed(at, self.since)

    def share_wall(self, wall: float) -> None:
        """Follow a wall clock that several servers share, and that shows this now, instead of the machine's own."""
        if self._follows_machine:
            with self._reading:
                self._shared = wall - self._steady()
                self._wall = self._shared_wall

    def agree(self, then: Moment, wall: float) -> None:
        """Agree with the servers that share the room: on its time as one of them saved it, and on their wall clock.

        Room time only ever goes forward, so this one catches up with the fastest of them.
        """
        self.share_wall(wall)
        with self._reading:
            now = self._look()
            if then.now > now:
                self._began += then.now - now
                now = then.now
            if abs(self._wall() - now - then.ahead) <= FOLLOW_SECONDS:
                self._ahead = then.ahead

    def _shared_wall(self) -> float:
        return self._steady() + self._shared

    def __call__(self) -> float:
        """The room time now."""
        with self._reading:
            return self._look()

    def moment(self) -> Moment:
        """The time now, by both clocks."""
        with self._reading:
            return Moment(self._look(), self._ahead)

    def wall(self) -> WallTime:
        """The time now by the wall clock."""
        now, ahead = self.moment()
        return WallTime(now + ahead)

    def slept(self, seconds: float) -> None:
        """Note that the room itself did not run for some seconds, although all clocks did."""
        now = self()
        self._missed(now - seconds, now)

    def _look(self) -> float:
        """Look at the clocks; returns room time. It is on the way of every call, so it reads no clock in vain."""
        before, steady, wall = self._last, self._steady(), self._wall()
        if steady < before:  # which no steady clock does
            self._began += before - steady
        self._last = steady
        now = self._began + steady
        if steady - before > self._step:
            self._look_for_sleep(now)
        if abs(wall - now - self._ahead) > FOLLOW_SECONDS:
            self._look_for_step(self._began + before)
        return self._began + self._last

    def _look_for_sleep(self, now: float) -> None:
        asleep = self._last - self._awake()
        slept, self._asleep = asleep - self._asleep, asleep
        if slept > self._step:
            self._missed(now - slept, now)

    def _look_for_step(self, before: float) -> None:
        """Follow the wall clock, unless it only seems to have moved because the thread stood still between readings.

        `before`: when the clocks were looked at last.
        """
        for _ in range(READINGS):
            self._last, wall, after = self._steady(), self._wall(), self._steady()
            if 0 <= after - self._last < FOLLOW_SECONDS / 2:
                self._follow(wall, before)
                return

    def _follow(self, wall: float, before: float) -> None:
        """Let `ahead` say what the wall clock says. After a step, the room judges nobody for a while (PRS6)."""
        now = self._began + self._last
        moved = wall - now - self._ahead
        if abs(moved) <= FOLLOW_SECONDS:
            return
        self._ahead = round((wall - now) * PART_OF_SECOND) / PART_OF_SECOND
        self.steps += 1
        if abs(moved) > self._step:
            self.since = max(self.since, before)

    def _missed(self, since: float, until: float) -> None:
        """Note a gap."""
        self.since = until
        self.gaps = tuple(gap for gap in (*self.gaps, (since, until))[-GAPS_KNOWN:] if gap[0] < gap[1])


SECONDS_LONG = len("2026-01-01T00:00:00")


def rfc3339(at: WallTime) -> str:
    """A time of the wall clock as the room writes it in replies: RFC 3339, UTC, to the second."""
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='seconds')[:SECONDS_LONG]}Z"
