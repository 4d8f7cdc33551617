"""Wakes: recorded with the entry that causes them, and measured until the member's next act after it was shown them."""

from collections.abc import Iterable

from teamroom.server import topics
from teamroom.server.facts.channels import find_channels
from teamroom.server.facts.task import pauses_of
from teamroom.server.identity import Caller
from teamroom.server.record.chain import ROOM_MEMBER
from teamroom.server.rules.folding import WaitingWake
from teamroom.server.rules.leases import paused_seconds
from teamroom.server.rules.notices import Kind, kind_of
from teamroom.server.store.rows.log import WakeTime
from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.transaction import Reading, Writing

WORK = ("T-", "O-")
"""How the subject of a wake begins if the wake can mean that a member gained or lost work."""


def wake_members(
    tx: Writing, members: Iterable[int], *, reason: str, subject: str, sender: int, line: str, asks: bool = False
) -> None:
    """Record that members must wake because of the entry just appended, and nudge them after the commit.

    Wakes of one sender beyond its share are marked for one digest (QUI4); none is dropped. `asks`: it is an ask, which
    also reaches people outside the room.
    """
    kind = kind_of(reason, sender == ROOM_MEMBER, asks)
    for member in members:
        tx.run(
            "add_wake",
            member=member,
            seq=tx.head.seq,
            reason=reason,
            subject=subject,
            sender=sender,
            line=line,
            at=tx.now,
            room=ROOM_MEMBER,
            since=tx.now - tx.settings.wakes_seconds,
            offset=tx.settings.wakes_from_one - 1,
        )
        tx.changed(topics.inbox(member), *([topics.me(member)] if subject[:2] in WORK else []))
        tx.effects.woken.add(member)
        if tx.run_counted("look_sooner", member=member, now=tx.now, intervals=tx.settings.suspect_intervals):
            tx.effects.due = min(tx.effects.due, tx.now)
        if kind is not None:
            notify_person(tx, member, kind, reason, subject)


def notify_person(tx: Writing, member: int, kind: Kind, reason: str, subject: str) -> None:
    """Record a notice to a person about the entry just appended. Does nothing if the person has no channel."""
    row = tx.only(MemberName, "member_by_id", id=member)
    if row.kind != "human" or not find_channels(tx, member, row.name):
        return
    tx.run("add_notice", member=member, seq=tx.head.seq, reason=reason, subject=subject, kind=kind)
    tx.changed(topics.CHANNELS)
    at = tx.now + tx.settings.notify_group_seconds
    if tx.run_counted("schedule_letter", member=member, at=at, now=tx.now):
        tx.effects.due = min(tx.effects.due, at)


def note_seen(tx: Writing, caller: Caller, upto: int) -> None:
    """Record up to which number of the log a member was shown its wakes. That alone answers none."""
    if upto > tx.principal.seen:
        tx.run("see", member=caller.member, seq=upto)


def measure_answers(tx: Writing, caller: Caller) -> None:
    """Record how long each wake that the member was shown waited for this act. Paused time does not count."""
    acted, seen = tx.principal.acted, tx.number("seen", member=caller.member)
    wakes = tx.all(
        WakeTime, "wakes_between", member=caller.member, after=acted, upto=seen, limit=tx.settings.forecast_kept
    )
    if wakes:
        pauses = pauses_of(tx, caller.member, caller.owner, min(row.at for row in wakes))
        for row in wakes:
            waited = max(tx.now - row.at - paused_seconds(pauses, row.at, tx.now), 0.0)
            tx.run("add_answer_time", member=caller.member, seq=row.seq, seconds=waited)
        tx.run("forget_answer_times", member=caller.member, keep=tx.settings.forecast_kept)
    tx.run("note_acted", member=caller.member, seq=seen)
    tx.changed(topics.ROSTER, topics.member(caller.member))


WAITING_SHOWN = 3
WAITING_LOOKED_AT = 6
"""How many wakes a reply names that wait for its agent, and how many of the newest are looked at to find them."""


def waiting_now(tx: Reading, member: int, acknowledged: int) -> list[WaitingWake]:
    """What waits for a member, asks first; one more than is shown if there is more."""
    return tx.all(
        WaitingWake,
        "waiting_now",
        member=member,
        after=acknowledged,
        looked_at=WAITING_LOOKED_AT,
        limit=WAITING_SHOWN + 1,
    )


def answer_times(tx: Reading, member: int) -> list[float]:
    """How long a member's newest answers took, in seconds."""
    return tx.column(float, "answer_times", member=member, limit=tx.settings.forecast_kept)
