"""What the room knows of members' own machines, from the hooks of their harnesses and from their listeners."""

from teamroom.server.facts.member import run_of
from teamroom.server.rules.reach import Reach, describe_reach_of
from teamroom.server.store.rows.harnesses import GatesRow, HarnessRow
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.transaction import Reading


def harness_of(tx: Reading, member: int) -> HarnessRow | None:
    """What a member's harness reported last; None if it never did."""
    return tx.one(HarnessRow, "harness_of", member=member)


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
