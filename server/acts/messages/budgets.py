"""Limits on messages: how many a member may post in an hour, and which tasks it may report on (QUI2)."""

from math import ceil

from teamroom.server.facts.ids import task_name
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.budgets import seconds_until_free
from teamroom.server.rules.spans import duration
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading

HOUR = 3600.0


def spend(tx: Reading, caller: Caller, kind: str) -> bool:
    """Whether a message is folded because its author's notes are used up. Raises Refusal `rate_limited`.

    Limits bind agents only. What a person writes is always shown.
    """
    if caller.kind != "agent" or kind == "report":
        return False
    policy = tx.policy
    allowed = {"note": policy.notes_per_hour, "ask": policy.asks_per_hour, "alert": policy.alerts_per_hour}
    nth = tx.value(float, "nth_newest_of_kind", author=caller.member, kind=kind, offset=allowed[kind] - 1)
    wait = ceil(seconds_until_free(nth, HOUR, tx.now))
    if kind == "note" or not wait:
        return wait > 0
    instead = "Wait for the answers to your asks" if kind == "ask" else "Post it as an ask now: post_message kind ask"
    raise Refusal(
        "rate_limited",
        f"You posted {allowed[kind]} {kind}s within an hour, which is the limit.",
        f"{instead}; or call again in {duration(wait)}.",
        subject=kind,
        retry_after_seconds=wait,
    )


def require_own_task(tx: Reading, caller: Caller, task: TaskRow | None) -> None:
    """Refuse a report that is not about a task of its author, with the corrected call."""
    if task is not None and _is_own(caller, task):
        return
    held = [task_name(id_) for id_ in tx.column(int, "tasks_held", member=caller.member)]
    theirs = f"{task_name(task.id)} is not your task" if task is not None else "a report needs a task of yours"
    mine = f'task "{held[0]}" (you hold {", ".join(held)}), or with ' if held else ""
    raise Refusal(
        "invalid" if task is None else "not_allowed",
        f"{theirs[0].upper()}{theirs[1:]}.",
        f'Call post_message again with {mine}kind "note".',
        subject="report" if task is None else task_name(task.id),
    )


def _is_own(caller: Caller, task: TaskRow) -> bool:
    """Whether a member holds, completed, reviews, created or is assigned a task; for people, also as owners."""
    people = ("creator_owner", "holder_owner") if caller.kind == "human" else ()
    whose = ("holder", "completed_by", "reviewer", "creator", "assigned", *people)
    return caller.member in [getattr(task, name) for name in whose]
