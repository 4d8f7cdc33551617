"""The caller's row with its token, role and standing. Each transaction reads it, and nothing caches it."""

from teamroom.server.acts.presence.trouble import note_return
from teamroom.server.facts.standing import state_of
from teamroom.server.identity import Caller
from teamroom.server.rules.presence import interval_seconds
from teamroom.server.store.rows.members import Principal, TokenRow
from teamroom.server.store.transaction import Reading, Writing


def find_principal(tx: Reading, caller: Caller) -> Principal | None:
    """The row behind a caller's token, as it is in this transaction."""
    return tx.one(Principal, "principal", token=caller.token_id)


def is_live(row: Principal | TokenRow, now: float) -> bool:
    """Whether a token is in force: not revoked, and not expired."""
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def is_stale(tx: Reading, row: Principal) -> bool:
    """Whether presence is due to be written: at most once in `presence_write_seconds`, so reads stay reads."""
    last = row.last_call_at
    is_written = last is not None and 0 <= tx.now - last < tx.settings.presence_write_seconds
    return not is_written or _returns(tx, row)


def touch(tx: Writing, caller: Caller, row: Principal) -> None:
    """Record that a member called. A call during a pause proves nothing more: a member that was gone stays gone."""
    gap = tx.settings.connected_intervals * (interval_seconds(row.mode, tx.settings) or 0.0)
    tx.run("touch_presence", member=caller.member, now=tx.now, gap_before=tx.now - gap)
    returns = _returns(tx, row)
    if row.last_call_at is None or returns:
        note_return(tx, caller, row.mode, "gone" if returns else None)


def _returns(tx: Reading, row: Principal) -> bool:
    return row.trouble == "gone" and state_of(row, tx.now) == "active"
