"""What is freed once a member has ended: its tasks reopen, its offers are void, and nothing waits for it alone."""

from itertools import chain

from teamroom.server import topics
from teamroom.server.facts.blocks import resume_lease, settle
from teamroom.server.facts.ended import reachable
from teamroom.server.facts.holding import give_back, remind_assigned, schedule_task
from teamroom.server.facts.ids import offer_name, task_name
from teamroom.server.facts.names import former_names
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER, add_entry, task_changed, task_now
from teamroom.server.facts.wakes import wake_members
from teamroom.server.rules.text import add_quote, one_line
from teamroom.server.store.rows.hand_offs import OfferRow, OpenOffer
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Writing

BLOCKS_LOOKED_AT = 500
"""How many blocked tasks that may name a member are examined when it has ended, the oldest first."""


def release(tx: Writing, member: int, limit: int) -> dict[str, list[str]]:
    """Void offers from and to a member and reopen tasks that it holds, as many as `limit`; returns their names.

    A task that was offered to it goes back to its giver. The lease runs again from now, or from when the offer expired.
    """
    next_seq = tx.head.seq + 1
    offers = tx.all(OpenOffer, "open_offers_of", member=member, limit=limit)
    for offer in offers:
        task = task_now(tx, tx.only(TaskRow, "task", id=offer.task))
        over, since = ("expired", task.lease.since) if task.offer_expired else ("voided", tx.now)
        tx.run("close_offer", id=offer.id, state=over, now=tx.now, reason="its member has ended")
        task_changed(tx, task.id, task.holder)
        if task.row.receiver is not None:
            tx.changed(topics.inbox(task.row.receiver))
        if offer.giver != member:
            give_back(tx, task, since or tx.now, next_seq)
            tx.effects.woken.add(offer.giver)
    tasks = tx.column(int, "tasks_held", member=member)[: limit - len(offers)]
    for id_ in tasks:
        tx.run("free_task", id=id_, state="open", seq=next_seq)
        task_changed(tx, id_, member)
        remind_assigned(tx, tx.only(TaskRow, "task", id=id_))
    return {"offers": [offer_name(offer.id) for offer in offers], "tasks": [task_name(id_) for id_ in tasks]}


def notify_givers(tx: Writing, offers: list[str], member: int, killer: int, line: str) -> None:
    """Wake the givers of voided offers, after the release has its log entry."""
    for name in offers:
        offer = tx.only(OfferRow, "offer", id=int(name[2:]))
        if offer.giver != member:
            wake_members(tx, [offer.giver], reason="answer", subject=name, sender=killer, line=line)
        settle(tx, "offer", offer.id, name)


def unassign(tx: Writing, member: int, limit: int) -> list[str]:
    """Let any member claim the unfinished tasks that are assigned to a member; returns their names."""
    tasks = tx.column(int, "unfinished_assigned_to", member=member, limit=limit)
    for id_ in tasks:
        tx.run("unassign_task", id=id_, seq=tx.head.seq + 1)
        task_changed(tx, id_)
    return [task_name(id_) for id_ in tasks]


def notify_creators(tx: Writing, tasks: list[str], member: int, name: str, why: str) -> None:
    """Wake the creators of tasks that are assigned to nobody now, after the release has its log entry."""
    for task in tasks:
        row = tx.only(TaskRow, "task", id=int(task[2:]))
        add_entry(tx, row.id, ROOM_AUTHOR, "unassigned", why)
        creator = reachable(tx, row.creator)
        if creator is None or creator == member:
            continue
        line = add_quote(f"{task} is assigned to nobody now, because {why}", row.title)
        wake_members(tx, [creator], reason="control", subject=task, sender=ROOM_MEMBER, line=line)


def blocked_on(tx: Writing, member: int, name: str) -> list[TaskRow]:
    """The blocked tasks of others that wait for a member, by its name or a former one."""
    names = (name, *former_names(tx, member))
    ids = (tx.column(int, "blocked_on", blocked_on=f"@{one}", limit=BLOCKS_LOOKED_AT) for one in names)
    found = sorted(set(chain.from_iterable(ids)))[:BLOCKS_LOOKED_AT]
    rows = (tx.only(TaskRow, "task", id=id_) for id_ in found)
    return [row for row in rows if row.holder != member]


def lift_blocks(tx: Writing, rows: list[TaskRow]) -> list[str]:
    """Let blocked tasks go on: their leases run again from now; returns their names."""
    for row in rows:
        resume_lease(tx, row, tx.head.seq + 1)
    return [task_name(row.id) for row in rows]


def notify_unblocked(tx: Writing, rows: list[TaskRow], why: str) -> None:
    """Wake the holders of tasks whose blocks were lifted, after the release has its log entry."""
    for row in rows:
        if row.holder is None:
            continue
        task = task_name(row.id)
        mode = tx.only(WatchedMember, "watched", member=row.holder).mode
        schedule_task(tx, row.id, row.holder, mode, row.lease_seconds)
        add_entry(tx, row.id, ROOM_AUTHOR, "unblocked", why)
        line = one_line(f"{task} is no longer blocked, because {why}: go on, or ask somebody else")
        wake_members(tx, [row.holder], reason="control", subject=task, sender=ROOM_MEMBER, line=line)
