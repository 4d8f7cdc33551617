"""Gives a room owner a new token because the person who has the room's folder asks for it, without a token.

Who runs a program as the folder's user can read every file in it (SAF7), so this gives away nothing. It never revives:
only a room owner decides that.
"""

from dataclasses import dataclass

from teamroom.server.acts.members.members import DEFAULT_LABEL, end_tokens, issue_token
from teamroom.server.facts.member import no_such_member
from teamroom.server.facts.task import ROOM_AUTHOR
from teamroom.server.identity import token_hash
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.text import inline
from teamroom.server.store.rows.control import StandingRow
from teamroom.server.store.rows.members import LiveToken, MemberRow, TokenRow
from teamroom.server.store.rows.permissions import Named
from teamroom.server.store.transaction import Reading, Writing


@dataclass(frozen=True, slots=True)
class Recovered:
    """A room owner's new token, and the number of its receipt. `replaces`: the tokens that it takes the place of."""

    name: str
    member: int
    token: str
    receipt: int
    replaces: tuple[str, ...]


def recover(tx: Writing, held: str | None, name: str | None) -> Recovered:
    """Issue a token without an end to a room owner: the one named, else the one whose token the folder holds.

    The tokens that it replaces are still in force, until `end_recovered`. Raises Refusal.
    """
    row = None if held is None else tx.one(TokenRow, "token_by_hash", hash=token_hash(held))
    member = _member(tx, row, name)
    if row is not None and row.member != member.id and row.revoked_at is None and row.state != "killed":
        raise Refusal(
            "conflict",
            f"The folder's token belongs to @{row.name} and was not revoked.",
            f"Use it: teamroom enroll {member.name} --rotate",
            subject=f"@{member.name}",
        )
    _require_owner(tx, member)
    live = tx.all(LiveToken, "live_tokens", member=member.id, now=tx.now)
    replaces = tuple(row.id for row in live if row.label == DEFAULT_LABEL)
    seq = log.append(
        tx,
        ROOM_AUTHOR,
        act="recover",
        subject=f"@{member.name}",
        summary=f"@{member.name} has a new token, because `teamroom recover` was run on the room's machine",
    )
    token, _ = issue_token(tx, member.id, DEFAULT_LABEL, None)
    return Recovered(member.name, member.id, token, seq, replaces)


def end_recovered(tx: Writing, done: Recovered) -> None:
    """End the tokens that a recovered one replaces, now that the new one is in the folder."""
    ended = [id_ for id_ in done.replaces if tx.run_counted("revoke_token", id=id_, member=done.member, now=tx.now)]
    if not ended:
        return
    end_tokens(tx, ended)
    what = f"{len(ended)} token{'s' if len(ended) != 1 else ''}"
    summary = f"{what} of @{done.name} ended, because a recovered one is in their place"
    log.append(tx, ROOM_AUTHOR, act="revoke", subject=f"@{done.name}", summary=summary, detail={"issued": []})


def _member(tx: Reading, held: TokenRow | None, name: str | None) -> MemberRow:
    """The member to recover. Raises Refusal."""
    if name is None:
        name = held.name if held is not None else tx.only(Named, "first_person").name
    member = tx.one(MemberRow, "member_by_name", name=name)
    if member is None:
        raise no_such_member(tx, name, "Leave the name out for the folder's owner.")
    return member


def _require_owner(tx: Reading, member: MemberRow) -> None:
    """Refuse to recover what the room's owners took away. Raises Refusal."""
    others = "Or recover another room owner: teamroom recover NAME"
    if member.kind != "human" or member.role != "owner":
        raise Refusal(
            "not_allowed",
            f"@{member.name} is not a room owner.",
            f"A room owner can give it a token: teamroom enroll {member.name} --rotate. {others}",
            subject=f"@{member.name}",
        )
    row = tx.only(StandingRow, "standing", scope="member", target=member.id)
    if row.state == "killed":
        raise Refusal(
            "not_allowed",
            f"@{member.name} was killed by @{row.by_name}: {inline(row.reason)}.",
            f"Another room owner can revive it: teamroom enroll {member.name} --revive. {others}",
            subject=f"@{member.name}",
        )
