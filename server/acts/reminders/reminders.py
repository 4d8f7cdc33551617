"""Reminders of what members owe: a report on a task, an answer to an ask or an offer, a review, a proof to renew."""

from pydantic import BaseModel

from teamroom.server import topics
from teamroom.server.facts.ended import is_ended, reachable
from teamroom.server.facts.holding import find_current
from teamroom.server.facts.member import facts_of
from teamroom.server.facts.owed import RULES, Later, Open, first_delay, is_still_owed, owed_now, subject_name
from teamroom.server.facts.reviewer import as_review, replace_lost_reviewer
from teamroom.server.facts.standing import is_killed
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import Timer, cancel_timer, find_timer, postpone, schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.rules.budgets import seconds_until_free
from teamroom.server.rules.presence import find_presence, interval_seconds
from teamroom.server.rules.reminders import (
    DAY_SECONDS,
    Circumstances,
    Decision,
    Owed,
    decide,
    fills_the_day,
    slot_time,
)
from teamroom.server.rules.spans import duration
from teamroom.server.rules.text import one_line
from teamroom.server.store.rows.hand_offs import OfferRow
from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.rows.supervisor import EndedReminder, OpenReminder, WatchedMember
from teamroom.server.store.transaction import Reading, Writing

NEWEST_LOOKED_AT = 200
"""How many of a member's newest reminders are examined for those that still apply."""

SHOWN, LOOKED_AT = 10, 50
"""How many reminders one reply shows, and how many are examined for it, since some may be over."""

HOUR_SECONDS = 3_600.0

KILLED, TOKENLESS = "the member is killed", "the member has no valid token"
"""The reasons of the last slot of a member that has ended. Nothing is due until it can act again."""

REVIVED_AT_ONCE = 200
"""How many things, the newest first, a revived member is reminded of again."""


class Reminder(BaseModel):
    """Something that the caller was reminded of and still owes. `times`: how often; `at`: the last time."""

    rule: str
    subject: str
    at: str
    since: str
    times: int


def remind(tx: Writing, timer: Timer) -> None:
    """Decide one slot of a reminder, as the supervisor, and record the outcome."""
    _bring_up_to_date(tx, timer)
    found = owed_now(tx, timer.rule, timer.subject, timer.member, timer.since)
    if found is None:
        cancel_timer(tx, timer.rule, timer.subject, timer.member)
        return
    if isinstance(found, Later):
        postpone(tx, timer, found.at)
        return
    row = tx.only(WatchedMember, "watched", member=timer.member)
    if is_ended(tx, row):
        _end_for_good(tx, timer, KILLED if is_killed(row) else TOKENLESS)
        return
    if found.moved_at > timer.since or not timer.span:
        if timer.span:
            _record_slot(tx, timer, timer.slot + 1, "silent", "it moved", 0)
        first = first_delay(tx, timer.rule, interval_seconds(row.mode, tx.settings), found.blocked)
        schedule(tx, timer.rule, timer.subject, timer.member, first, since=max(found.moved_at, timer.since))
        return
    rule = RULES[timer.rule]
    cap = tx.settings.reminders_per_task if rule.caps is None else rule.caps
    owed = Owed(timer.since, timer.span, timer.slot, timer.counted, bool(timer.escalated))
    decision = decide(owed, circumstances(tx, row, found), cap, tx.now, tx.settings)
    if decision.outcome is not None:
        _record_slot(tx, timer, decision.slot, decision.outcome, decision.reason, decision.missed)
    if decision.outcome == "sent":
        send(tx, row, timer, found, decision)
    escalates = decision.escalate and rule.escalates
    if escalates:
        since = duration(tx.now - timer.since)
        line = f"@{row.name} has not acted on {found.name} for {since}, despite {decision.counted} reminders"
        escalate(tx, row, found.name, timer.rule, line)
    _count(tx, timer, found, decision, escalates)


def remind_again(tx: Writing, member: int, mode: str) -> None:
    """Set the timers of what a member that can act again still owes, as they were when it ended."""
    interval, longest = interval_seconds(mode, tx.settings), tx.settings.remind_longest_seconds
    reasons = {"killed": KILLED, "tokenless": TOKENLESS}
    for row in tx.all(EndedReminder, "ended_for_good", member=member, **reasons, limit=REVIVED_AT_ONCE):
        if find_timer(tx, row.rule, row.subject, member) is not None:
            continue
        found = owed_now(tx, row.rule, row.subject, member, row.since)
        if isinstance(found, Open):
            first = first_delay(tx, row.rule, interval, found.blocked)
            at = slot_time(row.since, first, longest, row.slot + 1)
            schedule(tx, row.rule, row.subject, member, first, since=row.since, at=at)
            key = {"rule": row.rule, "subject": row.subject, "member": member}
            tx.run("count_slot", **key, at=at, span=first, slot=row.slot, counted=0, escalated=0)


def reminders_of(tx: Reading, member: int) -> list[Reminder]:
    """The reminders of a member, sent or held, of what it still owes; the oldest first."""
    rows = tx.all(OpenReminder, "reminders_standing", member=member, looked_at=NEWEST_LOOKED_AT, limit=LOOKED_AT)
    return [
        Reminder(
            rule=row.rule,
            subject=subject_name(row.rule, row.subject, "proofs"),
            at=tx.shown(row.at),
            since=tx.shown(row.since),
            times=row.times,
        )
        for row in [row for row in rows if is_still_owed(tx, row.rule, row.subject, member, row.since)][:SHOWN]
    ]


def escalate(tx: Writing, row: WatchedMember, subject: str, rule: str, reason: str) -> None:
    """Log that a member does not do what it owes, and wake its owner."""
    owner = reachable(tx, row.owner) if row.owner != row.id else None
    to = "" if owner is None else f"; @{tx.only(MemberName, 'member_by_id', id=owner).name} is notified"
    log.append(
        tx,
        ROOM_AUTHOR,
        act="escalate",
        subject=subject,
        summary=one_line(f"{reason}{to}"),
        detail={"rule": rule, "member": row.name, "to": row.owner_name, "reason": reason},
    )
    if owner is not None:
        wake_members(tx, [owner], reason="alert", subject=subject, sender=ROOM_MEMBER, line=one_line(reason))


# ------------------------------------------------------------------ deciding and sending


def circumstances(tx: Reading, row: WatchedMember, found: Open) -> Circumstances:
    """What may hold a reminder back: standing, presence, snooze and the limits."""
    facts = facts_of(tx, row)
    settings = tx.settings
    nth = tx.value(float, "nth_newest_reminder", since=tx.now - HOUR_SECONDS, offset=settings.reminders_per_hour - 1)
    return Circumstances(
        standing=facts.standing,
        state=find_presence(facts, tx.now, settings).state,
        snoozed_until=found.snoozed_until,
        today=tx.number("count_reminders_of_member", member=row.id, since=tx.now - DAY_SECONDS),
        hour_free_at=tx.now + seconds_until_free(nth, HOUR_SECONDS, tx.now),
    )


def _record_slot(tx: Writing, timer: Timer, slot: int, outcome: str, reason: str, missed: int) -> None:
    if RULES[timer.rule].subject == "task":
        tx.changed(topics.task(timer.subject))
    tx.run(
        "add_reminder",
        **timer.key,
        since=timer.since,
        slot=slot,
        now=tx.now,
        outcome=outcome,
        reason=reason,
        missed=missed,
    )


def _bring_up_to_date(tx: Writing, timer: Timer) -> None:
    """Record what became due of a task or an offer, before deciding what is owed.

    An expired offer returns the task to its giver, and an unavailable reviewer is replaced.
    """
    kind = RULES[timer.rule].subject
    if kind == "offer":
        offer = tx.one(OfferRow, "offer", id=timer.subject)
        if offer is not None:
            find_current(tx, offer.task)
    elif kind == "task":
        task = find_current(tx, timer.subject)
        if timer.rule == "review" and task.state == "in_review":
            replace_lost_reviewer(tx, as_review(task.row))


def _end_for_good(tx: Writing, timer: Timer, why: str) -> None:
    """End the reminder of a member that has ended. A review waits for another reviewer."""
    if timer.rule == "review":
        postpone(tx, timer, tx.now + HOUR_SECONDS)
        return
    _record_slot(tx, timer, timer.slot + 1, "silent", why, 0)
    cancel_timer(tx, timer.rule, timer.subject, timer.member)


def send(tx: Writing, row: WatchedMember, timer: Timer, found: Open, decision: Decision) -> None:
    """Send a reminder. The last one of a day causes one escalation."""
    missed = f" ({decision.missed} reminders were missed)" if decision.missed else ""
    log.append(
        tx,
        ROOM_AUTHOR,
        act="remind",
        subject=found.name,
        summary=one_line(f"@{row.name} is reminded: {found.line}{missed}"),
        detail={"rule": timer.rule, "slot": decision.slot, "missed": decision.missed, "to": row.name},
    )
    line = one_line(f"{found.line}{missed}")
    wake_members(tx, [timer.member], reason="reminder", subject=found.name, sender=ROOM_MEMBER, line=line)
    a_day = tx.settings.reminders_per_day
    sent = tx.column(float, "reminders_sent_to", member=row.id, since=tx.now - 2 * DAY_SECONDS, limit=2 * a_day)
    if fills_the_day(sent, a_day, tx.now):
        reason = f"@{row.name} was reminded {a_day} times in a day, which is the limit"
        escalate(tx, row, f"@{row.name}", "day", reason)


def _count(tx: Writing, timer: Timer, found: Open, decision: Decision, escalated: bool) -> None:
    at = decision.next_at if found.ends_at is None else min(decision.next_at, found.ends_at)
    tx.run(
        "count_slot",
        **timer.key,
        at=at,
        span=timer.span,
        slot=decision.slot,
        counted=decision.counted,
        escalated=int(bool(timer.escalated) or escalated),
    )
