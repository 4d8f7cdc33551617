"""Probes: each member that declares a planted capability is asked for a hash that only who reaches it can make."""

import hmac
import json

from pydantic import BaseModel, ConfigDict

from teamroom.server import topics
from teamroom.server.acts.act import Need, Value
from teamroom.server.clock import rfc3339
from teamroom.server.facts.capability import probes_due
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.timers import schedule
from teamroom.server.identity import Caller
from teamroom.server.refusals import Code, Refusal
from teamroom.server.rules.proofs import answer, answer_command, plant_command, renew_from
from teamroom.server.rules.text import code, named, said
from teamroom.server.store.rows.capabilities import PlantedValue, ProbeRow
from teamroom.server.store.transaction import Reading, Writing

NONCE_BYTES = 16


class CapabilityProof(BaseModel):
    """The answer to an open probe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capability: Need
    value: Value


class Probe(BaseModel):
    """A question to one member, answered once: the first word that `command` prints where the capability is reached."""

    capability: str
    nonce: str
    command: str
    where: str
    planted_by: str
    until: str


def open_probes(tx: Writing, caller: Caller) -> list[Probe]:
    """The probes that a member should answer now; one that was shown for long gives way to a new one."""
    probes = []
    for row in probes_due(tx, caller.member):
        nonce, opened_at = row.nonce, row.opened_at
        if nonce is None or opened_at is None or tx.now - opened_at >= tx.settings.probe_seconds:
            nonce, opened_at = _ask(tx, caller.member, row.capability), tx.now
        probes.append(_shown(tx, caller, row, nonce, opened_at))
    return probes


def probes_waiting(tx: Reading, caller: Caller) -> list[Probe]:
    """The probes that are open for a member, in a read: none is made."""
    return [
        _shown(tx, caller, row, row.nonce, row.opened_at)
        for row in probes_due(tx, caller.member)
        if row.nonce is not None and row.opened_at is not None and tx.now - row.opened_at < tx.settings.probe_seconds
    ]


def prove(tx: Writing, caller: Caller, proofs: list[CapabilityProof]) -> list[str]:
    """Take answers to open probes; returns what is newly proven.

    Raises Refusal: `bad_proof` for a wrong answer, whose capability has then failed, `expired` for a late one.
    """
    proven = []
    rows = {row.capability: row for row in tx.all(ProbeRow, "provable", member=caller.member)}
    for proof in proofs:
        row = rows.get(proof.capability)
        if row is None:
            raise _nothing_asked(tx, caller, proof.capability)
        if row.nonce is None or row.opened_at is None:
            if row.proven_until is not None and row.proven_until > tx.now:
                continue  # the same answer once more: what it proved stands
            raise _no_probe(
                proof.capability, "conflict", f"Nothing is asked of you about {named(proof.capability)} now."
            )
        if tx.now - row.opened_at >= 2 * tx.settings.probe_seconds:
            raise _no_probe(proof.capability, "expired", f"The probe of {named(proof.capability)} was open too long.")
        planted = tx.only(PlantedValue, "plant_value", capability=proof.capability)
        expected = answer(row.nonce, caller.name, planted.value)
        given = (proof.value.split() or [""])[0].lower()
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise _wrong(tx, caller, row)
        until = tx.now + tx.policy.proof_seconds
        tx.run("close_probe", member=caller.member, capability=proof.capability)
        tx.run(
            "prove_capability",
            member=caller.member,
            capability=proof.capability,
            now=tx.now,
            until=until,
            planter=planted.planted_by,
        )
        member_changed(tx, caller.member)
        tx.changed(topics.inbox(caller.member))
        proven.append(proof.capability)
    if proven:
        earliest = tx.value(float, "earliest_proof", member=caller.member) or until
        renew = renew_from(earliest, tx.policy.proof_seconds)
        schedule(tx, "proof", caller.member, caller.member, tx.settings.remind_proof_seconds, at=renew)
    return proven


def _ask(tx: Writing, member: int, capability: str) -> str:
    nonce = tx.entropy(NONCE_BYTES).hex()
    tx.run("open_probe", member=member, capability=capability, nonce=nonce, now=tx.now)
    return nonce


def _shown(tx: Reading, caller: Caller, row: ProbeRow, nonce: str, opened_at: float) -> Probe:
    return Probe(
        capability=row.capability,
        nonce=nonce,
        command=answer_command(nonce, caller.name, row.reads),
        where=row.hint,
        planted_by=row.planter,
        until=rfc3339(opened_at + 2 * tx.settings.probe_seconds),
    )


def _wrong(tx: Writing, caller: Caller, row: ProbeRow) -> Refusal:
    """The capability has failed, and this nonce is spent: the next one is in the fix."""
    capability, nonce = row.capability, tx.entropy(NONCE_BYTES).hex()

    def keep(tx: Writing) -> None:
        tx.run("fail_capability", member=caller.member, capability=capability, now=tx.now)
        member_changed(tx, caller.member)
        tx.run("open_probe", member=caller.member, capability=capability, nonce=nonce, now=tx.now)

    where = f" ({said(row.hint)})" if row.hint else ""
    return Refusal(
        "bad_proof",
        f"The proof of {named(capability)} is wrong; you have failed it, and nothing else of this call was done.",
        f"If you reach it{where}, run {code(answer_command(nonce, caller.name, row.reads))} there and give its "
        f'first word: proofs [{{"capability": {json.dumps(capability)}, "value": "…"}}]. '
        "If not, declare the others alone.",
        subject=capability,
        keep=keep,
        missing=[capability],
    )


def _nothing_asked(tx: Reading, caller: Caller, capability: str) -> Refusal:
    planted = tx.one(PlantedValue, "plant_value", capability=capability)
    if planted is None:
        return Refusal(
            "not_found",
            f"Nothing is planted for {named(capability)}, so it cannot be proven.",
            f"Declare it without a proof; a person makes it provable: {code(plant_command(capability))}",
            subject=capability,
        )
    if planted.planted_by == caller.member:
        return Refusal(
            "not_allowed",
            f"You planted {named(capability)} yourself and know its value, so your answer proves nothing.",
            "Let a person, or a member of another owner, attest it.",
            subject=capability,
        )
    return Refusal(
        "invalid",
        f"You do not declare {named(capability)}.",
        f"Name {named(capability)} in capabilities too; the reply asks you for its proof.",
        subject=capability,
    )


def _no_probe(capability: str, code: Code, why: str) -> Refusal:
    return Refusal(code, why, "Call check_in: its probes say what to run.", subject=capability)
