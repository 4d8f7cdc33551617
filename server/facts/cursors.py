"""Cursors: numbers of the log up to which somebody has read. They are good for one epoch of the room."""

from teamroom.server.refusals import Refusal
from teamroom.server.store.transaction import Reading


def require_this_epoch(tx: Reading, after: int | None) -> None:
    """Refuse a cursor from before the room was restored: its number may stand for something else now.

    A member enters an epoch by its first check_in without `after`.
    """
    if after is not None and tx.principal.epoch != tx.principal.room_epoch:
        raise Refusal(
            "expired",
            "The room was restored from a backup since your cursor was given.",
            "Call check_in without after, look at what you hold, and go on from the cursor it returns.",
        )
