"""Capabilities: declared and proven by a member, attested by others."""

from typing import Annotated

from pydantic import Field

from teamroom.server.acts.act import Act, Arguments, Name, Need, Reply, author
from teamroom.server.acts.capabilities.probes import CapabilityProof, Probe, open_probes, prove
from teamroom.server.facts.capability import CapabilityShown, capabilities_of
from teamroom.server.facts.member import find_member, member_changed
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import add_quote, cite
from teamroom.server.store.rows.capabilities import CapabilityRow
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.transaction import Writing

CAPABILITIES = 50
"""The most capabilities that a member can declare."""


class DeclareCapabilities(Arguments):
    """Arguments of `declare_capabilities`. Without `capabilities`, what was declared stays.

    `withdraw`, with `attest_for`: withdraw an attestation.
    """

    capabilities: Annotated[list[Need], Field(max_length=CAPABILITIES)] | None = None
    proofs: Annotated[list[CapabilityProof], Field(max_length=CAPABILITIES)] | None = None
    attest_for: Name | None = None
    withdraw: bool = False


class Declared(Reply):
    """Reply of `declare_capabilities`: the member's capabilities now, and what it is asked to prove.

    `has_proven`: whether the call answered a probe.
    """

    member: str
    attested: bool = False
    withdrawn: bool = False
    capabilities: list[str]
    states: list[CapabilityShown]
    probes: list[Probe]
    has_proven: Annotated[bool, Field(exclude=True)] = False


def declare_capabilities(tx: Writing, caller: Caller, arguments: DeclareCapabilities) -> Declared:
    """Declare all that the caller reaches, and answer probes. Capabilities left out are withdrawn. Raises Refusal.

    With `attest_for`, attest capabilities of another member, or withdraw an attestation.
    """
    if arguments.attest_for is not None:
        about = _withdraw if arguments.withdraw else _attest
        return about(tx, caller, arguments, arguments.attest_for)
    if arguments.withdraw:
        raise Refusal(
            "invalid",
            "withdraw works only on an attestation, so it needs attest_for.",
            "Name the member in attest_for. To withdraw a capability of yours, leave it out of capabilities.",
        )
    if arguments.capabilities is None and arguments.proofs is None:
        raise Refusal(
            "invalid",
            "The call declares nothing.",
            'Say what you reach: capabilities ["repo:acme/api", "tool:docker"].',
        )
    before = {row.capability for row in tx.all(CapabilityRow, "capabilities", member=caller.member)}
    wanted = before if arguments.capabilities is None else set(arguments.capabilities)
    for capability in sorted(before - wanted):
        tx.run("forget_capability", member=caller.member, capability=capability)
        tx.run("withdraw_capability", member=caller.member, capability=capability, now=tx.now)
        tx.run("close_probe", member=caller.member, capability=capability)
    for capability in sorted(wanted - before):
        tx.run("declare_capability", member=caller.member, capability=capability, now=tx.now)
    if before != wanted:
        member_changed(tx, caller.member)
    proven = prove(tx, caller, arguments.proofs or [])
    if proven:  # only a reader of the inbox can answer a probe
        tx.run("note_evidence", member=caller.member, now=tx.now)
    seq = None
    if before != wanted or proven:
        seq = log.append(
            tx,
            author(caller),
            act="declare_capabilities",
            subject=f"@{caller.name}",
            summary=_describe(caller, None if before == wanted else sorted(wanted), proven),
            detail={"capabilities": sorted(wanted), "proven": proven},
        )
    return Declared(
        receipt=seq,
        member=caller.name,
        capabilities=sorted(wanted),
        states=capabilities_of(tx, caller.member),
        probes=open_probes(tx, caller),
        has_proven=bool(proven),
    )


def _describe(caller: Caller, declared: list[str] | None, proven: list[str]) -> str:
    """The line of a declaration. `declared` None: only proofs are new."""
    if declared is None:
        return add_quote(f"@{caller.name} proves", ", ".join(proven))
    what = "declares" if not proven else f"proves {len(proven)} and declares"
    return add_quote(f"@{caller.name} {what}", ", ".join(declared)) if declared else f"@{caller.name} {what} nothing"


def _attest(tx: Writing, caller: Caller, arguments: DeclareCapabilities, name: str) -> Declared:
    """Attest what another member declares. People may, and members of another owner."""
    member = find_member(tx, name)
    subject = f"@{member.name}"
    reached = _attested(arguments)
    _require_attester(caller, member, subject)
    declared = {row.capability for row in tx.all(CapabilityRow, "capabilities", member=member.id)}
    unknown = [capability for capability in reached if capability not in declared]
    if unknown:
        raise Refusal(
            "conflict",
            f"{subject} does not declare {', '.join(map(cite, unknown))}.",
            f"Ask {subject} to call declare_capabilities first: post_message.",
            subject=subject,
        )
    until = tx.now + tx.policy.attestation_seconds
    for capability in reached:
        tx.run(
            "attest_capability",
            member=member.id,
            capability=capability,
            now=tx.now,
            until=until,
            attester=caller.member,
        )
        member_changed(tx, member.id)
    seq = log.append(
        tx,
        author(caller),
        act="attest",
        subject=subject,
        summary=add_quote(f"@{caller.name} attests that {subject} reaches", ", ".join(reached)),
        detail={"capabilities": reached, "until": tx.shown(until)},
    )
    states = capabilities_of(tx, member.id)
    return Declared(receipt=seq, member=member.name, attested=True, capabilities=reached, states=states, probes=[])


def _withdraw(tx: Writing, caller: Caller, arguments: DeclareCapabilities, name: str) -> Declared:
    """Withdraw an attestation. Its attester may, the member's owner, and a room owner."""
    member = find_member(tx, name)
    subject = f"@{member.name}"
    reached = _attested(arguments)
    rows = {row.capability: row for row in tx.all(CapabilityRow, "capabilities", member=member.id)}
    for capability in reached:
        row = rows.get(capability)
        if row is None or row.attested_until is None or row.attested_until <= tx.now:
            raise Refusal(
                "conflict",
                f"No attestation that {subject} reaches {cite(capability)} is in force.",
                f"Leave it out. Call who with name {member.name} to see the attestations.",
                subject=subject,
            )
        if caller.role != "owner" and caller.member not in (member.owner, row.attester):
            raise Refusal(
                "not_allowed",
                f"@{row.attested_by} attests that {subject} reaches {cite(capability)}, not you.",
                f"Ask @{row.attested_by}, the owner of {subject} or a room owner: post_message.",
                subject=subject,
            )
    for capability in reached:
        tx.run("withdraw_attestation", member=member.id, capability=capability)
        member_changed(tx, member.id)
    seq = log.append(
        tx,
        author(caller),
        act="withdraw_attestation",
        subject=subject,
        summary=add_quote(f"@{caller.name} withdraws that {subject} reaches", ", ".join(reached)),
        detail={"capabilities": reached, "attested_by": sorted({str(rows[c].attested_by) for c in reached})},
    )
    states = capabilities_of(tx, member.id)
    return Declared(receipt=seq, member=member.name, withdrawn=True, capabilities=reached, states=states, probes=[])


def _attested(arguments: DeclareCapabilities) -> list[str]:
    """The capabilities that an attestation names, sorted. Raises Refusal."""
    if arguments.proofs is not None or not arguments.capabilities:
        raise Refusal(
            "invalid",
            "An attestation needs capabilities and takes no proofs.",
            "Name in capabilities what the member reaches, and leave proofs out.",
        )
    return sorted(set(arguments.capabilities))


def _require_attester(caller: Caller, member: MemberFacts, subject: str) -> None:
    if member.id == caller.member:
        raise Refusal(
            "not_allowed",
            "You cannot attest your own capability.",
            "Prove it, or ask a member of another owner.",
            subject=subject,
        )
    if caller.kind != "human" and member.owner == caller.owner:
        raise Refusal(
            "not_allowed",
            f"{subject} has the same owner as you. Only a person or a member of another owner can attest it.",
            f"Ask @{caller.owner_name} to check and attest it: teamroom attest {member.name} CAPABILITY",
            subject=subject,
        )


DECLARE_CAPABILITIES = Act(
    "declare_capabilities",
    DeclareCapabilities,
    Declared,
    declare_capabilities,
    is_evidence=lambda reply: reply.has_proven,
)
