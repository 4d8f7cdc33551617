"""The baseline: what a room holds when its log begins to record rows.

In a new room, this is the beginning. An earlier release recorded what happened, and not enough to rebuild every row. So
the first entry after the upgrade lists the room's members, tokens, standing, policy, unfinished tasks and open offers.
Everything would be too much for one act. `verify` lists the rest as unknown, until an act changes it.
"""

from collections.abc import Collection
from typing import Any

from teamroom.server.record.rows import BEGUN, RowChange, stored
from teamroom.server.store.logged import FIRST, TABLES, Key
from teamroom.server.store.transaction import Writing

BASELINE_ROWS = 2000
"""The most rows that a baseline lists."""

NUMBERED = frozenset({"task", "offer", "dependency", "origin", "verdict"})
"""Tables of which a number tells which rows are older than the baseline."""


LATER = frozenset(
    {
        *("former_name", "decision", "asked", "authorisation", "letter_setting", "channel"),
        *("approval_rule", "approval"),
    }
)
"""Tables that a migration added, empty, to rooms whose log recorded rows already. So every row of one is in the log."""


def has_begun(tx: Writing) -> bool:
    """Whether the log of this room records rows already."""
    return tx.head.recording_since is not None


def begin(tx: Writing, changed: Collection[tuple[str, Key]]) -> tuple[list[RowChange], dict[str, Any]]:
    """The rows that a room holds, apart from those that the act changed, and the detail that says so.

    `whole`: the tables that are listed completely. Of the others, numbers say what is older. `partial`: those of
    `LATER` that are not listed completely, because this baseline is not the room's first.
    """
    tx.run("begin_recording", seq=tx.head.seq)
    tx.head.recording_since = tx.head.seq
    changes: list[RowChange] = []
    whole = []
    for logged in TABLES.values():
        room = BASELINE_ROWS - len(changes)
        rows = tx.logged_page(logged, FIRST[logged.table], room + 1, unfinished=True)
        if len(rows) <= room and logged.table not in NUMBERED:
            whole.append(logged.table)
        for row in rows[:room]:
            key = logged.key_of(row)
            if (logged.table, key) not in changed:
                changes.append(RowChange(logged.table, key, None, stored(logged, row)))
    partial = sorted(LATER - set(whole))
    said = {"tasks": tx.head.tasks, "offers": tx.head.offers, "whole": whole}
    return changes, {BEGUN: {**said, "partial": partial} if partial else said}
