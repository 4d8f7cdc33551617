"""Whom a message wakes: the members it addresses, but not two agents that only answer each other (QUI3)."""

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
    """The addressees of a message: who is woken, who is not any more, and with whom the rounds ended now."""

    woken: list[MemberFacts] = field(default_factory=list)
    stopped: list[MemberFacts] = field(default_factory=list)
    ended: list[MemberFacts] = field(default_factory=list)


def address(
    tx: Writing, caller: Caller, addressees: list[MemberFacts], message: int, thread: int, is_alert: bool
) -> Addressed:
    """Write down whom a message addresses, and find whom it wakes. An alert wakes always: it has a limit of its own."""
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


def _step(tx: Reading, author: int, other: int, thread: int) -> Step:
    said, heard = (
        tx.one(LastTurn, "last_turn", author=author, member=other),
        tx.one(LastTurn, "last_turn", author=other, member=author),
    )
    last = said if heard is None or (said is not None and said.message > heard.message) else heard
    if last is not None:
        since = {"message": last.message, "seq": last.seq}
        if tx.value(int, "exchange_end", one=author, other=other, thread=thread, **since) is not None:
            last = None
    before = None if last is None else Turn(last.turn, last.author)
    return step(before, author, tx.policy.exchange_rounds)


def tell_owners(tx: Writing, caller: Caller, other: MemberFacts, message: str) -> None:
    """Say once, in the stream and to their owners, that two agents no longer wake each other."""
    rounds = tx.policy.exchange_rounds
    pair = f"@{caller.name} and @{other.name}"
    log.append(
        tx,
        log.ROOM_AUTHOR,
        act="stop_exchange",
        subject=message,
        summary=one_line(f"{pair} answered each other {rounds} times, no task moved: they no longer wake each other"),
        detail={"members": [caller.name, other.name], "rounds": rounds},
    )
    wake_members(
        tx,
        {caller.owner, other.owner},
        reason="alert",
        subject=message,
        sender=log.ROOM_MEMBER,
        line=one_line(f"{pair} only answer each other; their wakes go on once you speak to them or a task moves"),
    )
