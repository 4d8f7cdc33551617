"""Runs as they are, as their listener reports them, and what the room must make of that."""

from dataclasses import dataclass, field

from teamroom.server.rules.runs import RunReport

HEARD, STILL, TIMES = 450.0, 1_500.0, 3
"""How long a report counts, how long a run may stand still, and the same in slowest runs that answered."""


@dataclass
class Child:
    """What a listener runs. Its machine may sleep, and does not count that."""

    began: float
    moved: float
    slept: float = 0.0
    slept_still: float = 0.0

    def moves(self, now: float) -> None:
        """It does something."""
        self.moved, self.slept_still = now, 0.0

    def sleeps(self, seconds: float) -> None:
        """Its machine sleeps."""
        self.slept += seconds
        self.slept_still += seconds

    def report(self, now: float) -> RunReport:
        """What its listener says of it."""
        return RunReport(now - self.began - self.slept, now - self.moved - self.slept_still)


@dataclass
class Told:
    """What the room was told of a run."""

    since: float
    seconds: float
    moved: float
    heard: float
    ended: float | None = None


@dataclass
class Runs:
    """The runs of a member: the one that is on, and what the room must know of the newest."""

    child: Child | None = None
    told: Told | None = None
    slowest: float = field(default=0.0)

    def hear(self, report: RunReport, now: float) -> None:
        """The room gets a report of the run that is on."""
        told = self.told
        if told is None or told.ended is not None or report.began_seconds_ago < told.seconds:
            told = self.told = Told(now - min(report.began_seconds_ago, STILL), 0.0, 0.0, now)
        told.seconds = min(report.began_seconds_ago, now - told.since)
        told.moved = max(now - report.moved_seconds_ago, told.since)
        told.heard = now

    def hear_of_none(self, waits_since: float | None, now: float) -> None:
        """The room hears that none is on. The run that was on has answered what came before it, or not."""
        told = self.told
        if told is not None and told.ended is None:
            told.ended = now
            if waits_since is None or waits_since >= told.since:
                self.slowest = max(self.slowest, told.seconds)

    def is_on(self, now: float) -> bool:
        """Whether a run is on as far as the room can know."""
        return self.told is not None and self.told.ended is None and now < self.told.heard + HEARD

    def excuse_until(self, now: float, counts_from: float) -> float:
        """Until when the run that is on excuses its member."""
        if self.told is None or not self.is_on(now):
            return 0.0
        still_until = max(self.told.moved, counts_from) + max(STILL, TIMES * self.slowest)
        return min(still_until, self.told.heard + HEARD)

    def end_of_that_at(self, at: float) -> float:
        """When the run ended that was on then."""
        told = self.told
        return told.ended if told is not None and told.ended is not None and told.since <= at <= told.ended else 0.0
