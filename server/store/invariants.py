"""What always holds of members, tokens and standing: checked at the end of every act that changed one of them.

The check runs in the act's own transaction, before its commit, whichever way the act took. If something would no longer
hold, the act is refused and undone. `Writing.end` calls it; each engine ends each act with that.

- An agent is never an owner: neither of the room nor of a member.
- There is always a person who owns the room, can act, and has a token that does not expire.
- A token is revoked only by somebody who may: see `may_revoke`.
- A token that expires issues, to its own member or to a person, only tokens that expire no later.
- The agents of a killed person are paused without an end, until another person is accountable for them.

A room of an earlier release is repaired when it opens (`acts/control/mend.py`). So the check looks only at what an act
changed.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teamroom.server.refusals import Refusal
from teamroom.server.rules.permissions import Party, latest_expiry, may_revoke
from teamroom.server.rules.standing import StoredStanding
from teamroom.server.store.logged import TABLES, Key, Row
from teamroom.server.store.rows.permissions import Rights

if TYPE_CHECKING:
    from teamroom.server.store.transaction import Reading, Writing

CHECKED = ("member", "token", "standing")
"""The tables of which something always holds."""

SLACK_SECONDS = 60
"""How much earlier than it must a token expires that the fix of a refusal proposes, at most."""


@dataclass(frozen=True, slots=True)
class Change:
    """A row that an act changed: its columns before and after. `was` None: the act added it."""

    table: str
    key: Key
    was: dict[str, Any] | None
    now: dict[str, Any]

    def before(self, column: str) -> Any:
        """A column before the act; None if the row is new."""
        return None if self.was is None else self.was[column]


def check(tx: "Writing") -> None:
    """Refuse an act that broke what always holds. Raises Refusal; the act is undone then."""
    if not any(table in CHECKED for table, _ in tx.before):
        return
    changes = _changes(tx)
    for change in changes:
        CHECKS[change.table](tx, change)
    weakened = next((name for change in changes if (name := find_weakened_owner(tx, change)) is not None), None)
    if weakened is not None:
        require_owner_that_can_act(tx, weakened)


def require_owner_that_can_act(tx: "Reading", weakened: str, without: str = "") -> None:
    """Refuse to leave the room without an owner that can act; `weakened` is the one who loses a token or the right.

    `without`: a token that ends later. Raises Refusal.
    """
    if not has_owner_that_can_act(tx, without):
        raise Refusal(
            "not_allowed",
            f"Without @{weakened}, no room owner could act with a token that does not expire.",
            "Make another person a room owner first: teamroom enroll NAME --kind human --role owner. Or, to replace a "
            f"token, give @{weakened} another one without an end first: teamroom enroll {weakened} --label TEXT",
            subject=f"@{weakened}",
        )


def has_owner_that_can_act(tx: "Reading", without: str = "") -> bool:
    """Whether a person owns the room, can act, and has a token that does not expire and is of no chat client.

    The token `without` does not count.
    """
    return tx.value(int, "owner_that_can_act", now=tx.now, without=without) is not None


def _changes(tx: "Writing") -> list[Change]:
    found = []
    for (table, key), was in tx.before.items():
        if table in CHECKED and (now := tx.logged_row(TABLES[table], key)) is not None and now != was:
            found.append(Change(table, key, None if was is None else _columns(table, was), _columns(table, now)))
    return found


def _columns(table: str, row: Row) -> dict[str, Any]:
    return TABLES[table].facts(row) | TABLES[table].texts(row)


# ------------------------------------------------------------------ members


def check_member(tx: "Writing", change: Change) -> None:
    """An agent owns neither the room nor a member, and nobody is given to a killed person. Raises Refusal."""
    member = change.now
    if member["kind"] != "human" and member["role"] == "owner":
        raise Refusal(
            "invalid",
            "An agent cannot own the room.",
            "Give it the role operator, or enroll a person with --kind human.",
            subject=f"@{member['name']}",
        )
    if member["kind"] == "agent" and member["owner"] != change.before("owner"):
        owner = _rights(tx, member["owner"])
        if owner.kind != "human" or owner.own_state == "killed":
            state = "was killed" if owner.kind == "human" else "is not a person"
            raise Refusal(
                "invalid",
                f"@{owner.name} {state}, so it cannot be accountable for @{member['name']}.",
                "Name a person who can act: teamroom enroll NAME --owner PERSON",
                subject=f"@{owner.name}",
            )


# ------------------------------------------------------------------ tokens


def _check_token(tx: "Writing", change: Change) -> None:
    if tx.caller_row is None:  # the room itself acts
        return
    token, holder = change.now, _rights(tx, change.now["member"])
    if change.was is None or token["expires_at"] != change.was["expires_at"]:
        check_expiry(tx, token, holder)
    if token["revoked_at"] is not None and change.before("revoked_at") is None:
        check_revocation(tx, change, holder)


def check_expiry(tx: "Writing", token: dict[str, Any], holder: Rights) -> None:
    """A token that expires issues only tokens that expire no later. Raises Refusal."""
    latest = latest_expiry(_caller(tx), tx.principal.expires_at, _party(holder))
    if latest is None or (token["expires_at"] is not None and token["expires_at"] <= latest):
        return
    left = latest - tx.now
    seconds = max(int(left - min(left / 10, SLACK_SECONDS)), 1)
    raise Refusal(
        "not_allowed",
        f"The token of this call expires at {tx.shown(latest)}, so a token that it issues to @{holder.name} must not "
        "last longer.",
        f"Call again with expires_seconds {seconds}; in a shell: --expires {seconds}s. Or call with a token that does "
        "not expire.",
        subject=f"@{holder.name}",
    )


def check_revocation(tx: "Writing", change: Change, holder: Rights) -> None:
    """Tokens are revoked only by who may, or by a kill, which has its own rights. Raises Refusal."""
    if holder.own_state == "killed" and ("standing", ("member", holder.id)) in tx.before:
        return
    if may_revoke(_caller(tx), _party(holder), _issuer(tx, change.now["issued_by"])):
        return
    what = "a room owner" if holder.role == "owner" else "a watchdog" if holder.role == "watchdog" else "another person"
    why = (
        f"@{holder.name} is {what}; only a room owner can revoke its tokens."
        if holder.kind == "human" or holder.role == "watchdog"
        else f"You did not issue this token of @{holder.name}; operators revoke only what they issued and their own."
    )
    raise Refusal("not_allowed", why, "Ask a room owner.", subject=f"@{holder.name}")


def _issuer(tx: "Reading", token: str | None) -> int | None:
    """The member whose token issued a token; None if that is unknown."""
    row = None if token is None else tx.logged_row(TABLES["token"], (token,))
    return None if row is None else int(TABLES["token"].facts(row)["member"])


# ------------------------------------------------------------------ standing


def check_standing(tx: "Writing", change: Change) -> None:
    """The agents of a killed person stay paused. Raises Refusal."""
    scope, target = change.key
    if scope == "room":
        return
    person = _rights(tx, int(target))
    if person.kind != "human" or person.own_state != "killed":
        return
    if person.agents_state == "paused" and person.agents_until is None:
        return
    raise Refusal(
        "not_allowed",
        f"@{person.name} was killed, so its agents stay paused until another person is accountable for them.",
        f"Name that person for each agent: teamroom enroll AGENT --owner NAME --rotate. Or revive @{person.name} "
        f"first: teamroom enroll {person.name} --revive",
        subject=f"owner:{person.name}",
    )


# ------------------------------------------------------------------ the owners of the room


def find_weakened_owner(tx: "Writing", change: Change) -> str | None:
    """The name of a room owner that a change may have kept from acting, or cost a token; None if there is none."""
    if change.table == "member":
        return str(change.now["name"]) if change.before("role") == "owner" != change.now["role"] else None
    if change.was is None:
        return None
    if change.table == "token":
        is_lost = _is_lasting(change.was) and not _is_lasting(change.now)
        return _name_of_owner(tx, change.now["member"]) if is_lost else None
    scope, target = change.key
    is_stopped = StoredStanding(change.now["state"], change.now["until"]).in_force(tx.now) != "active"
    return _name_of_owner(tx, int(target)) if scope == "member" and is_stopped else None


def _is_lasting(token: dict[str, Any]) -> bool:
    return token["revoked_at"] is None and token["expires_at"] is None and token["kind"] == ""


def _name_of_owner(tx: "Reading", member: int) -> str | None:
    found = _rights(tx, member)
    return found.name if found.role == "owner" else None


def _rights(tx: "Reading", member: int) -> Rights:
    return tx.only(Rights, "rights_of", member=member)


def _party(row: Rights) -> Party:
    return Party(row.id, row.kind, row.role, row.owner)


def _caller(tx: "Writing") -> Party:
    """The caller as it was when the act began."""
    row = tx.principal
    return Party(row.member, row.kind, row.role, row.owner)


CHECKS = {"member": check_member, "token": _check_token, "standing": check_standing}
