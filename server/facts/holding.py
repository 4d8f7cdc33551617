"""Changes to a task's holder or lease, shared by claims, offers, reviews and kills."""

from teamroom.server import topics
from teamroom.server.facts.ids import offer_name
from teamroom.server.facts.owed import first_delay, schedule_reminder
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER, StoredTask, find_task, task_changed
from teamroom.server.facts.timers import schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.rules.presence import interval_seconds
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Writing


def find_current(tx: Writing, number: int) -> StoredTask:
    """The task with this number; an offer of it that has expired is recorded first. Raises Refusal `not_found`."""
    task = find_task(tx, number)
    row = task.row
    if not task.offer_expired or row.offer is None or row.giver is None:
        return task
    seq = log.append(
        tx,
        ROOM_AUTHOR,
        act="expire_offer",
        subject=offer_name(row.offer),
        summary=f"{offer_name(row.offer)} expired without an answer from @{row.receiver_name}; {task.name} is back "
        f"with @{row.holder_name}",
        detail={"task": task.name},
    )
    tx.run("close_offer", id=row.offer, state="expired", now=tx.now, reason="")
    if row.receiver is not None:
        tx.changed(topics.inbox(row.receiver))
    give_back(tx, task, task.lease.since or tx.now, seq)
    wake_members(
        tx,
        [row.giver],
        reason="answer",
        subject=offer_name(row.offer),
        sender=ROOM_MEMBER,
        line=f"@{row.receiver_name} did not answer; {task.name} is yours again",
    )
    return find_task(tx, number)


def give_back(tx: Writing, task: StoredTask, since: float, seq: int) -> None:
    """An offer is over: its giver holds the task again, and the stopped lease runs again from a time."""
    assert task.holder is not None
    seconds = task.lease.seconds
    tx.run("hold_again", id=task.id, lease_from=since, lease_seconds=seconds, seq=seq)
    task_changed(tx, task.id, task.holder)
    schedule_reminder(tx, "task", task.id, task.holder, tx.only(WatchedMember, "watched", member=task.holder).mode)
    schedule(tx, "lease", task.id, task.holder, seconds, at=since + seconds)


def take(
    tx: Writing, member: int, task: StoredTask, lease_seconds: float, hops: int, authorised: str, seq: int
) -> None:
    """Make the calling member the holder of a task, with the next fence, by an entry of the log.

    `authorised`: the entries that allow it, as they are stored.
    """
    tx.run(
        "claim",
        id=task.id,
        holder=member,
        fence=task.fence + 1,
        now=tx.now,
        lease_seconds=lease_seconds,
        hops=hops,
        authorised=authorised,
        seq=seq,
    )
    task_changed(tx, task.id, task.holder, member)
    schedule_task(tx, task.id, member, tx.principal.mode, lease_seconds)


def remind_assigned(tx: Writing, row: TaskRow) -> None:
    """Remind the member that a reopened task is assigned to."""
    if row.assigned is not None:
        mode = tx.only(WatchedMember, "watched", member=row.assigned).mode
        schedule_reminder(tx, "task", row.id, row.assigned, mode)


def schedule_task(tx: Writing, task: int, member: int, mode: str, lease_seconds: float, blocked: bool = False) -> None:
    """Set the timers of a task that moved now: the holder's reminder and the end of its lease."""
    remind_span = first_delay(tx, "task", interval_seconds(mode, tx.settings), blocked)
    ends = {"remind_at": tx.now + remind_span, "lease_at": tx.now + lease_seconds}
    tx.run(
        "schedule_both",
        task=task,
        member=member,
        since=tx.now,
        remind_span=remind_span,
        lease_span=lease_seconds,
        **ends,
    )
    tx.effects.due = min(tx.effects.due, *ends.values())
