"""The room's own redaction by age, if its owners want one: a duty that goes through the log in small steps."""

from teamroom.server.acts.receipts.redact import (
    LASTING,
    OFFERS,
    OldPage,
    redact_old,
    redact_replies_now,
    redact_subject,
    what_was_kept,
)
from teamroom.server.facts.ids import offer_name, task_name
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import RETENTION, Timer, cancel_timer, find_timer, schedule
from teamroom.server.record import chain as log
from teamroom.server.store.transaction import Reading, Writing

A_DAY = 86_400.0

STEP_SECONDS = 0.25
"""Between two steps of a run, so that acts pass."""

AGAIN_SECONDS = 3_600.0
"""After this long the room looks again for what has become old enough."""


def is_retention_idle(tx: Reading) -> bool:
    """Whether the settings want a redaction by age that is not scheduled yet."""
    return bool(tx.configured_policy.retention_days) and find_timer(tx, RETENTION, 0, ROOM_MEMBER) is None


def start_retention(tx: Writing) -> None:
    """Schedule the room's redaction by age."""
    schedule(tx, RETENTION, 0, ROOM_MEMBER, 0)


def retain(tx: Writing, due: Timer) -> None:
    """Redact a page of what is older than the policy says. `due.slot`: how far it has come; `counted`: in this run."""
    days = tx.policy.retention_days
    if not days:
        cancel_timer(tx, due.rule, due.subject, due.member)
        return
    page = redact_old(tx, tx.now - days * A_DAY, due.slot)
    redacted = [*page.redacted, *_redact_rest_of(tx, page)]
    if redacted:
        log.append(
            tx,
            ROOM_AUTHOR,
            act="redact",
            subject="",
            summary=f"The room redacted {len(redacted)} entries up to {max(redacted)}, older than {days} d "
            "(retention_days)",
            detail={"entries": redacted, **what_was_kept(tx)},
        )
    counted = due.counted + len(redacted)
    if page.is_over and counted:
        redact_replies_now(tx)
        tx.effects.scrub = True
    tx.run(
        "count_slot",
        **due.key,
        at=tx.now + (AGAIN_SECONDS if page.is_over else STEP_SECONDS),
        span=0,
        slot=page.examined,
        counted=0 if page.is_over else counted,
        escalated=0,
    )


def _redact_rest_of(tx: Writing, page: OldPage) -> list[int]:
    """Redact what older pages left of tasks that were still in work then. Returns the entries."""
    redacted: list[int] = []
    for task in page.tasks:
        redacted += redact_subject(tx, task_name(task), page.examined, LASTING)
        for offer in tx.column(int, "offers_of_task", task=task, limit=OFFERS):
            redacted += redact_subject(tx, offer_name(offer), page.examined, LASTING)
    return redacted
