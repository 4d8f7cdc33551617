"""Enrolls members, and gives, rotates and revokes their tokens."""

import re
import shlex
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from teamroom.server import topics
from teamroom.server.acts.act import Act, Arguments, Mode, Reply, Words, author
from teamroom.server.acts.members.rename import rename, require_distinct_name
from teamroom.server.acts.reminders.reminders import remind_again
from teamroom.server.facts.ended import is_ended, watch_tokens
from teamroom.server.facts.member import member_changed, no_such_member
from teamroom.server.facts.mentions import NAMES_MEMBER
from teamroom.server.facts.names import former_names
from teamroom.server.facts.roles import ROOM_OPERATORS
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import is_settled, schedule_digest, schedule_presence_check
from teamroom.server.identity import BROWSER, CHAT, Caller, Kind, Role, TokenKind, new_token, token_hash
from teamroom.server.record import chain as log
from teamroom.server.record.chain import Author
from teamroom.server.record.journal import StandingChange
from teamroom.server.refusals import Refusal
from teamroom.server.rules.names import (
    AT,
    LONGEST_NAME,
    RESERVED,
    make_skeleton,
    normalize_name,
)
from teamroom.server.rules.text import add_quote, backtick, cite, inline
from teamroom.server.store.invariants import require_owner_that_can_act
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.members import LiveToken, MemberRow, TokenRow
from teamroom.server.store.rows.permissions import IssuedToken
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.transaction import Writing

DEFAULT_LABEL = "default"
TOKEN_ID_BYTES = 8
ISSUED_AT_ONCE = 500
"""The most tokens that one call revokes because others issued them."""

LONGEST_TOKEN_SECONDS = 31_536_000 * 10

_MEMBER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _without_at(name: Any) -> Any:
    return name.strip().lstrip(AT) if isinstance(name, str) else name


def _member_name(name: str) -> str:
    if not _MEMBER_NAME.fullmatch(name):
        raise ValueError("a name has only letters a to z, digits and . _ - , and begins with a letter or a digit")
    return name


MemberName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME, description="letters, digits and . _ - , at most 32"),
    BeforeValidator(_without_at),
    AfterValidator(_member_name),
    NAMES_MEMBER,
]


class Enroll(Arguments):
    """Arguments of `enroll`."""

    name: MemberName
    kind: Literal["agent", "human"] | None = None
    role: Role | None = None
    owner: MemberName | None = None
    mode: Mode | None = None
    label: Annotated[Words, Field(min_length=1)] | None = None
    expires_seconds: Annotated[float, Field(gt=0, le=LONGEST_TOKEN_SECONDS)] | None = None
    chat: bool = False
    rotate: bool = False
    revive: bool = False
    rename: Annotated[MemberName, Field(description="its new name")] | None = None


class Enrolled(Reply):
    """Reply of `enroll`. The token is shown only once. `chat`: it is for a chat client.

    `yours_until_used`: it replaces the token of this call, which is in force until the new one is first used.
    `former`: the names that the member had before, the newest first. `renamed`: this call gave it another name and no
    token; then `token_id` and `label` are empty.
    """

    name: str
    token: str | None
    token_id: str
    label: str
    url: str
    chat: bool = False
    yours_until_used: bool = False
    former: list[str] = Field(default_factory=list)
    renamed: bool = False

    def remembered(self) -> "Enrolled":
        """Without the token: the room keeps only its hash."""
        return self.model_copy(update={"token": None})


class Revoke(Arguments):
    """Arguments of `revoke`."""

    name: MemberName
    label: Annotated[Words, Field(min_length=1)] | None = None
    issued: Annotated[bool, Field(description="also what these tokens issued")] = False


class Revoked(Reply):
    """Reply of `revoke`. `tokens`: how many were revoked; `issued`: how many of them the member's tokens had issued.

    `more`: there are more issued tokens than one call revokes.
    """

    name: str
    tokens: int
    issued: int = 0
    more: bool = False


def enroll(tx: Writing, caller: Caller, arguments: Enroll) -> Enrolled:
    """Enroll a member, add or rotate a token of one, revive one, or give it another name. Raises Refusal."""
    if arguments.rename is not None:
        return _rename(tx, caller, arguments, arguments.rename)
    name = arguments.name
    label = arguments.label or (CHAT if arguments.chat else DEFAULT_LABEL)
    is_chat = arguments.chat or label.lower() == CHAT
    if normalize_name(name) in RESERVED:
        raise Refusal("invalid", f'"{name}" is a reserved name.', "Choose another name.")
    member = tx.one(MemberRow, "member_by_name", name=name)
    replaced: list[LiveToken] = []
    if member is None:
        if arguments.rotate or arguments.revive:
            raise no_such_member(tx, name, "Enroll it first: leave --rotate and --revive out.")
        id_ = _add(tx, caller, arguments)
        if arguments.kind == "human":
            schedule_digest(tx, id_, name)
        did = f"@{caller.name} enrolled @{name} ({arguments.kind or 'agent'}, {arguments.role or 'member'})"
    else:
        _require_same_name(arguments, member)
        id_, name = int(member.id), member.name
        live = tx.all(LiveToken, "live_tokens", member=id_, now=tx.now)
        replaced = [row for row in live if row.label == label and row.kind != BROWSER]
        is_chat = is_chat or any(row.kind == CHAT for row in replaced)
        did = _give_token(tx, caller, arguments, member, label, live, replaced)
    seq = log.append(
        tx,
        author(caller),
        act="enroll",
        subject=f"@{name}",
        summary=did,
        detail={"label": label, "chat": is_chat, "rotate": arguments.rotate, "revive": arguments.revive},
    )
    token, token_id = issue_token(
        tx, id_, label, arguments.expires_seconds, kind=CHAT if is_chat else "", issued_by=caller.token_id
    )
    watch_tokens(tx, id_)
    is_own = member is not None and caller.token_id in {row.id for row in replaced}
    if is_own and caller.role == "owner":
        require_owner_that_can_act(tx, name, without=caller.token_id)
    return Enrolled(
        receipt=seq,
        name=name,
        token=token,
        token_id=token_id,
        label=label,
        url=f"{tx.settings.members_url}/mcp",
        chat=is_chat,
        yours_until_used=is_own,
        former=former_names(tx, id_),
    )


def revoke(tx: Writing, caller: Caller, arguments: Revoke) -> Revoked:
    """Revoke a member's tokens, or the ones with a label. Calls with them get HTTP status 401. Raises Refusal.

    `issued` also revokes what these tokens issued, and what that issued in turn, ended tokens included: the thief of a
    token may have issued others before it was rotated.
    """
    member = tx.one(MemberRow, "member_by_name", name=arguments.name)
    if member is None:
        raise no_such_member(tx, arguments.name)
    name = member.name
    live = tx.all(LiveToken, "live_tokens", member=member.id, now=tx.now)
    own = [row for row in live if arguments.label in (None, row.label)]
    issued = _issued(tx, member.id, arguments)
    tokens = {row.id: member.id for row in own} | {row.id: row.member for row in issued}
    if caller.token_id in tokens:
        rotate = ("teamroom", "enroll", caller.name, "--label", caller.token_label, "--rotate")
        raise Refusal(
            "not_allowed",
            "This call would revoke the token that it uses.",
            f"Rotate it instead: {backtick(shlex.join(rotate))}",
            subject=f"@{name}",
        )
    if not tokens:
        labelled = "" if arguments.label is None else f" with the label {cite(arguments.label)}"
        raise Refusal("not_found", f"@{name} has no valid token{labelled}.", "There is nothing to revoke.")
    for token, holder in tokens.items():
        tx.run("revoke_token", id=token, member=holder, now=tx.now)
    end_tokens(tx, list(tokens))
    if arguments.label is None:
        tx.run("drop_sign_in", member=member.id)
    for holder in set(tokens.values()):
        watch_tokens(tx, holder)
    what = f"{len(own)} token{'s' if len(own) != 1 else ''} of @{name}"
    others = f" and {len(issued)} that its tokens issued" if issued else ""
    seq = log.append(
        tx,
        author(caller),
        act="revoke",
        subject=f"@{name}",
        summary=f"@{caller.name} revoked {what}{others}",
        detail={"labels": [row.label for row in own], "issued": [row.id for row in issued]},
    )
    is_more = len(issued) == ISSUED_AT_ONCE
    return Revoked(receipt=seq, name=name, tokens=len(tokens), issued=len(issued), more=is_more)


def end_replaced(tx: Writing, row: TokenRow) -> None:
    """End the token that a holder replaced with this one, now that this one is used.

    Until then, both are in force: the answer with the new one may have been lost, or may not be stored yet.
    """
    if not tx.run_counted("revoke_token", id=row.replaces, member=row.member, now=tx.now):
        return  # another call was first
    end_tokens(tx, [str(row.replaces)])
    log.append(
        tx,
        Author(row.member, row.owner),
        act="revoke",
        subject=f"@{row.name}",
        summary=f"@{row.name} uses its new token, so the one that it replaces has ended",
        detail={"labels": [row.label], "issued": []},
    )


def open_room(tx: Writing, owner: str) -> str:
    """Create the room with its own member and its first owner; returns the owner's token."""
    insert_member(tx, "room", kind="room", role="member", owner=None, mode="live", by=ROOM_MEMBER, now=tx.now)
    tx.run("open_standing", scope="room", target=0, now=tx.now, by_member=ROOM_MEMBER, by_role="room")
    log.append(tx, ROOM_AUTHOR, act="open", subject="room", summary="The room opens")
    id_ = insert_member(tx, owner, kind="human", role="owner", owner=None, mode="manual", by=ROOM_MEMBER, now=tx.now)
    log.append(tx, ROOM_AUTHOR, act="enroll", subject=f"@{owner}", summary=f"@{owner} is the room's owner", detail={})
    return issue_token(tx, id_, DEFAULT_LABEL, None)[0]


def end_tokens(tx: Writing, tokens: list[str]) -> None:
    """End the open connections of revoked tokens, and record the tokens in the journal."""
    tx.effects.revoked.update(tokens)
    tx.effects.journal += [{"token": token} for token in tokens]


def issue_token(
    tx: Writing,
    member: int,
    label: str,
    expires_seconds: float | None,
    *,
    kind: TokenKind = "",
    issued_by: str | None = None,
) -> tuple[str, str]:
    """Create a token; returns it and its id. The room stores only its hash. `issued_by` None: the room issues it."""
    token, token_id = new_token(tx.entropy), f"tok_{tx.entropy(TOKEN_ID_BYTES).hex()}"
    tx.run(
        "add_token",
        id=token_id,
        member=member,
        hash=token_hash(token),
        label=label,
        kind=kind,
        issued_by=issued_by,
        created_at=tx.now,
        expires_at=None if expires_seconds is None else tx.now + expires_seconds,
    )
    return token, token_id


def insert_member(
    tx: Writing, name: str, *, kind: Kind, role: Role, owner: int | None, mode: str, by: int, now: float
) -> int:
    """Add a member with its presence and its standing; returns its number. `owner` None: its own owner."""
    tx.head.members += 1
    id_ = tx.head.members
    tx.run(
        "add_member",
        id=id_,
        name=name,
        folded=normalize_name(name),
        looks=make_skeleton(name),
        kind=kind,
        role=role,
        owner=id_ if owner is None else owner,
        mode=mode,
        created_at=now,
        acknowledged=tx.head.seq,
        epoch=tx.head.epoch,
    )
    member_changed(tx, id_)
    tx.run("add_presence", member=id_)
    tx.run("open_standing", scope="member", target=id_, now=now, by_member=by, by_role="room")
    if owner is None:
        tx.run("open_standing", scope="owner", target=id_, now=now, by_member=by, by_role="room")
    return id_


def _add(tx: Writing, caller: Caller, arguments: Enroll) -> int:
    kind: Kind = arguments.kind or "agent"
    role: Role = arguments.role or "member"
    require_distinct_name(tx, arguments.name)
    _require_enroll_right(caller, kind, role)
    owner = None if kind == "human" else _owner(tx, caller, arguments.owner)
    if kind == "human" and normalize_name(arguments.owner or arguments.name) != normalize_name(arguments.name):
        raise Refusal("invalid", "A person has no other owner.", "Leave owner out.")
    mode = arguments.mode or ("manual" if kind == "human" else "on_demand")
    return insert_member(tx, arguments.name, kind=kind, role=role, owner=owner, mode=mode, by=caller.member, now=tx.now)


def _rename(tx: Writing, caller: Caller, arguments: Enroll, new: str) -> Enrolled:
    """Give a member another name, and nothing else."""
    if arguments.model_fields_set - {"name", "rename"} and arguments != Enroll(name=arguments.name, rename=new):
        raise Refusal(
            "invalid",
            "A member is renamed in a call of its own.",
            f"Call enroll with name {arguments.name} and rename {new} only.",
        )
    member, seq = rename(tx, caller, arguments.name, new)
    url, former = f"{tx.settings.members_url}/mcp", former_names(tx, member.id)
    return Enrolled(receipt=seq, name=new, token=None, token_id="", label="", url=url, former=former, renamed=True)


def _require_same_name(arguments: Enroll, member: MemberRow) -> None:
    """Refuse a name that differs from a member's in case only, or that it had before (ID5).

    A call that can mean only that member is not refused.
    """
    if arguments.name != member.name and not (arguments.rotate or arguments.revive):
        is_former = normalize_name(arguments.name) != normalize_name(member.name)
        alike = f"is a former name of @{member.name}" if is_former else f"looks like @{member.name}"
        raise Refusal(
            "conflict",
            f"{arguments.name} {alike}, a member of this room.",
            f"Choose a name that looks different, or call again with the name {member.name}.",
            subject=f"@{member.name}",
        )


def _require_enroll_right(caller: Caller, kind: Kind, role: Role) -> None:
    if caller.role == "owner":
        return
    if caller.kind == "human" and kind == "agent" and role in ("member", "observer"):
        return
    article = "an" if kind == "agent" else "a"
    who = "a person" if caller.kind == "human" else "an agent"
    raise Refusal(
        "not_allowed",
        f"As an operator that is {who}, you may not enroll {article} {kind} with the role {role}.",
        "Ask a room owner to enroll it.",
    )


def _owner(tx: Writing, caller: Caller, name: str | None) -> int:
    if name is None:
        return caller.owner
    row = tx.one(MemberRow, "member_by_name", name=name)
    if row is None:
        raise no_such_member(tx, name, f"Enroll it first: teamroom enroll {name} --kind human")
    if row.kind != "human":
        raise Refusal("invalid", f"@{row.name} is not a person in this room.", "Name a person as the owner.")
    if caller.role != "owner" and row.id != caller.member:
        raise Refusal("not_allowed", "Only a room owner can enroll an agent for another person.", "Leave owner out.")
    return int(row.id)


def _issued(tx: Writing, member: int, arguments: Revoke) -> list[IssuedToken]:
    """What the tokens of a revocation issued, if it is to be revoked too."""
    if not arguments.issued:
        return []
    label = arguments.label or ""
    return tx.all(IssuedToken, "live_tokens_issued_by", member=member, label=label, now=tx.now, limit=ISSUED_AT_ONCE)


def _give_token(
    tx: Writing,
    caller: Caller,
    arguments: Enroll,
    member: MemberRow,
    label: str,
    live: list[LiveToken],
    replaced: list[LiveToken],
) -> str:
    """Prepare a member for a new token, which replaces others with its label; returns what was done, in words.

    `live`: all tokens of the member. Rotating one ends the member's sessions on the page too: they may be a thief's.
    """
    name = member.name
    if caller.role != "owner" and member.owner != caller.member:
        raise Refusal(
            "not_allowed",
            f"@{name} belongs to @{member.owner_name}, not to you.",
            f"Ask @{member.owner_name} or a room owner.",
        )
    standing = tx.only(StandingRow, "standing", scope="member", target=member.id)
    if (standing.state == "killed") != arguments.revive:
        raise Refusal(
            "conflict",
            f"@{name} was killed by @{standing.by_name}: {inline(standing.reason)}."
            if standing.state == "killed"
            else f"@{name} was not killed.",
            f"Revive it: teamroom enroll {name} --revive"
            if standing.state == "killed"
            else f"Rotate its token: teamroom enroll {name} --rotate",
            subject=f"@{name}",
        )
    if arguments.revive and not is_settled(tx, member.id):
        raise Refusal(
            "conflict",
            f"The room is still settling what @{name} held when it was killed.",
            "Call again in a second.",
            subject=f"@{name}",
            retry_after_seconds=1,
        )
    was_ended = not arguments.revive and is_ended(tx, tx.only(WatchedMember, "watched", member=member.id))
    changed = _change(tx, caller, arguments, member)
    if was_ended:  # it had no valid token for long
        remind_again(tx, member.id, arguments.mode or member.mode)
    if arguments.revive:
        tx.run(
            "set_standing",
            scope="member",
            target=member.id,
            state="active",
            now=tx.now,
            until=None,
            by_member=caller.member,
            by_role=caller.role,
            reason="revived",
        )
        by = {"by_member": caller.member, "seq": tx.head.seq + 1}
        tx.run("revoke_authorisations_of", member=member.id, now=tx.now, **by)
        tx.run("void_approvals_of", member=member.id, now=tx.now, since=tx.now - tx.settings.approval_seconds)
        member_changed(tx, member.id)
        if member.kind == "agent":  # a killed member is not watched
            schedule_presence_check(tx, member.id, arguments.mode or member.mode)
        remind_again(tx, member.id, arguments.mode or member.mode)
        tx.effects.journal.append(asdict(StandingChange("member", name, "active", None, caller.role, tx.head.seq)))
        return f"@{caller.name} revived @{name}{changed}"
    if replaced and not arguments.rotate:
        raise Refusal(
            "conflict",
            f"@{name} is a member already and has a token with the label {cite(label)}.",
            f"Rotate it: teamroom enroll {name} --rotate. Or add another with --label TEXT.",
            subject=f"@{name}",
        )
    sessions = [row for row in live if row.kind == BROWSER] if arguments.rotate else []
    if arguments.rotate:
        tx.run("drop_sign_in", member=member.id)
    ending = [row.id for row in (*replaced, *sessions) if row.id != caller.token_id]
    for id_ in ending:
        tx.run("revoke_token", id=id_, member=member.id, now=tx.now)
    end_tokens(tx, ending)
    return add_quote(f"@{caller.name} gave @{name} a new token{changed} with the label", label)


def _change(tx: Writing, caller: Caller, arguments: Enroll, member: MemberRow) -> str:
    """Change a member's role and mode, and who is accountable for an agent of a killed person.

    Returns what the receipt says of it. Its kind never changes. Raises Refusal.
    """
    what = f"an agent of @{member.owner_name}" if member.kind == "agent" else "a person"
    if arguments.kind not in (None, member.kind):
        raise Refusal("conflict", f"@{arguments.name} is {what}; its kind cannot change.", "Leave kind out.")
    owner = _new_owner(tx, caller, arguments, member)
    role = arguments.role or member.role
    if role != member.role:
        for either in (member.role, role):
            _require_enroll_right(caller, member.kind, either)
    mode = arguments.mode or member.mode
    if owner != member.owner:
        _keep_pause(tx, member)
    if (role, owner, mode) != (member.role, member.owner, member.mode):
        tx.run("change_member", id=member.id, role=role, owner=owner, mode=mode)
        member_changed(tx, member.id)
        tx.changed(topics.tools(member.id), topics.CHANNELS)
        if member.kind == "agent" and mode != member.mode:
            schedule_presence_check(tx, member.id, mode)
    as_role = f" and the role {role}" if role != member.role else ""
    return as_role + (f" and the owner @{arguments.owner}" if owner != member.owner else "")


def _new_owner(tx: Writing, caller: Caller, arguments: Enroll, member: MemberRow) -> int:
    """The person who is accountable for a member from now on. It changes only after a kill of that person (ID1)."""
    named = None if arguments.owner is None else tx.one(MemberRow, "member_by_name", name=arguments.owner)
    if arguments.owner is None or (named is not None and named.id == member.owner):
        return member.owner
    owner = tx.only(StandingRow, "standing", scope="member", target=member.owner)
    if member.kind != "agent" or owner.state != "killed":
        what = f"an agent of @{member.owner_name}, who was not killed" if member.kind == "agent" else "a person"
        raise Refusal(
            "conflict",
            f"@{arguments.name} is {what}; its owner cannot change.",
            "Leave owner out.",
            subject=f"@{arguments.name}",
        )
    return _owner(tx, caller, arguments.owner)


def _keep_pause(tx: Writing, member: MemberRow) -> None:
    """Keep the pause with the killed owner as the agent's own, so that its leases did not run meanwhile (CTL5)."""
    paused = tx.only(StandingRow, "standing", scope="owner", target=member.owner)
    tx.run("add_pause", scope="member", target=member.id, since=paused.since, until=tx.now)


ENROLL = Act("enroll", Enroll, Enrolled, enroll, roles=ROOM_OPERATORS)
REVOKE = Act("revoke", Revoke, Revoked, revoke, roles=ROOM_OPERATORS, is_switch=True)
