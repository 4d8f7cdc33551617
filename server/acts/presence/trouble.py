"""Suspicions: silent members, suspects and zombies, their challenges, repairs and recovery."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from teamroom.server.acts.tasks.repairs import cancel_repair, give_back_repairs, request_repair
from teamroom.server.facts.channels import letter_settings
from teamroom.server.facts.ids import task_name
from teamroom.server.facts.member import facts_of, member_changed
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import Timer, cancel_timer, check_presence_by, schedule_presence_check
from teamroom.server.facts.wakes import notify_person, wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.challenges import is_right_answer
from teamroom.server.rules.letters import SUSPECT
from teamroom.server.rules.presence import (
    UNCHALLENGED,
    Assessment,
    Challenge,
    Facts,
    assess,
    interval_seconds,
)
from teamroom.server.rules.text import inline, one_line
from teamroom.server.store.rows.log import LastAct
from teamroom.server.store.rows.members import RunRow
from teamroom.server.store.rows.supervisor import SuspicionRow, WatchedMember
from teamroom.server.store.transaction import Reading, Writing

NONCE_BYTES = 4
POSTS_KNOWN = 5
"""How many of its last messages a member may name, since the reply to the newest may have been lost."""

LISTENING_NOTED_INTERVALS = 0.5
"""How often an open stream is recorded as a sign of a connection, in intervals."""


def watch(tx: Writing, due: Timer) -> None:
    """Check one agent, as the supervisor: record a suspicion, challenge the agent, wake its owner and watchdogs."""
    row = tx.only(WatchedMember, "watched", member=due.member)
    interval = interval_seconds(row.mode, tx.settings)
    if tx.is_connected(due.member) and interval is not None:
        _note_listening(tx, row, interval)
        row = tx.only(WatchedMember, "watched", member=due.member)
    waits_since = unanswered_since(tx, row)
    facts = watched_facts(tx, row, waits_since)
    judgement = assess(facts, row.connected_since, waits_since, _challenge(row), tx.now, tx.settings)
    if judgement is None or row.trouble == "gone":  # its next call sets the timer again
        cancel_timer(tx, "presence", due.member, due.member)
        return
    if judgement.finding is not None:
        _note(tx, row, judgement)
    if judgement.finding == "gone":
        cancel_timer(tx, "presence", due.member, due.member)
    elif interval is not None:
        tx.run("count_slot", **due.key, at=judgement.next_at, span=interval, slot=0, counted=0, escalated=0)


def note_return(tx: Writing, caller: Caller, mode: str, trouble: str | None) -> None:
    """Watch a member that called for the first time, or again after it was gone."""
    if caller.kind != "agent":
        return
    schedule_presence_check(tx, caller.member, mode)
    if trouble == "gone":
        _end(tx, caller, "is back")


def clear_suspicion(tx: Writing, caller: Caller) -> None:
    """End the suspicion of a member that gave evidence of work (PRS4)."""
    _end(tx, caller, "acts again")


def clear_after_note(tx: Writing, caller: Caller) -> None:
    """End the suspicion of a member that made a new note about its task, if such notes still count.

    The note answers no wake.
    """
    row = tx.only(WatchedMember, "watched", member=caller.member)
    if tx.now < watched_facts(tx, row, unanswered_since(tx, row)).notes_count_until:
        _end(tx, caller, "works on its task again", answers=False)


def end_run(tx: Writing, caller: Caller, run: RunRow) -> None:
    """Record that the run of a member's listener has ended, and check soon whether the member answered.

    The room remembers the slowest run after which nothing waited that had come before it.
    """
    waits_since = unanswered_since(tx, tx.only(WatchedMember, "watched", member=caller.member))
    has_answered = waits_since is None or waits_since >= (run.run_since or 0.0)
    slowest = max(run.slowest_run, run.run_seconds) if has_answered else run.slowest_run
    tx.run("end_run", member=caller.member, now=tx.now, slowest=slowest)
    member_changed(tx, caller.member)
    if waits_since is not None:
        check_presence_by(tx, caller.member, tx.now)


def clear_after_end(tx: Writing, member: int, why: str, seq: int) -> None:
    """End the suspicion and the run of a member that has ended, and cancel its repair. `seq`: the log entry of its end.

    A repair that a watchdog has claimed stays with it.
    """
    tx.run("end_trouble", member=member)
    tx.run("forget_run", member=member)
    member_changed(tx, member)
    cancel_repair(tx, member, why, seq, states=("open", "blocked"))


def answer_challenge(tx: Writing, caller: Caller, answer: str) -> None:
    """Check the answer to an open challenge. Raises Refusal `bad_proof`, with the question."""
    row = tx.one(SuspicionRow, "trouble", member=caller.member)
    if row is None or row.nonce is None:
        return
    if row.wrong_answers >= tx.settings.challenge_answers:
        raise Refusal(
            "bad_proof",
            f"You gave {row.wrong_answers} wrong answers to this challenge, so no further one counts.",
            "Do what waits for you instead: call check_in. Any work clears the suspicion.",
            subject=f"@{caller.name}",
        )
    if is_right_answer(answer, row.nonce, json.loads(row.expected or "[]")):
        _end(tx, caller, "answered its challenge")
        return
    raise Refusal(
        "bad_proof",
        "Your answer to the challenge is wrong.",
        f"Look the answer up with check_in, then call heartbeat again. The question: {inline(row.question or '')}",
        subject=f"@{caller.name}",
        also=lambda tx: tx.run("count_wrong_answer", member=caller.member),
    )


def open_question(tx: Reading, member: int) -> str | None:
    """The question of a member's open challenge; None without one."""
    row = tx.one(SuspicionRow, "trouble", member=member)
    return None if row is None else row.question


def report_competing_listeners(tx: Writing, caller: Caller) -> None:
    """Report that several listeners of a member supersede each other: only one of them should run."""
    line = one_line(f"Several listeners of @{caller.name} supersede each other; only one of them should run")
    subject = f"@{caller.name}"
    log.append(tx, ROOM_AUTHOR, act="presence", subject=subject, summary=line, detail={"verdict": "several listeners"})
    wake_members(tx, [caller.owner], reason="alert", subject=subject, sender=ROOM_MEMBER, line=line)


@dataclass(frozen=True, slots=True)
class Evidence:
    """When a member last gave evidence of work, and the number of its last act."""

    at: float
    seq: int


def watched_facts(tx: Reading, row: WatchedMember, waits_since: float | None) -> Facts:
    """The facts that the supervisor assesses: no pause counts against the member, and an act moves its run.

    Runs of watchdogs and observers do not matter: nobody challenges them. `waits_since`: from `unanswered_since`; notes
    count for `busy_max_seconds` past it.
    """
    facts, watched_from = facts_of(tx, row), max(tx.watched_from, _free_since(row))
    notes_count_until = math.inf
    if waits_since is not None:
        notes_count_until = max(waits_since, watched_from) + tx.policy.busy_max_seconds
    run = None if facts.run is None or row.role in UNCHALLENGED else facts.run
    if run is not None:
        run = run._replace(moved_at=max(run.moved_at, evidence_of(tx, row).at))
    return facts._replace(watched_from=watched_from, notes_count_until=notes_count_until, run=run)


def evidence_of(tx: Reading, row: WatchedMember) -> Evidence:
    """A member's last evidence of work: an act, or a right answer to a challenge. Notes and beats are none."""
    acted = tx.one(LastAct, "last_act", member=row.id)
    if acted is None:
        return Evidence(row.evidence_at or 0.0, 0)
    return Evidence(max(row.evidence_at or 0.0, acted.at), acted.seq)


def unanswered_since(tx: Reading, row: WatchedMember) -> float | None:
    """Since when the oldest unanswered wake waits; None without one, and for watchdogs and observers."""
    if row.role in UNCHALLENGED:
        return None
    last = evidence_of(tx, row)
    later = {"member": row.id, "after": last.at, "from_seq": last.seq}
    wake = tx.value(float, "unanswered_wake", **later, seen=row.seen)
    asked = tx.value(float, "oldest_ask", **later)
    return min((at for at in (wake, asked) if at is not None), default=None)


def _free_since(row: WatchedMember) -> float:
    """When its last pause ended, at any level. Time under a pause does not count against a member."""
    ends = (
        row.own_until if row.own_state == "paused" else row.own_since,
        row.owner_until if row.owner_state == "paused" else row.owner_since,
        row.room_until if row.room_state == "paused" else row.room_since,
    )
    return max(at for at in (*ends, 0.0) if at is not None)


def _challenge(row: WatchedMember) -> Challenge | None:
    return None if row.asked_at is None else Challenge(row.asked_at, row.misses or 0)


def _note_listening(tx: Writing, row: WatchedMember, interval: float) -> None:
    seen = max(at for at in (row.last_call_at, row.connected_at, 0.0) if at is not None)
    if tx.now - seen >= LISTENING_NOTED_INTERVALS * interval:
        tx.run("note_connected", member=row.id, now=tx.now)


def _note(tx: Writing, row: WatchedMember, judgement: Assessment) -> None:
    """Record a suspicion. A new one is logged; of a zombie or a gone member, owner and watchdogs are woken."""
    if judgement.again:
        tx.run("ask_later", member=row.id, now=tx.now)
        return
    verdict = judgement.finding
    assert verdict is not None
    is_new = row.trouble != verdict
    if not is_new and not judgement.ask:
        return
    challenged = ", and is challenged" if judgement.ask else ""
    log.append(
        tx,
        ROOM_AUTHOR,
        act="presence",
        subject=f"@{row.name}",
        summary=one_line(f"@{row.name} is {verdict}: {judgement.reason}{challenged}"),
        detail={"verdict": verdict, "reason": judgement.reason},
    )
    if verdict == "suspect" and is_new and letter_settings(tx, row.owner).suspects:
        notify_person(tx, row.owner, "stuck", SUSPECT, f"@{row.name}")
    found: Mapping[str, str | None] = {"question": row.question, "nonce": row.nonce, "expected": row.expected}
    asked_at = row.asked_at
    if judgement.ask:
        found, asked_at = _ask(tx, row), tx.now
    if verdict in ("zombie", "gone"):
        if verdict == "zombie" or _owes(tx, row):
            _notify_owner(tx, row, verdict, judgement.reason)
        request_repair(tx, row.id, row.name, verdict, judgement.reason)
        give_back_repairs(tx, row.id, f"@{row.name} is {verdict}")
    tx.run(
        "note_trouble",
        member=row.id,
        verdict=verdict,
        now=tx.now,
        reason=judgement.reason,
        misses=judgement.misses,
        asked_at=asked_at,
        **found,
    )
    member_changed(tx, row.id)


def _ask(tx: Writing, row: WatchedMember) -> dict[str, str]:
    """Send the member a challenge about its own work, valid for one nonce; returns the fields to store."""
    nonce = tx.entropy(NONCE_BYTES).hex()
    what, expected = _question(tx, row)
    question = f'Are you there? heartbeat with answer "{nonce} …", where … is {what}.'
    wake_members(tx, [row.id], reason="challenge", subject=f"@{row.name}", sender=ROOM_MEMBER, line=one_line(question))
    return {"question": question, "nonce": nonce, "expected": json.dumps(expected)}


def _question(tx: Reading, row: WatchedMember) -> tuple[str, list[str]]:
    """A question about a member's own work that it can look up, and all correct answers."""
    held = [task_name(task) for task in tx.column(int, "tasks_held", member=row.id)]
    if held:
        return "a task that you hold", held
    posted = tx.column(str, "last_messages_of", member=row.id, limit=POSTS_KNOWN)
    if posted:
        return f"the M-number of one of your last {POSTS_KNOWN} messages", posted
    return "your name in this room", [row.name, f"@{row.name}"]


def _owes(tx: Reading, row: WatchedMember) -> bool:
    """Whether a silent member holds a task or has an unanswered wake."""
    return bool(tx.number("count_held", member=row.id)) or unanswered_since(tx, row) is not None


def _notify_owner(tx: Writing, row: WatchedMember, verdict: str, reason: str) -> None:
    line = one_line(f"@{row.name} is {verdict}: {reason}; the room still accepts its work")
    wake_members(tx, [row.owner], reason="alert", subject=f"@{row.name}", sender=ROOM_MEMBER, line=line)


def _end(tx: Writing, caller: Caller, how: str, answers: bool = True) -> None:
    """End a member's suspicion, in these words. `answers`: this also answers everything that waits for it."""
    row = tx.one(SuspicionRow, "trouble", member=caller.member)
    if row is None:
        return
    tx.run("end_trouble", member=caller.member)
    member_changed(tx, caller.member)
    if answers and row.verdict != "gone":  # a call alone answers nothing that waits for the member
        tx.run("note_evidence", member=caller.member, now=tx.now)
    seq = log.append(
        tx,
        ROOM_AUTHOR,
        act="presence",
        subject=f"@{caller.name}",
        summary=one_line(f"@{caller.name} {how}, and is no longer {row.verdict}"),
        detail={"verdict": "recovered", "reason": how},
    )
    cancel_repair(tx, caller.member, f"@{caller.name} {how}", seq)
