"""Who supervises the room: one server at a time, by a lease with a fence that excludes earlier ones."""

from teamroom.server.store.rows.supervisor import SupervisorRow
from teamroom.server.store.transaction import Writing


def lead(tx: Writing, holder: str, seconds: float) -> int | None:
    """Take or renew the lease of so many seconds; returns its fence, or None if another supervisor holds it.

    It is renewed only in its second half, so most ticks do not write it.
    """
    row = tx.only(SupervisorRow, "supervisor")
    if row.holder == holder:
        if row.until - tx.now < seconds / 2:
            tx.run("keep_supervisor", until=tx.now + seconds)
        return int(row.fence)
    if tx.now < row.until <= tx.now + seconds:
        return None
    tx.run("take_supervisor", holder=holder, until=tx.now + seconds)
    return int(row.fence) + 1
