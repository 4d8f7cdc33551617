"""Hand-offs: an offer, proofs that the receiver reaches its artifacts, and one commit that changes the holder."""

import hmac
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamroom.server import topics
from teamroom.server.acts.act import (
    Act,
    Arguments,
    Fence,
    Line,
    Name,
    Need,
    OfferId,
    Ref,
    Reply,
    TaskId,
    Text,
    Value,
    author,
)
from teamroom.server.acts.tasks.claims import require_below_wip_cap
from teamroom.server.facts.authorization import count_uses, require_scopes, scopes_of
from teamroom.server.facts.blocks import settle
from teamroom.server.facts.capability import require_capabilities
from teamroom.server.facts.ended import refuse_ended
from teamroom.server.facts.forecast import forecasts
from teamroom.server.facts.holding import find_current, give_back, take
from teamroom.server.facts.ids import offer_name, task_name
from teamroom.server.facts.member import Forecast, find_member, refuse_zombie
from teamroom.server.facts.task import StoredTask, add_entry, needs_of, require_fence, task_changed
from teamroom.server.facts.timers import schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.leases import lease_seconds, offer_seconds
from teamroom.server.rules.proofs import command
from teamroom.server.rules.text import add_quote, backtick, cite, one_line, shorten, state_in_words
from teamroom.server.store.rows.hand_offs import OfferRow, OfferToMember
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.transaction import Reading, Writing

ARTIFACTS = 20
NEEDS = 20
OFFERS_SHOWN = 20
NOTE_SHOWN = 1_000
"""How many characters of an offer's note a list shows; the task's history has all of it."""

PROVEN_KINDS = ("file", "commit")
"""Kinds whose hash the receiver must give; the others are only listed."""

Hash = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{40}$|^[0-9a-fA-F]{64}$", description="of a commit: its tree id")]


class Artifact(BaseModel):
    """Something that the next holder must be able to reach."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["file", "commit", "link", "other"] = "file"
    ref: Ref
    sha256: Hash | None = None


class Proof(BaseModel):
    """What the receiver found behind an artifact's ref."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ref: Ref
    value: Value


class HandOff(Arguments):
    """Arguments of `hand_off`."""

    task: TaskId
    fence: Fence
    to: Name
    note: Text
    needs: Annotated[list[Need], Field(max_length=NEEDS)] | None = None
    artifacts: Annotated[list[Artifact], Field(max_length=ARTIFACTS)] | None = None


class Offered(Reply):
    """Reply of `hand_off`."""

    offer: str
    task: str
    expires_at: str
    forecast: list[Forecast]


class AnswerHandOff(Arguments):
    """Arguments of `answer_hand_off`."""

    offer: OfferId
    accept: bool
    proofs: Annotated[list[Proof], Field(max_length=ARTIFACTS)] | None = None
    reason: Line | None = None


class Answered(Reply):
    """Reply of `answer_hand_off`; `fence` and `lease_until` only if it was accepted."""

    offer: str
    task: str
    state: Literal["accepted", "declined", "withdrawn", "expired", "voided"]
    fence: int | None = None
    lease_until: str | None = None


class ArtifactShown(BaseModel):
    """An artifact as its receiver sees it: how to prove it, never the hash."""

    kind: str
    ref: str
    command: str | None


class OfferShown(BaseModel):
    """An open offer to the caller."""

    offer: str
    task: str
    title: str
    creator: str
    from_: Annotated[str, Field(serialization_alias="from")]
    note: str
    needs: list[str]
    artifacts: list[ArtifactShown]
    expires_at: str


def hand_off(tx: Writing, caller: Caller, arguments: HandOff) -> Offered:
    """Offer a task to a member with the capabilities it needs. The giver holds it until it is accepted."""
    task = find_current(tx, arguments.task)
    require_fence(tx, task, caller, arguments.fence, {"note": arguments.note})
    if task.state not in ("claimed", "blocked"):
        raise _not_offerable(task)
    receiver = find_member(tx, arguments.to)
    _check_receiver(tx, caller, task, receiver)
    extra = list(arguments.needs or ())
    needs = list(dict.fromkeys([*needs_of(tx, task.row), *extra]))
    require_capabilities(tx, receiver.id, receiver.name, needs, task.name)
    require_scopes(tx, receiver, scopes_of(task.row.requires), task.name)
    tx.head.offers += 1
    name = offer_name(tx.head.offers)
    expires_at = tx.now + offer_seconds(receiver.mode, tx.policy, tx.settings)
    seq = log.append(
        tx,
        author(caller),
        act="hand_off",
        subject=name,
        summary=add_quote(f"@{caller.name} offers {task.name} to @{receiver.name}", arguments.note),
        detail={"task": task.name, "to": receiver.name, "artifacts": [a.ref for a in arguments.artifacts or ()]},
    )
    tx.run(
        "add_offer",
        id=tx.head.offers,
        task=task.id,
        giver=caller.member,
        receiver=receiver.id,
        note=arguments.note,
        needs=json.dumps(extra, ensure_ascii=False),
        artifacts=json.dumps([a.model_dump() for a in arguments.artifacts or ()], ensure_ascii=False),
        fence=task.fence,
        now=tx.now,
        expires_at=expires_at,
    )
    tx.changed(topics.inbox(receiver.id))
    standing_lease = task.lease.stopped(task.pauses, tx.now)
    tx.run("offer_task", id=task.id, lease_seconds=standing_lease.seconds, now=tx.now, seq=seq)
    task_changed(tx, task.id, task.holder)
    schedule(tx, "offer", tx.head.offers, receiver.id, (expires_at - tx.now) / 2)
    add_entry(tx, task.id, caller, "offered", arguments.note, {"offer": name, "to": receiver.name})
    wake_members(tx, [receiver.id], reason="offer", subject=name, sender=caller.member, line=one_line(arguments.note))
    return Offered(
        receipt=seq,
        offer=name,
        task=task.name,
        expires_at=tx.shown(expires_at),
        forecast=forecasts(tx, caller, [receiver], needs),
    )


def answer_hand_off(tx: Writing, caller: Caller, arguments: AnswerHandOff) -> Answered:
    """Accept an offer, which changes the holder in this commit, or decline it. The giver withdraws it by declining."""
    offer = tx.one(OfferRow, "offer", id=arguments.offer)
    if offer is None:
        raise not_found("offer", offer_name(arguments.offer), "Call check_in to see the offers to you.")
    if caller.member not in (offer.receiver, offer.giver):
        raise Refusal(
            "not_allowed",
            f"@{offer.giver_name} made {offer_name(arguments.offer)} to @{offer.receiver_name}, not to you.",
            "Call check_in to see the offers to you.",
            subject=offer_name(arguments.offer),
        )
    task = find_current(tx, offer.task)
    state = tx.only(OfferRow, "offer", id=offer.id).state
    if state != "offered":
        return _repeat_answer(tx, caller, arguments, offer, task, state)
    if caller.member == offer.giver:
        if arguments.accept:
            raise Refusal(
                "not_allowed",
                "You cannot accept your own offer.",
                f"Withdraw it: answer_hand_off offer {offer_name(arguments.offer)} accept false.",
                subject=offer_name(arguments.offer),
            )
        return _close(tx, caller, arguments, offer, task, "withdrawn")
    if not arguments.accept:
        return _close(tx, caller, arguments, offer, task, "declined")
    return _accept(tx, caller, arguments, offer, task)


def offers_to(tx: Reading, member: int) -> list[OfferShown]:
    """The open offers to a member, with the commands that prove their artifacts."""
    return [
        OfferShown(
            offer=offer_name(row.id),
            task=task_name(row.task),
            title=row.title,
            creator=row.creator_name,
            from_=row.giver_name,
            note=shorten(row.note, NOTE_SHOWN),
            needs=json.loads(row.needs),
            artifacts=[_shown(artifact) for artifact in json.loads(row.artifacts)],
            expires_at=tx.shown(row.expires_at),
        )
        for row in tx.all(OfferToMember, "open_offers_to", member=member, now=tx.now, limit=OFFERS_SHOWN)
    ]


def _check_receiver(tx: Reading, caller: Caller, task: StoredTask, receiver: MemberFacts) -> None:
    if receiver.id == caller.member:
        raise Refusal(
            "invalid", f"You hold {task.name} yourself.", "Call who to choose another member.", subject=task.name
        )
    refuse_ended(tx, receiver, "Offer it to", f"keep {task.name}", task.name, caller.member)
    refuse_zombie(tx, receiver, task.name, "Call who to choose another member.")
    if task.row.hops >= tx.policy.hop_limit and receiver.id != caller.owner:
        raise Refusal(
            "not_allowed",
            f"{task.name} was handed off {task.row.hops} times, which is the limit.",
            f"Hand it off to your owner (hand_off to @{caller.owner_name}), or complete it.",
            subject=task.name,
        )


def _accept(tx: Writing, caller: Caller, arguments: AnswerHandOff, offer: OfferRow, task: StoredTask) -> Answered:
    needs = [*needs_of(tx, task.row), *json.loads(offer.needs)]
    require_capabilities(tx, caller.member, caller.name, needs, offer_name(arguments.offer))
    _check_proofs(arguments, offer, caller)
    require_below_wip_cap(tx, caller, offer_name(arguments.offer))
    entries = require_scopes(tx, caller, scopes_of(task.row.requires), task.name)
    seconds = lease_seconds(caller.kind, tx.principal.mode, tx.policy, tx.settings)
    seq = log.append(
        tx,
        author(caller),
        act="answer_hand_off",
        subject=offer_name(arguments.offer),
        summary=one_line(f"@{caller.name} accepted {task.name} from @{offer.giver_name}"),
        detail={"task": task.name, "accept": True, "proofs": [p.ref for p in arguments.proofs or ()]},
    )
    fence = task.fence + 1
    tx.run("close_offer", id=offer.id, state="accepted", now=tx.now, reason=arguments.reason or "")
    tx.changed(topics.inbox(offer.receiver))
    take(tx, caller.member, task, seconds, task.row.hops + 1, count_uses(tx, entries, seq), seq)
    add_entry(
        tx, task.id, caller, "accepted", arguments.reason or "", {"offer": offer_name(arguments.offer), "fence": fence}
    )
    _notify_giver(tx, caller, offer, f"@{caller.name} accepted {task.name}")
    settle(tx, "offer", offer.id, offer_name(offer.id))
    return Answered(
        receipt=seq,
        offer=offer_name(arguments.offer),
        task=task.name,
        state="accepted",
        fence=fence,
        lease_until=tx.shown(tx.now + seconds),
    )


def _close(
    tx: Writing,
    caller: Caller,
    arguments: AnswerHandOff,
    offer: OfferRow,
    task: StoredTask,
    state: Literal["declined", "withdrawn"],
) -> Answered:
    reason = arguments.reason or ""
    seq = log.append(
        tx,
        author(caller),
        act="answer_hand_off",
        subject=offer_name(arguments.offer),
        summary=add_quote(f"@{caller.name} {'declined' if state == 'declined' else 'withdrew'} {task.name}", reason),
        detail={"task": task.name, "accept": False, "reason": reason},
    )
    tx.run("close_offer", id=offer.id, state=state, now=tx.now, reason=reason)
    tx.changed(topics.inbox(offer.receiver))
    give_back(tx, task, tx.now, seq)
    add_entry(tx, task.id, caller, state, reason, {"offer": offer_name(arguments.offer)})
    if state == "declined":
        _notify_giver(tx, caller, offer, add_quote(f"@{caller.name} declined {task.name}", reason))
    settle(tx, "offer", offer.id, offer_name(offer.id))
    return Answered(receipt=seq, offer=offer_name(arguments.offer), task=task.name, state=state)


def _notify_giver(tx: Writing, caller: Caller, offer: OfferRow, line: str) -> None:
    wake_members(tx, [offer.giver], reason="answer", subject=offer_name(offer.id), sender=caller.member, line=line)


def _check_proofs(arguments: AnswerHandOff, offer: OfferRow, caller: Caller) -> None:
    """Refuse unless each file and commit is proven by a hash that the receiver was not shown (HND3)."""
    brought = {proof.ref: proof.value.strip().lower() for proof in arguments.proofs or ()}
    for artifact in json.loads(offer.artifacts):
        if artifact["kind"] not in PROVEN_KINDS or artifact["sha256"] is None:
            continue
        value = brought.get(artifact["ref"])
        if value is not None and hmac.compare_digest(value.encode(), artifact["sha256"].lower().encode()):
            continue
        ref = artifact["ref"]
        line = add_quote(f"@{caller.name} could not prove an artifact of {task_name(offer.task)}", ref)

        def keep(tx: Writing, line: str = line) -> None:
            _notify_giver(tx, caller, offer, line)

        raise Refusal(
            "bad_proof",
            f"The proof of {cite(ref)} is {'missing' if value is None else 'wrong'}, so the offer stays open.",
            f"Run {backtick(command(artifact['kind'], ref) or '')} where you work and give its first word: "
            f'proofs [{{"ref": {json.dumps(ref)}, "value": "…"}}]. If you cannot reach it, decline and say so.',
            subject=offer_name(arguments.offer),
            also=keep,
            missing=[ref],
        )


def _repeat_answer(
    tx: Reading, caller: Caller, arguments: AnswerHandOff, offer: OfferRow, task: StoredTask, state: str
) -> Answered:
    """Return the result of an answer that is repeated; refuse one that contradicts it."""
    mine = caller.member == offer.receiver
    if mine and arguments.accept and state == "accepted":
        still = task.holder == caller.member
        return Answered(
            replayed=tx.shown(offer.answered_at or tx.now),
            offer=offer_name(arguments.offer),
            task=task.name,
            state="accepted",
            fence=task.fence if still else None,
            lease_until=task.lease_until(tx) if still else None,
        )
    if not arguments.accept and state == ("declined" if mine else "withdrawn"):
        return Answered(
            replayed=tx.shown(offer.answered_at or tx.now),
            offer=offer_name(arguments.offer),
            task=task.name,
            state=state,
        )
    raise Refusal(
        "expired" if state == "expired" else "conflict",
        f"{offer_name(arguments.offer)} is {state_in_words(state)} already.",
        "Call check_in to see the offers that are open for you.",
        subject=offer_name(arguments.offer),
        holder=task.row.holder_name,
    )


def _not_offerable(task: StoredTask) -> Refusal:
    state = state_in_words(task.state)
    fix = "Call check_in to see the tasks that you hold."
    if task.row.offer is not None and task.state == "offered":
        offer = offer_name(task.row.offer)
        state, fix = f"offered already, as {offer}", f"Withdraw it first: answer_hand_off offer {offer} accept false."
    return Refusal("conflict", f"{task.name} is {state}.", fix, subject=task.name)


def _shown(artifact: dict[str, Any]) -> ArtifactShown:
    provable = artifact["kind"] in PROVEN_KINDS and artifact["sha256"] is not None
    return ArtifactShown(
        kind=artifact["kind"],
        ref=artifact["ref"],
        command=command(artifact["kind"], artifact["ref"]) if provable else None,
    )


HAND_OFF = Act("hand_off", HandOff, Offered, hand_off)
ANSWER_HAND_OFF = Act("answer_hand_off", AnswerHandOff, Answered, answer_hand_off)
