"""Wakes that lead to no act: their member's owner is told why, once a day, with a command that helps (WAK1, WAK2)."""

from teamroom.server.facts.member import facts_of, wakes_fault
from teamroom.server.facts.timers import Timer, cancel_timer, postpone
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.rules.text import one_line
from teamroom.server.rules.wakes import LOST_RUNS, EndedRun, better_listener, say_lost_runs, say_unacted
from teamroom.server.store.rows.members import MemberFacts, MemberName
from teamroom.server.store.transaction import Writing

ACT = "unanswered_wakes"

TOLD_SECONDS = 86_400.0
"""An owner is told of an agent again after a day at the earliest."""


def look_at_wakes(tx: Writing, due: Timer) -> None:
    """Look whether an agent acted on its newest wakes, as the supervisor; tell its owner if it did not."""
    name = tx.only(MemberName, "member_by_id", id=due.member).name
    row = tx.only(MemberFacts, "member_facts", name=name)
    facts = facts_of(tx, row)
    if row.unacted_at is None or facts.standing == "killed":
        cancel_timer(tx, due.rule, due.subject, due.member)
    elif facts.standing != "active" or wakes_fault(tx, row, facts) != "unacted":
        postpone(tx, due, tx.now + tx.settings.live_interval_seconds)
    else:
        cancel_timer(tx, due.rule, due.subject, due.member)
        _tell(tx, row.name, row.owner, say_unacted(row.name))


def note_ended_run(tx: Writing, caller: Caller, run: EndedRun) -> None:
    """Count the runs in a row that answered nothing. Their member's owner is told why once there are LOST_RUNS."""
    before = tx.principal.lost_runs
    runs = before + 1 if run.is_lost else 0
    if runs == before:
        return
    tx.run("count_lost_runs", member=caller.member, runs=runs)
    if runs == LOST_RUNS and caller.kind == "agent":
        _tell(tx, caller.name, caller.owner, say_lost_runs(caller.name, run), code=run.code, called=run.called)


def _tell(tx: Writing, name: str, owner: int, line: str, **detail: int | bool) -> None:
    subject = f"@{name}"
    last = tx.value(float, "newest_of_room", act=ACT, room=log.ROOM_MEMBER, subject=subject)
    if last is not None and tx.now - last < TOLD_SECONDS:
        return
    line, told = one_line(line), {"listener": better_listener(name), **detail}
    log.append(tx, log.ROOM_AUTHOR, act=ACT, subject=subject, summary=line, detail=told)
    wake_members(tx, [owner], reason="alert", subject=subject, sender=log.ROOM_MEMBER, line=line)
