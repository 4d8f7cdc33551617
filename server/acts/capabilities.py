"""What a member can reach, as it says itself and as far as it is proven."""

from typing import Annotated, Any

from pydantic import Field

from teamroom.server import log
from teamroom.server.acts.act import Act, Arguments, Need, Reply, author
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import one_line
from teamroom.server.settings import TrustLevel
from teamroom.server.store.transaction import Reading, Writing

CAPABILITIES = 50
"""How many capabilities a member has at most."""

HAVE_IT_SHOWN = 5

COUNTS: dict[TrustLevel, tuple[str, str, str]] = {
    "declared": ("declared", "attested", "proven"),
    "attested": ("attested", "attested", "proven"),
    "proven": ("proven", "proven", "proven"),
}
"""Which states of a capability count at each trust level of the room."""


class DeclareCapabilities(Arguments):
    """Arguments of `declare_capabilities`."""

    capabilities: Annotated[list[Need], Field(max_length=CAPABILITIES)]


class Declared(Reply):
    """Reply of `declare_capabilities`."""

    capabilities: list[str]


def declare_capabilities(tx: Writing, caller: Caller, arguments: DeclareCapabilities, now: float) -> Declared:
    """Say what this runtime can reach; what was declared before and is not named now is withdrawn."""
    before = {row["capability"] for row in tx.all("capabilities", member=caller.member)}
    wanted = set(arguments.capabilities)
    if before == wanted:
        return Declared(capabilities=sorted(wanted))
    for capability in sorted(before - wanted):
        tx.run("withdraw_capability", member=caller.member, capability=capability)
    for capability in sorted(wanted - before):
        tx.run("declare_capability", member=caller.member, capability=capability, now=now)
    seq = log.append(
        tx,
        author(caller),
        now,
        act="declare_capabilities",
        subject=f"@{caller.name}",
        summary=one_line(f"@{caller.name} declares {', '.join(sorted(wanted)) or 'no capabilities'}"),
        detail={"capabilities": sorted(wanted)},
    )
    return Declared(receipt=seq, capabilities=sorted(wanted))


def require(tx: Reading, member: int, name: str, needs: list[str], now: float, subject: str) -> None:
    """Refuse with `missing_capability` unless a member has everything, naming what lacks and who has it."""
    counted = COUNTS[tx.settings.trust]
    has = {
        row["capability"]
        for row in tx.all("capabilities", member=member)
        if row["state"] in counted and (row["until"] is None or row["until"] > now)
    }
    missing = [need for need in needs if need not in has]
    if not missing:
        return
    who_has = {need: _who_has(tx, need, counted, now) for need in missing}
    able = sorted(set.intersection(*(set(names) for names in who_has.values())))
    raise Refusal(
        "missing_capability",
        f"@{name} does not have {', '.join(missing)} ({tx.settings.trust}).",
        f"Choose {' or '.join('@' + other for other in able)}, who have it." if able else _nobody(missing),
        subject=subject,
        missing=missing,
        who_has=who_has,
    )


def _nobody(missing: list[str]) -> str:
    return (
        f"Nobody in the room has all of it. A member that reaches {missing[0]} calls declare_capabilities first; "
        "or change the task's needs."
    )


def _who_has(tx: Reading, capability: str, counted: tuple[str, ...], now: float) -> list[str]:
    rows: Any = tx.all("with_capability", capability=capability, limit=HAVE_IT_SHOWN * 4)
    able = [r["name"] for r in rows if r["state"] in counted and (r["until"] is None or r["until"] > now)]
    return able[:HAVE_IT_SHOWN]


DECLARE_CAPABILITIES = Act("declare_capabilities", DeclareCapabilities, Declared, declare_capabilities)
