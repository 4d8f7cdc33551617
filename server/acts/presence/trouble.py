"""Members the room worries about: silent, suspect, challenged, zombies, repaired, and well again."""

import json
from collections.abc import Mapping
from dataclasses import replace

from teamroom.server.acts.tasks.repairs import cancel_repair, give_back_repairs, request_repair
from teamroom.server.facts.ids import message_name, task_name
from teamroom.server.facts.member import facts_of, member_changed
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import Timer, cancel_timer, schedule_presence_check
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.presence import (
    Challenge,
    Judgement,
    interval_seconds,
    judge,
)
from teamroom.server.rules.text import one_line, said
from teamroom.server.store.rows.log import LastAct
from teamroom.server.store.rows.supervisor import SuspicionRow, WatchedMember
from teamroom.server.store.transaction import Reading, Writing

NONCE_BYTES = 4
POSTS_KNOWN = 5
"""So many of its last messages a member may name: the answer to the newest may have been lost on its way."""

LISTENING_NOTED_INTERVALS = 0.5
"""An open stream is noted as a sign of a connection this often."""

UNCHALLENGED: frozenset[str] = frozenset({"watchdog", "observer"})
"""Programs that act on their own work only: they are watched for silence, and asked nothing."""


def watch(tx: Writing, due: Timer) -> None:
    """Look at one agent, as the supervisor: note what is wrong with it, ask it, tell who must know."""
    row = tx.only(WatchedMember, "watched", member=due.member)
    interval = interval_seconds(row.mode, tx.settings)
    if tx.listens(due.member) and interval is not None:
        _note_listening(tx, row, interval)
        row = tx.only(WatchedMember, "watched", member=due.member)
    facts = replace(facts_of(tx, row), watched_from=max(tx.watched_from, _free_since(row)))
    judgement = judge(facts, row.connected_since, unanswered_since(tx, row), _challenge(row), tx.now, tx.settings)
    if judgement is None or row.trouble == "gone":  # it is watched again once it calls
        cancel_timer(tx, "presence", due.member, due.member)
        return
    if judgement.finding is not None:
        _note(tx, row, judgement)
    if judgement.finding == "gone":
        cancel_timer(tx, "presence", due.member, due.member)
    elif interval is not None:
        tx.run("count_slot", **due.key, at=judgement.next_at, span=interval, slot=0, counted=0, escalated=0)


def seen_again(tx: Writing, caller: Caller, mode: str, trouble: str | None) -> None:
    """A member called for the first time, or after it was gone: it is watched, and no longer gone."""
    if caller.kind != "agent":
        return
    schedule_presence_check(tx, caller.member, mode)
    if trouble == "gone":
        _end(tx, caller, "is back")


def answered_for_itself(tx: Writing, caller: Caller) -> None:
    """Real evidence of a member that the room suspects: that is over at once (PRS4)."""
    _end(tx, caller, "acts again")


def end_with_kill(tx: Writing, member: int, name: str, seq: int) -> None:
    """A member was killed, which the entry with this number says: nobody worries about it, or repairs it, any more.

    What a watchdog works on is left to it.
    """
    tx.run("end_trouble", member=member)
    member_changed(tx, member)
    cancel_repair(tx, member, f"@{name} was killed", seq, states=("open", "blocked"))


def answer_challenge(tx: Writing, caller: Caller, answer: str) -> None:
    """Take the answer to an open challenge. Raises Refusal `bad_proof`, with the question again."""
    row = tx.one(SuspicionRow, "trouble", member=caller.member)
    if row is None or row.nonce is None:
        return
    words = answer.replace(",", " ").split()
    if row.nonce in words and any(word in words for word in json.loads(row.expected or "[]")):
        _end(tx, caller, "answered its challenge")
        return
    raise Refusal(
        "bad_proof",
        "That does not answer the challenge.",
        f"Look the answer up with check_in, then call again. The question: {said(row.question or '')}",
        subject=f"@{caller.name}",
    )


def open_question(tx: Reading, member: int) -> str | None:
    """The challenge that a member has to answer now, in words."""
    row = tx.one(SuspicionRow, "trouble", member=member)
    return None if row is None else row.question


def tell_of_take_overs(tx: Writing, caller: Caller) -> None:
    """Say that several listeners of a member fight over its wakes: only one of them should run."""
    line = one_line(f"Several listeners of @{caller.name} take its wakes from each other; only one of them should run")
    subject = f"@{caller.name}"
    log.append(tx, ROOM_AUTHOR, act="presence", subject=subject, summary=line, detail={"verdict": "several listeners"})
    wake_members(tx, [caller.owner], reason="alert", subject=subject, sender=ROOM_MEMBER, line=line)


def unanswered_since(tx: Reading, row: WatchedMember) -> float | None:
    """Since when the oldest wake waits that the member should have answered; watchdogs and observers are not asked."""
    if row.role in UNCHALLENGED:
        return None
    acted = tx.one(LastAct, "last_act", member=row.id)
    acts = (row.last_progress_at, row.evidence_at, acted.at if acted is not None else None)
    after = max((at for at in acts if at is not None), default=0.0)
    later = {"member": row.id, "after": after, "from_seq": 0 if acted is None else acted.seq}
    wake = tx.value(float, "unanswered_wake", **later, seen=row.seen)
    asked = tx.value(float, "oldest_ask", **later)
    return min((at for at in (wake, asked) if at is not None), default=None)


def _free_since(row: WatchedMember) -> float:
    """When its last pause ended, at any level: a member that may do nothing misses nothing."""
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


def _note(tx: Writing, row: WatchedMember, judgement: Judgement) -> None:
    """Write a finding down. What is new is said in the stream; from a zombie on, its owner and watchdogs are told."""
    if judgement.again:
        tx.run("ask_later", member=row.id, now=tx.now)
        return
    verdict = judgement.finding
    assert verdict is not None
    is_new = row.trouble != verdict
    if not is_new and not judgement.ask:
        return
    told = ", and is asked about its own work" if judgement.ask else ""
    log.append(
        tx,
        ROOM_AUTHOR,
        act="presence",
        subject=f"@{row.name}",
        summary=one_line(f"@{row.name} is {verdict}: {judgement.reason}{told}"),
        detail={"verdict": verdict, "reason": judgement.reason},
    )
    found: Mapping[str, str | None] = {"question": row.question, "nonce": row.nonce, "expected": row.expected}
    asked_at = row.asked_at
    if judgement.ask:
        found, asked_at = _ask(tx, row), tx.now
    if verdict in ("zombie", "gone"):
        if verdict == "zombie" or _owes(tx, row):
            _tell_owner(tx, row, verdict, judgement.reason)
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
    """Put a question into the member's inbox, about its own work, that holds for this nonce alone."""
    nonce = tx.entropy(NONCE_BYTES).hex()
    what, expected = _question(tx, row)
    question = f'Are you there? heartbeat with answer "{nonce} …", where … is {what}.'
    wake_members(tx, [row.id], reason="challenge", subject=f"@{row.name}", sender=ROOM_MEMBER, line=one_line(question))
    return {"question": question, "nonce": nonce, "expected": json.dumps(expected)}


def _question(tx: Reading, row: WatchedMember) -> tuple[str, list[str]]:
    """Something about a member's own last work that it can look up, and every right answer."""
    held = [task_name(task) for task in tx.column(int, "tasks_held", member=row.id)]
    if held:
        return "a task that you hold", held
    posted = [message_name(message) for message in tx.column(int, "last_messages_of", member=row.id, limit=POSTS_KNOWN)]
    if posted:
        return f"the M-number of one of your last {POSTS_KNOWN} messages", posted
    return "your name in this room", [row.name, f"@{row.name}"]


def _owes(tx: Reading, row: WatchedMember) -> bool:
    """Whether anybody waits for a silent member."""
    return bool(tx.number("count_held", member=row.id)) or unanswered_since(tx, row) is not None


def _tell_owner(tx: Writing, row: WatchedMember, verdict: str, reason: str) -> None:
    line = one_line(f"@{row.name} is {verdict}: {reason}; what it brings stays welcome")
    wake_members(tx, [row.owner], reason="alert", subject=f"@{row.name}", sender=ROOM_MEMBER, line=line)


def _end(tx: Writing, caller: Caller, how: str) -> None:
    row = tx.one(SuspicionRow, "trouble", member=caller.member)
    if row is None:
        return
    tx.run("end_trouble", member=caller.member)
    member_changed(tx, caller.member)
    if row.verdict != "gone":  # that it calls again says nothing about what waits for it
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
