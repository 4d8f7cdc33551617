"""The supervisor's duties: what it does about each due timer, in a separate transaction."""

from collections.abc import Callable, Mapping

from teamroom.server.acts.control.aftermath import settle_kill, settle_tokenless
from teamroom.server.acts.control.gradual import LET_GO, let_go, note_agents
from teamroom.server.acts.decisions.settle import end_decision
from teamroom.server.acts.letters.notices import write_digest, write_notices
from teamroom.server.acts.messages.older import INDEX, index_older
from teamroom.server.acts.presence.prompts import PROMPT, tell_of_prompt
from teamroom.server.acts.presence.trouble import watch
from teamroom.server.acts.presence.wakes import look_at_wakes
from teamroom.server.acts.receipts.redact import FORGET_CLAIMS, OF_MEMBER, forget_claims, redact_more
from teamroom.server.acts.receipts.redact import NAMES as REDACTIONS
from teamroom.server.acts.receipts.retention import retain
from teamroom.server.acts.reminders.reminders import remind
from teamroom.server.acts.tasks.overdue import announce_overdue
from teamroom.server.door.repeats import FORGET, forget_requests
from teamroom.server.facts.blocks import WAITABLE, lift_more, look_at_block
from teamroom.server.facts.owed import RULES
from teamroom.server.facts.timers import (
    BLOCK,
    DECISION_END,
    KILLED,
    RESUMED,
    RETENTION,
    TOKENLESS,
    WAKES,
    Timer,
    find_timer,
)
from teamroom.server.store.rows.supervisor import SupervisorRow
from teamroom.server.store.transaction import Writing

Duty = Callable[[Writing, Timer], None]

DUTIES: Mapping[str, Duty] = {
    "presence": watch,
    PROMPT: tell_of_prompt,
    "lease": announce_overdue,
    "notice": write_notices,
    "digest": write_digest,
    DECISION_END: end_decision,
    BLOCK: look_at_block,
    KILLED: settle_kill,
    TOKENLESS: settle_tokenless,
    RESUMED: note_agents,
    LET_GO: let_go,
    FORGET: forget_requests,
    FORGET_CLAIMS: forget_claims,
    INDEX: index_older,
    RETENTION: retain,
    WAKES: look_at_wakes,
    **dict.fromkeys((*REDACTIONS, OF_MEMBER), redact_more),
    **dict.fromkeys(WAITABLE, lift_more),
    **dict.fromkeys(RULES, remind),
}


def carry_out(tx: Writing, seen: Timer, fence: int) -> bool:
    """Do what is due; returns False if the timer changed since it was seen, or another supervisor leads."""
    if (
        tx.only(SupervisorRow, "supervisor").fence != fence
        or find_timer(tx, seen.rule, seen.subject, seen.member) != seen
    ):
        return False
    DUTIES[seen.rule](tx, seen)
    return True


def postpone_failed(tx: Writing, seen: Timer, fence: int, at: float) -> None:
    """Set a failed timer to a later time, unless it changed since it was seen."""
    if (
        tx.only(SupervisorRow, "supervisor").fence == fence
        and find_timer(tx, seen.rule, seen.subject, seen.member) == seen
    ):
        tx.run("postpone_failed", **seen.key, at=at)
