"""The supervisor's duties: what is done about each thing whose time has come, inside one transaction of its own."""

from collections.abc import Callable, Mapping

from teamroom.server.acts.letters.notices import write_digest, write_notices
from teamroom.server.acts.presence.trouble import watch
from teamroom.server.acts.reminders.reminders import remind
from teamroom.server.acts.tasks.overdue import say_overdue
from teamroom.server.facts.owed import Due, DueRule, find_due
from teamroom.server.store.transaction import Writing

Duty = Callable[[Writing, Due], None]

DUTIES: Mapping[DueRule, Duty] = {
    "presence": watch,
    "lease": say_overdue,
    "notice": write_notices,
    "digest": write_digest,
    **dict.fromkeys(("task", "ask", "offer", "review", "proof"), remind),
}


def carry_out(tx: Writing, seen: Due, fence: int) -> bool:
    """Do what is due, unless it changed since it was seen or another supervisor leads; returns whether it was done."""
    if tx.one("supervisor")["fence"] != fence or find_due(tx, seen.rule, seen.subject, seen.member) != seen:
        return False
    DUTIES[seen.rule](tx, seen)
    return True


def put_off_failed(tx: Writing, seen: Due, fence: int, at: float) -> None:
    """Come back later to what failed, unless it changed since."""
    if tx.one("supervisor")["fence"] == fence and find_due(tx, seen.rule, seen.subject, seen.member) == seen:
        tx.run("put_off_failed", **seen.key, at=at)
