"""The three steps of a wake (WAK1): each is recorded when it is seen, and none is assumed from another.

Notified: the member's live listener was given it. Woken: that listener saw a harness start with it. Acted: the member
itself, not its listener, acted after it was shown the wake, or acknowledged it with a check-in.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel

from teamroom.server import topics
from teamroom.server.facts.task import pauses_of
from teamroom.server.facts.timers import WAKES, find_timer, schedule
from teamroom.server.facts.wakes import answer_times
from teamroom.server.identity import Caller
from teamroom.server.rules.leases import paused_seconds
from teamroom.server.rules.presence import patience_seconds
from teamroom.server.rules.wakes import UNACTED, Wakes
from teamroom.server.store.rows.wakes import AddresseeSteps, StepsRow
from teamroom.server.store.transaction import Reading, Writing

STEPS_NOTED = 200
"""Of how many of the newest wakes one step is recorded at most."""

ADDRESSEES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """The wakes that a listener of a member was given at a time: those after a number and up to another."""

    caller: Caller
    listener: str
    after: int
    upto: int
    at: float


class WakeSteps(BaseModel):
    """What was seen of an addressee's wake, and when; None: not seen.

    `held`: since when a stop held it back. `wakes`: whether the message woke it at all.
    """

    to: str
    wakes: bool
    held: str | None
    notified: str | None
    woken: str | None
    acted: str | None


def note_notified(tx: Writing, delivery: Delivery) -> None:
    """Record that a listener was given wakes. Of an agent, the room looks later whether it acted."""
    caller, member = delivery.caller, delivery.caller.member
    rows = _newest_steps(tx, member, delivery.after, delivery.upto)
    if not any(row.acted_at is None or row.notified_at is None for row in rows):
        return
    bounds = {"from_seq": rows[-1].seq, "upto": delivery.upto}
    if not tx.run_counted("note_notified", member=member, listener=delivery.listener, at=delivery.at, **bounds):
        return
    tx.changed(topics.ROSTER, topics.member(member))
    if caller.kind == "agent" and tx.run_counted("count_unacted", member=member, most=UNACTED, looked_at=STEPS_NOTED):
        _look_later(tx, member)


def _look_later(tx: Writing, member: int) -> None:
    if tx.value(float, "unacted_at", member=member) is None or find_timer(tx, WAKES, member, member) is not None:
        return
    schedule(tx, WAKES, member, member, patience_seconds(answer_times(tx, member), tx.settings))


def note_woken(tx: Writing, caller: Caller, listener: str, upto: int) -> None:
    """Record that a harness started with the wakes that this listener was given, up to a number."""
    member = caller.member
    rows = _newest_steps(tx, member, 0, upto)
    if not rows:
        return
    bounds = {"from_seq": rows[-1].seq, "upto": upto}
    if not tx.run_counted("note_woken", member=member, listener=listener, at=tx.now, **bounds):
        return
    new = [
        row
        for row in _newest_steps(tx, member, 0, upto)
        if row.woken_at == tx.now and _root(row.listener) == _root(listener)
    ]
    woken = max((row.seq for row in new if row.acted_at is None), default=tx.principal.woken)
    tx.run("keep_woken", member=member, woken=woken, verified=_verified(tx, member, new))
    tx.changed(topics.ROSTER, topics.member(member))


def note_acted(tx: Writing, member: int, after: int, upto: int) -> None:
    """Record that a member itself acted on its wakes in a range of numbers."""
    rows = _newest_steps(tx, member, after, upto)
    if any(row.acted_at is None for row in rows):
        tx.run("note_acted_on", member=member, at=tx.now, from_seq=rows[-1].seq, upto=upto)
        new = [row._replace(acted_at=tx.now) for row in rows if row.acted_at is None]
        tx.run("forget_unacted", member=member, upto=upto, verified=_verified(tx, member, new))
        tx.changed(topics.ROSTER, topics.member(member))


def _verified(tx: Reading, member: int, rows: Iterable[StepsRow]) -> str:
    """The listener of the newest of these wakes of which all three steps were seen; else the one before."""
    for row in rows:
        if row.listener and None not in (row.notified_at, row.woken_at, row.acted_at):
            return row.listener
    return tx.value(str, "verified", member=member) or ""


def _root(listener: str) -> str:
    """What the names of the listeners have in common that one harness starts after each other."""
    return listener.partition("-")[2]


def _newest_steps(tx: Reading, member: int, after: int, upto: int) -> list[StepsRow]:
    return tx.all(StepsRow, "newest_steps", member=member, after=after, upto=upto, limit=STEPS_NOTED)


# ------------------------------------------------------------------ what is known


def wakes_of(tx: Reading, member: int, owner: int, is_verified: int | None, unacted_at: float | None) -> Wakes:
    """What is known of a member's wakes. Time under a pause, and before the room was awake, does not count."""
    verified = None if is_verified is None else bool(is_verified)
    if unacted_at is None:
        return Wakes(verified)
    since = max(unacted_at, tx.watched_from)
    paused = paused_seconds(pauses_of(tx, member, owner, since), since, tx.now)
    return Wakes(verified, max(tx.now - since - paused, 0.0))


def steps_of_message(tx: Reading, message: int) -> list[WakeSteps]:
    """What was seen of a message's wakes, by addressee."""
    rows = tx.all(AddresseeSteps, "steps_of_message", message=message, limit=ADDRESSEES_SHOWN)
    return [
        WakeSteps(
            to=row.name,
            wakes=row.at is not None,
            held=_shown(tx, _held_since(tx, row)),
            notified=_shown(tx, row.notified_at),
            woken=_shown(tx, row.woken_at),
            acted=_shown(tx, row.acted_at),
        )
        for row in rows
    ]


def _held_since(tx: Reading, row: AddresseeSteps) -> float | None:
    """Since when a stop held a wake back before anybody was given it; None if none did."""
    if row.at is None:
        return None
    until = min(at for at in (row.notified_at, row.acted_at, tx.now) if at is not None)
    pauses = pauses_of(tx, row.id, row.owner, row.at)
    return min((max(pause.since, row.at) for pause in pauses if pause.since < until), default=None)


def _shown(tx: Reading, at: float | None) -> str | None:
    return None if at is None else tx.shown(at)
