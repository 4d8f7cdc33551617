"""What members still owe, and the one table of reminder rules.

A rule is one entry of `RULES`: its subject, what is owed now, and when the first reminder is due. The supervisor sends
reminders by it. Escalations and letters use it to check whether they still apply.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from teamroom.server.facts.capability import probes_due
from teamroom.server.facts.decision import asked_people, state_now
from teamroom.server.facts.ids import decision_name, message_name, offer_name, task_name
from teamroom.server.facts.task import task_now
from teamroom.server.facts.timers import schedule
from teamroom.server.record import chain
from teamroom.server.rules.presence import interval_seconds
from teamroom.server.rules.proofs import renew_from
from teamroom.server.rules.reminders import Delay, first_seconds
from teamroom.server.rules.spans import duration
from teamroom.server.settings import FixedSettings
from teamroom.server.store.rows.decisions import DecisionRow
from teamroom.server.store.rows.hand_offs import OfferRow
from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.rows.messages import MessageRow
from teamroom.server.store.rows.supervisor import ReminderRow
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing

HOUR_SECONDS = 3_600.0

SLOTS_SHOWN = 10
"""How many of the newest decisions about something are shown."""

SubjectKind = Literal["task", "message", "offer", "decision", "member"]

PREFIXES: Mapping[SubjectKind, str] = {"task": "T-", "message": "M-", "offer": "O-", "decision": "D-"}
"""How the subject of a rule is written; a member is written by its name."""


@dataclass(frozen=True, slots=True)
class Open:
    """Something that a member still owes: its name, a line about it, and when it last moved."""

    name: str
    line: str
    moved_at: float
    snoozed_until: float | None = None
    blocked: bool = False
    ends_at: float | None = None
    """When it ends without the member, or another member is asked."""


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing is owed now, but it may be again at a time."""

    at: float


Owed = Open | Later | None
"""What a member owes under a rule; None: nothing, and never again."""


@dataclass(frozen=True, slots=True)
class ReminderRule:
    """One rule: what its subject is, what a member owes under it now, and when it is first reminded.

    `owed` takes the subject, the member, and since when it is owed. `caps`: how many reminders count before the owner
    is told; None: as many as the settings say. `escalates`: whether the owner is told at all.
    """

    subject: SubjectKind
    owed: Callable[[Reading, int, int, float], Owed]
    delay: Callable[[FixedSettings, bool], Delay]
    caps: int | None = None
    escalates: bool = True


def owed_now(tx: Reading, rule: str, subject: int, member: int, since: float) -> Owed:
    """What a member owes under a rule, as it is at this moment."""
    return RULES[rule].owed(tx, subject, member, since)


def is_still_owed(tx: Reading, rule: str, subject: int, member: int, since: float) -> bool:
    """Whether a member owes something and has not moved it since a time."""
    found = owed_now(tx, rule, subject, member, since)
    return isinstance(found, Open) and found.moved_at <= since


def subject_name(rule: str, subject: int, member: str) -> str:
    """How the subject of a rule is written. A rule about the member itself has the name `member` as its subject."""
    prefix = PREFIXES.get(RULES[rule].subject)
    return member if prefix is None else f"{prefix}{subject}"


def first_delay(tx: Reading, rule: str, interval: float | None, blocked: bool = False) -> float:
    """After how many seconds a member with this interval is first reminded."""
    return first_seconds(RULES[rule].delay(tx.settings, blocked), interval)


def schedule_reminder(tx: Writing, rule: str, subject: int, member: int, mode: str, blocked: bool = False) -> None:
    """A member owes something from now on: set the timer of its first reminder."""
    schedule(tx, rule, subject, member, first_delay(tx, rule, interval_seconds(mode, tx.settings), blocked))


# ------------------------------------------------------------------ the outcome of each slot


class Slot(BaseModel):
    """A reminder that was sent, held or silent, and why."""

    rule: str
    member: str
    at: str
    outcome: Literal["sent", "held", "silent"]
    reason: str
    missed: int

    def line(self) -> str:
        """The slot in words, the same in every view."""
        why = f", {self.reason}" if self.reason else ""
        missed = f", after {self.missed} missed slot{'s' if self.missed != 1 else ''}" if self.missed else ""
        return f"{self.at} {self.rule} of @{self.member}: {self.outcome}{why}{missed}"


def slots_of(tx: Reading, rule: str, subject: int) -> list[Slot]:
    """The newest reminders about something: sent, held or silent, each with its reason."""
    return [
        Slot(
            rule=row.rule,
            member=row.member,
            at=tx.shown(row.at),
            outcome=row.outcome,
            reason=row.reason,
            missed=row.missed,
        )
        for row in tx.all(ReminderRow, "reminders_of_subject", rule=rule, subject=subject, limit=SLOTS_SHOWN)
    ]


# ------------------------------------------------------------------ what is owed under each rule


def _task(tx: Reading, subject: int, member: int, since: float) -> Owed:
    """The holder owes a report; the member that an open task is assigned to owes a claim."""
    row = tx.one(TaskRow, "task", id=subject)
    if row is None:
        return None
    task, moved_at = task_now(tx, row), chain.time_of(tx, row.changed_seq)
    if task.state == "open" and row.assigned == member:
        return Open(task.name, f"{task.name} is assigned to you: claim_task", moved_at, snoozed_until(tx, row))
    if task.holder != member or task.state in ("done", "cancelled", "in_review", "open"):
        return None
    if task.state == "offered":
        return Later(row.offer_expires_at or tx.now)
    still = f"{task.name} has not moved for {duration(tx.now - moved_at)}: update_task or hand_off"
    return Open(task.name, still, moved_at, snoozed_until(tx, row), task.state == "blocked")


def snoozed_until(tx: Reading, row: TaskRow) -> float | None:
    """When the snooze of a task ends, in room time. A date of the wall clock moves with it."""
    return row.snooze_until if row.snooze_date is None else tx.room_time_of(row.snooze_date)


def _ask(tx: Reading, subject: int, member: int, since: float) -> Owed:
    row = tx.one(MessageRow, "message", id=subject)
    if row is None or row.kind != "ask":
        return None
    if tx.value(int, "has_answered", thread=row.thread, member=member, message=subject) is not None:
        return None
    name = message_name(subject)
    return Open(name, f"@{row.author} waits for your answer to {name}: post_message with reply_to", since)


def _decision(tx: Reading, subject: int, member: int, since: float) -> Owed:
    """Each person who was asked owes the decision until one of them has made it."""
    row = tx.one(DecisionRow, "decision", id=subject)
    if row is None or state_now(tx, row) != "open":
        return None
    if member not in [person.member for person in asked_people(tx, subject)]:
        return None
    left = duration(row.expires_at - tx.now)
    line = f"@{row.asker_name} waits for your decision {decision_name(subject)} for another {left}: decide"
    return Open(decision_name(subject), line, since, ends_at=row.expires_at)


def _offer(tx: Reading, subject: int, member: int, since: float) -> Owed:
    offer = tx.one(OfferRow, "offer", id=subject)
    if offer is None or offer.state != "offered" or offer.expires_at <= tx.now:
        return None
    name = offer_name(subject)
    left = duration(offer.expires_at - tx.now)
    line = f"@{offer.giver_name} offers you {task_name(offer.task)} for another {left}: answer_hand_off {name}"
    return Open(name, line, since, ends_at=offer.expires_at)


def _review(tx: Reading, subject: int, member: int, since: float) -> Owed:
    row = tx.one(TaskRow, "task", id=subject)
    if row is None or row.state != "in_review":
        return None
    if row.reviewer is None:
        return Later(tx.now + HOUR_SECONDS)
    if row.reviewer != member:
        return None
    name = task_name(subject)
    falls_at = (row.completed_at or tx.now) + tx.policy.review_seconds
    ends_at = falls_at if falls_at > tx.now else None
    return Open(name, f"{name} waits for your review: read_board shows its evidence", since, ends_at=ends_at)


def _proof(tx: Reading, subject: int, member: int, since: float) -> Owed:
    if probes_due(tx, member):
        name = tx.only(MemberName, "member_by_id", id=member).name
        return Open(f"@{name}", "Some of your proofs have expired or expire soon: check_in says what to run", since)
    until = tx.value(float, "earliest_proof", member=member)
    return None if until is None else Later(max(renew_from(until, tx.policy.proof_seconds), tx.now + HOUR_SECONDS))


RULES: Mapping[str, ReminderRule] = {
    "task": ReminderRule(
        "task",
        _task,
        lambda settings, blocked: Delay(
            settings.remind_blocked_seconds if blocked else settings.remind_task_seconds, settings.remind_intervals
        ),
    ),
    "ask": ReminderRule(
        "message", _ask, lambda settings, _: Delay(settings.remind_ask_seconds, settings.remind_ask_intervals)
    ),
    "decision": ReminderRule(
        "decision", _decision, lambda settings, _: Delay(settings.remind_ask_seconds, settings.remind_ask_intervals)
    ),
    "offer": ReminderRule(
        "offer",
        _offer,
        lambda settings, _: Delay(settings.remind_proof_seconds, settings.remind_intervals),
        caps=1,
        escalates=False,
    ),
    "review": ReminderRule(
        "task", _review, lambda settings, _: Delay(settings.remind_review_seconds, settings.remind_intervals)
    ),
    "proof": ReminderRule(
        "member", _proof, lambda settings, _: Delay(settings.remind_proof_seconds, settings.remind_intervals)
    ),
}
"""The reminder rules by name. A new rule is one entry here."""
