"""Which addressees a message wakes: not two agents that only answer each other (QUI3)."""

from dataclasses import dataclass, field

from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.rules.exchanges import Step, Turn, step
from teamroom.server.rules.text import one_line
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.rows.messages import LastTurn
from teamroom.server.store.transaction import Reading, Writing


@dataclass(slots=True)
class Addressed:
    """The addressees of a message: woken, no longer woken, and those whose rounds ended with this message."""

    woken: list[MemberFacts] = field(default_factory=list)
    stopped: list[MemberFacts] = field(default_factory=list)
    ended: list[MemberFacts] = field(default_factory=list)


def address(
    tx: Writing, caller: Caller, addressees: list[MemberFacts], message: int, thread: int, is_alert: bool
) -> Addressed:
    """Record the addressees of a message, and decide which of them it wakes. An alert always wakes them all."""
    found = Addressed()
    for row in addressees:
        taken = None
        if caller.kind == "agent" and row.kind == "agent":
            taken = _step(tx, caller.member, row.id, thread)
        turn = 0 if taken is None else taken.turn.number
        tx.run("add_addressee", message=message, member=row.id, author=caller.member, turn=turn)
        (found.woken if taken is None or taken.wakes or is_alert else found.stopped).append(row)
        if taken is not None and taken.is_last:
            found.ended.append(row)
    return found


LOOKED_AT = 50
"""How many of the tasks that changed last are looked at, and how many entries of each."""


def _step(tx: Reading, author: int, other: int, thread: int) -> Step:
    said, heard = (
        tx.one(LastTurn, "last_turn", author=author, member=other),
        tx.one(LastTurn, "last_turn", author=other, member=author),
    )
    last = said if heard is None or (said is not None and said.message > heard.message) else heard
    if last is not None and _is_over(tx, author, other, thread, last):
        last = None
    before = None if last is None else Turn(last.turn, last.author)
    return step(before, author, tx.policy.exchange_rounds)


def _is_over(tx: Reading, one: int, other: int, thread: int, last: LastTurn) -> bool:
    """Whether somebody else took part since the last turn: a person wrote, or another member moved a task of theirs.

    What the two do to their own tasks does not count, because agents in a loop do that too.
    """
    if tx.value(int, "person_spoke", one=one, other=other, thread=thread, message=last.message) is not None:
        return True
    pair = {"one": one, "other": other, "room": log.ROOM_MEMBER, "seq": last.seq, "looked_at": LOOKED_AT}
    return any(tx.value(int, "moved_by_others", member=member, **pair) is not None for member in (one, other))


def notify_owners(tx: Writing, caller: Caller, other: MemberFacts, message: str) -> None:
    """Announce once, in the stream and to both owners, that two agents no longer wake each other."""
    rounds = tx.policy.exchange_rounds
    pair = f"@{caller.name} and @{other.name}"
    log.append(
        tx,
        log.ROOM_AUTHOR,
        act="stop_exchange",
        subject=message,
        summary=one_line(
            f"{pair} answered each other {rounds} times and nobody else moved their tasks; they stop waking each other"
        ),
        detail={"members": [caller.name, other.name], "rounds": rounds},
    )
    wake_members(
        tx,
        {caller.owner, other.owner},
        reason="alert",
        subject=message,
        sender=log.ROOM_MEMBER,
        line=one_line(
            f"{pair} only answer each other; they wake each other again once you write to them or move their tasks"
        ),
    )
