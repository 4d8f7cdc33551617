"""Probes: ask a member that declares a planted capability for a hash that proves that it reaches it."""

import hmac
import json

from pydantic import BaseModel, ConfigDict

from teamroom.server import topics
from teamroom.server.acts.act import Need, Value
from teamroom.server.facts.capability import probes_due
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.timers import schedule
from teamroom.server.identity import Caller
from teamroom.server.refusals import Code, Refusal
from teamroom.server.rules.proofs import answer, answer_command, plant_command, renew_from
from teamroom.server.rules.text import backtick, cite, inline
from teamroom.server.store.rows.capabilities import PlantedValue, ProbeRow
from teamroom.server.store.transaction import Reading, Writing

NONCE_BYTES = 16


class CapabilityProof(BaseModel):
    """The answer to an open probe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capability: Need
    value: Value


class Probe(BaseModel):
    """A probe of one member, answered once: with the first word that `command` prints where the capability is."""

    capability: str
    nonce: str
    command: str
    where: str
    planted_by: str
    until: str


def open_probes(tx: Writing, caller: Caller) -> list[Probe]:
    """The probes that a member should answer now. A probe that is open for too long is replaced."""
    probes = []
    for row in probes_due(tx, caller.member):
        nonce, opened_at = row.nonce, row.opened_at
        if nonce is None or opened_at is None or tx.now - opened_at >= tx.settings.probe_seconds:
            nonce, opened_at = _ask(tx, caller.member, row.capability), tx.now
        probes.append(_shown(tx, caller, row, nonce, opened_at))
    return probes


def probes_waiting(tx: Reading, caller: Caller) -> list[Probe]:
    """The open probes of a member, in a read that opens no new one."""
    return [
        _shown(tx, caller, row, row.nonce, row.opened_at)
        for row in probes_due(tx, caller.member)
        if row.nonce is not None and row.opened_at is not None and tx.now - row.opened_at < tx.settings.probe_seconds
    ]


def prove(tx: Writing, caller: Caller, proofs: list[CapabilityProof]) -> list[str]:
    """Check answers to open probes; returns the newly proven capabilities.

    Raises Refusal: `bad_proof` for a wrong answer, which fails the capability, `expired` for a late one.
    """
    proven = []
    rows = {row.capability: row for row in tx.all(ProbeRow, "provable", member=caller.member)}
    for proof in proofs:
        row = rows.get(proof.capability)
        if row is None:
            raise _nothing_asked(tx, caller, proof.capability)
        if row.nonce is None or row.opened_at is None:
            if row.proven_until is not None and row.proven_until > tx.now:
                continue  # a repeated answer: its proof is still valid
            raise _no_probe(proof.capability, "conflict", f"No probe of {cite(proof.capability)} is open for you.")
        if tx.now - row.opened_at >= 2 * tx.settings.probe_seconds:
            raise _no_probe(proof.capability, "expired", f"The probe of {cite(proof.capability)} has expired.")
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
        until=tx.shown(opened_at + 2 * tx.settings.probe_seconds),
    )


def _wrong(tx: Writing, caller: Caller, row: ProbeRow) -> Refusal:
    """The refusal of a wrong answer: the capability fails, and the fix has a new nonce."""
    capability, nonce = row.capability, tx.entropy(NONCE_BYTES).hex()

    def keep(tx: Writing) -> None:
        tx.run("fail_capability", member=caller.member, capability=capability, now=tx.now)
        member_changed(tx, caller.member)
        tx.run("open_probe", member=caller.member, capability=capability, nonce=nonce, now=tx.now)

    where = f" ({inline(row.hint)})" if row.hint else ""
    return Refusal(
        "bad_proof",
        f"The proof of {cite(capability)} is wrong, so it counts as failed. Nothing else of this call was done.",
        f"If you reach it{where}, run {backtick(answer_command(nonce, caller.name, row.reads))} there and give its "
        f'first word: proofs [{{"capability": {json.dumps(capability)}, "value": "…"}}]. '
        "If not, declare only the others.",
        subject=capability,
        also=keep,
        missing=[capability],
    )


def _nothing_asked(tx: Reading, caller: Caller, capability: str) -> Refusal:
    planted = tx.one(PlantedValue, "plant_value", capability=capability)
    if planted is None:
        return Refusal(
            "not_found",
            f"No value is planted for {cite(capability)}, so you cannot prove it.",
            f"Declare it without a proof, or ask a person to plant a value: {backtick(plant_command(capability))}",
            subject=capability,
        )
    if planted.planted_by == caller.member:
        return Refusal(
            "not_allowed",
            f"You planted {cite(capability)} yourself and know its value, so your answer proves nothing.",
            "Ask a person or a member of another owner to attest it.",
            subject=capability,
        )
    return Refusal(
        "invalid",
        f"You do not declare {cite(capability)}.",
        f"Name {cite(capability)} in capabilities too; the reply asks you for its proof.",
        subject=capability,
    )


def _no_probe(capability: str, code: Code, why: str) -> Refusal:
    return Refusal(code, why, "Call check_in: its probes say what to run.", subject=capability)
