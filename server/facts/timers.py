"""Timers: what the supervisor checks, and when. An act sets the timers of what it causes in its own commit.

A timer is not removed when its subject is done: the supervisor first checks whether it still applies.
"""

from dataclasses import dataclass
from typing import Any

from teamroom.server.facts.channels import find_channels, letter_settings
from teamroom.server.rules.notices import next_daily_time
from teamroom.server.rules.presence import interval_seconds
from teamroom.server.store.transaction import Reading, Writing

KILLED = "killed"
"""The rule of the timer of what a killed member held, which is settled in pages."""

RESUMED = "resumed"
"""The rule of the timer of a pause of several agents that ends: see `acts/control/gradual.py`."""

TOKENLESS = "tokenless"
"""The rule of the timer of a member whose last token ends: it ends a while later, unless it gets another."""


BLOCK = "block"
"""The rule of the timer of a block that the room looks at by itself. Its subject is the blocked task."""

DECISION_END = "decision_end"
"""The rule of the timer of a decision's end, and of the notice before it. Its subject is the decision."""

WAKES = "wakes"
"""The rule of the timer of an agent whose newest wakes have led to no act yet."""

RETENTION = "retention"
"""The rule of the timer of the room's own redaction by age. Its slot is the entry up to which it has come."""


@dataclass(frozen=True, slots=True)
class Timer:
    """One entry of the schedule, as the supervisor saw it.

    `rule`: which duty it is for; `subject`: the task, message, offer or member it is about. `at`: when it is due;
    `since`: when it was set, both in seconds since 1970-01-01 UTC. The next four belong to reminders. `span`: the first
    delay in seconds; `slot`: the last one decided; `counted`: how many counted; `escalated`: 1 once the owner was told.
    """

    rule: str
    subject: int
    member: int
    at: float
    since: float
    span: float
    slot: int
    counted: int
    escalated: int
    failures: int

    @property
    def key(self) -> dict[str, Any]:
        """Its key, as parameters of a statement."""
        return {"rule": self.rule, "subject": self.subject, "member": self.member}


def schedule(
    tx: Writing,
    rule: str,
    subject: int,
    member: int,
    span: float,
    *,
    since: float | None = None,
    at: float | None = None,
) -> None:
    """Set a timer: `span` seconds after now, or after `since`; or at a time. A timer of the same key starts over."""
    since = tx.now if since is None else since
    at = since + span if at is None else at
    tx.run("schedule", rule=rule, subject=subject, member=member, at=at, since=since, span=span)
    tx.effects.due = min(tx.effects.due, at)


def schedule_presence_check(tx: Writing, member: int, mode: str) -> None:
    """Watch the presence of an agent from now on. An agent without an interval is not watched."""
    interval = interval_seconds(mode, tx.settings)
    if interval is None:
        cancel_timer(tx, "presence", member, member)
    else:
        schedule(tx, "presence", member, member, interval)


def check_presence_by(tx: Writing, member: int, at: float) -> None:
    """Check the presence of a member no later than a time, if it is watched: what excuses it may be over by then."""
    if tx.run_counted("check_presence_by", member=member, at=at):
        tx.effects.due = min(tx.effects.due, at)


def check_leases_by(tx: Writing, member: int, at: float) -> None:
    """Check a member's leases no later than a time: they may expire earlier than expected."""
    tx.run("check_leases_by", member=member, at=at)
    tx.effects.due = min(tx.effects.due, at)


def schedule_digest(tx: Writing, member: int, name: str) -> None:
    """Send a person a digest each day, if it has a channel and its settings name a time. An earlier time stays."""
    letters = letter_settings(tx, member)
    if not letters.digest_time or not find_channels(tx, member, name):
        return
    at, set_before = (
        next_daily_time(tx.now, letters.digest_time, letters, tx.ahead),
        find_timer(tx, "digest", member, member),
    )
    if set_before is None:
        schedule(tx, "digest", member, member, 0, at=at)
    elif at < set_before.at:
        postpone(tx, set_before, at)
        tx.effects.due = min(tx.effects.due, at)


def postpone_to_slot(tx: Writing, timer: Timer, slot: int, at: float) -> None:
    """Move a timer to another time, and note the step that was taken."""
    counted = {"span": timer.span, "slot": slot, "counted": timer.counted, "escalated": timer.escalated}
    tx.run("count_slot", **timer.key, at=at, **counted)


def cancel_timer(tx: Writing, rule: str, subject: int, member: int) -> None:
    """Remove a timer."""
    tx.run("cancel_timer", rule=rule, subject=subject, member=member)


def postpone(tx: Writing, timer: Timer, at: float) -> None:
    """Move a timer to another time."""
    tx.run("postpone", **timer.key, at=at)


def find_timer(tx: Reading, rule: str, subject: int, member: int) -> Timer | None:
    """The timer with this key, if it is set."""
    return tx.one(Timer, "timer", rule=rule, subject=subject, member=member)


def is_settled(tx: Reading, member: int) -> bool:
    """Whether nothing is left to settle of what a member held when it was killed."""
    return find_timer(tx, KILLED, member, member) is None
