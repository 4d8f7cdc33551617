"""Who hears an alert that names nobody: who can help now, else the owner (HND6)."""

from typing import Any

from teamroom.server.acts.expect import facts_of
from teamroom.server.acts.reach import lacking
from teamroom.server.acts.stored_task import needs_of
from teamroom.server.identity import Caller
from teamroom.server.rules.presence import presence
from teamroom.server.store.transaction import Reading

LOOKED_AT = 50
"""How many members that called lately are looked at, the latest first."""


def helpers(tx: Reading, caller: Caller, task: Any, now: float) -> list[Any]:
    """Live, active members that have what the alert's task needs, who called last first; else the author's owner."""
    needs = [] if task is None else needs_of(tx, task["id"])
    since = now - tx.settings.live_interval_seconds
    found: list[Any] = []
    for row in tx.all("live_members", author=caller.member, since=since, now=now, limit=LOOKED_AT):
        is_there = presence(facts_of(tx, row, now), now, tx.settings).verdict in ("live", "working")
        if is_there and not (needs and lacking(tx, row["id"], needs, now)):
            found.append(row)
        if len(found) == tx.settings.alerted:
            return found
    if not found and caller.owner != caller.member:
        return [tx.one("member_facts", name=caller.owner_name)]
    return found
