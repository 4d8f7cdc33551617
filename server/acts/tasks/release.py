"""What a kill takes away: the member's tasks are free again, its offers void."""

from typing import Any

from teamroom.server.facts.task import as_it_is, give_back, owe_assigned
from teamroom.server.record import chain as log
from teamroom.server.store.transaction import Writing


def release_everything(tx: Writing, member: int) -> dict[str, Any]:
    """Void the offers a member gave or was given and free the tasks it holds; returns their names.

    A task that was offered to it goes back to its giver, the lease going on where it stood: from now, or from when
    the offer expired, if it had.
    """
    next_seq = tx.head.seq + 1
    offers = tx.all("open_offers_of", member=member)
    for offer in offers:
        task = as_it_is(tx, tx.one("task", id=offer["task"]))
        over, since = ("expired", task.lease.since) if task.offer_expired else ("voided", tx.now)
        tx.run("close_offer", id=offer["id"], state=over, now=tx.now, reason="killed")
        if offer["giver"] != member:
            give_back(tx, task, since or tx.now, next_seq)
            tx.effects.woken.add(offer["giver"])
    tasks = tx.all("tasks_held", member=member)
    for row in tasks:
        tx.run("free_task", id=row["id"], state="open", seq=next_seq)
        owe_assigned(tx, tx.one("task", id=row["id"]))
    return {"offers": [f"O-{offer['id']}" for offer in offers], "tasks": [f"T-{row['id']}" for row in tasks]}


def tell_givers(tx: Writing, offers: list[str], member: int, killer: int, line: str) -> None:
    """Wake the givers of voided offers, once the kill has its number."""
    for name in offers:
        offer = tx.one("offer", id=int(name[2:]))
        if offer["giver"] != member:
            log.wake(tx, [offer["giver"]], reason="answer", subject=name, sender=killer, line=line)
