"""What a kill releases: the member's tasks reopen and its offers are void."""

from teamroom.server import topics
from teamroom.server.facts.holding import give_back, remind_assigned
from teamroom.server.facts.ids import offer_name, task_name
from teamroom.server.facts.task import task_changed, task_now
from teamroom.server.facts.wakes import wake_members
from teamroom.server.store.rows.hand_offs import OfferRow, OpenOffer
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Writing


def release(tx: Writing, member: int, limit: int) -> dict[str, list[str]]:
    """Void offers from and to a member and reopen tasks that it holds, as many as `limit`; returns their names.

    A task that was offered to it goes back to its giver. The lease runs again from now, or from when the offer expired.
    """
    next_seq = tx.head.seq + 1
    offers = tx.all(OpenOffer, "open_offers_of", member=member, limit=limit)
    for offer in offers:
        task = task_now(tx, tx.only(TaskRow, "task", id=offer.task))
        over, since = ("expired", task.lease.since) if task.offer_expired else ("voided", tx.now)
        tx.run("close_offer", id=offer.id, state=over, now=tx.now, reason="killed")
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
    """Wake the givers of voided offers, after the kill has its log entry."""
    for name in offers:
        offer = tx.only(OfferRow, "offer", id=int(name[2:]))
        if offer.giver != member:
            wake_members(tx, [offer.giver], reason="answer", subject=name, sender=killer, line=line)
