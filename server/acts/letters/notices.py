"""Letters to people outside the room: written from notices, sent on channels, and their outcome.

An act records a notice in its own commit (`notify_person`). The supervisor writes a letter about the notices that are
due, and the server sends it on each of the person's channels. Its text is read when it is sent, so it has nothing that
was redacted, answered or read in the room meanwhile.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from teamroom.server import topics
from teamroom.server.facts.channels import ROOM_CHANNELS, find_channels, letter_settings, people_with_channels
from teamroom.server.facts.decision import state_now
from teamroom.server.facts.ids import number_of, parse, task_name
from teamroom.server.facts.owed import RULES, is_still_owed
from teamroom.server.facts.standing import ROOM, is_killed, own_pause_ends, stored_standing, stored_state
from teamroom.server.facts.timers import Timer, cancel_timer, postpone, schedule_digest
from teamroom.server.record import chain as log
from teamroom.server.record.chain import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.rules.letters import Day, Letter, Notice, digest, letter, line_of, step_of, trial
from teamroom.server.rules.notices import HOUR_SECONDS, held_until, next_daily_time, quiet_until, retry_at
from teamroom.server.rules.spans import duration
from teamroom.server.rules.standing import Level
from teamroom.server.rules.text import REDACTED, one_line
from teamroom.server.setting_values import CHANNELS, PEOPLE
from teamroom.server.store.rows.control import StandingCount
from teamroom.server.store.rows.decisions import DecisionRow
from teamroom.server.store.rows.hand_offs import OfferRow
from teamroom.server.store.rows.log import ReceiptRow
from teamroom.server.store.rows.members import MemberName, MemberRow
from teamroom.server.store.rows.messages import MessageRow
from teamroom.server.store.rows.notices import DayInNumbers, EndedDelivery, NoticeRow
from teamroom.server.store.rows.overnight import StateCount
from teamroom.server.store.rows.supervisor import SuspicionRow, WatchedMember
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing

NOTICES = 200
"""The most notices in one letter; the next letter has the others."""

DAY_SECONDS, KEPT_SECONDS = 86_400.0, 30 * 86_400.0
"""The span of a first digest and the time between logged failures; how long deliveries are kept."""

FORGOTTEN_AT_ONCE = 100
"""How many old deliveries of a person each new letter deletes: more than it adds."""

SENT_AT_ONCE = 2 * (PEOPLE * CHANNELS + ROOM_CHANNELS)
"""How many deliveries one look finds."""

GONE = "the channel was removed"
"""Why a letter is not sent on a channel that no longer exists."""

LetterKind = Literal["notices", "digest", "test"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A letter that is to be sent by one channel of a person."""

    letter: int
    channel: int
    member: int
    name: str
    kind: LetterKind
    at: float
    upto: int
    tries: int

    @property
    def key(self) -> dict[str, int]:
        """What names it in a statement."""
        return {"letter": self.letter, "channel": self.channel}


# ------------------------------------------------------------------ written, as the supervisor


def write_notices(tx: Writing, due: Timer) -> None:
    """Write a letter about a person's notices, unless it waits for the rate limit or the end of the quiet hours."""
    row = tx.only(WatchedMember, "watched", member=due.member)
    if not find_channels(tx, row.id, row.name) or is_killed(row):
        tx.run("drop_notices", member=due.member, letter=0)
        tx.changed(topics.CHANNELS)
        cancel_timer(tx, "notice", due.member, due.member)
        return
    rows = tx.all(NoticeRow, "notices_of", member=due.member, letter=0, limit=NOTICES)
    notices = _still_open(tx, row, rows)
    paused_until = own_pause_ends(row, tx.now, HOUR_SECONDS)
    written = [found for found in notices if paused_until is None or found.kind == "stopped"]
    if not written:
        if paused_until is None:
            cancel_timer(tx, "notice", due.member, due.member)
        else:
            postpone(tx, due, paused_until)
        return
    letters = letter_settings(tx, due.member)
    nth = tx.value(float, "nth_newest_letter", member=due.member, offset=letters.per_hour - 1)
    if (held := held_until(nth, tx.now, letters, tx.ahead)) is not None:
        postpone(tx, due, held)
        return
    id_ = write(tx, due.member, row.name, "notices", tx.head.seq)
    for found in written:
        tx.run("put_in_letter", letter=id_, **_key(due.member, found))
    if len(written) < len(notices) or len(rows) == NOTICES:
        postpone(tx, due, paused_until or tx.now + tx.settings.notify_group_seconds)
    else:
        cancel_timer(tx, "notice", due.member, due.member)


def write_digest(tx: Writing, due: Timer) -> None:
    """Write the daily digest, unless nothing happened since the last one; in the quiet hours it waits for their end."""
    name, letters = tx.only(MemberName, "member_by_id", id=due.member).name, letter_settings(tx, due.member)
    has_channel = bool(letters.digest_time) and bool(find_channels(tx, due.member, name))
    if not has_channel or stored_standing(tx, "member", due.member).state == "killed":
        cancel_timer(tx, "digest", due.member, due.member)
        return
    if (ends := quiet_until(tx.now, letters, tx.ahead)) is not None:
        postpone(tx, due, ends)
        return
    last = tx.value(int, "last_digest", member=due.member, letter=_next_letter(tx))
    if last is None or last < tx.head.seq:
        write(tx, due.member, name, "digest", tx.head.seq)
    postpone(tx, due, next_daily_time(tx.now, letters.digest_time, letters, tx.ahead))


def write(tx: Writing, member: int, name: str, kind: LetterKind, upto: int) -> int:
    """Write a letter for each channel of a person, and delete old deliveries; returns its number."""
    tx.run("forget_deliveries", member=member, before=tx.now - KEPT_SECONDS, limit=FORGOTTEN_AT_ONCE)
    id_ = _next_letter(tx)
    for channel in find_channels(tx, member, name):
        tx.run("add_delivery", letter=id_, channel=channel.slot, member=member, kind=kind, upto=upto, now=tx.now)
        tx.changed(topics.CHANNELS)
    tx.effects.letters = True
    return id_


def schedule_digests(tx: Writing) -> None:
    """Schedule the digest of every person with a channel, when the server starts."""
    configured = [tx.one(MemberRow, "member_by_name", name=name) for name in tx.settings.notify]
    people = {row.id: row.name for row in configured if row is not None and row.kind == "human"}
    for member, name in (people | {row.id: row.name for row in people_with_channels(tx)}).items():
        schedule_digest(tx, member, name)


# ------------------------------------------------------------------ sent, by the server


def due_deliveries(tx: Reading) -> list[Delivery]:
    """What is to be sent now, the longest due first."""
    return tx.all(Delivery, "due_deliveries", now=tx.now, limit=SENT_AT_ONCE)


def next_delivery(tx: Reading) -> float | None:
    """When something is to be sent next, after now."""
    at = tx.value(float, "next_delivery", now=tx.now)
    return None if at is None else float(at)


def read_letter(tx: Reading, found: Delivery) -> Letter | float | None:
    """The text of a letter now; None: nothing is left to send.

    A number: it waits until then, for a paused person or for the end of the quiet hours.
    """
    room = tx.settings.letter_place
    row = tx.only(WatchedMember, "watched", member=found.member)
    if is_killed(row):
        return None
    if found.kind == "test":
        return trial(tx.only(ReceiptRow, "receipt", seq=found.upto).actor, room)
    if (ends := quiet_until(tx.now, letter_settings(tx, found.member), tx.ahead)) is not None:
        return ends
    paused_until = own_pause_ends(row, tx.now, HOUR_SECONDS)
    if found.kind == "digest":
        return paused_until or digest(_day(tx, row, found), room)
    rows = tx.all(NoticeRow, "notices_of", member=found.member, letter=found.letter, limit=NOTICES)
    open_ = [notice for notice in rows if _still_applies(tx, row, notice)]
    if paused_until is not None and any(notice.kind != "stopped" for notice in open_):
        return paused_until
    notices = _in_words(tx, open_)
    return letter(notices, room) if notices else None


def note_delivered(tx: Writing, found: Delivery) -> None:
    """Record that a channel accepted a letter."""
    _end(tx, found, "delivered", "", found.tries + 1, False)


def note_left_out(tx: Writing, found: Delivery, reason: str) -> None:
    """Record that a letter is not sent, because nothing is left to send or its channel is gone."""
    _end(tx, found, "left out", reason, found.tries, False)


def note_postponed(tx: Writing, found: Delivery, at: float) -> None:
    """Postpone a letter."""
    tx.run("try_delivery_again", **found.key, tries=found.tries, reason="", at=at)
    tx.changed(topics.CHANNELS)


def note_failed(tx: Writing, found: Delivery, reason: str, is_final: bool) -> bool:
    """Record that a channel rejected a letter, and retry later or give up; returns whether it gave up.

    Giving up is logged at most once a day for a channel, or again after a letter arrived.
    """
    tries = found.tries + 1
    letters, most = letter_settings(tx, found.member), tx.settings.notify_tries
    at = None if is_final or found.kind == "test" else retry_at(tries, most, tx.now, letters, tx.ahead)
    if at is not None:
        tx.run("try_delivery_again", **found.key, tries=tries, reason=reason, at=at)
        tx.changed(topics.CHANNELS)
        return False
    last = tx.one(EndedDelivery, "last_told", member=found.member, channel=found.channel)
    is_logged = last is None or last.state == "delivered" or tx.now - (last.ended_at or 0.0) >= DAY_SECONDS
    if is_logged:
        _log_failure(tx, found, reason, tries)
    _end(tx, found, "failed", reason, tries, is_logged)
    return True


def _log_failure(tx: Writing, found: Delivery, reason: str, tries: int) -> None:
    number, channel = _named(tx, found)
    count = "1 try" if tries == 1 else f"{tries} tries in {duration(tx.now - found.at)}"
    log.append(
        tx,
        ROOM_AUTHOR,
        act="notify",
        subject=f"@{found.name}",
        outcome="failed",
        summary=one_line(
            f"@{found.name} could not be reached on {channel} after {count} ({reason}); its notices remain in the room"
        ),
        detail={"kind": found.kind, "channel": number, "tries": tries, "reason": reason},
    )


def _named(tx: Reading, found: Delivery) -> tuple[int, str]:
    """The number of a delivery's channel among the person's, 0 if it was removed, and how the log names it."""
    channels = find_channels(tx, found.member, found.name)
    for place, channel in enumerate(channels, 1):
        if channel.slot == found.channel:
            return place, f"channel {place} of {len(channels)}"
    return 0, "a channel that was removed"


def _end(tx: Writing, found: Delivery, state: str, reason: str, tries: int, is_logged: bool) -> None:
    tx.run("end_delivery", **found.key, state=state, reason=reason, tries=tries, said=int(is_logged), now=tx.now)
    tx.changed(topics.CHANNELS)
    tx.run("drop_told_notices", member=found.member, letter=found.letter)


# ------------------------------------------------------------------ what a letter says


def _in_words(tx: Reading, notices: Sequence[NoticeRow]) -> list[Notice]:
    """The notices as a letter shows them: only the newest about each subject."""
    newest = {(notice.kind, notice.subject): notice for notice in notices}
    return [_notice_in_words(tx, notice) for notice in sorted(newest.values(), key=lambda notice: int(notice.seq))]


def _notice_in_words(tx: Reading, notice: NoticeRow) -> Notice:
    reason, subject, seq = notice.reason, notice.subject, notice.seq
    text = (notice.line if notice.line is not None else notice.summary) or REDACTED
    line = line_of(reason, subject, notice.sender_name, text, notice.sender == ROOM_MEMBER)
    is_stuck = notice.kind == "stuck"
    step = step_of(reason, subject, _task_of(tx, subject), seq, _digest_of(tx, subject), is_stuck)
    return Notice(notice.kind, seq, line, step)


def _digest_of(tx: Reading, subject: str) -> str:
    """The digest of the decision that a subject is; "" for anything else."""
    found = parse(subject, "decision")
    row = None if found is None else tx.one(DecisionRow, "decision", id=found[1])
    return "" if row is None else str(row.digest)


def _task_of(tx: Reading, subject: str) -> str | None:
    """The task that a subject is, or is about."""
    kind, number = parse(subject) or (None, 0)
    if kind == "task":
        return subject
    row: OfferRow | MessageRow | None = None
    if kind == "offer":
        row = tx.one(OfferRow, "offer", id=number)
    elif kind == "message":
        row = tx.one(MessageRow, "message", id=number)
    return None if row is None or row.task is None else task_name(row.task)


def _day(tx: Reading, row: WatchedMember, found: Delivery) -> Day:
    after = tx.value(int, "last_digest", member=found.member, letter=found.letter)
    since = tx.date_of(found.at) - DAY_SECONDS if after is None else 0.0
    counts = tx.only(DayInNumbers, "day_in_numbers", after=after or 0, upto=found.upto, since=since)
    tasks = {state.state: state.tasks for state in tx.all(StateCount, "tasks_by_state")}
    standing = {state.state: state.members for state in tx.all(StandingCount, "members_by_standing")}
    return Day(
        members=counts.members,
        acts=counts.acts,
        completed=counts.completed,
        claimed=tasks.get("claimed", 0),
        blocked=tasks.get("blocked", 0),
        in_review=tasks.get("in_review", 0),
        open=tasks.get("open", 0),
        waiting=tx.number("count_pending_wakes", member=found.member, after=row.seen),
        stuck=counts.stuck,
        undelivered=counts.undelivered,
        stops=counts.stops,
        stopped=standing.get("paused", 0),
    )


# ------------------------------------------------------------------ what still applies


def _still_open(tx: Writing, row: WatchedMember, notices: Sequence[NoticeRow]) -> list[NoticeRow]:
    """The notices that still apply. The others are deleted."""
    standing = []
    for notice in notices:
        if _still_applies(tx, row, notice):
            standing.append(notice)
        else:
            tx.run("drop_notice", **_key(row.id, notice))
            tx.changed(topics.CHANNELS)
    return standing


def _still_applies(tx: Reading, row: WatchedMember, notice: NoticeRow) -> bool:
    """Whether a notice still asks something of a person that has not seen its wake in the room."""
    reason, subject, seq = notice.reason, notice.subject, notice.seq
    if notice.line is not None and seq <= row.seen:
        return False
    if notice.kind == "stopped":
        return _is_stopped(tx, subject)
    if notice.act == "escalate" and not _escalation_applies(tx, notice):
        return False
    kind, number = parse(subject) or (None, 0)
    if kind == "task":
        return _task_applies(tx.one(TaskRow, "task", id=number), row.id, notice)
    if kind == "decision":
        decision = tx.one(DecisionRow, "decision", id=number)
        return decision is not None and state_now(tx, decision) == "open"
    if kind == "offer":
        return _offer_applies(tx, tx.one(OfferRow, "offer", id=number), row.id, reason)
    if reason == "mention" or (reason == "alert" and notice.act == "post_message"):
        asked = tx.only(MessageRow, "message", id=number)
        return tx.value(int, "has_answered", thread=asked.thread, member=row.id, message=asked.id) is None
    if notice.act == "presence" and json.loads(notice.detail or "{}").get("verdict") in ("suspect", "zombie", "gone"):
        return (
            tx.one(SuspicionRow, "trouble", member=tx.only(MemberRow, "member_by_name", name=subject[1:]).id)
            is not None
        )
    return True


def _escalation_applies(tx: Reading, notice: NoticeRow) -> bool:
    """Whether a member still owes what was escalated. For a task, its last change decides that elsewhere."""
    detail = json.loads(notice.detail or "{}")
    rule, member = detail.get("rule"), tx.one(MemberRow, "member_by_name", name=detail.get("member", ""))
    if member is None:
        return True  # its content was redacted
    if stored_standing(tx, "member", member.id).state == "killed":
        return False
    if rule not in RULES or rule == "task":
        return True  # of a task, its last change says whether it moved
    subject = member.id if RULES[rule].subject == "member" else number_of(notice.subject)
    return is_still_owed(tx, rule, subject, member.id, tx.now)


def _task_applies(task: TaskRow | None, member: int, notice: NoticeRow) -> bool:
    if task is None or task.state in ("done", "cancelled"):
        return False
    if notice.kind == "stuck":
        return bool(task.changed_seq <= notice.seq)
    if notice.reason == "review":
        return bool(task.state == "in_review" and task.reviewer == member)
    if notice.reason == "answer":
        return bool(task.holder == member and task.state == "claimed")
    return bool(task.state == "open" and (notice.reason == "repair" or task.assigned == member))


def _offer_applies(tx: Reading, offer: OfferRow | None, member: int, reason: str) -> bool:
    if offer is None or reason == "offer":
        return offer is not None and offer.state == "offered" and bool(offer.expires_at > tx.now)
    task = tx.only(TaskRow, "task", id=offer.task)
    return bool(task.holder == member and task.state == "claimed")


def _is_stopped(tx: Reading, subject: str) -> bool:
    level: Level = "room"
    target = ROOM
    if subject != "room":
        level, name = ("member", subject[1:]) if subject.startswith("@") else ("owner", subject.partition(":")[2])
        target = tx.only(MemberRow, "member_by_name", name=name).id
    return stored_state(stored_standing(tx, level, target), tx.now) in ("paused", "killed")


def _key(member: int, notice: NoticeRow) -> dict[str, Any]:
    return {"member": member, "seq": notice.seq, "reason": notice.reason, "subject": notice.subject}


def _next_letter(tx: Reading) -> int:
    return int(tx.value(int, "newest_letter") or 0) + 1
