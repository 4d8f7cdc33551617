"""How long a claim lasts. A lease does not run during a pause."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from teamroom.server.policy import Policy
from teamroom.server.rules.presence import interval_seconds
from teamroom.server.settings import FixedSettings


class Pause(NamedTuple):
    """A pause of a task's holder, of the holder's owner, or of the room. `until` None: no end is known."""

    level: Literal["member", "owner", "room"]
    since: float
    until: float | None

    def covers(self, now: float) -> bool:
        """Whether this pause is in force at a moment."""
        return self.since <= now and (self.until is None or self.until > now)


class Lease(NamedTuple):
    """A claim's lease. It started or restarted at `since`, and lasts `seconds` without counting pauses.

    `since` None: the clock is stopped, because the task is offered, blocked or in review.
    """

    since: float | None
    seconds: float

    def left(self, pauses: Sequence[Pause], now: float) -> float:
        """Seconds until it expires; negative once it has."""
        if self.since is None:
            return self.seconds
        return self.seconds - (now - self.since - paused_seconds(pauses, self.since, now))

    def overdue_seconds(self, pauses: Sequence[Pause], now: float, settings: FixedSettings) -> float:
        """How long the task has been overdue; negative while it is not.

        A holder's own pause makes its tasks overdue after an hour; a pause of its owner or of the room never does.
        """
        overdue = -self.left(pauses, now)
        if self.since is None:
            return -self.seconds
        for pause in pauses:
            if pause.level == "member" and pause.covers(now):
                overdue = max(overdue, now - pause.since - settings.paused_overdue_seconds)
        return overdue

    def stopped(self, pauses: Sequence[Pause], now: float) -> "Lease":
        """The same lease with its clock stopped."""
        return Lease(None, max(self.left(pauses, now), 0.0))


def lease_seconds(kind: str, mode: str, policy: Policy, settings: FixedSettings) -> float:
    """How long a member's claim lasts, in seconds, by its interval.

    People, and agents that only their owner starts, get the longest lease.
    """
    if kind == "human" or mode == "manual":
        return policy.lease_max_seconds
    interval = interval_seconds(mode, settings) or 0.0
    return min(max(policy.lease_seconds, settings.lease_intervals * interval), policy.lease_max_seconds)


def offer_seconds(mode: str, policy: Policy, settings: FixedSettings) -> float:
    """How long an offer stays open for its receiver, in seconds."""
    interval = interval_seconds(mode, settings) or 0.0
    return max(policy.offer_seconds, settings.offer_intervals * interval)


def paused_seconds(pauses: Sequence[Pause], since: float, now: float) -> float:
    """How many seconds of a span were paused; overlapping pauses count once."""
    total, reached = 0.0, since
    for pause in sorted(pauses, key=lambda pause: pause.since):
        end = now if pause.until is None else min(pause.until, now)
        total += max(end - max(pause.since, reached), 0.0)
        reached = max(reached, end)
    return total
