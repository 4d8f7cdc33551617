"""Reminders of what members owe: a task that stands still, a question, an offer, a review, a proof to renew."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from teamroom.server.acts.capabilities.probes import count_probes_due
from teamroom.server.clock import rfc3339
from teamroom.server.facts.member import facts_of
from teamroom.server.facts.owed import Due, find_due, owe, put_off, settle
from teamroom.server.facts.reviewer import settle_review
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER, as_it_is, find_settled
from teamroom.server.record import chain as log
from teamroom.server.rules.budgets import seconds_until_free
from teamroom.server.rules.presence import duration, interval_seconds, presence
from teamroom.server.rules.proofs import renew_from
from teamroom.server.rules.reminders import (
    DAY_SECONDS,
    Circumstances,
    Decision,
    Owed,
    Rule,
    decide,
    fills_the_day,
    first_seconds,
    slot_time,
)
from teamroom.server.rules.text import one_line
from teamroom.server.store.transaction import Reading, Writing

SHOWN, LOOKED_AT = 10, 50
"""How many reminders one reply shows, and how many are looked at for it: some may be over."""

HOUR_SECONDS = 3_600.0

KILLED = "the member is killed"
"""Why the last slot of what a killed member owed was silent; nothing is due of it until a revive."""

OWED_AGAIN = 200
"""Of how many things, the newest first, a revived member is reminded again."""

PREFIX: dict[str, str] = {"task": "T-", "lease": "T-", "review": "T-", "ask": "M-", "offer": "O-"}
"""How the subject of a rule is written; a proof's is the member."""


class Reminder(BaseModel):
    """Something the caller was reminded of and still owes. `times`: how often, the last time `at`."""

    rule: str
    subject: str
    at: str
    since: str
    times: int


class Slot(BaseModel):
    """A reminder that was sent, held or left out, and why."""

    rule: str
    member: str
    at: str
    outcome: Literal["sent", "held", "silent"]
    reason: str
    missed: int

    def line(self) -> str:
        """The slot in words, as every view of it says it."""
        why = f", {self.reason}" if self.reason else ""
        missed = f", {self.missed} slot{'s' if self.missed != 1 else ''} before it missed" if self.missed else ""
        return f"{self.at} {self.rule} of @{self.member}: {self.outcome}{why}{missed}"


@dataclass(frozen=True, slots=True)
class Open:
    """Something that a member still owes: how it is written and said, and when it last moved."""

    name: str
    line: str
    moved_at: float
    snoozed_until: float | None = None
    blocked: bool = False
    ends_at: float | None = None
    """When it ends by itself, or somebody else is asked."""


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing is owed now, but it may be again."""

    at: float


Look = Callable[[Writing, Due], Open | Later | None]


def remind(tx: Writing, due: Due) -> None:
    """Decide one slot of something that a member owes, as the supervisor, and write down what was decided."""
    found = LOOKS[due.rule](tx, due)
    if found is None:
        settle(tx, due.rule, due.subject, due.member)
        return
    if isinstance(found, Later):
        put_off(tx, due, found.at)
        return
    row = tx.one("watched", member=due.member)
    if row["own_state"] == "killed":
        _end_with_kill(tx, due)
        return
    rule: Rule = due.rule  # type: ignore[assignment]
    if found.moved_at > due.since or not due.span:
        if due.span:
            _write_down(tx, due, due.slot + 1, "silent", "it moved", 0)
        first = first_seconds(rule, interval_seconds(row["mode"], tx.settings), found.blocked, tx.settings)
        owe(tx, rule, due.subject, due.member, first, since=max(found.moved_at, due.since))
        return
    cap = 1 if rule == "offer" else tx.settings.reminders_per_task
    owed = Owed(due.since, due.span, due.slot, due.counted, bool(due.escalated))
    decision = decide(owed, _circumstances(tx, row, found), cap, tx.now, tx.settings)
    if decision.outcome is not None:
        _write_down(tx, due, decision.slot, decision.outcome, decision.reason, decision.missed)
    if decision.outcome == "sent":
        _send(tx, row, due, found, decision)
    escalates = decision.escalate and rule != "offer"
    if escalates:
        line = (
            f"@{row['name']} owes {found.name} since {duration(tx.now - due.since)}, reminded {decision.counted} times"
        )
        escalate(tx, row, found.name, rule, line)
    _count(tx, due, found, decision, escalates)


def owe_again(tx: Writing, member: int, mode: str) -> None:
    """A member was revived: what it still owes, and was no longer reminded of, is owed as it was when it was killed."""
    interval, longest = interval_seconds(mode, tx.settings), tx.settings.remind_longest_seconds
    for row in tx.all("ended_with_kill", member=member, reason=KILLED, limit=OWED_AGAIN):
        rule, since = row["rule"], row["since"]
        due = Due(rule, row["subject"], member, tx.now, since, 0.0, row["slot"], 0, 0, 0)
        if find_due(tx, rule, due.subject, member) is not None:
            continue
        found = LOOKS[rule](tx, due)
        if isinstance(found, Open):
            first = first_seconds(rule, interval, found.blocked, tx.settings)
            at = slot_time(since, first, longest, due.slot + 1)
            owe(tx, rule, due.subject, member, first, since=since, at=at)
            tx.run("count_slot", **due.key, at=at, span=first, slot=due.slot, counted=0, escalated=0)


def reminders_of(tx: Reading, member: int) -> list[Reminder]:
    """What a member was reminded of, or would have been had it been awake, and still owes; the oldest first."""
    rows = tx.all("reminders_standing", member=member, limit=LOOKED_AT)
    return [
        Reminder(
            rule=row["rule"],
            subject=_name(row["rule"], row["subject"]),
            at=rfc3339(row["at"]),
            since=rfc3339(row["since"]),
            times=row["times"],
        )
        for row in [row for row in rows if _still_owes(tx, member, row)][:SHOWN]
    ]


def slots_of(tx: Reading, rule: Rule, subject: int) -> list[Slot]:
    """The newest decisions about something: what was sent, and what was left out for which reason."""
    return [
        Slot(
            rule=row["rule"],
            member=row["member"],
            at=rfc3339(row["at"]),
            outcome=row["outcome"],
            reason=row["reason"],
            missed=row["missed"],
        )
        for row in tx.all("reminders_of_subject", rule=rule, subject=subject, limit=SHOWN)
    ]


def escalate(tx: Writing, row: Any, subject: str, rule: str, reason: str) -> None:
    """Tell who answers for a member, once, that it does not do what it owes."""
    told = row["owner"] if row["owner"] != row["id"] else None
    to = f"; @{row['owner_name']} is told" if told is not None else ""
    log.append(
        tx,
        ROOM_AUTHOR,
        act="escalate",
        subject=subject,
        summary=one_line(f"{reason}{to}"),
        detail={"rule": rule, "member": row["name"], "to": row["owner_name"], "reason": reason},
    )
    if told is not None:
        log.wake(tx, [told], reason="alert", subject=subject, sender=ROOM_MEMBER, line=one_line(reason))


# ------------------------------------------------------------------ what still stands


def _still_owes(tx: Reading, member: int, row: Any) -> bool:
    """Whether what a member was reminded of stands, and has not moved since: the supervisor may look later."""
    rule, subject = row["rule"], row["subject"]
    if rule == "offer":
        offer = tx.one("offer", id=subject)
        return bool(offer["state"] == "offered" and offer["expires_at"] > tx.now)
    if rule == "review":
        task = tx.one("task", id=subject)
        return bool(task["state"] == "in_review" and task["reviewer"] == member)
    due = find_due(tx, rule, subject, member)
    found = None if due is None else {"task": _task_as_it_is, "ask": _ask, "proof": _proof}[rule](tx, due)
    return isinstance(found, Open) and found.moved_at <= row["since"]


def _task(tx: Writing, due: Due) -> Open | Later | None:
    find_settled(tx, f"T-{due.subject}")  # an offer that has expired moves it now, not when it was made
    return _task_as_it_is(tx, due)


def _task_as_it_is(tx: Reading, due: Due) -> Open | Later | None:
    row = tx.one("task", id=due.subject)
    task = as_it_is(tx, row)
    moved_at = tx.value("entry_time", seq=row["changed_seq"])
    if task.state == "open" and row["assigned"] == due.member:
        return Open(task.name, f"{task.name} is assigned to you: claim_task", moved_at, row["snooze_until"])
    if task.holder != due.member or task.state in ("done", "cancelled", "in_review", "open"):
        return None
    if task.state == "offered":
        return Later(row["offer_expires_at"])
    still = f"{task.name} stands still since {duration(tx.now - moved_at)}: update_task or hand_off"
    return Open(task.name, still, moved_at, row["snooze_until"], task.state == "blocked")


def _ask(tx: Reading, due: Due) -> Open | Later | None:
    row = tx.one("message", id=due.subject)
    if row is None or row["kind"] != "ask":
        return None
    if tx.one("has_answered", thread=row["thread"], member=due.member, message=due.subject) is not None:
        return None
    name = f"M-{due.subject}"
    return Open(name, f"@{row['author']} waits for your answer to {name}: post_message with reply_to", due.since)


def _offer(tx: Writing, due: Due) -> Open | Later | None:
    offer = tx.one("offer", id=due.subject)
    if offer is None or offer["state"] != "offered":
        return None
    if offer["expires_at"] <= tx.now:
        find_settled(tx, f"T-{offer['task']}")
        return None
    name = f"O-{due.subject}"
    left = duration(offer["expires_at"] - tx.now)
    line = f"@{offer['giver_name']} offers you T-{offer['task']} for another {left}: answer_hand_off {name}"
    return Open(name, line, due.since, ends_at=offer["expires_at"])


def _review(tx: Writing, due: Due) -> Open | Later | None:
    row = tx.one("task", id=due.subject)
    if row is None or row["state"] != "in_review":
        return None
    reviewer = settle_review(tx, row)
    if reviewer is None:
        return Later(tx.now + HOUR_SECONDS)
    if reviewer != due.member:
        return None
    name = f"T-{due.subject}"
    falls_at = row["completed_at"] + tx.policy.review_seconds
    ends_at = falls_at if falls_at > tx.now else None
    return Open(name, f"{name} waits for your review: read_board shows its evidence", due.since, ends_at=ends_at)


def _proof(tx: Reading, due: Due) -> Open | Later | None:
    if count_probes_due(tx, due.member):
        name = tx.one("member_by_id", id=due.member)["name"]
        return Open(f"@{name}", "Proofs of yours expire or have: check_in says what to run", due.since)
    until = tx.value("earliest_proof", member=due.member)
    return None if until is None else Later(max(renew_from(until, tx.policy.proof_seconds), tx.now + HOUR_SECONDS))


LOOKS: dict[str, Look] = {"task": _task, "ask": _ask, "offer": _offer, "review": _review, "proof": _proof}


# ------------------------------------------------------------------ what is decided and done


def _circumstances(tx: Reading, row: Any, found: Open) -> Circumstances:
    facts = facts_of(tx, row)
    settings = tx.settings
    nth = tx.value("nth_newest_reminder", since=tx.now - HOUR_SECONDS, offset=settings.reminders_per_hour - 1)
    return Circumstances(
        standing=facts.standing,
        verdict=presence(facts, tx.now, settings).verdict,
        snoozed_until=found.snoozed_until,
        today=tx.value("count_reminders_of_member", member=row["id"], since=tx.now - DAY_SECONDS),
        hour_free_at=tx.now + seconds_until_free(nth, HOUR_SECONDS, tx.now),
    )


def _write_down(tx: Writing, due: Due, slot: int, outcome: str, reason: str, missed: int) -> None:
    tx.run(
        "add_reminder", **due.key, since=due.since, slot=slot, now=tx.now, outcome=outcome, reason=reason, missed=missed
    )


def _end_with_kill(tx: Writing, due: Due) -> None:
    """Who was killed is reminded of nothing more. A review waits for somebody else who can be asked."""
    if due.rule == "review":
        put_off(tx, due, tx.now + HOUR_SECONDS)
        return
    _write_down(tx, due, due.slot + 1, "silent", KILLED, 0)
    settle(tx, due.rule, due.subject, due.member)


def _send(tx: Writing, row: Any, due: Due, found: Open, decision: Decision) -> None:
    missed = f" ({decision.missed} reminders were missed)" if decision.missed else ""
    log.append(
        tx,
        ROOM_AUTHOR,
        act="remind",
        subject=found.name,
        summary=one_line(f"@{row['name']} is reminded: {found.line}{missed}"),
        detail={"rule": due.rule, "slot": decision.slot, "missed": decision.missed, "to": row["name"]},
    )
    line = one_line(f"{found.line}{missed}")
    log.wake(tx, [due.member], reason="reminder", subject=found.name, sender=ROOM_MEMBER, line=line)
    a_day = tx.settings.reminders_per_day
    rows = tx.all("reminders_sent_to", member=row["id"], since=tx.now - 2 * DAY_SECONDS, limit=2 * a_day)
    if fills_the_day([sent["at"] for sent in rows], a_day, tx.now):
        reason = f"@{row['name']} was reminded {a_day} times in a day, and is not any more today"
        escalate(tx, row, f"@{row['name']}", "day", reason)


def _count(tx: Writing, due: Due, found: Open, decision: Decision, escalated: bool) -> None:
    at = decision.next_at if found.ends_at is None else min(decision.next_at, found.ends_at)
    tx.run(
        "count_slot",
        **due.key,
        at=at,
        span=due.span,
        slot=decision.slot,
        counted=decision.counted,
        escalated=int(bool(due.escalated) or escalated),
    )


def _name(rule: str, subject: int) -> str:
    return f"{PREFIX[rule]}{subject}" if rule in PREFIX else "proofs"
