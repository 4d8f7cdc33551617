"""The end of a decision: recorded, told to those who wait for it, and its timer."""

from typing import Any, Literal

from teamroom.server.acts.act import author
from teamroom.server.facts.blocks import settle
from teamroom.server.facts.decision import answer_of, asked_people, decision_changed, find_decision
from teamroom.server.facts.ended import find_person, is_ended, reachable
from teamroom.server.facts.ids import decision_name
from teamroom.server.facts.owed import schedule_reminder
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import DECISION_END, Timer, cancel_timer, postpone, postpone_to_slot
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.rules.spans import duration
from teamroom.server.rules.text import add_quote
from teamroom.server.store.rows.decisions import DecisionRow
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.transaction import Writing

NOTICE_SECONDS = 86_400.0
"""How long before its end those concerned learn of an open decision, at most: a shorter one, in its last quarter."""


def notice_before_end(created_at: float, expires_at: float) -> float:
    """When those concerned by a decision learn that it expires soon."""
    return expires_at - min(NOTICE_SECONDS, (expires_at - created_at) / 4)


def record_end(
    tx: Writing,
    row: DecisionRow,
    state: Literal["decided", "expired", "withdrawn", "replaced"],
    seq: int,
    **more: Any,
) -> None:
    """Record that a decision is settled by an entry of the log."""
    told = {"choice": 0, "note": "", "decided_by": None, "replaced_by": None, **more}
    tx.run("settle_decision", id=row.id, state=state, now=tx.now, seq=seq, **told)
    cancel_timer(tx, DECISION_END, row.id, ROOM_MEMBER)
    decision_changed(tx, row)


def record_answer(tx: Writing, caller: Caller, row: DecisionRow, choice: int, note: str) -> int:
    """Record a person's answer, and wake the asker and the other people who were asked; returns its number."""
    name = decision_name(row.id)
    option = answer_of(row._replace(choice=choice)) or ""
    said = f"{option}: {note}" if note else option
    line = add_quote(f"@{caller.name} decided {name}", said)
    seq = log.append(
        tx,
        author(caller),
        act="decide",
        subject=name,
        summary=line,
        detail={"option": option, "choice": choice, "note": note, "digest": row.digest},
    )
    record_end(tx, row, "decided", seq, choice=choice, note=note, decided_by=caller.member)
    concerned = {reachable(tx, row.asker), *(person.member for person in asked_people(tx, row.id))}
    woken = sorted(member for member in concerned if member is not None and member != caller.member)
    wake_members(tx, woken, reason="decision", subject=name, sender=caller.member, line=line)
    settle(tx, "decision", row.id, name)
    return seq


def end_decision(tx: Writing, due: Timer) -> None:
    """Tell those concerned once that a decision expires soon; then record that it expired, and wake the asker.

    An expired decision has decided nothing. If it was redacted while it was open, only what waits for it goes on.
    """
    row = find_decision(tx, due.subject)
    if row.state != "open":
        settle(tx, "decision", row.id, decision_name(row.id))
        cancel_timer(tx, due.rule, due.subject, due.member)
        return
    if row.expires_at > tx.now:
        if not due.slot and notice_before_end(row.created_at, row.expires_at) <= tx.now:
            _announce_end(tx, row)
            postpone_to_slot(tx, due, 1, row.expires_at)
        else:
            postpone(tx, due, row.expires_at)
        return
    name = decision_name(row.id)
    line = add_quote(f"{name} expired, so nothing was decided", row.question)
    seq = log.append(tx, ROOM_AUTHOR, act="expire_decision", subject=name, summary=line, detail={"digest": row.digest})
    record_end(tx, row, "expired", seq)
    asker = reachable(tx, row.asker)
    woken = [] if asker is None else [asker]
    wake_members(tx, woken, reason="decision", subject=name, sender=ROOM_MEMBER, line=line)
    settle(tx, "decision", row.id, name)


def _announce_end(tx: Writing, row: DecisionRow) -> None:
    """Wake the people who were asked and the asker, because a decision expires soon."""
    name = decision_name(row.id)
    words = f"{name} expires in {duration(row.expires_at - tx.now)}, and nobody has decided"
    line = add_quote(words, row.question)
    log.append(tx, ROOM_AUTHOR, act="announce_expiry", subject=name, summary=line, detail={"digest": row.digest})
    people = [person.member for person in asked_people(tx, row.id)]
    wake_members(tx, people, reason="decision", subject=name, sender=ROOM_MEMBER, line=line)
    asker = reachable(tx, row.asker)
    woken = [] if asker is None or asker in people else [asker]
    wake_members(tx, woken, reason="control", subject=name, sender=ROOM_MEMBER, line=line)


def ask_others(tx: Writing, member: int, why: str, limit: int) -> int:
    """Ask a person who can act for the open decisions that only an ended person was asked for; returns how many.

    What the decisions say stays as it is.
    """
    given = 0
    for id_ in tx.column(int, "decisions_asked_of", member=member, now=tx.now, limit=limit):
        row = find_decision(tx, id_)
        people = asked_people(tx, id_)
        if any(not is_ended(tx, tx.only(MemberFacts, "member_facts", name=person.name)) for person in people):
            continue
        person = find_person(tx, row.asker, other_than=member)
        if person is None:
            continue
        name = decision_name(id_)
        log.append(
            tx,
            ROOM_AUTHOR,
            act="ask_another",
            subject=name,
            summary=add_quote(f"@{person.name} is asked to decide {name}, because {why}", row.question),
            detail={"digest": row.digest},
        )
        tx.run("add_asked", decision=id_, member=person.id)
        schedule_reminder(tx, "decision", id_, person.id, tx.only(WatchedMember, "watched", member=person.id).mode)
        decision_changed(tx, row)
        line = add_quote(f"You are asked to decide {name}, because {why}", row.question)
        wake_members(tx, [person.id], reason="decision", subject=name, sender=ROOM_MEMBER, line=line)
        given += 1
    return given
