"""The roster: who is in the room, and what is known of them."""

from pydantic import BaseModel, Field

from teamroom.server.acts.act import Arguments, Name, Need, Read, always
from teamroom.server.clock import rfc3339
from teamroom.server.facts.capability import CapabilityShown, capabilities_of
from teamroom.server.facts.member import facts_of, find_member
from teamroom.server.facts.owed import Slot, slots_of
from teamroom.server.facts.wakes import answer_times
from teamroom.server.identity import Caller
from teamroom.server.refusals import not_found
from teamroom.server.rules.presence import expectation, interval_seconds, next_wake_at, presence
from teamroom.server.rules.text import PAGE_CHARACTERS, how_many_fit
from teamroom.server.store.rows.members import RosterRow
from teamroom.server.store.rows.tasks import UpheldShare
from teamroom.server.store.transaction import Reading

PAGE_MEMBERS = 100
LINE_CHARACTERS, CAPABILITY_CHARACTERS = 240, 60
"""What a member costs in a reply, and each of its capabilities beyond its name."""


class Who(Arguments):
    """Arguments of `who`."""

    name: Name | None = None
    capability: Need | None = None
    after: Name | None = None


class MemberShown(BaseModel):
    """A member on the roster."""

    name: str
    kind: str
    role: str
    owner: str
    mode: str
    presence: str
    reason: str
    standing: str
    connected: bool
    listening: bool
    """Whether a call or a stream of it waits now."""
    last_call: str | None
    last_progress: str | None
    next_wake: str | None
    expected_seconds: float | None
    p90_seconds: float | None
    capabilities: list[CapabilityShown]
    completions_reviewed: int
    completions_upheld: int
    reminders: list[Slot] = Field(default_factory=list)
    """Of a member that was asked for by name: when the room reminded it of proofs to renew, or why it did not."""


class Place(BaseModel):
    """Where a member stands: its number, and that of its owner."""

    member: int
    owner: int


class Roster(BaseModel):
    """Reply of `who`. `next` is the `after` of the next call, where there are more."""

    members: list[MemberShown]
    next: str | None = None


def who(tx: Reading, caller: Caller, arguments: Who) -> Roster:
    """The roster: everybody, one member, or who says it has a capability, those whose word counts here first.

    Raises Refusal `not_found`.
    """
    name = (arguments.name or "").removeprefix("@")
    rows = tx.all(
        RosterRow,
        "roster",
        name=name,
        capability=arguments.capability or "",
        after=(arguments.after or "").removeprefix("@"),
        limit=PAGE_MEMBERS + 1,
    )
    if name and not rows:
        raise not_found("member", f"@{name}", "Call who without a name to see everybody.")
    members = [_member(tx, row) for row in rows[:PAGE_MEMBERS]]
    if name:
        members[0].reminders = slots_of(tx, "proof", rows[0].id)
    shown = members[: how_many_fit(map(_characters, members), PAGE_CHARACTERS)]
    after = shown[-1].name if len(rows) > len(shown) else None
    if arguments.capability is not None:
        shown.sort(key=lambda member: (not _counts(member, arguments.capability), member.standing != "active"))
    return Roster(members=shown, next=after)


def _counts(member: MemberShown, capability: str | None) -> bool:
    return any(c.counts for c in member.capabilities if c.capability == capability)


def _characters(member: MemberShown) -> int:
    return LINE_CHARACTERS + sum(len(c.capability) + CAPABILITY_CHARACTERS for c in member.capabilities)


def _member(tx: Reading, row: RosterRow) -> MemberShown:
    facts = facts_of(tx, row)
    verdict = presence(facts, tx.now, tx.settings)
    interval = interval_seconds(facts.mode, tx.settings) or tx.settings.live_interval_seconds
    expected = expectation(facts, answer_times(tx, row.id), tx.now, tx.settings)
    share = tx.only(UpheldShare, "upheld_share", member=row.id)
    return MemberShown(
        name=row.name,
        kind=row.kind,
        role=row.role,
        owner=row.owner_name,
        mode=row.mode,
        presence=verdict.verdict,
        reason=verdict.reason,
        standing=facts.standing,
        connected=facts.is_connected(tx.now, interval, tx.settings),
        listening=tx.listens(row.id),
        last_call=None if row.last_call_at is None else rfc3339(row.last_call_at),
        last_progress=None if row.last_progress_at is None else rfc3339(row.last_progress_at),
        next_wake=None if (at := next_wake_at(facts, tx.settings)) is None else rfc3339(at),
        expected_seconds=expected.expected_seconds,
        p90_seconds=expected.p90_seconds,
        capabilities=capabilities_of(tx, row.id),
        completions_reviewed=share.reviewed,
        completions_upheld=share.upheld,
    )


def find_place(tx: Reading, caller: Caller, arguments: Who) -> Place:
    """Where the named member stands. Raises Refusal `not_found`."""
    row = find_member(tx, arguments.name or "")
    return Place(member=row.id, owner=row.owner)


FIND_PLACE = Read("who", Who, find_place, is_small=always)
WHO = Read("who", Who, who)
