"""Pause, resume and kill: stops a member, an owner's agents or the room."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from teamroom.server.acts.act import Act, Arguments, Line, Reply, TargetName, author
from teamroom.server.acts.control.aftermath import begin_after_kill, settle_kill
from teamroom.server.acts.control.gradual import AT_ONCE, begin_to_let_go, end_later, let_go_first
from teamroom.server.acts.control.stop import pause_agents_of, set_standing
from teamroom.server.acts.presence.trouble import clear_after_end
from teamroom.server.facts.channels import people_with_channels
from teamroom.server.facts.member import no_such_member
from teamroom.server.facts.reach import reach_of, reach_of_many
from teamroom.server.facts.roles import ROOM_OPERATORS, ROOM_OWNERS, STOPPERS
from teamroom.server.facts.standing import ROOM, pauses_above, stored_standing, stored_state
from teamroom.server.facts.timers import KILLED, check_leases_by, find_timer
from teamroom.server.facts.wakes import notify_person, wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.journal import StandingChange
from teamroom.server.refusals import Refusal
from teamroom.server.rules.names import AT, WHOLE_ROOM, normalize_name
from teamroom.server.rules.spans import in_words, is_bare, parse_span
from teamroom.server.rules.standing import Level
from teamroom.server.rules.text import add_quote, cite_name
from teamroom.server.store.rows.control import PauseInForce, StandingRow
from teamroom.server.store.rows.members import LiveToken, MemberRow
from teamroom.server.store.rows.permissions import IssuedToken
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.transaction import Reading, Writing

SESSIONS_ENDED = 500
"""The most sessions of others that a kill ends because the killed member's tokens made their links."""

LONGEST_PAUSE_SECONDS = 2_592_000

NO_REASON = "no reason given"
"""The reason of a pause or a resume without one: a stop must not wait for words."""

BARE_SECONDS = 60
"""How long a number without a unit is in `for`: people mean minutes."""

LEFT_SHOWN = 20
"""How many of the pauses that remain a resume names, and how many agents of each."""

STATE_AFTER = {"pause": "paused", "resume": "active", "kill": "killed"}
"""The standing of the target after each act."""


def _span(text: str) -> str:
    seconds = parse_span(text, BARE_SECONDS)
    if seconds is None or seconds > LONGEST_PAUSE_SECONDS:
        raise ValueError("write how long, at most 30d: 30m, 90s, 12h or 2d")
    return text


PauseSpan = Annotated[str, Field(max_length=20), AfterValidator(_span)]


class Pause(Arguments):
    """Arguments of `pause`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    target: Annotated[TargetName, Field(description="a name, owner:NAME or room")]
    reason: Line = NO_REASON
    for_seconds: Annotated[float, Field(gt=0, le=LONGEST_PAUSE_SECONDS)] | None = None
    for_: PauseSpan | None = Field(None, alias="for", description="such as 30m")


class Resume(Arguments):
    """Arguments of `resume`."""

    target: Annotated[TargetName, Field(description="a name, owner:NAME or room")]
    reason: Line = NO_REASON


class Kill(Arguments):
    """Arguments of `kill`."""

    target: Annotated[TargetName, Field(description="a member's name")]
    reason: Line


class PauseLeft(BaseModel):
    """A pause that remains after a resume: its target, who set it, why, until when, and which agents it binds.

    `more`: how many further agents it binds are not named.
    """

    target: str
    by: str
    reason: str
    until: str | None
    members: list[str]
    more: bool = False


class Controlled(Reply):
    """Reply of `pause`, `resume` and `kill`: the standing of the target afterwards.

    `remaining`: the pauses that still bind agents after a resume. `gradual`: its agents are let go one after the other.
    `reaches`: what a stop reaches besides calls to the room, and what it does not, in words.
    """

    target: str
    standing: Literal["active", "paused", "killed"]
    until: str | None = None
    note: str = ""
    remaining: list[PauseLeft] = Field(default_factory=list)
    gradual: bool = False
    reaches: str = ""

    def remembered(self) -> "Controlled":
        """Without the reasons of the pauses that remain: they are words of other members, who may take them back."""
        without = [left.model_copy(update={"reason": ""}) for left in self.remaining]
        return self.model_copy(update={"remaining": without})


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a control act: one member, an owner's agents, or the room."""

    text: str
    level: Level
    id: int
    member: MemberRow | None = None

    @property
    def subject(self) -> str:
        """How the log names it."""
        return f"@{self.text}" if self.level == "member" else self.text


def pause(tx: Writing, caller: Caller, arguments: Pause) -> Controlled:
    """Pause a member, an owner's agents, or the room. No later act of a paused member commits. Raises Refusal."""
    target = _find(tx, arguments.target)
    _authorise(caller, target, "pause", allow_watchdog=True)
    standing = stored_standing(tx, target.level, target.id)
    if stored_state(standing, tx.now) == "killed":
        raise Refusal(
            "conflict", f"{target.subject} was killed.", "A killed member needs no pause.", subject=target.subject
        )
    until, length = _until(tx, arguments)
    role: str = caller.role
    if stored_state(standing, tx.now) == "paused":
        before, after = _end(standing.until), _end(until)
        may_lift = _may_lift(caller, target, standing)
        if after < before or (after == before and not may_lift):
            return _keep_longer(tx, target, standing, is_longer=after < before)
        role = caller.role if may_lift else standing.by_role
    _set(tx, caller, target, "paused", until=until, reason=arguments.reason, role=role)
    tx.run("end_pauses", scope=target.level, target=target.id, now=tx.now)
    tx.run("add_pause", scope=target.level, target=target.id, since=tx.now, until=until)
    if target.level == "member":
        check_leases_by(tx, target.id, tx.now + tx.settings.paused_overdue_seconds)
    else:
        end_later(tx, ROOM if target.level == "room" else target.id, until)
    ends = "" if until is None else f" until {tx.shown(until)}"
    reaches = _describe_reach(tx, target, "paused")
    detail = {"until": None if until is None else tx.date_of(until), "reaches": reaches}
    seq = _record(tx, caller, "pause", target, f"paused{ends}", arguments.reason, detail, role)
    _notify_responsible(tx, caller, target, "pause")
    _end_calls(tx, target)
    shown = None if until is None else tx.shown(until)
    return Controlled(receipt=seq, target=target.text, standing="paused", until=shown, note=length, reaches=reaches)


def _until(tx: Reading, arguments: Pause) -> tuple[float | None, str]:
    """When a pause ends, None for never, and what to say about its length. Raises Refusal."""
    if arguments.for_ is None:
        seconds = arguments.for_seconds
        return (None, "") if seconds is None else (tx.now + seconds, f"for {in_words(seconds)}")
    if arguments.for_seconds is not None:
        raise Refusal(
            "invalid", "for and for_seconds both say how long.", "Call again with one of them, such as for 30m."
        )
    seconds = parse_span(arguments.for_, BARE_SECONDS) or 0.0
    hint = f"; write {arguments.for_.strip()}s for seconds" if is_bare(arguments.for_) else ""
    return tx.now + seconds, f"{in_words(seconds)}{hint}" if hint else f"for {in_words(seconds)}"


def _end(until: float | None) -> float:
    """When a pause ends; later than any time if it has no end."""
    return math.inf if until is None else until


def _keep_longer(tx: Reading, target: Target, standing: StandingRow, is_longer: bool) -> Controlled:
    """The reply to a pause that would end before the one in effect, or that the caller may not replace."""
    until = None if standing.until is None else tx.shown(standing.until)
    ends = "without an end" if until is None else f"until {until}"
    why = "which is longer, so that pause remains" if is_longer else "and that pause stays in force"
    note = add_quote(f"already paused by @{standing.by_name} {ends}, {why}", standing.reason)
    return Controlled(target=target.text, standing="paused", until=until, note=note)


def resume(tx: Writing, caller: Caller, arguments: Resume) -> Controlled:
    """Lift a pause. A call that starts after this commit succeeds. Raises Refusal."""
    target = _find(tx, arguments.target)
    standing = stored_standing(tx, target.level, target.id)
    if target.level == "member" and target.id == caller.member:
        raise Refusal(
            "not_allowed", "You cannot resume yourself.", "Ask your owner or an operator.", subject=target.subject
        )
    _authorise(caller, target, "resume")
    state = stored_state(standing, tx.now)
    if state == "killed":
        raise Refusal(
            "conflict",
            f"{target.subject} was killed, so it cannot be resumed.",
            f"Revive it: teamroom enroll {target.text} --revive",
            subject=target.subject,
        )
    above = _paused_above(tx, target)
    if state == "active":
        return _unchanged(target, "paused" if above else "active", above or "was not paused")
    if not _may_lift(caller, target, standing):
        raise Refusal(
            "not_allowed",
            f"@{standing.by_name} ({standing.by_role}) paused {target.subject}. Operators resume only "
            "what operators paused.",
            f"Ask @{standing.by_name} or a room owner.",
            subject=target.subject,
        )
    _set(tx, caller, target, "active", until=None, reason=arguments.reason)
    tx.run("end_pauses", scope=target.level, target=target.id, now=tx.now)
    seq = _record(tx, caller, "resume", target, "resumed", arguments.reason, {})
    line = add_quote(f"@{caller.name} resumed {target.subject}", arguments.reason)
    remaining = pauses_left(tx, target)
    if target.level == "member":
        tx.run("let_go", member=target.id)
        wake_members(tx, [target.id], reason="control", subject=target.subject, sender=caller.member, line=line)
    else:
        begin_to_let_go(tx, ROOM if target.level == "room" else target.id)
    return Controlled(
        receipt=seq,
        target=target.text,
        standing="paused" if above else "active",
        note=above,
        remaining=remaining,
        gradual=_is_gradual(tx, target),
    )


def pauses_left(tx: Reading, target: Target) -> list[PauseLeft]:
    """The pauses that still bind agents of a target, from the room's down to their own."""
    found: list[PauseLeft] = []
    row = None if target.level == "room" else tx.only(WatchedMember, "watched", member=target.id)
    if row is not None and row.kind == "human" and target.level == "member":
        return []
    above = [] if row is None else pauses_above(row, target.level, tx.now)
    agents = [target.text] if target.level == "member" else []
    if row is not None and target.level == "owner":
        agents = tx.column(str, "agent_names", owner=target.id, limit=LEFT_SHOWN + 1)
    for level in above:
        assert row is not None
        standing = stored_standing(tx, level, ROOM if level == "room" else row.owner)
        name = "room" if level == "room" else f"owner:{row.owner_name}"
        found.append(_left(tx, PauseInForce(name, standing.by_name, standing.reason, standing.until), agents))
    if target.level == "room":
        for owner in tx.all(PauseInForce, "paused_owners", now=tx.now, limit=LEFT_SHOWN):
            person = tx.only(MemberRow, "member_by_name", name=owner.name)
            agents = tx.column(str, "agent_names", owner=person.id, limit=LEFT_SHOWN + 1)
            found.append(_left(tx, owner._replace(name=f"owner:{owner.name}"), agents))
    if target.level != "member":
        owned = {"owner": ROOM if target.level == "room" else target.id, "now": tx.now, "limit": LEFT_SHOWN}
        found += [_left(tx, row, [row.name]) for row in tx.all(PauseInForce, "paused_members", **owned)]
    return found


def _left(tx: Reading, row: PauseInForce, members: list[str]) -> PauseLeft:
    return PauseLeft(
        target=row.name,
        by=row.by_name,
        reason=row.reason,
        until=None if row.until is None else tx.shown(row.until),
        members=members[:LEFT_SHOWN],
        more=len(members) > LEFT_SHOWN,
    )


def kill(tx: Writing, caller: Caller, arguments: Kill) -> Controlled:
    """Kill a member and revoke its tokens. Its tasks, its offers and those that wait for it follow: see `aftermath`.

    The agents of a person are paused, until another person is accountable for them.
    """
    target = _find(tx, arguments.target)
    if target.level != "member":
        raise Refusal(
            "invalid",
            f"{target.text} is not a member; only a member can be killed.",
            f"Call pause with target {target.text} instead.",
            subject=target.subject,
        )
    _authorise(caller, target, "kill", allow_operator=False)
    standing = stored_standing(tx, target.level, target.id)
    if stored_state(standing, tx.now) == "killed":
        return _unchanged(target, "killed", "was already killed")
    _set(tx, caller, target, "killed", until=None, reason=arguments.reason)
    tx.run("end_pauses", scope="member", target=target.id, now=tx.now)
    tx.effects.journal += [{"token": row.id} for row in tx.all(LiveToken, "live_tokens", member=target.id, now=tx.now)]
    tx.run("revoke_tokens", member=target.id, now=tx.now)
    tx.run("drop_sign_in", member=target.id)
    _end_sessions_issued_by(tx, target)
    reaches = _describe_reach(tx, target, "killed")
    seq = _record(tx, caller, "kill", target, "killed", arguments.reason, {"reaches": reaches})
    clear_after_end(tx, target.id, f"{target.subject} was killed", seq)
    _notify_responsible(tx, caller, target, "kill")
    begin_after_kill(tx, target.id)
    _end_calls(tx, target)
    tx.effects.killed.add(target.id)
    note = _pause_agents(tx, caller, target)
    return Controlled(receipt=seq, target=target.text, standing="killed", note=note, reaches=reaches)


def _describe_reach(tx: Reading, target: Target, stop: Literal["paused", "killed"]) -> str:
    """What a stop reaches, in words; "" for a person's own standing."""
    if target.level != "member":
        return reach_of_many(tx, ROOM if target.level == "room" else target.id)
    row = tx.only(WatchedMember, "watched", member=target.id)
    return reach_of(tx, row).in_words(stop) if row.kind == "agent" else ""


def _end_sessions_issued_by(tx: Writing, target: Target) -> None:
    """End the sessions of others on the page whose links the killed member made: it may have kept one for itself."""
    found = tx.all(IssuedToken, "sessions_issued_by", member=target.id, now=tx.now, limit=SESSIONS_ENDED)
    for row in found:
        tx.run("revoke_token", id=row.id, member=row.member, now=tx.now)
    tx.effects.revoked.update(row.id for row in found)
    tx.effects.journal += [{"token": row.id} for row in found]


def _pause_agents(tx: Writing, caller: Caller, target: Target) -> str:
    """Pause the agents of a killed person; returns what to do about them, "" if there are none."""
    member = target.member
    if member is None or member.kind != "human":
        return ""
    pause_agents_of(tx, member.id, member.name, author(caller))
    if tx.value(int, "owns_agent", owner=member.id) is None:
        return ""
    return (
        f"its agents are paused until another person is accountable for each: teamroom enroll AGENT --owner NAME "
        f"--rotate, or until you revive @{member.name} and resume owner:{member.name}"
    )


def settle_at_once(tx: Writing, caller: Caller, arguments: Kill) -> None:
    """Settle the first page of what a killed member held, right after the kill."""
    member = tx.one(MemberRow, "member_by_name", name=arguments.target)
    due = None if member is None else find_timer(tx, KILLED, member.id, member.id)
    if due is not None:
        settle_kill(tx, due)


# ------------------------------------------------------------------ permissions


def _authorise(
    caller: Caller, target: Target, what: str, *, allow_operator: bool = True, allow_watchdog: bool = False
) -> None:
    """Refuse a caller without the right to stop or resume the target (CTL7).

    Room owners control all members, owners their own. Operators and watchdogs have it as the arguments say.
    """
    itself = target.level == "member" and target.id == caller.member
    owns = caller.kind == "human" and target.level != "room" and not itself and _owner(target) == caller.member
    if caller.role == "owner" or owns:
        return
    if (caller.role == "operator" and allow_operator) or (caller.role == "watchdog" and allow_watchdog):
        return
    raise Refusal(
        "not_allowed",
        f"Your role ({caller.role}) may not {what} {target.subject}.",
        f"Ask a room owner, or @{target.member.owner_name}." if target.member is not None else "Ask a room owner.",
        subject=target.subject,
    )


def _owner(target: Target) -> int:
    return target.id if target.member is None or target.level == "owner" else target.member.owner


def _may_lift(caller: Caller, target: Target, standing: StandingRow) -> bool:
    """Whether the caller may lift this pause: operators lift only the pauses of operators."""
    if caller.role == "owner" or (
        caller.kind == "human" and target.level != "room" and _owner(target) == caller.member
    ):
        return bool(standing.by_role != "owner" or caller.role == "owner")
    return caller.role == "operator" and standing.by_role == "operator"


# ------------------------------------------------------------------ the target and its standing


def _find(tx: Reading, text: str) -> Target:
    if normalize_name(text) in WHOLE_ROOM:
        return Target("room", "room", ROOM)
    owner, colon, name = text.rpartition(":")
    name = name.strip().lstrip(AT)
    if colon and normalize_name(owner) != "owner":
        raise Refusal("invalid", f"{cite_name(text)} is not a target.", "Give a member's name, owner:NAME or room.")
    member = tx.one(MemberRow, "member_by_name", name=name)
    if member is None or member.kind == "room":
        raise no_such_member(tx, name)
    name = member.name
    if owner and member.kind != "human":
        raise Refusal(
            "invalid", f"@{name} is not a person.", f"Give owner:{member.owner_name} to name its owner's agents."
        )
    return Target(f"owner:{name}" if owner else name, "owner" if owner else "member", member.id, member)


def _paused_above(tx: Reading, target: Target) -> str:
    """What else pauses a target, with the target to resume first; "" if nothing does."""
    if target.level == "room":
        return ""
    row = tx.only(WatchedMember, "watched", member=target.id)
    if target.level == "member" and row.kind == "human":
        return ""
    names = {"room": "room", "owner": f"owner:{row.owner_name}"}
    levels = pauses_above(row, target.level, tx.now)
    paused = [names[level] for level in levels]
    what = {"room": "the room", "owner": "all agents of its owner"}
    first = "the room" if paused[:1] == ["room"] else "".join(paused[:1])
    return f"still paused with {' and '.join(what[level] for level in levels)}; resume {first} first" if paused else ""


def _unchanged(target: Target, state: Literal["active", "paused", "killed"], note: str) -> Controlled:
    return Controlled(target=target.text, standing=state, note=note)


def _set(
    tx: Writing, caller: Caller, target: Target, state: str, *, until: float | None, reason: str, role: str = ""
) -> None:
    """Store a standing. `role`: who may lift it, if not those of the caller's role."""
    by, role = caller.member, role or caller.role
    set_standing(tx, target.level, target.id, state, until=until, by_member=by, by_role=role, reason=reason)


def _record(
    tx: Writing, caller: Caller, act: str, target: Target, did: str, reason: str, detail: dict[str, Any], role: str = ""
) -> int:
    """Leave the receipt of a change of standing, and a line in the journal that names its number."""
    seq = log.append(
        tx,
        author(caller),
        act=act,
        subject=target.subject,
        summary=add_quote(f"@{caller.name} {did} {target.subject}", reason),
        detail={"reason": reason, **detail},
    )
    name = "room" if target.member is None else target.member.name
    until = None if (date := detail.get("until")) is None else tx.room_time_of(date)
    change = StandingChange(target.level, name, STATE_AFTER[act], until, role or caller.role, seq)
    tx.effects.journal.append(asdict(change))
    return seq


def _is_gradual(tx: Reading, target: Target) -> bool:
    """Whether a resume lets more agents go than at once."""
    if target.level == "member":
        return False
    owner = ROOM if target.level == "room" else target.id
    return len(tx.column(int, "agents_after", owner=owner, after=0, limit=AT_ONCE + 1)) > AT_ONCE


def _bound(tx: Reading, target: Target) -> Iterable[int]:
    if target.level == "member":
        return [target.id]
    return tx.column(int, "agents_of", owner=target.id) if target.level == "owner" else tx.column(int, "all_agents")


def _notify_responsible(tx: Writing, caller: Caller, target: Target, act: str) -> None:
    """Notify the owners of the stopped members outside the room, except the caller."""
    people = [_owner(target)] if target.level != "room" else _owners_with_channels(tx)
    for person in people:
        if person != caller.member:
            notify_person(tx, person, "stopped", act, target.subject)


def _owners_with_channels(tx: Reading) -> list[int]:
    """The people with channels that own an agent."""
    rows = [tx.one(MemberRow, "member_by_name", name=name) for name in sorted(tx.settings.notify)]
    people = {row.id for row in rows if row is not None} | {person.id for person in people_with_channels(tx)}
    return [person for person in sorted(people) if tx.value(int, "owns_agent", owner=person) is not None]


def _end_calls(tx: Writing, target: Target) -> None:
    tx.effects.ended.update(_bound(tx, target))


PAUSE = Act("pause", Pause, Controlled, pause, shown_to_agents=STOPPERS, is_switch=True)
RESUME = Act(
    "resume",
    Resume,
    Controlled,
    resume,
    shown_to_agents=ROOM_OPERATORS,
    is_switch=True,
    afterwards=let_go_first,
)
KILL = Act("kill", Kill, Controlled, kill, shown_to_agents=ROOM_OWNERS, is_switch=True, afterwards=settle_at_once)
