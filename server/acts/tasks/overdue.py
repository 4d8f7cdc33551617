"""Expired leases: announced once, so that the holder renews or another member claims the task."""

from teamroom.server.facts.holding import find_current
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER, add_entry
from teamroom.server.facts.timers import Timer, cancel_timer, postpone
from teamroom.server.facts.wakes import notify_person, wake_members
from teamroom.server.record import chain as log
from teamroom.server.rules.text import add_quote, one_line
from teamroom.server.store.transaction import Writing

SHORTEST_LOOK_SECONDS = 60.0
"""A lease whose clock is stopped is checked again after at least this many seconds."""


def announce_overdue(tx: Writing, due: Timer) -> None:
    """Announce an expired lease. After the grace period any member may claim the task."""
    task = find_current(tx, due.subject)
    if task.holder != due.member or task.state in ("done", "cancelled", "in_review", "open"):
        cancel_timer(tx, "lease", due.subject, due.member)
        return
    left = -task.lost_seconds(tx.now, tx.settings)
    if left > 0 or task.state != "claimed":
        postpone(tx, due, tx.now + max(left, SHORTEST_LOOK_SECONDS))
        return
    free_at = tx.shown(tx.now + max(tx.settings.lease_grace_seconds + left, 0.0))
    holder = f"@{task.row.holder_name}"
    log.append(
        tx,
        ROOM_AUTHOR,
        act="overdue",
        subject=task.name,
        summary=add_quote(
            f"The lease of {holder} on {task.name} expired; anyone can claim it from {free_at}", task.row.title
        ),
        detail={"holder": task.row.holder_name, "fence": task.fence, "free_at": free_at},
    )
    if task.row.holder_owner is not None:
        notify_person(tx, task.row.holder_owner, "stuck", "overdue", task.name)
    add_entry(tx, task.id, ROOM_AUTHOR, "overdue", f"the lease of {holder} expired")
    line = one_line(
        f"Your lease on {task.name} expired: renew it with update_task and your fence, unless another member claimed it"
    )
    wake_members(tx, [due.member], reason="reminder", subject=task.name, sender=ROOM_MEMBER, line=line)
    cancel_timer(tx, "lease", due.subject, due.member)
