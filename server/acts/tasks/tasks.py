"""Tasks: created, and updated by the holder with its fence. Claims are in `claims`."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamroom.server import topics
from teamroom.server.acts.act import (
    UNIX_TIME_FROM,
    Act,
    Arguments,
    External,
    Fence,
    Line,
    Name,
    NameOrNone,
    Need,
    Reply,
    Span,
    TaskId,
    Text,
    Words,
    author,
    date_from_now,
    from_now,
)
from teamroom.server.acts.tasks.dependencies import DEPENDENCIES, set_dependencies
from teamroom.server.facts.authorization import scopes_of
from teamroom.server.facts.blocks import Block, ask_creators, begin_block, find_block, settle, settle_member
from teamroom.server.facts.ended import reachable, refuse_ended
from teamroom.server.facts.holding import find_current, remind_assigned, schedule_task
from teamroom.server.facts.ids import offer_name, task_name
from teamroom.server.facts.member import find_member, refuse_zombie
from teamroom.server.facts.mentions import NAMES_MEMBER
from teamroom.server.facts.origin import find_origin, is_hidden
from teamroom.server.facts.owed import schedule_reminder, snoozed_until
from teamroom.server.facts.person import require_person
from teamroom.server.facts.reviewer import as_review, ask_again
from teamroom.server.facts.task import (
    ROOM_MEMBER,
    StoredTask,
    add_entry,
    find_task,
    held_from_now,
    require_fence,
    task_added,
    task_changed,
)
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.texts import text_digest
from teamroom.server.refusals import Refusal
from teamroom.server.rules.leases import lease_seconds
from teamroom.server.rules.names import normalize_name
from teamroom.server.rules.scopes import SCOPE_HELP, is_scope
from teamroom.server.rules.text import add_quote, cite, state_in_words
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.rows.tasks import FreedTask, OriginRow, TaskRow
from teamroom.server.store.transaction import Reading, Writing

NEEDS = 20
SCOPES = 10
"""How many scopes a task requires at most."""
FREED_NOTIFIED = 50

Title = Annotated[Line, Field(min_length=1)]


class CreateTask(Arguments):
    """Arguments of `create_task`."""

    title: Title
    detail: Text | None = None
    needs: Annotated[list[Need], Field(max_length=NEEDS)] | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    due: Span | None = None
    depends_on: Annotated[list[TaskId], Field(max_length=DEPENDENCIES)] | None = None
    assign: Name | None = None
    review: Name = "auto"
    requires: Annotated[list[Words], Field(max_length=SCOPES)] | None = None
    external: External | None = None


class Created(Reply):
    """Reply of `create_task`."""

    task: str


class Changes(BaseModel):
    """What `update_task` may change of a task; a field that is not given stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Title | None = None
    detail: Text | None = None
    needs: Annotated[list[Need], Field(max_length=NEEDS)] | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] | None = None
    due: Span | None = None
    depends_on: Annotated[list[TaskId], Field(max_length=DEPENDENCIES)] | None = None
    assign: NameOrNone | None = None
    review: Name | None = None
    requires: Annotated[list[Words], Field(max_length=SCOPES)] | None = None


class UpdateTask(Arguments):
    """Arguments of `update_task`."""

    task: TaskId
    fence: Fence | None = None
    note: Text | None = None
    status: Literal["working", "blocked", "released", "cancelled"] | None = None
    blocked_on: Annotated[Words, NAMES_MEMBER] | None = None
    changes: Changes | None = None
    snooze_until: Span | None = None


class Updated(Reply):
    """Reply of `update_task`. `blocked_on`: the id, the member or the date for which the task now waits.

    `snoozed_until`: until when the call holds the task's reminders back.
    """

    task: str
    state: str
    fence: int
    lease_until: str | None
    blocked_on: str | None = None
    snoozed_until: str | None = None


def create_task(tx: Writing, caller: Caller, arguments: CreateTask) -> Created:
    """Create a task. An assigned member is woken, and only that member may claim it. Raises Refusal.

    An id that a task has elsewhere makes no second task: the same call returns the first one.
    """
    if arguments.external is not None and (origin := find_origin(tx, arguments.external)) is not None:
        return _same_task(tx, origin, arguments)
    review = review_policy(tx, caller, arguments.review, "")
    assigned = find_member(tx, arguments.assign) if arguments.assign is not None else None
    if assigned is not None:
        refuse_ended(tx, assigned, "Assign it to", "leave assign out", f"@{assigned.name}", caller.member)
        refuse_zombie(tx, assigned, f"@{assigned.name}", "Assign it to another member, or leave it unassigned.")
    tx.head.tasks += 1
    id_, name = tx.head.tasks, task_name(tx.head.tasks)
    to = f" for @{assigned.name}" if assigned is not None else ""
    seq = log.append(
        tx,
        author(caller),
        act="create_task",
        subject=name,
        summary=add_quote(f"@{caller.name} created {name}{to}", arguments.title),
        detail={
            "title": arguments.title,
            "text": text_digest(arguments.detail or ""),
            **({"needs": arguments.needs} if arguments.needs else {}),
            **({"requires": arguments.requires} if arguments.requires else {}),
            **({"external": arguments.external} if arguments.external is not None else {}),
        },
    )
    store_task(
        tx,
        caller,
        id_,
        seq,
        title=arguments.title,
        detail=arguments.detail,
        priority=arguments.priority,
        due=None if arguments.due is None else date_from_now(tx, arguments.due),
        assigned=assigned,
        review=review,
        requires=_scopes(arguments.requires or []),
    )
    if arguments.external is not None:
        given = {"given": _digest_of(arguments), "seq": 0, "created_date": None, "closed_date": None}
        tx.run("add_origin", task=id_, external=arguments.external, **given)
    for need in arguments.needs or ():
        tx.run("add_need", task=id_, need=need)
    set_dependencies(tx, id_, arguments.depends_on or [])
    add_entry(tx, id_, caller, "created", arguments.title)
    if assigned is not None:
        _notify_assigned(tx, caller, assigned, name, arguments.title)
        schedule_reminder(tx, "task", id_, assigned.id, assigned.mode)
    return Created(receipt=seq, task=name)


def store_task(
    tx: Writing,
    caller: Caller,
    id_: int,
    seq: int,
    *,
    title: str,
    detail: str | None,
    priority: int,
    due: float | None = None,
    assigned: MemberFacts | None = None,
    review: str = "auto",
    requires: str = "",
) -> None:
    """Store a new task, which the entry `seq` of the log made. `requires`: its scopes, as they are stored."""
    tx.run(
        "add_task",
        id=id_,
        title=title,
        detail=detail or "",
        priority=priority,
        due=due,
        creator=caller.member,
        now=tx.now,
        seq=seq,
        assigned=None if assigned is None else assigned.id,
        review=review,
        requires=requires,
    )
    task_added(tx, id_)


def _scopes(scopes: list[str]) -> str:
    """The scopes that a task requires, as the room stores them. Raises Refusal for what is no scope."""
    wrong = next((scope for scope in scopes if not is_scope(scope)), None)
    if wrong is not None:
        raise Refusal("invalid", f"{cite(wrong)} is no scope.", SCOPE_HELP)
    return json.dumps(list(dict.fromkeys(scopes)), ensure_ascii=False) if scopes else ""


def _changed_scopes(caller: Caller, changes: Changes, task: StoredTask) -> str:
    """The scopes that a task requires after a change. Only a person drops one. Raises Refusal."""
    if changes.requires is None:
        return str(task.row.requires)
    dropped = [scope for scope in scopes_of(task.row.requires) if scope not in changes.requires]
    if dropped:
        why = f"{task.name} requires {cite(dropped[0])}, and only a person drops a requirement."
        keeping = f"requires {json.dumps([*changes.requires, *dropped])}"
        require_person(caller, why, f"Ask @{caller.owner_name}, or keep it: {keeping}.", task.name)
    return _scopes(changes.requires)


def _same_task(tx: Reading, origin: OriginRow, arguments: CreateTask) -> Created:
    """The task that was created with the same arguments before. Raises Refusal if they were others."""
    task = find_task(tx, origin.task)
    if origin.given == _digest_of(arguments):
        return Created(replayed=tx.shown(task.row.created_at), task=task.name)
    how = "was redacted" if is_hidden(origin) else "was imported" if origin.seq else "was created with other arguments"
    raise Refusal(
        "conflict",
        f"{task.name} already has the external id {cite(arguments.external or '')}, and {how}.",
        f"Work with {task.name}, or change it: update_task task {task.name}.",
        subject=task.name,
        task=task.name,
    )


def _digest_of(arguments: CreateTask) -> str:
    """A digest of what a call gave. An argument that a later release adds does not change it."""
    return text_digest(arguments.model_dump_json(exclude_defaults=True))


def _notify_assigned(tx: Writing, caller: Caller, member: MemberFacts, task: str, title: str) -> None:
    if member.id != caller.member:
        line = add_quote(f"@{caller.name} assigned {task} to you", title)
        wake_members(tx, [member.id], reason="assigned", subject=task, sender=caller.member, line=line)


def update_task(tx: Writing, caller: Caller, arguments: UpdateTask) -> Updated:
    """Report progress with the fence, or edit, release or cancel a task that the caller is in charge of."""
    task = find_current(tx, arguments.task)
    if task.state in ("done", "cancelled"):
        raise Refusal(
            "conflict",
            f"{task.name} is {state_in_words(task.state)} and cannot change.",
            "Create a new task: create_task.",
            subject=task.name,
        )
    if arguments.fence is not None or not is_in_charge(caller, task):
        late = {"note": arguments.note, "status": arguments.status}
        require_fence(tx, task, caller, arguments.fence, late)
    elif arguments.status in ("working", "blocked"):
        raise Refusal(
            "stale_fence",
            f"Only the holder of {task.name} can report it as {arguments.status}, with its fence.",
            "Call again with the fence of your claim, or call claim_task first.",
            subject=task.name,
            holder=task.row.holder_name,
        )
    if arguments.changes is not None and not is_in_charge(caller, task):
        raise Refusal(
            "not_allowed",
            f"Only @{task.row.creator_name}, its owner or an operator may change {task.name}.",
            f"Ask @{task.row.creator_name} for the change: post_message.",
            subject=task.name,
        )
    if arguments.status == "blocked" and not arguments.blocked_on:
        raise Refusal(
            "invalid",
            "The status blocked needs blocked_on: what the task waits for.",
            'Call again with blocked_on: T-1, D-3, O-2, "@name" or a time in seconds.',
            subject=task.name,
        )
    if not (arguments.note or arguments.status or arguments.changes or arguments.snooze_until):
        raise Refusal(
            "invalid", "The call changes nothing.", "Give a note, a status, changes or snooze_until.", subject=task.name
        )
    return _update(tx, caller, arguments, task)


def _update(tx: Writing, caller: Caller, arguments: UpdateTask, task: StoredTask) -> Updated:
    block = None
    if arguments.status == "blocked":
        block = find_block(tx, caller, task, arguments.blocked_on or "")
    seq = log.append(
        tx,
        author(caller),
        act="update_task",
        subject=task.name,
        summary=_describe_update(caller, arguments, task, block),
        detail={
            "status": arguments.status,
            "note": arguments.note,
            **({"blocked_on": block.text} if block is not None else {}),
            **_changed(arguments.changes or Changes()),
        },
    )
    renewed, is_edited = None, arguments.changes is not None or arguments.snooze_until is not None
    if is_edited:
        _edit(tx, caller, arguments, task, seq)
    if arguments.status in ("released", "cancelled"):
        _release_or_cancel(tx, arguments, task, caller, seq)
    elif arguments.fence is not None:
        renewed = _renew(tx, caller, arguments, task, seq, block)
    if task.holder != caller.member:
        settle_member(tx, caller, task.id)
    kind = arguments.status or ("note" if arguments.note else "changed")
    add_entry(tx, task.id, caller, kind, arguments.note or ("" if block is None else f"on {block.text}"))
    updated = find_task(tx, task.id) if renewed is None or is_edited else renewed
    return Updated(
        receipt=seq,
        task=task.name,
        state=updated.state,
        fence=updated.fence,
        lease_until=updated.lease_until(tx),
        blocked_on=None if block is None else block.text,
        snoozed_until=None if arguments.snooze_until is None else _snoozed_until(tx, updated.row),
    )


def _snoozed_until(tx: Reading, row: TaskRow) -> str | None:
    until = snoozed_until(tx, row)
    return None if until is None else tx.shown(until)


def _changed(changes: Changes) -> dict[str, Any]:
    """The names of the fields that change, and what the log keeps of the new texts."""
    kept: dict[str, Any] = {"changes": sorted(changes.model_dump(exclude_none=True))}
    if changes.title is not None:
        kept["title"] = changes.title
    if changes.detail is not None:
        kept["text"] = text_digest(changes.detail)
    if changes.needs is not None:
        kept["needs"] = changes.needs
    if changes.requires is not None:
        kept["requires"] = changes.requires
    return kept


def _describe_update(caller: Caller, arguments: UpdateTask, task: StoredTask, block: Block | None) -> str:
    if block is not None:
        return add_quote(f"@{caller.name} is blocked on {block.text} with {task.name}", arguments.note or "")
    did = {
        "working": "works on",
        "released": "released",
        "cancelled": "cancelled",
        None: "updated" if arguments.note else "changed",
    }[arguments.status]
    what = arguments.note or task.row.title
    return add_quote(f"@{caller.name} {did} {task.name}", what)


def _renew(
    tx: Writing, caller: Caller, arguments: UpdateTask, task: StoredTask, seq: int, block: Block | None
) -> StoredTask:
    """Renew the lease; while the task is blocked its clock is stopped. Returns the task as it is then."""
    if task.state not in ("claimed", "blocked"):
        fix = "Call check_in to see the tasks that you hold."
        if task.state == "offered" and task.row.offer is not None:
            fix = f"Withdraw the offer first: answer_hand_off offer {offer_name(task.row.offer)} accept false."
        raise Refusal(
            "conflict",
            f"{task.name} is {state_in_words(task.state)}, so you cannot report progress.",
            fix,
            subject=task.name,
        )
    seconds = lease_seconds(caller.kind, tx.principal.mode, tx.policy, tx.settings)
    state = {"working": "claimed", "blocked": "blocked", None: task.state}[arguments.status]
    moved = {"id": task.id, "now": tx.now, "lease_seconds": seconds, "seq": seq}
    if state == task.state == "claimed":
        tx.run("renew_lease", **moved)
    else:
        lease_from = None if state == "blocked" else tx.now
        blocked_on = "" if state != "blocked" else task.row.blocked_on if block is None else block.text
        tx.run("progress", **moved, state=state, lease_from=lease_from, blocked_on=blocked_on)
    task_changed(tx, task.id, caller.member)
    schedule_task(tx, task.id, caller.member, tx.principal.mode, seconds, state == "blocked")
    if block is not None:
        begin_block(tx, task.id, block)
    if arguments.note:
        note = {"note": text_digest(arguments.note), "busy_until": None, "task": task.id}
        tx.run("record_progress", member=caller.member, now=tx.now, **note)
    return held_from_now(tx, task, seconds, state)


def _release_or_cancel(tx: Writing, arguments: UpdateTask, task: StoredTask, caller: Caller, seq: int) -> None:
    if arguments.status == "released" and task.state not in ("claimed", "blocked", "offered"):
        raise Refusal(
            "conflict",
            f"{task.name} is {state_in_words(task.state)}, so there is no claim to release.",
            "Claim it with claim_task." if task.state == "open" else "Review it with review_task, or cancel it.",
            subject=task.name,
        )
    if task.state == "offered":
        tx.run("close_offer", id=task.row.offer, state="voided", now=tx.now, reason=arguments.status)
        if task.row.offer is not None:
            settle(tx, "offer", task.row.offer, offer_name(task.row.offer))
        if task.row.receiver is not None:
            tx.changed(topics.inbox(task.row.receiver))
    tx.run("free_task", id=task.id, state="open" if arguments.status == "released" else "cancelled", seq=seq)
    task_changed(tx, task.id, task.holder)
    recipients = {id_ for id_ in (task.holder, task.row.receiver, task.row.reviewer) if id_ is not None} - {
        caller.member
    }
    line = add_quote(f"@{caller.name} {arguments.status} {task.name}", task.row.title)
    wake_members(tx, recipients, reason="control", subject=task.name, sender=caller.member, line=line)
    if arguments.status == "cancelled":
        notify_freed(tx, task, is_cancelled=True)
    else:
        remind_assigned(tx, task.row)


def _edit(tx: Writing, caller: Caller, arguments: UpdateTask, task: StoredTask, seq: int) -> None:
    changes = arguments.changes or Changes()
    row = task.row
    assigned = row.assigned
    if changes.assign is not None:
        member = find_member(tx, changes.assign) if changes.assign else None
        assigned = None if member is None else member.id
        if member is not None and assigned != row.assigned:
            refuse_ended(tx, member, "Assign it to", 'give assign ""', task.name, caller.member)
            refuse_zombie(tx, member, task.name, "Assign it to another member, or leave it unassigned.")
        if member is not None and assigned != row.assigned:
            _notify_assigned(tx, caller, member, task.name, changes.title or row.title)
            schedule_reminder(tx, "task", task.id, member.id, member.mode)
    review = row.review if changes.review is None else review_policy(tx, caller, changes.review, task.name)
    tx.run(
        "edit_task",
        id=task.id,
        title=changes.title or row.title,
        detail=row.detail if changes.detail is None else changes.detail,
        priority=row.priority if changes.priority is None else changes.priority,
        due=row.due if changes.due is None else date_from_now(tx, changes.due),
        assigned=assigned,
        review=review,
        requires=_changed_scopes(caller, changes, task),
        **_snooze(tx, arguments, row),
        seq=seq,
    )
    task_changed(tx, task.id, task.holder)
    if changes.review is not None and task.state == "in_review":
        ask_again(tx, as_review(row), review)
    if changes.needs is not None:
        tx.run("drop_needs", task=task.id)
        for need in changes.needs:
            tx.run("add_need", task=task.id, need=need)
    if changes.depends_on is not None:
        tx.run("drop_dependencies", task=task.id)
        set_dependencies(tx, task.id, changes.depends_on)


def _snooze(tx: Writing, arguments: UpdateTask, row: TaskRow) -> dict[str, float | None]:
    """When the snooze of the task's reminders ends: after a while, or at a date. Raises Refusal beyond the longest."""
    if arguments.snooze_until is None:
        return {"snooze_until": row.snooze_until, "snooze_date": row.snooze_date}
    until, longest = from_now(tx, arguments.snooze_until), tx.settings.snooze_max_seconds
    if until > tx.now + longest + 1:
        raise Refusal(
            "invalid",
            f"A task may be snoozed for at most {longest:.0f} s.",
            f"Call again with snooze_until {longest:.0f}.",
            subject=task_name(arguments.task),
        )
    if arguments.snooze_until >= UNIX_TIME_FROM:
        return {"snooze_until": None, "snooze_date": arguments.snooze_until}
    return {"snooze_until": until, "snooze_date": None}


def notify_freed(tx: Writing, task: StoredTask, is_cancelled: bool = False) -> None:
    """Wake the assigned member, else the creator, of each task whose last dependency this was; lift blocks on it.

    If it was cancelled, each creator of a task that waited for it is asked once what to do now.
    """
    if is_cancelled:
        ask_creators(tx, task.id, FREED_NOTIFIED)
    settle(tx, "task", task.id, task.name)
    over = f"{task.name} was cancelled, so" if is_cancelled else f"{task.name} is finished;"
    for row in tx.all(FreedTask, "freed_by", task=task.id, limit=FREED_NOTIFIED):
        if row.assigned is None and is_cancelled:
            continue  # its creator is asked already
        waiting = reachable(tx, row.assigned if row.assigned is not None else row.creator)
        wake_members(
            tx,
            [] if waiting is None else [waiting],
            reason="assigned",
            subject=task_name(row.id),
            sender=ROOM_MEMBER,
            line=f"{over} {task_name(row.id)} can start",
        )


def review_policy(tx: Reading, caller: Caller, review: str, subject: str) -> str:
    """A review policy as the room stores it: auto, none or the name of a member that can review. Raises Refusal."""
    policy = normalize_name(review)
    if policy in ("auto", "none"):
        return policy
    row = find_member(tx, review)
    refuse_ended(tx, row, "Ask", "give review auto", subject or f"@{row.name}", caller.member)
    return row.name


def is_in_charge(caller: Caller, task: StoredTask) -> bool:
    """Whether the caller needs no fence: creator, its owner, the holder's owner, operators and room owners (TSK4)."""
    people = (task.row.creator, task.row.creator_owner, task.row.holder_owner)
    return caller.is_operator or caller.member in people


CREATE_TASK = Act("create_task", CreateTask, Created, create_task, repeats=True)
UPDATE_TASK = Act("update_task", UpdateTask, Updated, update_task)
