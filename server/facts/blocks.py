"""What a blocked task waits for: a task, a decision, an offer, a member or a time. Once that is settled, it goes on.

The column `blocked_on` holds the id, `@name` or the date. Earlier releases stored any text there.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from teamroom.server.clock import WallTime
from teamroom.server.facts.decision import answer_of, find_decision, state_now
from teamroom.server.facts.ended import is_ended, reachable
from teamroom.server.facts.ids import Kind, decision_name, offer_name, parse, spell, task_name
from teamroom.server.facts.member import facts_named
from teamroom.server.facts.names import former_names
from teamroom.server.facts.owed import schedule_reminder
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER, StoredTask, add_entry, task_changed
from teamroom.server.facts.timers import BLOCK, Timer, cancel_timer, postpone, schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.mentions import find_mentions
from teamroom.server.rules.names import AT, normalize_name
from teamroom.server.rules.text import add_quote, state_in_words
from teamroom.server.store.rows.decisions import DecisionRow
from teamroom.server.store.rows.hand_offs import OfferRow
from teamroom.server.store.rows.members import MemberFacts, MemberName
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing

LONGEST_SECONDS = 7 * 86_400.0
"""How far ahead the time is for which a task waits at most. A block of an earlier release lasts as long."""

MEMBER_SECONDS = 86_400.0
"""How long a task waits for a member that does not act on it."""

LIFTED_AT_ONCE = 30
"""How many blocks one act lifts. A duty lifts the others, page by page."""

CHAIN = 50
"""How many blocked tasks in a row are followed, to find those that would wait for each other."""

UNIX_TIME_FROM = 1_000_000_000

WAITABLE: Mapping[str, Kind] = {"lift task": "task", "lift decision": "decision", "lift offer": "offer"}
"""The kinds of things that a task waits for, by the rule of the timer that lifts further blocks."""


@dataclass(frozen=True, slots=True)
class Block:
    """What a task is to wait for, as it is stored; `at`: when the room looks at it by itself, None if never."""

    text: str
    at: float | None


def find_block(tx: Reading, caller: Caller, task: StoredTask, given: str) -> Block:
    """What the holder of a task wants it to wait for. Raises Refusal, with the corrected call."""
    text = given.strip()
    if (found := parse(spell(text))) is not None and found[0] in ("task", "decision", "offer"):
        return _thing(tx, task, *found)
    named = facts_named(tx, text.lstrip(AT))
    if named is not None:
        return _member(tx, caller, task, named, given)
    if (at := _moment(tx, text)) is not None:
        return _time(tx, task, at)
    raise _unclear(tx, caller, task, given)


def _thing(tx: Reading, task: StoredTask, kind: Kind, number: int) -> Block:
    """A task, a decision or an offer that is not settled yet."""
    if kind == "decision":
        decision = find_decision(tx, number)
        if state_now(tx, decision) == "open":
            return Block(decision_name(number), decision.expires_at)
    elif kind == "offer":
        offer = tx.one(OfferRow, "offer", id=number)
        if offer is not None and offer.state == "offered" and offer.expires_at > tx.now:
            return Block(offer_name(number), offer.expires_at)
    else:
        other = tx.one(TaskRow, "task", id=number)
        if other is not None and other.state not in ("done", "cancelled"):
            _require_no_circle(tx, task, other)
            return Block(task_name(number), None)
    name = f"{kind[0].upper()}-{number}"
    settled = why_settled(tx, kind, number)
    raise Refusal(
        "conflict" if settled else "not_found",
        f"{task.name} has nothing to wait for: " + (f"{settled[0]}." if settled else f"there is no {kind} {name}."),
        f"Go on: update_task task {task.name} fence {task.fence} status working. Or name what it waits for.",
        subject=task.name,
    )


def _require_no_circle(tx: Reading, task: StoredTask, other: TaskRow) -> None:
    row: TaskRow | None = other
    for _ in range(CHAIN):
        if row is None:
            return
        if row.id == task.id:
            raise Refusal(
                "invalid",
                f"{task.name} would wait for itself."
                if other.id == task.id
                else f"{task.name} and {task_name(other.id)} would wait for each other.",
                f"Name what {task.name} really waits for, or release it: update_task task {task.name} fence "
                f"{task.fence} status released.",
                subject=task.name,
            )
        found = parse(row.blocked_on, "task") if row.state == "blocked" else None
        row = None if found is None else tx.one(TaskRow, "task", id=found[1])


def _member(tx: Reading, caller: Caller, task: StoredTask, row: MemberFacts, given: str) -> Block:
    if row.id == caller.member:
        raise Refusal(
            "invalid",
            f"{task.name} would wait for you, its holder.",
            f"Go on with it, or release it: update_task task {task.name} fence {task.fence} status released.",
            subject=task.name,
        )
    if is_ended(tx, row):
        raise Refusal(
            "not_allowed",
            f"@{row.name} can no longer act, so nothing would end the wait.",
            f"Call again with blocked_on {json.dumps(_instead(caller, task, row.id))}.",
            subject=task.name,
        )
    return Block(f"@{row.name}", tx.now + MEMBER_SECONDS)


def _moment(tx: Reading, text: str) -> float | None:
    """The room time that a text means: seconds from now, a Unix time or an RFC 3339 date; None for anything else."""
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text, re.ASCII):
        number = float(text)
        return tx.room_time_of(WallTime(number)) if number >= UNIX_TIME_FROM else tx.now + number
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if date.tzinfo is None else tx.room_time_of(WallTime(date.timestamp()))


def _time(tx: Reading, task: StoredTask, at: float) -> Block:
    if not tx.now < at <= tx.now + LONGEST_SECONDS + 1:
        raise Refusal(
            "invalid",
            f"{tx.shown(at)} is not within the next 7 days.",
            f'Call again with blocked_on "{LONGEST_SECONDS:.0f}" (seconds), or name who it waits for.',
            subject=task.name,
        )
    return Block(tx.shown(at), at)


def _unclear(tx: Reading, caller: Caller, task: StoredTask, given: str) -> Refusal:
    """The refusal of a text that names nothing, with the call that the caller probably means."""
    mentioned = (facts_named(tx, name) for mention in find_mentions(given) for name in mention.spellings)
    row = next((row for row in mentioned if row is not None and row.id != caller.member), None)
    ids = [word for word in re.findall(r"\b[TDO]-[0-9]{1,15}\b", given) if word != task.name]
    names = ids[0] if ids and row is None else f"@{row.name}" if row is not None else _instead(caller, task)
    return Refusal(
        "invalid",
        "blocked_on names one thing that can be settled: T-1, D-3, O-2, @name or a time at most 7 days ahead.",
        f"Call again: update_task task {task.name} fence {task.fence} status blocked blocked_on {json.dumps(names)} "
        f"note {json.dumps(given, ensure_ascii=False)}.",
        subject=task.name,
    )


def _instead(caller: Caller, task: StoredTask, other_than: int = 0) -> str:
    """What a task can wait for: its creator, else the caller's owner; for the caller itself, or `other_than`, a day."""
    if task.row.creator not in (caller.member, other_than):
        return f"@{task.row.creator_name}"
    return f"@{caller.owner_name}" if caller.owner not in (caller.member, other_than) else f"{MEMBER_SECONDS:.0f}"


def begin_block(tx: Writing, task: int, block: Block) -> None:
    """Set the timer of a block."""
    if block.at is None:
        cancel_timer(tx, BLOCK, task, ROOM_MEMBER)
    else:
        schedule(tx, BLOCK, task, ROOM_MEMBER, 0, at=block.at)


# ------------------------------------------------------------------ settled


def why_settled(tx: Reading, kind: Kind, number: int) -> tuple[str, str] | None:
    """Why nothing waits for a thing any longer, and a member's text to quote with it; None if it is not settled."""
    if kind == "task":
        task = tx.one(TaskRow, "task", id=number)
        if task is None or task.state not in ("done", "cancelled"):
            return None
        return f"{task_name(number)} {'is done' if task.state == 'done' else 'was cancelled'}", ""
    if kind == "offer":
        offer = tx.one(OfferRow, "offer", id=number)
        if offer is None or (offer.state == "offered" and offer.expires_at > tx.now):
            return None
        state = "expired" if offer.state == "offered" else offer.state
        return f"{offer_name(number)} was {state_in_words(state)}" if state != "expired" else (
            f"{offer_name(number)} expired"
        ), ""
    decision = tx.one(DecisionRow, "decision", id=number)
    if decision is None or (state := state_now(tx, decision)) == "open":
        return None
    name = decision_name(number)
    if state == "decided":
        return f"@{decision.decider_name} decided {name}", answer_of(decision) or ""
    return f"{name} {'expired' if state == 'expired' else f'was {state}'}, so nothing was decided", ""


def settle(tx: Writing, kind: Kind, number: int, name: str) -> None:
    """Lift the blocks of the tasks that wait for a thing which is settled. The first ones at once, others by a duty."""
    ids = tx.column(int, "blocked_on", blocked_on=name, limit=LIFTED_AT_ONCE + 1)
    why = why_settled(tx, kind, number) if ids else None
    if why is None:
        return
    for id_ in ids[:LIFTED_AT_ONCE]:
        lift(tx, tx.only(TaskRow, "task", id=id_), *why)
    if len(ids) > LIFTED_AT_ONCE:
        schedule(tx, f"lift {kind}", number, ROOM_MEMBER, 0)


def lift_more(tx: Writing, due: Timer) -> None:
    """Lift a further page of the blocks on a thing that is settled."""
    kind = WAITABLE[due.rule]
    cancel_timer(tx, due.rule, due.subject, due.member)
    settle(tx, kind, due.subject, f"{kind[0].upper()}-{due.subject}")


def settle_member(tx: Writing, caller: Caller, task: int | None) -> None:
    """Lift the block of a task that waits for the caller, which acted on it or posted about it."""
    row = None if task is None else tx.one(TaskRow, "task", id=task)
    if row is None or row.state != "blocked" or not row.blocked_on.startswith("@"):
        return
    if normalize_name(row.blocked_on[1:]) in map(normalize_name, (caller.name, *former_names(tx, caller.member))):
        lift(tx, row, f"@{caller.name} acted on it", "")


def look_at_block(tx: Writing, due: Timer) -> None:
    """Lift a block whose time has come, or whose thing is settled; look again later if it is not."""
    row = tx.one(TaskRow, "task", id=due.subject)
    if row is None or row.state != "blocked":
        cancel_timer(tx, due.rule, due.subject, due.member)
        return
    found = parse(row.blocked_on)
    if found is not None and found[0] != "message":
        if (why := why_settled(tx, *found)) is not None:
            lift(tx, row, *why)
        cancel_timer(tx, due.rule, due.subject, due.member)
        return
    if row.blocked_on.startswith("@") and facts_named(tx, row.blocked_on[1:]) is not None:
        ends_at, why_now = (row.touched_at or 0.0) + MEMBER_SECONDS, f"{row.blocked_on} has not acted on it for 24 h"
    elif _moment(tx, row.blocked_on) is not None:
        ends_at, why_now = min(due.at, tx.now), "the time that it waited for has come"
    else:
        ends_at, why_now = (row.touched_at or 0.0) + LONGEST_SECONDS, "nothing settles what it waited for"
    if ends_at <= tx.now:
        lift(tx, row, why_now, "")
        cancel_timer(tx, due.rule, due.subject, due.member)
    else:
        postpone(tx, due, ends_at)


def lift(tx: Writing, row: TaskRow, why: str, quote: str) -> None:
    """Lift the block of a task: its lease runs again from now, and its holder is woken."""
    if row.holder is None:
        return
    task = task_name(row.id)
    line = add_quote(f"{task} is no longer blocked, because {why}", quote)
    seq = log.append(
        tx, ROOM_AUTHOR, act="unblock", subject=task, summary=line, detail={"because": why, "quoted": quote}
    )
    resume_lease(tx, row, seq)
    mode = tx.only(WatchedMember, "watched", member=row.holder).mode
    schedule_reminder(tx, "task", row.id, row.holder, mode)
    schedule(tx, "lease", row.id, row.holder, row.lease_seconds)
    add_entry(tx, row.id, ROOM_AUTHOR, "unblocked", why)
    wake_members(tx, [row.holder], reason="control", subject=task, sender=ROOM_MEMBER, line=line)


def resume_lease(tx: Writing, row: TaskRow, seq: int) -> None:
    """Let a blocked task go on: its lease runs again from now."""
    tx.run(
        "progress",
        id=row.id,
        state="claimed",
        now=tx.now,
        lease_from=tx.now,
        lease_seconds=row.lease_seconds,
        blocked_on="",
        seq=seq,
    )
    task_changed(tx, row.id, row.holder)


def ask_creators(tx: Writing, task: int, limit: int) -> None:
    """Ask the creators of tasks that waited for a cancelled one what to do with theirs. Each is asked once."""
    name = task_name(task)
    for id_ in tx.column(int, "waiting_for_task", needs_task=task, blocked_on=name, limit=limit):
        row = tx.only(TaskRow, "task", id=id_)
        creator = reachable(tx, row.creator)
        if creator is None or tx.only(MemberName, "member_by_id", id=creator).kind == "room":
            continue
        waiting = task_name(id_)
        line = add_quote(
            f"{name} was cancelled, and {waiting} waited for it; keep, change or cancel {waiting} with update_task",
            row.title,
        )
        wake_members(tx, [creator], reason="control", subject=waiting, sender=ROOM_MEMBER, line=line)
