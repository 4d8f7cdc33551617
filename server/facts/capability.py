"""Capabilities: how each is known, and whether it counts at the room's trust level."""

import contextlib
import shlex

from pydantic import BaseModel

from teamroom.server.policy import TrustLevel
from teamroom.server.refusals import Refusal
from teamroom.server.rules.proofs import is_probe_due, plant_command
from teamroom.server.rules.routing import Reach, State
from teamroom.server.rules.text import backtick, cite
from teamroom.server.store.rows.capabilities import CapabilityRow, CapableMember, ProbeRow
from teamroom.server.store.transaction import Reading

PROBES_SHOWN = 20
"""How many probes one reply shows. The others follow once these are answered."""

HAVE_IT_SHOWN = 5
LOOKED_AT = 100
"""How many members with a capability are named, and how many are examined for that."""


class CapabilityShown(BaseModel):
    """A capability, how it is known, by whom, and until when; whether it counts at the room's trust level."""

    capability: str
    state: State
    how: str
    by: str | None = None
    until: str | None = None
    counts: bool


def capabilities_of(tx: Reading, member: int) -> list[CapabilityShown]:
    """The capabilities that a member declares, with their states. None counts while the policy is unreadable."""
    rows = tx.all(CapabilityRow, "capabilities", member=member)
    trust: TrustLevel | None = None
    with contextlib.suppress(Refusal):
        trust = tx.policy.trust if rows else None
    return [_shown(tx, row, trust) for row in rows]


def find_missing_capabilities(tx: Reading, member: int, needs: list[str]) -> dict[str, State | None]:
    """The needs that a member does not meet at the room's trust level, each with its state; None: not declared."""
    trust = tx.policy.trust
    has = {row.capability: _reach(row) for row in tx.all(CapabilityRow, "capabilities", member=member)}
    return {
        need: has[need].state(tx.now) if need in has else None
        for need in needs
        if need not in has or not has[need].counts(trust, tx.now)
    }


def require_capabilities(tx: Reading, member: int, name: str, needs: list[str], subject: str) -> None:
    """Refuse with `missing_capability` unless a member meets all needs. Names what is missing and who has it."""
    missing = find_missing_capabilities(tx, member, needs) if needs else {}
    if not missing:
        return
    trust = tx.policy.trust
    who_has = {need: _who_has(tx, need, trust) for need in missing}
    able = sorted(set.intersection(*(set(names) for names in who_has.values())))
    lacks = ", ".join(f"{cite(need)} ({state})" if state else cite(need) for need, state in missing.items())
    level = "" if trust == "declared" else f"; in this room a capability counts only if it is {_at_least(trust)}"
    raise Refusal(
        "missing_capability",
        f"@{name} does not have {lacks}{level}.",
        _fix(tx, member, name, missing, able, trust),
        subject=subject,
        missing=list(missing),
        who_has=who_has,
    )


def probes_due(tx: Reading, member: int) -> list[ProbeRow]:
    """What a member should prove now, asked already or not, at most `PROBES_SHOWN`."""
    rows = tx.all(ProbeRow, "provable", member=member)
    return [row for row in rows if is_probe_due(row.proven_until, tx.policy.proof_seconds, tx.now)][:PROBES_SHOWN]


def _fix(
    tx: Reading, member: int, name: str, missing: dict[str, State | None], able: list[str], trust: TrustLevel
) -> str:
    choose = f"Choose {' or '.join('@' + other for other in able)}, who {_have(able)} it. " if able else ""
    unsaid = [need for need, state in missing.items() if state is None]
    if unsaid:
        unmet = "" if able else "No member has all of it. "
        reaches = f"A member that reaches {cite(unsaid[0])} must call declare_capabilities first"
        return f"{choose}{unmet}{reaches}. Or change the task's needs."
    need = next(iter(missing))
    if any(row.capability == need for row in tx.all(ProbeRow, "provable", member=member)):
        how = f"must prove {cite(need)}: check_in says how, and declare_capabilities takes the proof"
        return f"{choose}@{name} {how}."
    if trust == "proven":
        return f"{choose}A person can make {cite(need)} provable: {backtick(plant_command(need))}"
    attest = backtick(f"teamroom attest {name} {shlex.quote(need)}")
    return f"{choose}A person, or a member of another owner, can attest it: {attest}"


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _at_least(trust: TrustLevel) -> str:
    return "attested or proven" if trust == "attested" else "proven"


def _who_has(tx: Reading, capability: str, trust: TrustLevel) -> list[str]:
    rows = tx.all(CapableMember, "with_capability", capability=capability, limit=LOOKED_AT)
    return [row.name for row in rows if _reach(row).counts(trust, tx.now)][:HAVE_IT_SHOWN]


def _reach(row: CapabilityRow | CapableMember) -> Reach:
    return Reach(row.proven_until, row.attested_until, row.failed_at)


def _shown(tx: Reading, row: CapabilityRow, trust: TrustLevel | None) -> CapabilityShown:
    reach = _reach(row)
    state = reach.state(tx.now)
    how, by, until = {
        "declared": ("declared by the member", None, None),
        "proven": ("answered a probe", row.proven_by, row.proven_until),
        "attested": ("attested", row.attested_by, row.attested_until),
        "failed": ("answered a probe wrongly", None, None),
        "expired": ("was proven or attested", None, max(row.proven_until or 0, row.attested_until or 0)),
    }[state]
    return CapabilityShown(
        capability=row.capability,
        state=state,
        how=how,
        by=by,
        until=None if until is None else tx.shown(until),
        counts=trust is not None and reach.counts(trust, tx.now),
    )
