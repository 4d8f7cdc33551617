"""Claims: one claimer wins a task and gets a fence and a lease."""

from teamroom.server.acts.act import Act, Arguments, Reply, TaskId, author
from teamroom.server.acts.tasks.repairs import require_repairer
from teamroom.server.clock import rfc3339
from teamroom.server.facts.authorization import count_uses, require_scopes, scopes_of
from teamroom.server.facts.capability import find_missing_capabilities, require_capabilities
from teamroom.server.facts.holding import find_current, take
from teamroom.server.facts.ids import authorization_name, task_name
from teamroom.server.facts.task import (
    HISTORY_SHOWN,
    Entry,
    StoredTask,
    add_entry,
    cancelled_dependencies,
    find_task,
    held_from_now,
    history,
    needs_of,
    unfinished_dependencies,
)
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.leases import lease_seconds
from teamroom.server.rules.text import add_quote, state_in_words
from teamroom.server.store.rows.capabilities import CapabilityRow
from teamroom.server.store.rows.tasks import OpenTask, TaskRow
from teamroom.server.store.transaction import Reading, Writing

OVERDUE_LOOKED_AT = 20

OPEN_LOOKED_AT = 100
"""How many open tasks with the same first need are examined, the best first. Another is claimed by its id."""

NOBODY = 0
"""What an unassigned task is assigned to, in the index of open tasks."""


class ClaimTask(Arguments):
    """Arguments of `claim_task`."""

    task: TaskId | None = None


class Claimed(Reply):
    """Reply of `claim_task`: the task in full, with the fence that its holder writes with."""

    task: str
    title: str
    creator: str
    detail: str
    needs: list[str]
    requires: list[str]
    authorizations: list[str]
    """The entries that let the holder do what the task requires, by their names."""
    cancelled: list[str]
    """Cancelled tasks that it depends on. They no longer hold it."""
    fence: int
    lease_until: str | None
    history: list[Entry]


def claim_task(tx: Writing, caller: Caller, arguments: ClaimTask) -> Claimed:
    """Claim a task, or the best open one that matches the caller's capabilities. One claimer wins. Raises Refusal."""
    if arguments.task is None:
        since = tx.now - tx.settings.repeat_seconds
        last = tx.value(int, "last_untouched_claim", member=caller.member, since=since)
        if last is not None:
            task = find_task(tx, last)
            return _claimed_before(tx, task)
        require_below_wip_cap(tx, caller, "")
    task = find_current(tx, _best(tx, caller) if arguments.task is None else arguments.task)
    if task.holder == caller.member and task.state in ("claimed", "blocked", "offered"):
        return _claimed_before(tx, task)
    check_free(tx, caller, task)
    needs = _check_able(tx, caller, task)
    entries = require_scopes(tx, caller, scopes_of(task.row.requires), task.name)
    earlier = history(tx, task.id)  # before this act has an entry, which would be written for it twice
    seconds = lease_seconds(caller.kind, tx.principal.mode, tx.policy, tx.settings)
    fence = task.fence + 1
    from_whom = f" from @{task.row.holder_name}, whose lease had expired" if task.state == "claimed" else ""
    seq = log.append(
        tx,
        author(caller),
        act="claim_task",
        subject=task.name,
        summary=add_quote(f"@{caller.name} claimed {task.name}{from_whom}", task.row.title),
        detail={
            "fence": fence,
            "before": task.row.holder_name,
            **({"authorizations": [authorization_name(entry.id) for entry in entries]} if entries else {}),
        },
    )
    authorised = count_uses(tx, entries, seq)
    take(tx, caller.member, task, seconds, task.row.hops, authorised, seq)
    detail = {"fence": fence, "before": task.row.holder_name}
    add_entry(tx, task.id, caller, "claimed", "", detail)
    newest = Entry(seq=seq, at=rfc3339(tx.wall), member=caller.name, kind="claimed", text="", detail=detail)
    if task.state == "claimed" and task.holder is not None:
        line = f"@{caller.name} claimed {task.name} because your lease had expired"
        wake_members(tx, [task.holder], reason="control", subject=task.name, sender=caller.member, line=line)
    claimed = held_from_now(
        tx, task, seconds, holder=caller.member, holder_owner=caller.owner, fence=fence, authorised=authorised
    )
    return _claimed(tx, claimed, needs, [newest, *earlier][:HISTORY_SHOWN], receipt=seq)


def _best(tx: Writing, caller: Caller) -> int:
    """The best open task that the caller can do, else one whose holder lost it. Raises Refusal `not_found`."""
    best = _best_open(tx, caller, caller.member) or _best_open(tx, caller, NOBODY)
    if best is not None:
        return best
    for id_ in _perhaps_lost(tx, caller.member):
        task = find_task(tx, id_)
        try:
            check_free(tx, caller, task)
            _check_able(tx, caller, task)
            require_scopes(tx, caller, scopes_of(task.row.requires), task.name)
        except Refusal:
            continue
        return task.id
    beyond = _first_open(tx, caller.member) or _first_open(tx, NOBODY)
    needs = [] if beyond is None else needs_of(tx, find_task(tx, beyond).row)
    lacks = find_missing_capabilities(tx, caller.member, needs)
    needed = f"; {task_name(beyond)} needs {', '.join(lacks)}" if beyond is not None and lacks else ""
    raise Refusal(
        "not_found",
        f"No open task matches your capabilities{needed}.",
        "Call wait_for_wake to wait for work, or read_board to see what the tasks need and who holds them.",
    )


def _best_open(tx: Reading, caller: Caller, assigned: int) -> int | None:
    """The best open task that a member can do, of those assigned to it or to nobody.

    An index has the tasks by their first need: first those that need nothing, then each capability of the member.
    """
    member = caller.member
    needs = ["", *(row.capability for row in tx.all(CapabilityRow, "capabilities", member=member))]
    found = []
    for need in needs:
        best = tx.one(
            OpenTask,
            "best_open_task",
            member=member,
            owner=caller.owner if caller.kind == "agent" else 0,
            assigned=assigned,
            first_need=need,
            now=tx.now,
            trust=tx.policy.trust,
            looked_at=OPEN_LOOKED_AT,
        )
        if best is not None:
            found.append((-best.priority, best.due, best.id))
    return min(found)[-1] if found else None


def _first_open(tx: Reading, assigned: int) -> int | None:
    return tx.value(int, "first_open_task", assigned=assigned, looked_at=OPEN_LOOKED_AT)


def _perhaps_lost(tx: Reading, member: int) -> list[int]:
    """Claimed tasks of others that may be free to claim, those of the highest priority first."""
    settings = tx.settings
    about = {"member": member, "limit": OVERDUE_LOOKED_AT}
    paused_before = tx.now - settings.paused_overdue_seconds
    found = [
        *tx.column(int, "perhaps_overdue", before=tx.now - settings.lease_grace_seconds, **about),
        *tx.column(int, "held_by_paused", paused_before=paused_before, **about),
    ]
    rows = [tx.only(TaskRow, "task", id=id_) for id_ in dict.fromkeys(found)]
    return [row.id for row in sorted(rows, key=lambda row: (-row.priority, row.id))]


def check_free(tx: Reading, caller: Caller, task: StoredTask) -> None:
    """Refuse unless the task is open, or its lease and the grace period have expired."""
    row = task.row
    if task.state == "claimed":
        left = tx.settings.lease_grace_seconds - task.lost_seconds(tx.now, tx.settings)
        if left <= 0:
            return
        raise Refusal(
            "taken",
            f"@{row.holder_name} holds {task.name}; its lease ends at {task.lease_until(tx)}.",
            "Claim another: claim_task without a task. Unless its holder renews it, you can claim it "
            f"from {tx.shown(tx.now + left)}.",
            subject=task.name,
            holder=row.holder_name,
            lease_until=task.lease_until(tx),
        )
    if task.state != "open":
        holder = row.holder_name if task.state in ("blocked", "offered") else None
        raise Refusal(
            "taken" if holder else "conflict",
            f"{task.name} is {state_in_words(task.state)}" + (f" with @{holder}." if holder else "."),
            "Claim another: claim_task without a task.",
            subject=task.name,
            holder=holder,
        )
    if row.assigned is not None and row.assigned != caller.member:
        raise Refusal(
            "taken",
            f"{task.name} is assigned to @{row.assigned_name}.",
            f"Claim another: claim_task without a task. Or ask @{row.creator_name} to assign it to you.",
            subject=task.name,
            holder=row.assigned_name,
        )


def _check_able(tx: Reading, caller: Caller, task: StoredTask) -> list[str]:
    """Refuse a caller that cannot do the task now; returns what the task needs."""
    waits_for = unfinished_dependencies(tx, task.row)
    if waits_for:
        raise Refusal(
            "conflict",
            f"{task.name} waits for {', '.join(waits_for)}.",
            f"Finish {waits_for[0]} first, or claim another: claim_task without a task.",
            subject=task.name,
            waits_for=waits_for,
        )
    require_repairer(caller, task)
    needs = needs_of(tx, task.row)
    require_capabilities(tx, caller.member, caller.name, needs, task.name)
    require_below_wip_cap(tx, caller, task.name)
    return needs


def require_below_wip_cap(tx: Reading, caller: Caller, subject: str) -> None:
    """Refuse a member that holds the largest number of tasks that the policy allows (TSK5)."""
    if tx.number("count_held", member=caller.member) >= tx.policy.wip_cap:
        raise Refusal(
            "wip_cap",
            f"You hold {tx.policy.wip_cap} tasks already, which is the limit.",
            "Complete, release or hand off one of them first: check_in lists them.",
            subject=subject,
        )


def _claimed_before(tx: Reading, task: StoredTask) -> Claimed:
    """The reply for a task that the caller holds already."""
    at = tx.shown(task.row.claimed_at or tx.now)
    return _claimed(tx, task, needs_of(tx, task.row), history(tx, task.id), replayed=at)


def _claimed(
    tx: Reading,
    task: StoredTask,
    needs: list[str],
    entries: list[Entry],
    receipt: int | None = None,
    replayed: str | None = None,
) -> Claimed:
    return Claimed(
        receipt=receipt,
        replayed=replayed,
        task=task.name,
        title=task.row.title,
        creator=task.row.creator_name,
        detail=task.row.detail,
        needs=needs,
        requires=scopes_of(task.row.requires),
        authorizations=task.row.authorised.split(),
        cancelled=cancelled_dependencies(tx, task.row),
        fence=task.fence,
        lease_until=task.lease_until(tx),
        history=entries,
    )


CLAIM_TASK = Act("claim_task", ClaimTask, Claimed, claim_task)
