"""Runs: what a listener runs for the wakes of its member, and how long a run counts as work."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from teamroom.server.settings import FixedSettings

LONGEST_SECONDS = 31_536_000.0
"""A run that began longer ago, a year, is a fault of its listener."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a listener says of its run: how long ago it began, and how long ago its processes last moved.

    Time in which the machine of the listener slept does not count. Both are claims of the listener.
    """

    began_seconds_ago: float
    moved_seconds_ago: float

    @property
    def is_possible(self) -> bool:
        """Whether it began in the past year, and moved since."""
        spans = (self.moved_seconds_ago, self.began_seconds_ago)
        return all(map(math.isfinite, spans)) and 0 <= spans[0] <= spans[1] <= LONGEST_SECONDS


class Run(NamedTuple):
    """The newest run of a member, as its listener reported it.

    `since`: when it began. `moved_at`: when its processes last produced output or used CPU. `heard_at`: when the
    listener last reported it. `ended_at`: None while it is on. `slowest`: the seconds of the member's longest run
    after which its wakes were answered.
    """

    since: float
    moved_at: float
    heard_at: float
    ended_at: float | None = None
    slowest: float = 0.0

    def is_on(self, now: float, settings: FixedSettings) -> bool:
        """Whether it has not ended, and the listener was heard recently: without a listener, nobody knows of a run."""
        return self.ended_at is None and now < self._heard_until(settings)

    def counts_until(self, watched_from: float, settings: FixedSettings) -> float:
        """Until when it counts as work if it does not move again, and its listener is not heard again.

        Time that the room did not watch does not count.
        """
        allowed = max(settings.run_still_seconds, settings.run_still_times * self.slowest)
        return min(max(self.moved_at, watched_from) + allowed, self._heard_until(settings))

    def _heard_until(self, settings: FixedSettings) -> float:
        return self.heard_at + settings.connected_intervals * settings.live_interval_seconds
