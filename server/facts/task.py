"""One task as it is stored, and as it is now: leases and offers are computed at each read."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from teamroom.server import topics
from teamroom.server.clock import rfc3339
from teamroom.server.facts.ids import task_name
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.chain import Author
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.leases import Lease, Pause
from teamroom.server.rules.text import count_fitting, state_in_words
from teamroom.server.settings import FixedSettings
from teamroom.server.store.rows.control import PauseRow
from teamroom.server.store.rows.tasks import TaskEntryRow, TaskRow, TaskState
from teamroom.server.store.transaction import Reading, Writing

ROOM_MEMBER = log.ROOM_MEMBER

HISTORY_SHOWN = 30

PAUSES_KNOWN = 300
"""How many of the newest pauses count, at each of the three levels."""

DEPENDENTS_CHANGED = 100
"""When a task changes, at most this many tasks that wait for it count as changed too."""
HISTORY_CHARACTERS = 12_000

ROOM_AUTHOR = log.ROOM_AUTHOR


class Entry(BaseModel):
    """Something that happened to a task."""

    seq: int
    at: str
    member: str
    kind: str
    text: str
    detail: dict[str, Any]


@dataclass(slots=True)
class StoredTask:
    """A task's row, with its state and its lease as of now."""

    row: TaskRow
    state: TaskState
    lease: Lease
    pauses: Sequence[Pause]
    offer_expired: bool
    watched_from: float
    """Since when the room has been awake without a gap."""

    @property
    def id(self) -> int:
        """Its number."""
        return int(self.row.id)

    @property
    def name(self) -> str:
        """How members write it."""
        return task_name(self.row.id)

    @property
    def holder(self) -> int | None:
        """The member that holds it."""
        return None if self.row.holder is None else int(self.row.holder)

    @property
    def fence(self) -> int:
        """The number of the newest claim; it only rises."""
        return int(self.row.fence)

    def lease_until(self, tx: Reading) -> str | None:
        """When the claim expires unless it is renewed or paused; None while its clock is stopped."""
        if self.holder is None or self.state != "claimed":
            return None
        return tx.shown(tx.now + self.lease.left(self.pauses, tx.now))

    def overdue_seconds(self, now: float, settings: FixedSettings) -> float:
        """For how many seconds its lease has been expired; negative before that."""
        if self.state != "claimed":
            return -self.lease.seconds
        return self.lease.overdue_seconds(self.pauses, now, settings)

    def lost_seconds(self, now: float, settings: FixedSettings) -> float:
        """For how many seconds another member could have claimed it; negative before that.

        The lease must have expired, and the room must have been awake for an interval: nobody can renew while it sleeps
        (PRS6).
        """
        watched = now - self.watched_from - settings.live_interval_seconds
        return min(self.overdue_seconds(now, settings), watched)


def find_task(tx: Reading, number: int) -> StoredTask:
    """The task with this id as it is now. Raises Refusal `not_found`."""
    row = tx.one(TaskRow, "task", id=number)
    if row is None:
        raise not_found("task", task_name(number), "Call read_board to see the tasks.")
    return task_now(tx, row)


def task_now(tx: Reading, row: TaskRow) -> StoredTask:
    """A stored row as it is now. An expired offer counts as over even before that is recorded.

    A lease that begins now has been stopped by no pause.
    """
    state, since = row.state, row.lease_from
    ends_at = row.offer_expires_at
    expired = state == "offered" and ends_at is not None and ends_at <= tx.now
    if expired:
        state, since = "claimed", ends_at
    pauses: list[Pause] = []
    if row.holder is not None and row.holder_owner is not None and since is not None and since < tx.now:
        pauses = pauses_of(tx, row.holder, row.holder_owner, since)
    return StoredTask(row, state, Lease(since, row.lease_seconds), pauses, expired, tx.watched_from)


def held_from_now(
    tx: Reading, task: StoredTask, seconds: float, state: TaskState = "claimed", **changed: Any
) -> StoredTask:
    """A task whose lease this transaction began or stopped, without reading it again. `changed`: other columns."""
    since = None if state == "blocked" else tx.now
    return task_now(tx, task.row._replace(state=state, lease_from=since, lease_seconds=seconds, **changed))


def pauses_of(tx: Reading, holder: int, owner: int, since: float) -> list[Pause]:
    """The newest pauses since a time that stopped the clock of a holder's leases."""
    rows = tx.all(PauseRow, "pauses", member=holder, owner=owner, since=since, limit=PAUSES_KNOWN)
    return [Pause(row.scope, row.since, row.until) for row in rows]


def unfinished_dependencies(tx: Reading, row: TaskRow) -> list[str]:
    """The names of the unfinished tasks that a task depends on."""
    return [task_name(id_) for id_ in tx.column(int, "unfinished_before", task=row.id)] if row.waits else []


def cancelled_dependencies(tx: Reading, row: TaskRow) -> list[str]:
    """The names of the cancelled tasks that a task depends on, which no longer hold it."""
    return list(map(task_name, tx.column(int, "cancelled_before", task=row.id))) if row.has_cancelled else []


def needs_of(tx: Reading, row: TaskRow) -> list[str]:
    """The capabilities that a task needs."""
    return tx.column(str, "needs", task=row.id) if row.first_need else []


def require_fence(tx: Reading, task: StoredTask, caller: Caller, fence: int | None, late: dict[str, Any]) -> None:
    """Refuse a caller that is not the holder with the newest fence; the work it brought is kept (TSK2)."""
    if task.holder == caller.member and task.fence == fence:
        return
    if task.holder == caller.member:
        raise Refusal(
            "stale_fence",
            f"The fence of {task.name} is {task.fence}, not {fence}."
            if fence is not None
            else f"The fence of {task.name} is missing.",
            f"Read what changed (read_board task {task.name}), then call again with fence {task.fence}.",
            subject=task.name,
            fence=task.fence,
        )
    state = state_in_words(task.state)
    holder = f"@{task.row.holder_name} holds it" if task.holder is not None else f"it is {state}"

    kept = f"The room kept your work on {task.name} as late evidence. " if any(late.values()) else ""
    raise Refusal(
        "stale_fence",
        f"You do not hold {task.name}: {holder}.",
        f"{kept}Call check_in to see the tasks that you hold.",
        subject=task.name,
        also=keep_late(task, caller, fence, late) if any(late.values()) else None,
        holder=task.row.holder_name,
        lease_until=task.lease_until(tx),
    )


def keep_late(
    task: StoredTask, caller: Caller, fence: int | None, late: Mapping[str, Any]
) -> Callable[[Writing], None]:
    """What keeps the work of a refused call in a task's history."""

    def keep(tx: Writing) -> None:
        tx.run(
            "add_task_entry",
            task=task.id,
            seq=tx.head.seq,
            member=caller.member,
            at=tx.now,
            kind="late",
            text=str(late.get("summary") or late.get("note") or ""),
            detail=json.dumps({**late, "fence": fence}, ensure_ascii=False),
        )
        tx.changed(topics.task(task.id))

    return keep


def task_added(tx: Writing, task: int) -> None:
    """State that a task is new: nothing depends on it yet, and nobody holds it."""
    tx.changed(topics.BOARD, topics.task(task))


def task_changed(tx: Writing, task: int, *holders: int | None) -> None:
    """State that a task changed: on the board, its own page and its dependents', and for the given holders."""
    tx.changed(topics.BOARD, topics.task(task), *(topics.me(holder) for holder in holders if holder is not None))
    tx.changed(*map(topics.task, tx.column(int, "dependents", task=task, limit=DEPENDENTS_CHANGED)))


def add_entry(
    tx: Writing,
    task: int,
    caller: Author | Caller,
    kind: str,
    text: str,
    detail: dict[str, Any] | None = None,
) -> None:
    """Record in a task's history what the newest log entry did to it."""
    tx.run(
        "add_task_entry",
        task=task,
        seq=tx.head.seq,
        member=caller.member,
        at=tx.now,
        kind=kind,
        text=text,
        detail=json.dumps(detail or {}, ensure_ascii=False),
    )
    tx.changed(topics.task(task))


def history(tx: Reading, task: int) -> list[Entry]:
    """A task's history, newest first, as far as it fits into one reply."""
    rows = tx.all(TaskEntryRow, "task_entries", task=task, limit=HISTORY_SHOWN)
    fit = count_fitting((len(row.text) + len(row.detail) for row in rows), HISTORY_CHARACTERS)
    return [
        Entry(
            seq=row.seq,
            at=rfc3339(row.at),
            member=row.member,
            kind=row.kind,
            text=row.text,
            detail=json.loads(row.detail),
        )
        for row in rows[:fit]
    ]
