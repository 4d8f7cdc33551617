"""What will be due: noted by the act that causes it, looked at by the supervisor when its time has come.

Nothing here is taken back when it is done: the supervisor looks whether it still stands.
"""

from dataclasses import dataclass
from typing import Any, Literal

from teamroom.server.rules.notices import next_time
from teamroom.server.rules.presence import interval_seconds
from teamroom.server.rules.reminders import Rule, first_seconds
from teamroom.server.store.transaction import Reading, Writing

DueRule = Literal["presence", "lease", "task", "ask", "offer", "review", "proof", "notice", "digest"]


@dataclass(frozen=True, slots=True)
class Due:
    """Something whose time has come, as the supervisor saw it."""

    rule: DueRule
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
        """What names it in a statement."""
        return {"rule": self.rule, "subject": self.subject, "member": self.member}


def owe(
    tx: Writing,
    rule: DueRule,
    subject: int,
    member: int,
    span: float,
    *,
    since: float | None = None,
    at: float | None = None,
) -> None:
    """Something is due from now, or since a time, on: first after `span` seconds, or at a time."""
    since = tx.now if since is None else since
    at = since + span if at is None else at
    tx.run("owe", rule=rule, subject=subject, member=member, at=at, since=since, span=span)
    tx.effects.due = min(tx.effects.due, at)


def owe_reminder(tx: Writing, rule: Rule, subject: int, member: int, mode: str, blocked: bool = False) -> None:
    """A member owes something from now on, and will be reminded of it."""
    first = first_seconds(rule, interval_seconds(mode, tx.settings), blocked, tx.settings)
    owe(tx, rule, subject, member, first)


def owe_task(tx: Writing, task: int, member: int, mode: str, lease_seconds: float, blocked: bool = False) -> None:
    """A member holds a task that moved now: it is reminded while nothing moves again, and the lease runs out."""
    owe_reminder(tx, "task", task, member, mode, blocked)
    owe(tx, "lease", task, member, lease_seconds)


def owe_presence(tx: Writing, member: int, mode: str) -> None:
    """An agent with an interval is watched from now on; another is not any more."""
    interval = interval_seconds(mode, tx.settings)
    if interval is None:
        settle(tx, "presence", member, member)
    else:
        owe(tx, "presence", member, member, interval)


def look_at_leases(tx: Writing, member: int, at: float) -> None:
    """A member's leases may be over at a time, sooner than each was to run out."""
    tx.run("look_at_leases", member=member, at=at)
    tx.effects.due = min(tx.effects.due, at)


def owe_digest(tx: Writing, member: int, name: str) -> None:
    """A person is sent a digest each day, if it has a channel and there is a time for it. One that is due stays so."""
    clock = tx.settings.notify_digest
    if not clock or name not in tx.settings.notify:
        return
    at, standing = next_time(tx.now, clock, tx.settings), find_due(tx, "digest", member, member)
    if standing is None:
        owe(tx, "digest", member, member, 0, at=at)
    elif at < standing.at:
        put_off(tx, standing, at)
        tx.effects.due = min(tx.effects.due, at)


def settle(tx: Writing, rule: DueRule, subject: int, member: int) -> None:
    """It is not due any more."""
    tx.run("settle", rule=rule, subject=subject, member=member)


def put_off(tx: Writing, due: Due, at: float) -> None:
    """Look again at a time."""
    tx.run("put_off", **due.key, at=at)


def find_due(tx: Reading, rule: str, subject: int, member: int) -> Due | None:
    """What is noted as due, if it is."""
    row = tx.one("due", rule=rule, subject=subject, member=member)
    return None if row is None else Due(*row)
