"""What one member may say in a while, and what a report is about (QUI2)."""

from math import ceil

from teamroom.server.facts.ids import task_name
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.budgets import seconds_until_free
from teamroom.server.rules.presence import duration
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading

HOUR = 3600.0


def spend(tx: Reading, caller: Caller, kind: str) -> bool:
    """Whether a message is shown folded, because its author's notes are spent. Raises Refusal `rate_limited`.

    Budgets bind agents. What a person writes is always shown, and nobody who has to raise an alarm by hand is told
    to wait.
    """
    if caller.kind != "agent" or kind == "report":
        return False
    policy = tx.policy
    allowed = {"note": policy.notes_per_hour, "ask": policy.asks_per_hour, "alert": policy.alerts_per_hour}
    nth = tx.value(float, "nth_newest_of_kind", author=caller.member, kind=kind, offset=allowed[kind] - 1)
    wait = ceil(seconds_until_free(nth, HOUR, tx.now))
    if kind == "note" or not wait:
        return wait > 0
    instead = "Wait for the answers that are due" if kind == "ask" else "Post it as an ask now: post_message kind ask"
    raise Refusal(
        "rate_limited",
        f"You posted {allowed[kind]} {kind}s within the hour, which is the limit.",
        f"{instead}; or call again in {duration(wait)}.",
        subject=kind,
        retry_after_seconds=wait,
    )


def require_own_task(tx: Reading, caller: Caller, task: TaskRow | None) -> None:
    """Refuse a report that is about no task of its author's, with the call that is right."""
    if task is not None and _is_own(caller, task):
        return
    held = [task_name(id_) for id_ in tx.column(int, "tasks_held", member=caller.member)]
    theirs = f"{task_name(task.id)} is not yours" if task is not None else "a report is about a task of yours"
    mine = f'task "{held[0]}" (you hold {", ".join(held)}), or with ' if held else ""
    raise Refusal(
        "invalid" if task is None else "not_allowed",
        f"{theirs[0].upper()}{theirs[1:]}.",
        f'Call post_message again with {mine}kind "note".',
        subject="report" if task is None else task_name(task.id),
    )


def _is_own(caller: Caller, task: TaskRow) -> bool:
    """A task that a member has, completed, reviews, made or is to do; of people also what their agents have or made."""
    people = ("creator_owner", "holder_owner") if caller.kind == "human" else ()
    whose = ("holder", "completed_by", "reviewer", "creator", "assigned", *people)
    return caller.member in [getattr(task, name) for name in whose]
