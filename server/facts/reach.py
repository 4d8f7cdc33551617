"""What the room knows of members' own machines, from the hooks of their harnesses and from their listeners."""

from teamroom.server.facts.member import member_changed, run_of
from teamroom.server.rules.reach import Reach, describe_reach_of
from teamroom.server.store.rows.harnesses import GatesRow, HarnessRow
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.transaction import Reading, Writing
from teamroom.server.store.words import hidden_text, is_hidden_text

OLD_TOOLS = 100
"""How many tools one page of a redaction by age removes."""


def harness_of(tx: Reading, member: int) -> HarnessRow | None:
    """What a member's harness reported last; None if it never did."""
    return tx.one(HarnessRow, "harness_of", member=member)


def hide_tool(tx: Writing, member: int) -> int:
    """Hide which tool a member's harness reported, because it is redacted; returns 1 if there was one, else 0."""
    found = harness_of(tx, member)
    if found is None or not found.tool or is_hidden_text(found.tool):
        return 0
    member_changed(tx, member)
    return tx.run_counted("hide_tool", member=member, tool=found.tool, hidden=hidden_text(found.tool))


def forget_old_tools(tx: Writing, before: float) -> bool:
    """Remove a page of the tools that were reported before a time; returns whether there were any."""
    old = tx.column(int, "old_tools", before=before, limit=OLD_TOOLS)
    for member in old:
        if (found := harness_of(tx, member)) is not None:
            tx.run("hide_tool", member=member, tool=found.tool, hidden="")
            member_changed(tx, member)
    return bool(old)


def reach_of(tx: Reading, row: WatchedMember) -> Reach:
    """What a stop of a member reaches."""
    harness, run = harness_of(tx, row.id), run_of(row)
    asked = None if harness is None else harness.gate_at
    has_run = run is not None and run.is_on(tx.now, tx.settings)
    return Reach(
        "" if harness is None else harness.format, None if asked is None else max(tx.now - asked, 0.0), has_run
    )


def reach_of_many(tx: Reading, owner: int) -> str:
    """What a pause of an owner's agents, or of all (0), reaches, in words."""
    return describe_reach_of(*tx.only(GatesRow, "gates_of", owner=owner))
