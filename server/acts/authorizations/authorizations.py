"""Authorisations: a person makes or revokes an entry, and a member, or its harness's gate, checks whether it may."""

from typing import Annotated

from pydantic import Field

from teamroom.server import topics
from teamroom.server.acts.act import (
    Act,
    Arguments,
    AuthorizationId,
    Line,
    Reply,
    Span,
    TargetName,
    Words,
    author,
    from_now,
)
from teamroom.server.facts.authorization import (
    AuthorizationShown,
    authorization_changed,
    count_uses,
    find_authorization,
    find_entry,
    missing_authorization,
    show_authorization,
    target_of,
)
from teamroom.server.facts.ended import refuse_ended
from teamroom.server.facts.ids import authorization_name
from teamroom.server.facts.member import find_member
from teamroom.server.facts.person import require_person
from teamroom.server.facts.roles import ROOM_OWNERS
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.names import AT
from teamroom.server.rules.scopes import SCOPE_HELP, is_scope
from teamroom.server.rules.text import add_quote, cite
from teamroom.server.store.rows.authorizations import AuthorizationRow
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.transaction import Writing

LONGEST_SECONDS = 366 * 86_400.0
"""How long an authorisation may last."""

MOST_USES = 1_000_000


class Authorize(Arguments):
    """Arguments of `authorize`: an entry to make, with `to` and `scope`; or one to revoke."""

    to: TargetName | None = None
    scope: Annotated[Words, Field(min_length=1)] | None = None
    until: Span | None = None
    uses: Annotated[int, Field(ge=1, le=MOST_USES)] | None = None
    reason: Line | None = None
    revoke: AuthorizationId | None = None


class Authorized(Reply, AuthorizationShown):
    """Reply of `authorize`: the entry as it is now."""


class CheckAuthorization(Arguments):
    """Arguments of `check_authorization`."""

    scope: Annotated[Words, Field(min_length=1)]
    use: bool = False


class Checked(Reply):
    """Reply of `check_authorization`. `uses_left` None: without a limit."""

    allowed: bool
    scope: str
    authorization: str | None = None
    by: str | None = None
    until: str | None = None
    uses_left: int | None = None
    fix: str | None = None


def authorize(tx: Writing, caller: Caller, arguments: Authorize) -> Authorized:
    """Let a member, or all agents of an owner, do something; or revoke that, at once. Raises Refusal."""
    why = "Only a person authorises, and you are an agent; no text counts as an authorisation."
    require_person(caller, why, f"Ask @{caller.owner_name}: request_decision.", "authorize")
    if arguments.revoke is not None:
        return _revoke(tx, caller, arguments, find_authorization(tx, arguments.revoke))
    if arguments.to is None or arguments.scope is None:
        raise Refusal("invalid", "The call needs to and scope, or revoke.", 'Give them: to "builder" scope "deploy:x".')
    scope = require_scope(arguments.scope)
    level, name = (
        ("owner", arguments.to[6:].lstrip(AT))
        if arguments.to.lower().startswith("owner:")
        else ("member", arguments.to)
    )
    row = find_member(tx, name)
    _require_answerable(caller, level, row.id, row.owner, row.name)
    if level == "member":
        refuse_ended(tx, row, "Authorise", "revive it first", f"@{row.name}", caller.member)
    span = tx.settings.authorization_seconds
    if arguments.until is not None:
        span = from_now(tx, arguments.until) - tx.now
    if not 0 < span <= LONGEST_SECONDS:
        raise Refusal(
            "invalid",
            f"An authorisation lasts at most {LONGEST_SECONDS:.0f} s.",
            f"Call again with until {tx.settings.authorization_seconds:.0f}.",
        )
    return _make(tx, caller, arguments, level, row, scope, span)


def _make(
    tx: Writing, caller: Caller, arguments: Authorize, level: str, row: MemberFacts, scope: str, span: float
) -> Authorized:
    number, until = tx.number("newest_authorisation") + 1, tx.now + span
    name = authorization_name(number)
    whom = f"owner:{row.name}" if level == "owner" else f"@{row.name}"
    often = "" if arguments.uses is None else f", {arguments.uses} time{'s' if arguments.uses != 1 else ''}"
    seq = log.append(
        tx,
        author(caller),
        act="authorize",
        subject=name,
        summary=add_quote(f"@{caller.name} authorised {whom} until {tx.shown(until)}{often} ({name})", scope),
        detail={
            "to": whom,
            "scope": scope,
            "until": tx.shown(until),
            "uses": arguments.uses,
            "reason": arguments.reason or "",
        },
    )
    tx.run(
        "add_authorisation",
        id=number,
        level=level,
        target=row.id,
        scope=scope,
        uses=arguments.uses or 0,
        made_by=caller.member,
        now=tx.now,
        expires_at=until,
        reason=arguments.reason or "",
        seq=seq,
    )
    entry = find_authorization(tx, number)
    authorization_changed(tx, entry)
    _tell(tx, caller, entry, add_quote(f"You are authorised until {tx.shown(until)}{often} ({name})", scope))
    return Authorized(receipt=seq, **show_authorization(tx, entry).model_dump())


def _revoke(tx: Writing, caller: Caller, arguments: Authorize, entry: AuthorizationRow) -> Authorized:
    """Revoke an entry, which binds from the next act on. An entry that is revoked already stays so."""
    if caller.member != entry.made_by:
        _require_answerable(caller, entry.level, entry.target, entry.target_owner, entry.target_name)
    if entry.revoked_at is not None:
        return Authorized(replayed=tx.shown(entry.revoked_at), **show_authorization(tx, entry).model_dump())
    name = authorization_name(entry.id)
    seq = log.append(
        tx,
        author(caller),
        act="authorize",
        subject=name,
        summary=add_quote(f"@{caller.name} revoked {name} of {target_of(entry)}", entry.scope),
        detail={"revoked": True, "reason": arguments.reason or ""},
    )
    tx.run("revoke_authorisation", id=entry.id, now=tx.now, by_member=caller.member, seq=seq)
    authorization_changed(tx, entry)
    _tell(tx, caller, entry, add_quote(f"@{caller.name} revoked {name}", entry.scope))
    return Authorized(receipt=seq, **show_authorization(tx, find_authorization(tx, entry.id)).model_dump())


def check_authorization(tx: Writing, caller: Caller, arguments: CheckAuthorization) -> Checked:
    """Return whether the caller may do something now, and by which entry; `use` counts one use. Raises Refusal."""
    scope = require_scope(arguments.scope)
    entry = find_entry(tx, caller.member, caller.kind, caller.owner, scope)
    if entry is None:
        refusal = missing_authorization(caller.name, [scope], scope)
        if arguments.use:
            raise refusal
        return Checked(allowed=False, scope=scope, fix=refusal.fix)
    seq = None
    name = authorization_name(entry.id)
    if arguments.use:
        seq = log.append(
            tx,
            author(caller),
            act="check_authorization",
            subject=name,
            summary=add_quote(f"@{caller.name} uses {name}", scope),
            detail={"scope": scope},
        )
        count_uses(tx, [entry], seq)
        tx.changed(topics.me(caller.member))
        entry = find_authorization(tx, entry.id)
    return Checked(
        receipt=seq,
        allowed=True,
        scope=scope,
        authorization=name,
        by=entry.maker_name,
        until=tx.shown(entry.expires_at),
        uses_left=entry.uses - entry.used if entry.uses else None,
    )


def require_scope(scope: str) -> str:
    """A scope as the room stores it. Raises Refusal unless it is `verb:thing`."""
    if not is_scope(scope):
        raise Refusal("invalid", f"{cite(scope)} is no scope.", SCOPE_HELP)
    return scope


def _require_answerable(caller: Caller, level: str, target: int, owner: int, name: str) -> None:
    """Refuse a person who answers neither for the target nor for the room. A person does not authorise itself."""
    if caller.role == "owner":
        return
    own = caller.member == target if level == "owner" else caller.member == owner and target != caller.member
    if not own:
        raise Refusal(
            "not_allowed",
            f"You do not answer for @{name}.",
            "Ask its owner or a room owner to authorise it.",
            subject=f"@{name}",
        )


def _tell(tx: Writing, caller: Caller, entry: AuthorizationRow, line: str) -> None:
    """Wake the member that an entry is for; the agents of an owner see it when they look."""
    woken = [entry.target] if entry.level == "member" and entry.target != caller.member else []
    subject = authorization_name(entry.id)
    wake_members(tx, woken, reason="control", subject=subject, sender=caller.member, line=line)


AUTHORIZE = Act("authorize", Authorize, Authorized, authorize, shown_to_agents=ROOM_OWNERS)
CHECK_AUTHORIZATION = Act(
    "check_authorization", CheckAuthorization, Checked, check_authorization, is_evidence=lambda reply: False
)
