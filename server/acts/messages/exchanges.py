"""Which addressees a message wakes: not agents that only answer each other, as a pair or round a ring (QUI3)."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.rules.exchanges import RING_MEMBERS, Step, Turn, asks_something, next_lap, step
from teamroom.server.rules.text import one_line
from teamroom.server.store.rows.members import MemberFacts, MemberName
from teamroom.server.store.rows.messages import LastTurn, MessageRow
from teamroom.server.store.transaction import Reading, Writing


@dataclass(slots=True)
class Addressed:
    """The addressees of a message: woken, no longer woken, those whose rounds ended with it, and rings that it stops.

    `is_courtesy`: it wakes nobody, because it replies to a message that asked nothing.
    """

    woken: list[MemberFacts] = field(default_factory=list)
    stopped: list[MemberFacts] = field(default_factory=list)
    ended: list[MemberFacts] = field(default_factory=list)
    rings: list[list[int]] = field(default_factory=list)
    is_courtesy: bool = False


class Post(NamedTuple):
    """A message as the guard sees it: its numbers, its kind, and the message that it replies to."""

    message: int
    thread: int
    kind: str
    parent: MessageRow | None


def address(tx: Writing, caller: Caller, addressees: list[MemberFacts], post: Post) -> Addressed:
    """Record the addressees of a message, and decide which of them it wakes.

    An alert always wakes them all. An answer always wakes whoever asked.
    """
    found, way = Addressed(is_courtesy=_is_courtesy(caller, addressees, post)), _WayBack(tx)
    for row in addressees:
        taken, lap, ring = None, 0, None
        if caller.kind == "agent" and row.kind == "agent":
            last = {turn.author: turn for turn in tx.all(LastTurn, "last_turns", one=caller.member, other=row.id)}
            said = last.get(caller.member)
            taken = _step(tx, caller.member, row.id, post.thread, said, last.get(row.id))
            lap, ring = _lap(way, caller.member, row.id, post, said)
        turn = 0 if taken is None else taken.turn.number
        tx.run("add_addressee", message=post.message, member=row.id, author=caller.member, turn=turn, lap=lap)
        is_over = taken is not None and not taken.wakes
        rounds = tx.policy.exchange_rounds
        wakes = post.kind == "alert" or _answers(post, row) or not (is_over or lap > rounds or found.is_courtesy)
        (found.woken if wakes else found.stopped).append(row)
        if taken is not None and taken.is_last:
            found.ended.append(row)
        elif ring and lap == rounds + 1 and not is_over and not _is_announced(tx, ring, said):
            found.rings.append(ring)
    return found


def _is_courtesy(caller: Caller, addressees: list[MemberFacts], post: Post) -> bool:
    """Whether a message is an agent's note to one member alone, whose message asked nothing."""
    return (
        caller.kind == "agent"
        and post.kind == "note"
        and post.parent is not None
        and not asks_something(post.parent.kind, post.parent.text)
        and [row.name for row in addressees] == [post.parent.author]
    )


def _answers(post: Post, row: MemberFacts) -> bool:
    """Whether a message answers an ask of a member. A question in return is none: two agents could go on with it."""
    parent = post.parent
    return parent is not None and parent.kind == "ask" and parent.author == row.name and post.kind != "ask"


PAIR = 2
"""Two members are no ring: the rule for pairs holds for them."""

LOOKED_AT = 50
"""How many of the tasks that changed last are looked at, and how many entries of each."""


def _step(tx: Reading, author: int, other: int, thread: int, said: LastTurn | None, heard: LastTurn | None) -> Step:
    last = said if heard is None or (said is not None and said.message > heard.message) else heard
    rounds = tx.policy.exchange_rounds
    begins = step(None, author, rounds)
    if last is None:
        return begins
    goes_on = step(Turn(last.turn, last.author), author, rounds)
    return begins if goes_on == begins or _is_over(tx, author, other, thread, last) else goes_on


class _WayBack:
    """Who wrote to whom before a message. The addressees of one message share most of the way, so it is kept."""

    def __init__(self, tx: Reading) -> None:
        self.tx = tx
        self._heard: dict[tuple[int, int, int], LastTurn | None] = {}

    def heard(self, member: int, first: int, before: int) -> LastTurn | None:
        """The newest message from an agent to a member, from one message on and before another."""
        asked = (member, first, before)
        if asked not in self._heard:
            self._heard[asked] = self.tx.one(LastTurn, "heard_before", member=member, first=first, before=before)
        return self._heard[asked]


def _lap(way: _WayBack, author: int, other: int, post: Post, said: LastTurn | None) -> tuple[int, list[int] | None]:
    """How often a ring has come round with this message, and the ring's members if it did so now.

    The way back leads from the author to the agent that wrote to it last, to the agent that had written to that one
    last, and so on, until it comes to the author's own last message to the same addressee.
    """
    if said is None:
        return 0, None
    heard = way.heard(author, said.message, post.message)
    if heard is None:
        return next_lap(said.lap, has_heard=False, has_come_round=False), None
    ring, step_back = [author], heard
    while step_back.author != author and len(ring) < RING_MEMBERS:
        ring.append(step_back.author)
        before = way.heard(step_back.author, said.message, step_back.message)
        if before is None:
            break
        step_back = before
    has_come_round = step_back.message == said.message and ring[-1] == other and len(ring) > PAIR
    if not has_come_round or _has_moved(way.tx, ring, post.thread, said):
        return next_lap(said.lap, has_heard=True, has_come_round=False), None
    return next_lap(said.lap, has_heard=True, has_come_round=True), ring


def _has_moved(tx: Reading, ring: list[int], thread: int, said: LastTurn) -> bool:
    """Whether somebody outside took part in a ring since a message, by the rule for pairs, with each two neighbours."""
    neighbours = zip(ring, [*ring[1:], ring[0]], strict=True)
    return any(_is_over(tx, one, other, thread, said) for one, other in neighbours)


def _is_announced(tx: Reading, ring: list[int], said: LastTurn | None) -> bool:
    """Whether it was announced since a message of the ring that it was stopped."""
    since = 0 if said is None else said.seq
    details = tx.column(str, "newest_stops_of_exchanges", room=log.ROOM_MEMBER, after=since, limit=RING_MEMBERS)
    return any(set(json.loads(detail).get("ring", ())) == set(ring) for detail in details)


def _is_over(tx: Reading, one: int, other: int, thread: int, last: LastTurn) -> bool:
    """Whether somebody else took part since the last turn: a person wrote, or another member moved a task of theirs.

    What the two do to their own tasks does not count, because agents in a loop do that too.
    """
    since = {"message": last.message, "seq": last.seq, "thread": thread}
    pair = {"one": one, "other": other, "room": log.ROOM_MEMBER, "looked_at": LOOKED_AT}
    return tx.value(int, "others_took_part", **pair, **since) is not None


def notify_owners(tx: Writing, caller: Caller, other: MemberFacts, message: str) -> None:
    """Announce once, in the stream and to both owners, that two agents no longer wake each other."""
    rounds = tx.policy.exchange_rounds
    pair = f"@{caller.name} and @{other.name}"
    detail = {"members": [caller.name, other.name], "rounds": rounds}
    _announce(tx, message, pair, f"answered each other {rounds} times", detail, {caller.owner, other.owner})


def notify_owners_of_ring(tx: Writing, ring: list[int], message: str) -> None:
    """Announce once, in the stream and to all owners, that the agents of a ring no longer wake each other."""
    rows = [tx.only(MemberName, "member_by_id", id=member) for member in (ring[0], *reversed(ring[1:]))]
    names, rounds = " to ".join(f"@{row.name}" for row in rows), tx.policy.exchange_rounds
    detail = {"members": [row.name for row in rows], "rounds": rounds, "ring": ring}
    _announce(tx, message, names, f"went round {rounds} times", detail, {row.owner for row in rows})


def _announce(tx: Writing, message: str, who: str, did: str, detail: dict[str, Any], owners: set[int]) -> None:
    log.append(
        tx,
        log.ROOM_AUTHOR,
        act="stop_exchange",
        subject=message,
        summary=one_line(f"{who} {did} and nobody else moved their tasks; they stop waking each other"),
        detail=detail,
    )
    wake_members(
        tx,
        owners,
        reason="alert",
        subject=message,
        sender=log.ROOM_MEMBER,
        line=one_line(
            f"{who} only answer each other; they wake each other again once you write to them or move their tasks"
        ),
    )
