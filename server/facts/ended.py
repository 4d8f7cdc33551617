"""Who can no longer act: a killed member, or one that had no valid token for `tokenless_seconds`.

Nothing new is given to it, and what only it could do is freed or given to a person (TSK6).
"""

from difflib import get_close_matches

from teamroom.server.facts.member import facts_of
from teamroom.server.facts.standing import is_killed, state_of, stored_standing
from teamroom.server.facts.timers import TOKENLESS, schedule
from teamroom.server.refusals import Refusal
from teamroom.server.rules.presence import describe_tokenless, has_ended
from teamroom.server.rules.text import inline
from teamroom.server.store.rows.members import MemberFacts, MemberName
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.rows.tasks import CandidateRow
from teamroom.server.store.transaction import Reading, Writing

LIVING_LOOKED_AT, LIVING_SHOWN = 200, 3
"""How many members, those that called last, are examined for one that can take work, and how many are named."""

Row = MemberFacts | WatchedMember | CandidateRow


def is_ended(tx: Reading, row: Row) -> bool:
    """Whether a member can no longer act."""
    if is_killed(row):
        return True
    return row.tokens_until is not None and has_ended(facts_of(tx, row), tx.now, tx.settings)


def describe_end(tx: Reading, row: Row) -> str:
    """How a member ended, as the end of a sentence about it."""
    if not is_killed(row):
        return describe_tokenless(facts_of(tx, row), tx.now)
    by = stored_standing(tx, "member", row.id)
    return f"was killed by @{by.by_name}: {inline(by.reason)}"


def refuse_ended(tx: Reading, row: MemberFacts, what: str, otherwise: str, subject: str, caller: int) -> None:
    """Refuse to give work to a member that has ended, with the living members of the nearest names. Raises Refusal.

    `what`: what to call with another name, such as "Assign it to". `otherwise`: what to do without a name.
    """
    if not is_ended(tx, row):
        return
    names = living_names(tx, row.name, caller)
    listed = " or ".join(f"@{name}" for name in names)
    first = f"{what} {listed} instead, or {otherwise}." if names else f"{otherwise[0].upper()}{otherwise[1:]}."
    raise Refusal(
        "not_allowed",
        f"@{row.name} {describe_end(tx, row)}, so it gets no new work.",
        first,
        subject=subject,
        living=names,
    )


def living_names(tx: Reading, name: str, caller: int) -> list[str]:
    """The living members whose names are nearest to a name, then those that called last; the caller is left out."""
    rows = tx.all(MemberFacts, "members_by_call", limit=LIVING_LOOKED_AT)
    names = [
        row.name
        for row in rows
        if row.id != caller and row.name != name and row.trouble != "zombie" and _can_act(tx, row)
    ]
    return list(dict.fromkeys([*get_close_matches(name, names, n=LIVING_SHOWN), *names]))[:LIVING_SHOWN]


def find_person(tx: Reading, member: int, other_than: int | None = None) -> MemberName | None:
    """The person who answers for a member and can act: its owner, else an owner of the room; None if there is none."""
    owner = tx.only(MemberName, "member_by_id", id=tx.only(MemberName, "member_by_id", id=member).owner)
    candidates = [owner, *tx.all(MemberName, "people_that_own_the_room", limit=LIVING_LOOKED_AT)]
    for person in candidates:
        if person.id != other_than and _can_act(tx, tx.only(MemberFacts, "member_facts", name=person.name)):
            return person
    return None


def reachable(tx: Reading, member: int) -> int | None:
    """A member to wake about something of its: the member itself, else a person for it; None if nobody can act."""
    name = tx.only(MemberName, "member_by_id", id=member).name
    row = tx.one(MemberFacts, "member_facts", name=name)  # none for the room itself
    if row is None or not is_ended(tx, row):
        return member
    person = find_person(tx, member)
    return None if person is None else person.id


def watch_tokens(tx: Writing, member: int) -> None:
    """Look at a member again once it may have had no valid token for too long."""
    until = tx.value(float, "tokens_until", member=member)
    if until is not None:
        schedule(tx, TOKENLESS, member, member, tx.settings.tokenless_seconds, since=until)


def _can_act(tx: Reading, row: MemberFacts) -> bool:
    return state_of(row, tx.now) == "active" and not is_ended(tx, row)
