"""Repairs a room in which something does not hold that `store/invariants.py` checks after each act.

An earlier release may have left it so, or a restore, which stops again what the journal says was stopped. If no room
owner could act, a new token for one is put into the folder, for the person who starts the room.
"""

from teamroom.server.acts.control.stop import pause_agents_of
from teamroom.server.acts.members.members import DEFAULT_LABEL, insert_member, issue_token
from teamroom.server.acts.members.rename import find_alike
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.identity import CHAT, token_hash
from teamroom.server.record import chain as log
from teamroom.server.rules.names import find_reserved_word
from teamroom.server.store.invariants import has_owner_that_can_act
from teamroom.server.store.rows.members import MemberRow, TokenRow
from teamroom.server.store.rows.permissions import Named
from teamroom.server.store.transaction import Reading, Writing

PAGE = 100
"""How many members one look finds."""

LONGEST_STEM = 28
NAMES_TRIED = 1000
"""The most names that are tried for a new owner: NAME-2, NAME-3, …"""


def needs_mending(tx: Reading) -> bool:
    """Whether something in the room does not hold that always must."""
    return (
        tx.value(int, "has_chat_labels") is not None
        or any(tx.one(Named, name, after=0, limit=1) is not None for name in FOUND_IN_PAGES)
        or not has_owner_that_can_act(tx)
    )


def mend(tx: Writing) -> str | None:
    """Make everything hold again that always must; returns the token of an owner if it needed a new one.

    Each repair leaves an entry.
    """
    _mark_chat_tokens(tx)
    for agent in _every(tx, "agents_that_own_the_room"):
        row = tx.only(MemberRow, "member_by_name", name=agent.name)
        tx.run("change_member", id=agent.id, role="operator", owner=row.owner, mode=row.mode)
        member_changed(tx, agent.id)
        _record(tx, "enroll", agent.name, f"@{agent.name} is an operator now, because an agent cannot own the room")
    for person in _every(tx, "killed_people_with_agents_at_work"):
        pause_agents_of(tx, person.id, person.name, ROOM_AUTHOR, is_mended=True)
    return None if has_owner_that_can_act(tx) else _appoint(tx)


def owner_token(tx: Writing, held: str | None) -> str | None:
    """A new token for a room owner; None if the folder's token is in force and an owner can act."""
    row = None if held is None else tx.one(TokenRow, "token_by_hash", hash=token_hash(held))
    is_held = row is not None and row.revoked_at is None and (row.expires_at is None or row.expires_at > tx.now)
    return None if is_held and has_owner_that_can_act(tx) else _appoint(tx)


FOUND_IN_PAGES = ("agents_that_own_the_room", "killed_people_with_agents_at_work")
"""Statements that find a page of members to repair."""


def _every(tx: Writing, name: str) -> list[Named]:
    found: list[Named] = []
    while page := tx.all(Named, name, after=found[-1].id if found else 0, limit=PAGE):
        found += page
    return found


def _mark_chat_tokens(tx: Writing) -> None:
    """Tokens that an earlier release issued with the label `chat` are of that kind."""
    marked = tx.run_counted("mark_chat_tokens") if tx.value(int, "has_chat_labels") is not None else 0
    if marked:
        tokens = f"{marked} token{'s' if marked != 1 else ''}"
        summary = f"{tokens} with the label {CHAT} can only be used with confirmations from now on"
        log.append(tx, ROOM_AUTHOR, act="enroll", subject="room", summary=summary)


def _appoint(tx: Writing) -> str:
    """Give an owner that can act a new token, or add an owner if none can; returns the token."""
    owner = tx.one(Named, "first_owner_that_can_act", now=tx.now)
    if owner is not None:
        _record(tx, "enroll", owner.name, f"@{owner.name} has a new token, because the folder had none that lasts")
        return issue_token(tx, owner.id, DEFAULT_LABEL, None)[0]
    first = tx.only(Named, "first_person")
    name = _free_name(tx, first.name)
    id_ = insert_member(tx, name, kind="human", role="owner", owner=None, mode="manual", by=ROOM_MEMBER, now=tx.now)
    _record(tx, "enroll", name, f"@{name} owns the room, because no owner of it could act")
    return issue_token(tx, id_, DEFAULT_LABEL, None)[0]


def _free_name(tx: Reading, like: str) -> str:
    """A name for a new owner that no member has and that looks like none."""
    stem = like[:LONGEST_STEM]
    names = (f"{stem}-{number}" for number in range(2, NAMES_TRIED))
    return next(name for name in names if _is_free(tx, name))


def _is_free(tx: Reading, name: str) -> bool:
    return find_alike(tx, name) is None and find_reserved_word(name) is None


def _record(tx: Writing, act: str, name: str, summary: str) -> None:
    log.append(tx, ROOM_AUTHOR, act=act, subject=f"@{name}", summary=summary)
