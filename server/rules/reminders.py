"""When the room reminds a member of what it owes, and when it does not: pure functions.

Everything that is owed has slots: times after a first delay, with gaps that double up to `remind_longest_seconds`. Each
slot is decided once. Slots that were missed are decided together, and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from teamroom.server.rules.presence import PresenceState
from teamroom.server.settings import FixedSettings

DAY_SECONDS = 86_400.0

Outcome = Literal["sent", "held", "silent"]


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that a member owes: since when, the first delay in seconds, and the reminders so far."""

    since: float
    first: float
    slot: int = 0
    counted: int = 0
    escalated: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The facts that can speak against a reminder now."""

    standing: str
    state: PresenceState
    snoozed_until: float | None
    today: int
    """How many reminders the member was sent in the last day."""
    hour_free_at: float
    """When the room may send its next reminder."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a slot. `outcome` None: nothing is due yet, or the reminders have ended."""

    outcome: Outcome | None
    reason: str
    slot: int
    missed: int
    counted: int
    escalate: bool
    next_at: float


def decide(owed: Owed, circumstances: Circumstances, cap: int, now: float, settings: FixedSettings) -> Decision:
    """Decide about something owed: send a reminder, hold it for the next wake, or stay silent, with the reason.

    `cap`: after so many reminders that count, the owner is told once, and the reminders end.
    """
    longest = settings.remind_longest_seconds
    passed = slots_passed(owed.since, owed.first, longest, now)
    next_at = slot_time(owed.since, owed.first, longest, passed + 1)
    if passed <= owed.slot:
        later = slot_time(owed.since, owed.first, longest, owed.slot + 1)
        return Decision(None, "", owed.slot, 0, owed.counted, False, later)
    if owed.escalated or owed.counted >= cap:
        return Decision(None, "", passed, 0, owed.counted, False, next_at)
    if circumstances.hour_free_at > now:
        return Decision(None, "", owed.slot, 0, owed.counted, False, circumstances.hour_free_at)
    outcome, reason, counts = _outcome(circumstances, now, settings)
    counted = owed.counted + counts
    return Decision(outcome, reason, passed, passed - owed.slot - 1, counted, counted >= cap, next_at)


def _outcome(circumstances: Circumstances, now: float, settings: FixedSettings) -> tuple[Outcome, str, int]:
    """The outcome of the slot, its reason, and whether it counts toward the cap."""
    if circumstances.standing != "active":
        return "silent", f"the member is {circumstances.standing}", 0
    if circumstances.snoozed_until is not None and circumstances.snoozed_until > now:
        return "silent", "snoozed", 0
    if circumstances.state in ("suspect", "zombie", "gone"):
        return "silent", f"the member is {circumstances.state}, and its owner knows", 1
    if circumstances.today >= settings.reminders_per_day:
        return "silent", "the member has reached its daily reminder limit", 1
    if circumstances.state == "asleep":
        return "held", "the member is asleep; the reminder comes with its next wake", 1
    return "sent", "", 1


def fills_the_day(sent: Sequence[float], a_day: int, now: float) -> bool:
    """Whether the newest reminder of a member used up its daily limit, for the first time in a day.

    `a_day`: the limit. `sent`: when each reminder was sent, newest first, for the last two days.
    """
    full = [at for at, first in zip(sent, sent[a_day - 1 :], strict=False) if at - first < DAY_SECONDS]
    return full[:1] == list(sent[:1]) and not any(at > now - DAY_SECONDS for at in full[1:])


def slots_passed(since: float, first: float, longest: float, now: float) -> int:
    """How many slots are at or before now."""
    passed, at, gap = 0, since + first, first
    while at <= now and gap < longest:
        passed, gap = passed + 1, min(2 * gap, longest)
        at += gap
    return passed if at > now else passed + 1 + int((now - at) // longest)


def slot_time(since: float, first: float, longest: float, slot: int) -> float:
    """The time of a slot. Slots are counted from 1."""
    at, gap = since + first, first
    for done in range(1, slot):
        if gap >= longest:
            return at + (slot - done) * longest
        gap = min(2 * gap, longest)
        at += gap
    return at


@dataclass(frozen=True, slots=True)
class Delay:
    """How long until a first reminder: the longer of so many seconds and so many of the member's intervals."""

    seconds: float
    intervals: float


def first_seconds(delay: Delay, interval: float | None) -> float:
    """After how many seconds a member with this interval is first reminded."""
    return max(delay.seconds, delay.intervals * (interval or 0.0))
