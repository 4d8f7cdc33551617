"""Presence: check in, send a heartbeat, and wait for a wake."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from teamroom.server.acts.act import (
    Act,
    Arguments,
    Line,
    Mode,
    Read,
    Reply,
    Seq,
    Span,
    TaskId,
    always,
    author,
    from_now,
)
from teamroom.server.acts.capabilities.probes import Probe, open_probes
from teamroom.server.acts.presence.trouble import answer_challenge, clear_after_note, open_question
from teamroom.server.acts.reminders.reminders import Reminder, reminders_of
from teamroom.server.acts.tasks.hand_offs import OfferShown, offers_to
from teamroom.server.facts.capability import probes_due
from teamroom.server.facts.cursors import require_this_epoch
from teamroom.server.facts.decision import DecisionShown, decisions_of
from teamroom.server.facts.holding import find_current, schedule_task
from teamroom.server.facts.ids import message_name
from teamroom.server.facts.member import member_changed
from teamroom.server.facts.reviewer import ReviewDue, replace_lost_reviewers
from teamroom.server.facts.roles import EVERYBODY
from teamroom.server.facts.standing import pause_details, state_of
from teamroom.server.facts.steps import Delivery, note_acted, note_notified
from teamroom.server.facts.task import PAUSES_KNOWN, add_entry, task_changed, task_now
from teamroom.server.facts.timers import check_presence_by, schedule_presence_check
from teamroom.server.facts.wakes import note_seen
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal
from teamroom.server.rules.budgets import seconds_until_free
from teamroom.server.rules.folding import HELD, Cause, ShownWake, digest_line, join_wakes
from teamroom.server.rules.leases import Pause, lease_seconds
from teamroom.server.rules.text import add_quote, is_members_text, quote_wake, state_in_words
from teamroom.server.store.rows.control import PauseRow
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.members import KindsWaiting, NoteRow, Principal
from teamroom.server.store.rows.messages import UnwokenReply
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing

WAKES_SHOWN = 50
WAKES_READ = 200
"""How many wakes one reply shows, and how many are read for it. Equal ones and those of a digest are shown as one."""

QUIET_SHOWN, QUIET_LOOKED_AT = 10, 50
"""How many messages that did not wake their addressee one check-in shows, and of how many. The thread has all."""

ROOM_NAME = "room"


class CheckIn(Arguments):
    """Arguments of `check_in`."""

    mode: Mode | None = None
    after: Seq | None = None


class Heartbeat(Arguments):
    """Arguments of `heartbeat`."""

    task: TaskId | None = None
    note: Line | None = None
    busy_until: Span | None = None
    answer: Line | None = None


class Acknowledge(Arguments):
    """The cursor that a waiting call acknowledges before it waits."""

    after: Seq


class WaitForWake(Arguments):
    """Arguments of `wait_for_wake`."""

    after: Seq | None = None
    timeout_seconds: Annotated[float, Field(ge=0, le=50)] | None = None


class WaitAgain(WaitForWake):
    """The same of a listener without a cursor: the number up to which it was already given wakes."""

    given: int = 0


@dataclass(slots=True)
class Wake:
    """Why a member wakes, as a plain dataclass because a page holds fifty. `from_` is sent as `from`.

    `count`: how many wakes it joins. Equal wakes show the newest line. A digest has the number of the newest wake, and
    its line says where to read all of them.
    """

    seq: int
    reason: str
    subject: str
    from_: Annotated[str, Field(serialization_alias="from")]
    line: str
    count: int = 1


class TaskHeld(BaseModel):
    """A task of the caller's, in one line."""

    task: str
    title: str
    creator: str
    state: str
    fence: int
    lease_until: str | None


class QuietMessage(BaseModel):
    """A message to the caller that did not wake it, in one line. `from_` is sent as `from`."""

    message: str
    from_: Annotated[str, Field(serialization_alias="from")]
    line: str


class CheckedIn(Reply):
    """Reply of `check_in`. `quiet`: messages to the caller since its cursor that did not wake it, oldest first.

    `decisions`: those that wait for the caller, and those that it asked for, open or settled since its cursor.
    """

    cursor: int
    standing: str
    mode: str
    changes: int
    wakes: list[Wake]
    tasks: list[TaskHeld]
    offers: list[OfferShown]
    probes: list[Probe]
    reviews: list[ReviewDue]
    reminders: list[Reminder]
    challenge: str | None = None
    decisions: list[DecisionShown] = Field(default_factory=list)
    quiet: list[QuietMessage] = Field(default_factory=list)


class Pending(BaseModel):
    """How much waits for a member."""

    wakes: int
    offers: int


class Beat(Reply):
    """Reply of `heartbeat`."""

    standing: Literal["active", "paused"]
    by: str | None = None
    reason: str | None = None
    until: str | None = None
    pending: Pending


class Waited(BaseModel):
    """Reply of `wait_for_wake`; `proofs`: how many capabilities the member should prove now.

    `unacknowledged`: wakes that this listener was given before and that nobody has acknowledged. `due_seconds`: after
    how many seconds a delayed digest is due.
    """

    wakes: list[Wake]
    cursor: int
    unacknowledged: int = 0
    proofs: int = 0
    superseded: bool = False
    """Whether another listener of this member has superseded this call."""
    due_seconds: Annotated[float | None, Field(exclude=True)] = None
    after: Annotated[int, Field(exclude=True)] = 0
    """The number after which it looked for wakes."""


class Acknowledged(Reply):
    """The number up to which a member has seen its wakes."""

    cursor: int


def check_in(tx: Writing, caller: Caller, arguments: CheckIn) -> CheckedIn:
    """Acknowledge what was seen, and return what is new, the caller's tasks and what waits for it. Raises Refusal."""
    row = tx.principal
    mode = row.mode
    receipt = None
    if arguments.mode is not None and arguments.mode != mode:
        mode = arguments.mode
        tx.run("set_mode", member=caller.member, mode=mode)
        member_changed(tx, caller.member)
        if caller.kind == "agent":
            schedule_presence_check(tx, caller.member, mode)
        receipt = log.append(
            tx,
            author(caller),
            act="check_in",
            subject=f"@{caller.name}",
            summary=f"@{caller.name} is now in mode {mode}",
            detail={"mode": mode},
        )
    cursor = _acknowledge(tx, caller, arguments.after, row.acknowledged)
    if row.epoch != tx.head.epoch:
        tx.run("join_epoch", member=caller.member, epoch=tx.head.epoch)
    found = tx.only(KindsWaiting, "kinds_waiting", member=caller.member, after=cursor)
    reviews = replace_lost_reviewers(tx, caller.member) if found.reviews else []
    is_woken = row.has_wakes or caller.member in tx.effects.woken
    wakes, seen = pending_wakes(tx, cursor, tx.head.seq) if is_woken else ([], tx.head.seq)
    note_seen(tx, caller, seen)
    _note_steps(tx, caller, row.acknowledged, cursor, seen if wakes else cursor)
    return CheckedIn(
        receipt=receipt,
        cursor=seen,
        standing=state_of(row, tx.now),
        mode=mode,
        changes=tx.head.seq - cursor,
        wakes=wakes,
        tasks=tasks_of(tx, caller.member) if found.tasks else [],
        offers=offers_to(tx, caller.member) if row.has_offers else [],
        probes=open_probes(tx, caller) if found.capabilities else [],
        reviews=reviews,
        reminders=reminders_of(tx, caller.member) if found.reminders else [],
        challenge=open_question(tx, caller.member) if row.trouble else None,
        decisions=decisions_of(tx, caller, cursor) if found.decisions or caller.kind == "human" else [],
        quiet=_quiet_messages(tx, caller.member, cursor) if found.messages else [],
    )


def _note_steps(tx: Writing, caller: Caller, before: int, cursor: int, seen: int) -> None:
    """Record that the member itself acknowledges wakes up to a cursor, or that its newest listener is given more."""
    if tx.listener is None and cursor > before:
        note_acted(tx, caller.member, before, cursor)
    elif tx.listener is not None and tx.listener.is_newest and seen > cursor:
        note_notified(tx, Delivery(caller, tx.listener.name, cursor, seen, tx.now))


def _quiet_messages(tx: Reading, member: int, after: int) -> list[QuietMessage]:
    """The newest messages to a member since a number that did not wake it, oldest first."""
    bounds = {"looked_at": QUIET_LOOKED_AT, "limit": QUIET_SHOWN}
    rows = tx.all(UnwokenReply, "unwoken_replies", member=member, after=after, **bounds)
    return [QuietMessage(message=message_name(row.id), from_=row.author, line=row.summary) for row in reversed(rows)]


def heartbeat(tx: Writing, caller: Caller, arguments: Heartbeat) -> Beat:
    """Record a sign of life. Only a new note about a task that the caller holds counts as progress.

    With `busy_until`, that note also renews the lease of the task.
    """
    row = tx.principal
    active = state_of(row, tx.now) == "active"
    receipt = None
    if active and arguments.answer is not None and row.trouble:
        answer_challenge(tx, caller, arguments.answer)
    if active and (arguments.note or arguments.busy_until or arguments.task):
        receipt = _progress(tx, caller, row, arguments)
    wakes = tx.number("count_pending_wakes", member=caller.member, after=row.acknowledged) if row.has_wakes else 0
    offers = tx.number("count_open_offers_to", member=caller.member, now=tx.now) if row.has_offers else 0
    return Beat(
        receipt=receipt,
        standing="active" if active else "paused",
        **({} if active else pause_details(tx, row)),
        pending=Pending(wakes=wakes, offers=offers),
    )


def acknowledge(tx: Writing, caller: Caller, arguments: Acknowledge) -> Acknowledged:
    """Acknowledge the caller's wakes up to a cursor. Raises Refusal."""
    cursor = _acknowledge(tx, caller, arguments.after, tx.principal.acknowledged)
    note_seen(tx, caller, cursor)
    return Acknowledged(cursor=cursor)


def wakes_waiting(tx: Reading, caller: Caller, arguments: WaitForWake) -> Waited:
    """Return the wakes after the cursor of a waiting call; without one, those that its listener was not given yet.

    An agent whose pause with others has just ended gets none before its turn (QUI7). Wakes that one agent causes beyond
    its share are delayed: they come with the next other wake, or as one digest after the window.
    """
    acknowledged = int(tx.principal.acknowledged)
    given = arguments.given if isinstance(arguments, WaitAgain) else 0
    after = max(acknowledged, given) if arguments.after is None else arguments.after
    unacknowledged = _count_between(tx, caller.member, acknowledged, after)
    if _is_held_back(tx, tx.principal):
        return Waited(wakes=[], cursor=after, unacknowledged=unacknowledged)
    causes, cursor = _causes(tx, caller.member, after, tx.only(ReadHead, "read_head").seq)
    if causes and all(cause.folded and cause.kind != "human" for cause in causes):
        due = seconds_until_free(causes[0].at, tx.settings.wakes_seconds, tx.now)
        if due > 0:
            cursor = max(after, causes[0].seq - 1)
            return Waited(wakes=[], cursor=cursor, unacknowledged=unacknowledged, due_seconds=due)
    wakes, seen = _show_wakes(tx, causes, cursor)
    proofs = len(probes_due(tx, caller.member))
    return Waited(wakes=wakes, cursor=seen, unacknowledged=unacknowledged, proofs=proofs, after=after)


def _count_between(tx: Reading, member: int, after: int, upto: int) -> int:
    """How many wakes of a member have numbers in a range."""
    if upto <= after:
        return 0
    newer = tx.number("count_pending_wakes", member=member, after=upto)
    return tx.number("count_pending_wakes", member=member, after=after) - newer


def _is_held_back(tx: Reading, row: Principal) -> bool:
    """Whether an agent's pause with others has ended, and it was not let go yet."""
    held = {"member": row.member, "owner": row.owner, "now": tx.now}
    return row.kind == "agent" and tx.value(int, "is_held_back", **held) is not None


def pending_wakes(tx: Reading, after: int, end: int) -> tuple[list[Wake], int]:
    """The caller's oldest wakes after a number, and the cursor that acknowledges exactly what is shown.

    `end` is the end of the log, and the cursor if all wakes fit.
    """
    return _show_wakes(tx, *_causes(tx, tx.principal.member, after, end))


def _causes(tx: Reading, member: int, after: int, end: int) -> tuple[list[Cause], int]:
    """A member's recorded wakes after a number, without splitting an entry's wakes, and the cursor after them."""
    rows = tx.all(Cause, "pending_wakes", member=member, after=after, limit=WAKES_READ + 1)
    if len(rows) <= WAKES_READ:
        return rows, max(after, end)
    cut = rows[-1].seq
    return [row for row in rows if row.seq < cut], cut - 1


def _show_wakes(tx: Reading, causes: list[Cause], cursor: int) -> tuple[list[Wake], int]:
    """The wakes to show, equal ones and digests joined (QUI4, CTL5), and the cursor after them."""
    if not causes:
        return [], cursor
    shown = join_wakes(causes, _was_paused(tx, causes[0].at), WAKES_SHOWN)
    if sum(len(wake.causes) for wake in shown) < len(causes):
        cursor = shown[-1].newest.seq
    return [_wake(wake, tx.principal.name) for wake in shown], cursor


def _was_paused(tx: Reading, since: float) -> Callable[[float], bool] | None:
    """A test whether the caller was paused at a time; None if it never was. Pauses above it bind agents only."""
    row = tx.principal
    levels = ("member", "owner", "room") if row.kind == "agent" else ("member",)
    rows = tx.all(PauseRow, "pauses", member=row.member, owner=row.owner, since=since, limit=PAUSES_KNOWN)
    pauses = [Pause(row.scope, row.since, row.until) for row in rows if row.scope in levels]
    return (lambda at: any(pause.covers(at) for pause in pauses)) if pauses else None


def _wake(wake: ShownWake, member: str) -> Wake:
    cause = wake.causes[-1]
    if not wake.digest:
        seq, reason, subject, by, text = cause[:5]
        line = text if is_members_text(reason, by) else quote_wake(reason, by, text)
        return Wake(seq, reason, subject, by, line, len(wake.causes))
    line = digest_line(wake, member)
    sender = ROOM_NAME if wake.digest == HELD else cause.sender
    reason = "control" if wake.digest == HELD else cause.reason
    return Wake(cause.seq, reason, cause.subject, sender, line, len(wake.causes))


def tasks_of(tx: Reading, member: int) -> list[TaskHeld]:
    """The tasks that a member holds, with their fences."""
    held = []
    for id_ in tx.column(int, "tasks_held", member=member):
        task = task_now(tx, tx.only(TaskRow, "task", id=id_))
        held.append(
            TaskHeld(
                task=task.name,
                title=task.row.title,
                creator=task.row.creator_name,
                state=task.state,
                fence=task.fence,
                lease_until=task.lease_until(tx),
            )
        )
    return held


def _acknowledge(tx: Writing, caller: Caller, after: int | None, acknowledged: int) -> int:
    require_this_epoch(tx, after)
    if after is None:
        return acknowledged
    if after > tx.head.seq:
        raise Refusal(
            "invalid",
            f"The cursor {after} is ahead of the room's log, which ends at {tx.head.seq}.",
            "Call check_in without after, and continue from the cursor it returns.",
        )
    if after > acknowledged:
        tx.run("acknowledge", member=caller.member, seq=after)
    return max(after, acknowledged)


def _progress(tx: Writing, caller: Caller, row: Principal, arguments: Heartbeat) -> int | None:
    known = tx.only(NoteRow, "last_note", member=caller.member)
    digest = hashlib.sha256((arguments.note or "").encode()).hexdigest()
    new_note = bool(arguments.note) and digest != known.last_note
    busy_until = None if arguments.busy_until is None else from_now(tx, arguments.busy_until)
    if busy_until is not None and busy_until > tx.now + tx.policy.busy_max_seconds + 1:
        raise Refusal(
            "invalid",
            f"busy_until may be at most {tx.policy.busy_max_seconds:.0f} s ahead.",
            f"Call again with busy_until {tx.policy.busy_max_seconds:.0f}, and renew it before it ends.",
        )
    receipt = None
    if arguments.task is not None:
        receipt = _renew(tx, caller, row, arguments, busy_until if new_note else None, new_note)
    if not new_note:
        return receipt
    note = {"member": caller.member, "now": tx.now, "note": digest, "busy_until": busy_until}
    if arguments.task is None:
        tx.run("record_note", **note)
    else:
        tx.run("record_progress", **note, task=arguments.task)
        if row.trouble in ("suspect", "zombie"):
            clear_after_note(tx, caller)
    if (known.busy_until or 0.0) > max(tx.now, busy_until or 0.0):
        check_presence_by(tx, caller.member, tx.now)  # the declared work ended sooner
    return receipt


def _renew(
    tx: Writing, caller: Caller, row: Principal, arguments: Heartbeat, busy_until: float | None, new_note: bool
) -> int | None:
    """Renew the lease for a new note with declared work; returns the receipt, None if nothing changes."""
    assert arguments.task is not None
    task = find_current(tx, arguments.task)
    if task.holder != caller.member:
        state = state_in_words(task.state)
        holder = f"it is {state}" if task.holder is None else f"@{task.row.holder_name} holds it"
        raise Refusal(
            "stale_fence",
            f"You do not hold {task.name}: {holder}.",
            "Call check_in to see the tasks that you hold.",
            subject=task.name,
            holder=task.row.holder_name,
        )
    if not new_note or busy_until is None or task.state != "claimed":
        return None
    seconds = max(lease_seconds(caller.kind, row.mode, tx.policy, tx.settings), busy_until - tx.now)
    seq = log.append(
        tx,
        author(caller),
        act="heartbeat",
        subject=task.name,
        summary=add_quote(f"@{caller.name} works on {task.name}", arguments.note or ""),
        detail={"note": arguments.note, "busy_until": tx.date_of(busy_until)},
    )
    tx.run("renew_lease", id=task.id, now=tx.now, lease_seconds=seconds, seq=seq)
    task_changed(tx, task.id, caller.member)
    schedule_task(tx, task.id, caller.member, row.mode, seconds)
    add_entry(tx, task.id, caller, "note", arguments.note or "")
    return seq


CHECK_IN = Act(
    "check_in", CheckIn, CheckedIn, check_in, roles=EVERYBODY, is_evidence=lambda reply: False, shows_wakes=True
)
HEARTBEAT = Act(
    "heartbeat", Heartbeat, Beat, heartbeat, roles=EVERYBODY, while_paused=True, is_evidence=lambda reply: False
)
ACKNOWLEDGE = Act("wait_for_wake", Acknowledge, Acknowledged, acknowledge, roles=EVERYBODY, shows_wakes=True)
WAKES_WAITING = Read("wait_for_wake", WaitForWake, wakes_waiting, is_small=always)
