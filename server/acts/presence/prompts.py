"""A harness that waits at a prompt: its person is told once (WAK4)."""

from teamroom.server.facts.reach import harness_of
from teamroom.server.facts.reports import show_report
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import Timer, cancel_timer, find_timer, schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.rules.hooks import PROMPTING, describe_doing
from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.transaction import Writing

PROMPT = "prompt"
"""The rule of the timer."""


def watch_prompt(tx: Writing, member: int) -> None:
    """Tell the member's person later, if its harness still waits at its prompt then."""
    if find_timer(tx, PROMPT, member, member) is None:
        schedule(tx, PROMPT, member, member, tx.settings.live_interval_seconds)


def tell_of_prompt(tx: Writing, due: Timer) -> None:
    """Tell the person of a member whose harness waits at a prompt, unless it has gone on since."""
    cancel_timer(tx, due.rule, due.subject, due.member)
    harness = harness_of(tx, due.member)
    if harness is None or harness.phase not in PROMPTING:
        return
    left = harness.since + tx.settings.live_interval_seconds - tx.now
    if left > 0:  # it has gone on, and waits at another prompt
        schedule(tx, PROMPT, due.member, due.member, left)
        return
    row = tx.only(MemberName, "member_by_id", id=due.member)
    subject = f"@{row.name}"
    line = f"{subject}: {describe_doing(harness.phase, show_report(harness.tool), tx.shown(harness.since))}"
    log.append(tx, ROOM_AUTHOR, act="presence", subject=subject, summary=line, detail={"verdict": "at a prompt"})
    wake_members(tx, [row.owner], reason="alert", subject=subject, sender=ROOM_MEMBER, line=line)
