"""Authorisations: what a person lets members do, and whether a member may do something now. No text counts as one."""

import json
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel

from teamroom.server import topics
from teamroom.server.facts.ids import authorization_name, number_of
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.task import StoredTask, keep_late
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.text import cite
from teamroom.server.store.rows.authorizations import AuthorizationRow
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.transaction import Reading, Writing

SHOWN = 10
"""How many of a member's entries a page shows."""

State = Literal["in force", "used up", "expired", "revoked"]


class AuthorizationShown(BaseModel):
    """An entry: `to`: a member, or `owner:NAME` for all agents of an owner. `uses` None: without a limit."""

    authorization: str
    to: str
    scope: str
    state: State
    until: str
    uses: int | None
    used: int
    by: str
    reason: str = ""
    revoked_by: str | None = None


def find_authorization(tx: Reading, number: int) -> AuthorizationRow:
    """A stored entry. Raises Refusal `not_found`."""
    row = tx.one(AuthorizationRow, "authorisation", id=number)
    if row is None:
        raise not_found("authorisation", authorization_name(number), "Call who with a name to see a member's entries.")
    return row


def state_of_entry(tx: Reading, row: AuthorizationRow) -> State:
    """The state of an entry now."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at <= tx.now else "used up" if row.uses and row.used >= row.uses else "in force"


def target_of(row: AuthorizationRow) -> str:
    """Who an entry is for, as members write it."""
    return f"owner:{row.target_name}" if row.level == "owner" else f"@{row.target_name}"


def show_authorization(tx: Reading, row: AuthorizationRow) -> AuthorizationShown:
    """An entry as members see it."""
    return AuthorizationShown(
        authorization=authorization_name(row.id),
        to=target_of(row),
        scope=row.scope,
        state=state_of_entry(tx, row),
        until=tx.shown(row.expires_at),
        uses=row.uses or None,
        used=row.used,
        by=row.maker_name,
        reason=row.reason,
        revoked_by=row.revoker_name,
    )


def authorizations_of(tx: Reading, member: int, kind: str, owner: int) -> list[AuthorizationShown]:
    """The entries that let a member do something now."""
    about = {"member": member, "owner": owner if kind == "agent" else 0}
    ids = tx.column(int, "authorisations_of", **about, now=tx.now, limit=SHOWN)
    return [show_authorization(tx, find_authorization(tx, id_)) for id_ in ids]


def find_entry(tx: Reading, member: int, kind: str, owner: int, scope: str) -> AuthorizationRow | None:
    """The entry that lets a member do something now; None if there is none. An owner's entries are for its agents."""
    about = {"member": member, "owner": owner if kind == "agent" else 0}
    id_ = tx.value(int, "authorisation_for", **about, scope=scope, now=tx.now)
    return None if id_ is None else find_authorization(tx, id_)


def require_scopes(
    tx: Reading, row: Caller | MemberFacts, scopes: Iterable[str], subject: str
) -> list[AuthorizationRow]:
    """The entries that let a member do all that something requires. Raises Refusal `missing_authorization`."""
    member = row.member if isinstance(row, Caller) else row.id
    found = {scope: find_entry(tx, member, row.kind, row.owner, scope) for scope in scopes}
    missing = [scope for scope, entry in found.items() if entry is None]
    if missing:
        raise missing_authorization(row.name, missing, subject)
    return [entry for entry in found.values() if entry is not None]


def missing_authorization(name: str, missing: list[str], subject: str) -> Refusal:
    """The refusal of what a member is not authorised for."""
    command = f"teamroom authorize {name} {cite(missing[0])}"
    return Refusal(
        "missing_authorization",
        f"@{name} is not authorised for {', '.join(map(cite, missing))}"
        + (f", which {subject} requires." if subject.startswith("T-") else "."),
        f"Ask a person to run: {command}. To ask: request_decision.",
        subject=subject,
        missing=missing,
    )


def count_uses(tx: Writing, rows: Iterable[AuthorizationRow], seq: int) -> str:
    """Count one use of each entry; returns their names as a task keeps them."""
    names = []
    for row in rows:
        tx.run("use_authorisation", id=row.id, seq=seq)
        authorization_changed(tx, row)
        names.append(authorization_name(row.id))
    return " ".join(names)


def authorization_changed(tx: Writing, row: AuthorizationRow) -> None:
    """State that an entry changed: next to the member that it is for, or to all agents of an owner."""
    member_changed(tx, row.target)
    if row.level == "owner":
        tx.changed(topics.owner(row.target))


def scopes_of(requires: str) -> list[str]:
    """The scopes that a task requires, from its row."""
    return json.loads(requires) if requires else []


def require_still_authorised(tx: Reading, caller: Caller, task: StoredTask, brought: Mapping[str, object]) -> None:
    """Refuse to complete a task if an entry that its claim used was revoked; the work is kept. Raises Refusal.

    No use is counted. Another entry for the same scope that is in force counts, too.
    """
    used = [find_authorization(tx, number_of(name)) for name in task.row.authorised.split()]
    kept = {row.scope for row in used if row.revoked_at is None}
    missing = [
        scope
        for scope in scopes_of(task.row.requires)
        if scope not in kept and find_entry(tx, caller.member, caller.kind, caller.owner, scope) is None
    ]
    if missing:
        refusal = missing_authorization(caller.name, missing, task.name)
        refusal.fix = f"The room kept your work on {task.name} as late evidence. {refusal.fix} Then complete it again."
        refusal.also = keep_late(task, caller, task.fence, brought)
        raise refusal
