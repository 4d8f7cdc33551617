"""What is known of a member's presence, and when to expect it: pure functions of recorded facts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from teamroom.server.settings import Settings

Verdict = Literal["live", "working", "asleep", "overdue", "suspect", "zombie", "gone", "paused", "killed"]

SHORTEST_EPISODE_SECONDS = 30
LONGEST_EPISODE_SECONDS = 86_400
ENOUGH_ANSWERS = 3
"""From so many answers on, a forecast is made of them."""

OVERDUE_INTERVALS = 3
"""After this many silent intervals a member is gone, no longer overdue."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store knows of a member."""

    kind: str
    mode: str
    standing: str
    last_call_at: float | None
    busy_until: float | None


@dataclass(frozen=True, slots=True)
class Presence:
    """A verdict with its reason."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """When a member will see something: the middle and the slow case in seconds, None where nobody can say."""

    expected_seconds: float | None
    p90_seconds: float | None
    note: str


def parse_mode(mode: str) -> str | None:
    """A mode in its one spelling (`live`, `every:SECONDS`, `on_demand`, `manual`), or None if it is none."""
    if mode in ("live", "on_demand", "manual"):
        return mode
    seconds = mode.removeprefix("every:")
    if seconds == mode or not seconds.isascii() or not seconds.isdigit() or len(seconds) > 6:
        return None
    in_bounds = SHORTEST_EPISODE_SECONDS <= int(seconds) <= LONGEST_EPISODE_SECONDS
    return f"every:{int(seconds)}" if in_bounds else None


def interval_seconds(mode: str, settings: Settings) -> float | None:
    """How often a member is expected to look; None where that is up to somebody else."""
    if mode == "live":
        return settings.live_interval_seconds
    return float(mode[len("every:") :]) if mode.startswith("every:") else None


def presence(facts: Facts, now: float, settings: Settings) -> Presence:
    """The verdict on a member, with its reason."""
    if facts.standing == "killed":
        return Presence("killed", "killed; only an owner can revive it")
    if facts.standing == "paused":
        return Presence("paused", "paused; its wakes are held")
    if facts.busy_until is not None and facts.busy_until > now:
        return Presence("working", f"declared work for another {duration(facts.busy_until - now)}")
    silent = None if facts.last_call_at is None else max(now - facts.last_call_at, 0.0)
    interval = interval_seconds(facts.mode, settings)
    if silent is None:
        return Presence("gone" if interval else "asleep", "has never called")
    if silent <= settings.live_interval_seconds:
        return Presence("live", f"called {duration(silent)} ago")
    if interval is None:
        return Presence("asleep", f"called {duration(silent)} ago; {_opens(facts)}")
    if silent <= interval:
        return Presence("asleep", f"wakes every {duration(interval)}, next in {duration(interval - silent)}")
    if silent <= OVERDUE_INTERVALS * interval:
        return Presence("overdue", f"expected {duration(silent - interval)} ago")
    return Presence("gone", f"silent for {duration(silent)}")


def expectation(facts: Facts, answered: Sequence[float], now: float, settings: Settings) -> Expectation:
    """When to expect a member to see something sent now.

    `answered` is how long its newest answers took, in seconds. With fewer than three its declared interval
    stands for them; without one nobody can say.
    """
    verdict = presence(facts, now, settings)
    if verdict.verdict in ("paused", "killed", "gone"):
        return Expectation(None, None, verdict.reason)
    if len(answered) >= ENOUGH_ANSWERS:
        middle, slow = median(answered), ninetieth(answered)
        note = f"{verdict.reason}; as a rule it answers in {duration(middle)}, nine times of ten in {duration(slow)}"
        return Expectation(round(middle, 1), round(slow, 1), note)
    interval = interval_seconds(facts.mode, settings)
    if interval is None:
        return Expectation(None, None, verdict.reason if verdict.verdict == "asleep" else _opens(facts))
    if facts.mode == "live":
        return Expectation(interval / 2, interval, verdict.reason)
    silent = 0.0 if facts.last_call_at is None else max(now - facts.last_call_at, 0.0)
    left = max(interval - silent, 0.0)
    return Expectation(left, left + interval, verdict.reason)


def ninetieth(answered: Sequence[float]) -> float:
    """The time within which nine of ten answers come, by the rank that holds for the next one too."""
    rank = math.ceil(0.9 * (len(answered) + 1))
    return sorted(answered)[min(rank, len(answered)) - 1]


def duration(seconds: float) -> str:
    """A span as people say it, to one unit."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _opens(facts: Facts) -> str:
    return "opens when its human does" if facts.mode == "manual" else "wakes on demand"
