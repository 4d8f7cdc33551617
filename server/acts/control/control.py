"""Pause, resume and kill: stops a member, an owner's agents or the room."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from teamroom.server.acts.act import Act, Arguments, Line, Reply, TargetName, author
from teamroom.server.acts.control.aftermath import begin_after_kill, begin_after_resume, settle_kill
from teamroom.server.acts.control.stop import pause_agents_of, set_standing
from teamroom.server.acts.presence.trouble import clear_after_kill
from teamroom.server.facts.member import no_such_member
from teamroom.server.facts.roles import ROOM_OPERATORS, ROOM_OWNERS, STOPPERS
from teamroom.server.facts.standing import ROOM, pauses_above, stored_standing, stored_state
from teamroom.server.facts.timers import KILLED, check_leases_by, find_timer
from teamroom.server.facts.wakes import notify_person
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.journal import StandingChange
from teamroom.server.refusals import Refusal
from teamroom.server.rules.names import AT, WHOLE_ROOM, normalize_name
from teamroom.server.rules.standing import Level
from teamroom.server.rules.text import add_quote, cite_name
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.members import LiveToken, MemberRow
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.transaction import Reading, Writing

LONGEST_PAUSE_SECONDS = 2_592_000

STATE_AFTER = {"pause": "paused", "resume": "active", "kill": "killed"}
"""The standing of the target after each act."""


class Pause(Arguments):
    """Arguments of `pause`."""

    target: Annotated[TargetName, Field(description="a name, owner:NAME or room")]
    reason: Line
    for_seconds: Annotated[float, Field(gt=0, le=LONGEST_PAUSE_SECONDS)] | None = None


class Resume(Arguments):
    """Arguments of `resume`."""

    target: Annotated[TargetName, Field(description="a name, owner:NAME or room")]
    reason: Line


class Kill(Arguments):
    """Arguments of `kill`."""

    target: Annotated[TargetName, Field(description="a member's name")]
    reason: Line


class Controlled(Reply):
    """Reply of `pause`, `resume` and `kill`: the standing of the target afterwards."""

    target: str
    standing: Literal["active", "paused", "killed"]
    until: str | None = None
    note: str = ""


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
    if stored_state(standing, tx.now) == "paused" and not _may_lift(caller, target, standing):
        return _unchanged(target, "paused", f"already paused by @{standing.by_name}; that pause stays in force")
    until = None if arguments.for_seconds is None else tx.now + arguments.for_seconds
    _set(tx, caller, target, "paused", until=until, reason=arguments.reason)
    tx.run("end_pauses", scope=target.level, target=target.id, now=tx.now)
    tx.run("add_pause", scope=target.level, target=target.id, since=tx.now, until=until)
    if target.level == "member":
        check_leases_by(tx, target.id, tx.now + tx.settings.paused_overdue_seconds)
    ends = "" if until is None else f" until {tx.shown(until)}"
    detail = {"until": None if until is None else tx.date_of(until)}
    seq = _record(tx, caller, "pause", target, f"paused{ends}", arguments.reason, detail)
    _notify_responsible(tx, caller, target, "pause")
    _end_calls(tx, target)
    return Controlled(
        receipt=seq, target=target.text, standing="paused", until=tx.shown(until) if until is not None else None
    )


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
    owner = ROOM if target.level == "room" else target.id
    begin_after_resume(tx, owner, list(_bound(tx, target)), line, caller.member, target.subject)
    return Controlled(receipt=seq, target=target.text, standing="paused" if above else "active", note=above)


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
    seq = _record(tx, caller, "kill", target, "killed", arguments.reason, {})
    clear_after_kill(tx, target.id, target.text, seq)
    _notify_responsible(tx, caller, target, "kill")
    begin_after_kill(tx, target.id)
    _end_calls(tx, target)
    tx.effects.killed.add(target.id)
    note = _pause_agents(tx, caller, target)
    return Controlled(receipt=seq, target=target.text, standing="killed", note=note)


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


def _set(tx: Writing, caller: Caller, target: Target, state: str, *, until: float | None, reason: str) -> None:
    by, role = caller.member, caller.role
    set_standing(tx, target.level, target.id, state, until=until, by_member=by, by_role=role, reason=reason)


def _record(
    tx: Writing, caller: Caller, act: str, target: Target, did: str, reason: str, detail: dict[str, Any]
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
    change = StandingChange(target.level, name, STATE_AFTER[act], until, caller.role, seq)
    tx.effects.journal.append(asdict(change))
    return seq


def _bound(tx: Reading, target: Target) -> Iterable[int]:
    if target.level == "member":
        return [target.id]
    return tx.column(int, "agents_of", owner=target.id) if target.level == "owner" else tx.column(int, "all_agents")


def _notify_responsible(tx: Writing, caller: Caller, target: Target, act: str) -> None:
    """Notify the owners of the stopped members outside the room, except the caller."""
    people = [_owner(target)] if target.level != "room" else _owners_with_channels(tx)
    for person in people if tx.settings.notify else ():
        if person != caller.member:
            notify_person(tx, person, "stopped", act, target.subject)


def _owners_with_channels(tx: Reading) -> list[int]:
    """The people with channels that own an agent."""
    rows = [tx.one(MemberRow, "member_by_name", name=name) for name in sorted(tx.settings.notify)]
    return [row.id for row in rows if row is not None and tx.value(int, "owns_agent", owner=row.id) is not None]


def _end_calls(tx: Writing, target: Target) -> None:
    tx.effects.ended.update(_bound(tx, target))


PAUSE = Act("pause", Pause, Controlled, pause, shown_to_agents=STOPPERS, is_switch=True)
RESUME = Act("resume", Resume, Controlled, resume, shown_to_agents=ROOM_OPERATORS, is_switch=True)
KILL = Act("kill", Kill, Controlled, kill, shown_to_agents=ROOM_OWNERS, is_switch=True, afterwards=settle_at_once)
