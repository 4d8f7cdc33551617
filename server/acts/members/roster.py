"""The roster: the members, with their presence and capabilities."""

from pydantic import BaseModel, Field

from teamroom.server.acts.act import Arguments, Name, Need, Read, always
from teamroom.server.facts.approval import RuleShown, rules_of, show_rule
from teamroom.server.facts.authorization import AuthorizationShown, authorizations_of
from teamroom.server.facts.capability import CapabilityShown, capabilities_of
from teamroom.server.facts.ids import task_name
from teamroom.server.facts.member import facts_of, find_member, forecast_of, last_evidence, no_such_member
from teamroom.server.facts.names import former_names
from teamroom.server.facts.owed import Slot, slots_of
from teamroom.server.facts.reports import show_report
from teamroom.server.facts.runtimes import RuntimeShown, show_runtimes
from teamroom.server.facts.standing import ROOM, standing_in_force, stored_standing
from teamroom.server.identity import Caller
from teamroom.server.rules.presence import (
    UNCHALLENGED,
    Facts,
    describe_connection,
    find_presence,
    interval_seconds,
    is_mode_supported,
    next_wake_at,
)
from teamroom.server.rules.runs import Run
from teamroom.server.rules.text import PAGE_CHARACTERS, count_fitting
from teamroom.server.store.rows.members import RosterRow
from teamroom.server.store.rows.tasks import UpheldShare
from teamroom.server.store.transaction import Reading

PAGE_MEMBERS = 100
LINE_CHARACTERS, CAPABILITY_CHARACTERS = 240, 60
"""How many characters a member adds to a reply, and each of its capabilities in addition to its name."""


class Who(Arguments):
    """Arguments of `who`."""

    name: Name | None = None
    capability: Need | None = None
    after: Name | None = None


class RunShown(BaseModel):
    """A run under a member's listener: when it began, and when its processes last moved."""

    since: str
    moved: str


class Stop(BaseModel):
    """The stop in force for a member: of itself, of all agents of its owner, or of the room (`level`)."""

    level: str
    by: str
    reason: str
    since: str
    until: str | None


class HarnessShown(BaseModel):
    """What a member's harness reports by its hooks.

    `gate`: when it last asked the room before it used a tool of its own; None if it never did. `doing`: what it is
    doing since `since`, and with which `tool`; "" if it does not say.
    """

    name: str
    gate: str | None
    doing: str
    tool: str
    since: str | None


class MemberShown(BaseModel):
    """A member on the roster. `former`: the names that it had before, the newest first."""

    name: str
    former: list[str]
    kind: str
    role: str
    owner: str
    mode: str
    presence: str
    reason: str
    standing: str
    stop: Stop | None
    """Who paused or killed it, and why; None of an active member."""
    tasks: list[str] = Field(default_factory=list)
    """Only of members that a tool reads: what each holds, the newest last."""
    connected: bool
    listening: bool
    """Whether it has a live listener."""
    last_call: str | None
    last_progress: str | None
    run: RunShown | None
    """Its run under a listener, while one is on."""
    harness: HarnessShown | None
    """What its harness reports; None if no hook of it was seen."""
    runtimes: list[RuntimeShown]
    """Where it runs, as its runtimes report it: the newest first, on each host once."""
    on_two_hosts: bool
    """Whether two of them run on two hosts at once."""
    next_wake: str | None
    expected_seconds: float | None
    p90_seconds: float | None
    answers: str
    """When it answers, in words: only acts after wakes justify an estimate."""
    wake_verified: bool | None
    """Whether a wake of its newest listener went through all three steps, and the newest still lead to acts.

    None of people, programs that only watch, and stopped members.
    """
    supported: bool
    """Whether something keeps its mode: `live` needs a listener, `every:SECONDS` calls at that pace."""
    capabilities: list[CapabilityShown]
    authorizations: list[AuthorizationShown]
    """The entries that let it do something now, the newest first."""
    rules: list[RuleShown]
    """The approval rules that bind its own tools, the oldest first."""
    completions_reviewed: int
    completions_upheld: int
    reminders: list[Slot] = Field(default_factory=list)
    """Only for a member read by name: when the room reminded it to renew proofs, or why it did not."""
    last_act: str | None = None
    """Only of a member that a tool reads by name: when it last gave evidence of work, by an act or an answer."""
    wake_waits_since: str | None = None
    """Only of a member that a tool reads by name: since when its oldest wake waits for an act of it."""
    has_listened: bool | None = None
    """Only of a member that a tool reads by name: whether a listener was ever there for it."""


class Place(BaseModel):
    """The numbers of a member and of its owner."""

    member: int
    owner: int


class Roster(BaseModel):
    """Reply of `who`. `next` is the `after` of the next call, if there are more members."""

    members: list[MemberShown]
    next: str | None = None


def who(tx: Reading, caller: Caller, arguments: Who) -> Roster:
    """Return the members as `read_roster` does; of one read by name, also what its calls move. Raises Refusal."""
    roster = read_roster(tx, caller, arguments)
    for member in roster.members:
        member.tasks = [task_name(id_) for id_ in tx.column(int, "tasks_held_by", name=member.name)]
    if arguments.name:
        (shown,) = roster.members
        place = find_place(tx, caller, arguments)
        acted, waits = last_evidence(tx, place.member), tx.value(float, "waits_for_act", member=place.member)
        shown.has_listened = tx.value(int, "listener_fence", member=place.member) is not None
        shown.last_act = None if acted is None else tx.shown(acted)
        shown.wake_waits_since = None if waits is None else tx.shown(waits)
    return roster


def read_roster(tx: Reading, caller: Caller, arguments: Who) -> Roster:
    """Return the members: all, one by name, or those that declare a capability, the ones it counts for first.

    Raises Refusal `not_found`.
    """
    name, capability = arguments.name or "", arguments.capability or ""
    if name:
        rows = tx.all(RosterRow, "roster_member", name=name, capability=capability)
        if not rows:
            raise no_such_member(tx, name)
    else:
        bounds = {"after": arguments.after or "", "limit": PAGE_MEMBERS + 1}
        rows = tx.all(RosterRow, "roster", capability=capability, **bounds)
    members = [_member(tx, row) for row in rows[:PAGE_MEMBERS]]
    if name:
        members[0].reminders = slots_of(tx, "proof", rows[0].id)
    shown = members[: count_fitting(map(_characters, members), PAGE_CHARACTERS)]
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
    verdict = find_presence(facts, tx.now, tx.settings)
    interval = interval_seconds(facts.mode, tx.settings) or tx.settings.live_interval_seconds
    expected, fault = forecast_of(tx, row, facts)
    share = tx.only(UpheldShare, "upheld_share", member=row.id) if row.is_reviewed else UpheldShare(0, 0)
    runtimes, is_doubled = show_runtimes(tx, row.id) if row.has_runtimes else ([], False)
    return MemberShown(
        name=row.name,
        former=former_names(tx, row.id) if row.is_renamed else [],
        kind=row.kind,
        role=row.role,
        owner=row.owner_name,
        mode=row.mode,
        presence=verdict.state,
        reason=describe_connection(verdict.reason, facts),
        standing=facts.standing,
        stop=None if facts.standing == "active" else _stop(tx, row),
        connected=facts.is_connected(tx.now, interval, tx.settings),
        listening=tx.listens(row.id),
        last_call=None if row.last_call_at is None else tx.shown(row.last_call_at),
        last_progress=None if row.last_progress_at is None else tx.shown(row.last_progress_at),
        run=_run(tx, facts.run),
        harness=_harness(tx, row),
        runtimes=runtimes,
        on_two_hosts=is_doubled,
        next_wake=None if (at := next_wake_at(facts, tx.settings)) is None else tx.shown(at),
        expected_seconds=expected.expected_seconds,
        p90_seconds=expected.p90_seconds,
        answers=expected.answers,
        wake_verified=not fault if _is_woken(row, facts) else None,
        supported=is_mode_supported(facts, tx.now, tx.settings),
        capabilities=capabilities_of(tx, row.id) if row.has_capabilities else [],
        authorizations=authorizations_of(tx, row.id, row.kind, row.owner) if row.has_authorisations else [],
        rules=[show_rule(rule) for rule in rules_of(tx, row.id, row.kind, row.owner)] if row.has_rules else [],
        completions_reviewed=share.reviewed,
        completions_upheld=share.upheld,
    )


def _is_woken(row: RosterRow, facts: Facts) -> bool:
    """Whether wakes of a member are to lead to acts now."""
    return row.kind == "agent" and row.role not in UNCHALLENGED and facts.standing == "active"


def _stop(tx: Reading, row: RosterRow) -> Stop:
    standing = standing_in_force(row, tx.now)
    target = {"member": row.id, "owner": row.owner, "room": ROOM}[standing.level]
    stored = stored_standing(tx, standing.level, target)
    until = None if stored.until is None else tx.shown(stored.until)
    return Stop(
        level=standing.level, by=stored.by_name, reason=stored.reason, since=tx.shown(stored.since), until=until
    )


def _harness(tx: Reading, row: RosterRow) -> HarnessShown | None:
    if row.harness is None:
        return None
    return HarnessShown(
        name=row.harness,
        gate=None if row.gate_at is None else tx.shown(row.gate_at),
        doing=row.phase or "",
        tool=show_report(row.tool or ""),
        since=tx.shown(row.phase_since) if row.phase and row.phase_since is not None else None,
    )


def _run(tx: Reading, run: Run | None) -> RunShown | None:
    if run is None or not run.is_on(tx.now, tx.settings):
        return None
    return RunShown(since=tx.shown(run.since), moved=tx.shown(run.moved_at))


def find_place(tx: Reading, caller: Caller, arguments: Who) -> Place:
    """The numbers of the named member and its owner. Raises Refusal `not_found`."""
    row = find_member(tx, arguments.name or "")
    return Place(member=row.id, owner=row.owner)


FIND_PLACE = Read("who", Who, find_place, is_small=always)
WHO = Read("who", Who, who, is_shared=True)
ROSTER = Read("who", Who, read_roster, is_shared=True)
"""The same for those that follow it: what a member's own calls move is left out."""
