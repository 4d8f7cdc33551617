"""Cursors: numbers of the log up to which a member has read. A cursor is valid in one epoch of the room."""

from teamroom.server.refusals import Refusal
from teamroom.server.store.transaction import Reading


def require_this_epoch(tx: Reading, after: int | None) -> None:
    """Refuse a cursor from before the room was restored: its number may mean another entry now.

    A member enters an epoch by its first check_in without `after`.
    """
    if after is not None and tx.principal.epoch != tx.principal.room_epoch:
        raise Refusal(
            "expired",
            "The room was restored from a backup since your cursor was given.",
            "Call check_in without after, check the tasks that you hold, and continue from the cursor it returns.",
        )
