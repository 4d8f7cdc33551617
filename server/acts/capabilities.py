"""What a member says that it can reach."""

from typing import Annotated

from pydantic import Field

from teamroom.server import log
from teamroom.server.acts.act import Act, Arguments, Need, Reply, author
from teamroom.server.identity import Caller
from teamroom.server.rules.text import one_line
from teamroom.server.store.transaction import Writing

CAPABILITIES = 50
"""How many capabilities a member has at most."""


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
        tx.run("forget_capability", member=caller.member, capability=capability)
        tx.run("withdraw_capability", member=caller.member, capability=capability, now=now)
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


DECLARE_CAPABILITIES = Act("declare_capabilities", DeclareCapabilities, Declared, declare_capabilities)
