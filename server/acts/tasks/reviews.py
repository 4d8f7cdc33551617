"""Completions, and their reviews by another member."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamroom.server import topics
from teamroom.server.acts.act import Act, Arguments, Fence, Ref, Reply, TaskId, Text, Value, author
from teamroom.server.acts.tasks.tasks import notify_freed
from teamroom.server.facts.authorization import require_still_authorised
from teamroom.server.facts.ended import is_ended, reachable
from teamroom.server.facts.holding import find_current, schedule_task
from teamroom.server.facts.ids import offer_name
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.reviewer import as_review, reviewer_now, schedule_review, select_reviewer
from teamroom.server.facts.task import StoredTask, add_entry, require_fence, task_changed
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.leases import lease_seconds
from teamroom.server.rules.text import add_quote, state_in_words
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.transaction import Reading, Writing

EVIDENCE = 20


class Evidence(BaseModel):
    """Something that supports a completion, with how to check it again where that is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["commit", "file", "test", "link", "receipt"]
    ref: Ref
    value: Value | None = None


class CompleteTask(Arguments):
    """Arguments of `complete_task`."""

    task: TaskId
    fence: Fence
    summary: Annotated[Text, Field(min_length=1)]
    evidence: Annotated[list[Evidence], Field(max_length=EVIDENCE)]


class Completed(Reply):
    """Reply of `complete_task`."""

    task: str
    state: Literal["in_review", "done"]
    reviewer: str | None


class ReviewTask(Arguments):
    """Arguments of `review_task`."""

    task: TaskId
    verdict: Literal["accept", "send_back"]
    note: Annotated[Text, Field(min_length=1)]


class Reviewed(Reply):
    """Reply of `review_task`."""

    task: str
    state: str


def complete_task(tx: Writing, caller: Caller, arguments: CompleteTask) -> Completed:
    """Complete a task. Another member reviews it, unless its review is `none`. Raises Refusal."""
    task = find_current(tx, arguments.task)
    row = task.row
    if row.completed_by == caller.member and task.fence == arguments.fence and task.state in ("in_review", "done"):
        return Completed(
            replayed=tx.shown(row.completed_at or tx.now), task=task.name, state=task.state, reviewer=row.reviewer_name
        )
    brought = {"summary": arguments.summary, "evidence": [e.model_dump() for e in arguments.evidence]}
    require_fence(tx, task, caller, arguments.fence, brought)
    if task.state not in ("claimed", "blocked"):
        raise Refusal(
            "conflict",
            f"{task.name} is {state_in_words(task.state)}, so it cannot be completed.",
            f"Withdraw {offer_name(row.offer)} first: answer_hand_off with accept false."
            if task.state == "offered" and row.offer is not None
            else "Call check_in to see the tasks that you hold.",
            subject=task.name,
        )
    require_still_authorised(tx, caller, task, brought)
    reviewer = select_reviewer(tx, row.review, task.id, caller.member, caller.owner)
    state: Literal["in_review", "done"] = "done" if row.review == "none" else "in_review"
    whom = f", @{reviewer.name} reviews" if reviewer is not None else ""
    seq = log.append(
        tx,
        author(caller),
        act="complete_task",
        subject=task.name,
        summary=add_quote(f"@{caller.name} completed {task.name}{whom}", arguments.summary),
        detail=brought,
    )
    tx.run(
        "complete_task",
        id=task.id,
        state=state,
        now=tx.now,
        member=caller.member,
        reviewer=reviewer.id if reviewer is not None else None,
        summary=arguments.summary,
        evidence=json.dumps(brought["evidence"], ensure_ascii=False),
        seq=seq,
    )
    task_changed(tx, task.id, task.holder)
    add_entry(tx, task.id, caller, "completed", arguments.summary, {"evidence": brought["evidence"]})
    if state == "in_review":
        schedule_review(tx, task.id, caller.owner if reviewer is None else reviewer.id)
    if reviewer is not None:
        line = add_quote(f"@{caller.name} completed {task.name}, please review", row.title)
        wake_members(tx, [reviewer.id], reason="review", subject=task.name, sender=caller.member, line=line)
    if state == "done":
        notify_freed(tx, task)
    return Completed(receipt=seq, task=task.name, state=state, reviewer=reviewer.name if reviewer is not None else None)


def review_task(tx: Writing, caller: Caller, arguments: ReviewTask) -> Reviewed:
    """Accept another member's completion, or send it back to the completer. Raises Refusal."""
    task = find_current(tx, arguments.task)
    if task.state != "in_review":
        holder = "" if task.holder is None else f" by @{task.row.holder_name}"
        raise Refusal(
            "conflict",
            f"{task.name} is {state_in_words(task.state)}{holder}, not in review.",
            "Review a task that waits for you: check_in lists them.",
            subject=task.name,
        )
    _require_reviewer(tx, caller, task)
    accepted = arguments.verdict == "accept"
    seq = log.append(
        tx,
        author(caller),
        act="review_task",
        subject=task.name,
        summary=add_quote(f"@{caller.name} {'accepted' if accepted else 'sent back'} {task.name}", arguments.note),
        detail={"verdict": arguments.verdict, "note": arguments.note, "by": task.row.completer_name},
    )
    tx.run(
        "add_verdict",
        task=task.id,
        seq=seq,
        completer=task.row.completed_by,
        reviewer=caller.member,
        upheld=int(accepted),
    )
    tx.changed(topics.inbox(caller.member), *([] if task.row.reviewer is None else [topics.inbox(task.row.reviewer)]))
    if task.row.completed_by is not None:
        member_changed(tx, task.row.completed_by)
    state = "done"
    if accepted:
        tx.run("accept_task", id=task.id, reviewer=caller.member, seq=seq)
        task_changed(tx, task.id)
    else:
        state = _send_back(tx, task, seq)
    add_entry(tx, task.id, caller, "accepted_review" if accepted else "sent_back", arguments.note)
    concerned = {reachable(tx, member) for member in (task.row.completed_by, task.row.creator) if member is not None}
    recipients = {member for member in concerned if member is not None} - {caller.member}
    line = add_quote(f"@{caller.name} {'accepted' if accepted else 'sent back'} {task.name}", arguments.note)
    wake_members(tx, recipients, reason="answer", subject=task.name, sender=caller.member, line=line)
    if accepted:
        notify_freed(tx, task)
    return Reviewed(receipt=seq, task=task.name, state=state)


def _send_back(tx: Writing, task: StoredTask, seq: int) -> str:
    """Give the task back to its completer with a new lease, or reopen it if that member has ended."""
    completer = tx.one(MemberFacts, "member_facts", name=task.row.completer_name)
    back = completer if completer is not None and not is_ended(tx, completer) else None
    seconds = 0.0 if back is None else lease_seconds(back.kind, back.mode, tx.policy, tx.settings)
    tx.run(
        "send_task_back",
        id=task.id,
        state="claimed" if back else "open",
        holder=None if back is None else back.id,
        now=tx.now,
        lease_from=tx.now if back else None,
        lease_seconds=seconds,
        seq=seq,
    )
    task_changed(tx, task.id, None if back is None else back.id)
    if back is None:
        return "open"
    schedule_task(tx, task.id, back.id, back.mode, seconds)
    return "claimed"


def _require_reviewer(tx: Reading, caller: Caller, task: StoredTask) -> None:
    """Refuse all but the member that was asked, the current reviewer, and people who operate the room."""
    row = task.row
    if row.completed_by == caller.member:
        raise Refusal(
            "self_review",
            "You cannot review your own work.",
            f"Wait for @{row.reviewer_name} to review it." if row.reviewer_name else "Ask another member to review it.",
            subject=task.name,
        )
    due = reviewer_now(tx, as_review(row))
    runs_the_room = caller.kind == "human" and caller.is_operator
    if due is None or caller.member in (row.reviewer, due.id) or runs_the_room:
        return
    raise Refusal(
        "not_allowed",
        f"@{due.name} reviews {task.name}, not you.",
        f"Post your findings to @{due.name}: post_message.",
        subject=task.name,
    )


COMPLETE_TASK = Act("complete_task", CompleteTask, Completed, complete_task)
REVIEW_TASK = Act("review_task", ReviewTask, Reviewed, review_task)
