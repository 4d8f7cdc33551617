"""What follows a stop, and the end of a member's last token: freed tasks, void offers, and wakes. A stop commits first.

Each page is a transaction of its own. A timer says what is left, so a crash between two pages loses nothing: the
supervisor goes on with the next one.
"""

from dataclasses import dataclass

from teamroom.server.acts.decisions.settle import ask_others
from teamroom.server.acts.presence.trouble import clear_after_end
from teamroom.server.acts.tasks.release import (
    blocked_on,
    lift_blocks,
    notify_creators,
    notify_givers,
    notify_unblocked,
    release,
    unassign,
)
from teamroom.server.acts.tasks.repairs import give_back_freed_repairs, tell_of_lost_repairs
from teamroom.server.facts.ended import describe_end, find_person, is_ended, reachable, watch_tokens
from teamroom.server.facts.ids import message_name
from teamroom.server.facts.reviewer import replace_ended_reviewer
from teamroom.server.facts.standing import is_killed, stored_standing
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import KILLED, Timer, cancel_timer, schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.rules.text import add_quote, one_line
from teamroom.server.store.rows.control import SenderRow
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.rows.messages import UnansweredAsk
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Writing

PAGE = 100
"""How many tasks, offers and wakes one page settles."""

REVIEWS = 5
"""How many reviews of such a member one page gives to others; a choice among many members costs most."""

DECISIONS = 20
"""How many decisions that such a person was asked for one page asks of others."""


def begin_after_kill(tx: Writing, member: int) -> None:
    """Remember that what a killed member held must be settled."""
    schedule(tx, KILLED, member, member, 0)


def settle_kill(tx: Writing, due: Timer) -> None:
    """Settle a page of what only a killed member could do."""
    row = tx.only(WatchedMember, "watched", member=due.subject)
    by = stored_standing(tx, "member", row.id).by_member
    _settle(tx, due, row, by, f"After the kill of @{row.name}", f"@{row.name} was killed")


def settle_tokenless(tx: Writing, due: Timer) -> None:
    """Settle a page of what only a member without a valid token could do, once that is so for `tokenless_seconds`."""
    row = tx.only(WatchedMember, "watched", member=due.subject)
    if is_killed(row) or row.tokens_until is None:
        cancel_timer(tx, due.rule, due.subject, due.member)
        return
    if not is_ended(tx, row):
        watch_tokens(tx, row.id)
        return
    why = f"@{row.name} {describe_end(tx, row)}"
    if _settle(tx, due, row, ROOM_MEMBER, f"As {why}", why):
        clear_after_end(tx, row.id, why, tx.head.seq)
        _tell_owner(tx, row, why)


@dataclass(slots=True)
class _Page:
    """What one page frees: offers, tasks, and what else waited for the member."""

    freed: dict[str, list[str]]
    unassigned: list[str]
    senders: list[SenderRow]
    asks: list[UnansweredAsk]
    blocked: list[TaskRow]
    left: int
    """How much more the page could have settled; 0 or less: there may be more."""

    @property
    def waiting(self) -> list[int]:
        """The members whose wakes it has not acknowledged."""
        return [row.sender for row in self.senders if row.waits]


def _settle(tx: Writing, due: Timer, row: WatchedMember, by: int, head: str, why: str) -> bool:
    """Settle a page of what only a member that has ended could do; returns whether nothing is left."""
    page = _free_page(tx, due, row)
    waiting = [sender for sender in page.waiting if sender != row.id]
    freed = {**page.freed, "unassigned": page.unassigned, "unblocked": lift_blocks(tx, page.blocked)}
    if any(freed.values()) or waiting or page.asks:
        _record(tx, row.name, head, freed, len(waiting) + len(page.asks))
    give_back_freed_repairs(tx, freed["tasks"], row.id, why)
    line = f"{why} and cannot answer"
    notify_givers(tx, freed["offers"], row.id, by, line)
    notify_creators(tx, page.unassigned, row.id, row.name, why)
    notify_unblocked(tx, page.blocked, why)
    wake_members(tx, waiting, reason="control", subject=f"@{row.name}", sender=by, line=line)
    _notify_askers(tx, page.asks, row.id, by, line)
    replaced = replace_ended_reviewer(tx, row.id, REVIEWS)
    given = ask_others(tx, row.id, why, DECISIONS) if row.kind == "human" else 0
    if page.left <= 0 or replaced == REVIEWS or given > 0:
        asked = page.asks[-1].id if page.asks else due.counted
        _go_on(tx, due, page.senders[-1].sender if page.senders else due.slot, asked)
        return False
    if row.role == "watchdog":
        tell_of_lost_repairs(tx, row.id, why)
    cancel_timer(tx, due.rule, due.subject, due.member)
    return True


def _free_page(tx: Writing, due: Timer, row: WatchedMember) -> _Page:
    """Free a page of what a member held and was given, and find a page of those that wait for it."""
    unassigned = unassign(tx, row.id, PAGE)
    freed = release(tx, row.id, PAGE - len(unassigned))
    left = PAGE - len(unassigned) - len(freed["offers"]) - len(freed["tasks"])
    shown = tx.only(MemberRow, "member_by_name", name=row.name).acknowledged
    about = {"member": row.id, "limit": max(left, 0)}
    senders = tx.all(SenderRow, "senders_to", after=shown, past=due.slot, **about)
    asks = tx.all(UnansweredAsk, "asks_shown_to", past=due.counted, shown=shown, **about)
    left -= max(len(senders), len(asks))
    blocked = blocked_on(tx, row.id, row.name) if left > 0 else []
    return _Page(freed, unassigned, senders, asks, blocked, left)


def _notify_askers(tx: Writing, asks: list[UnansweredAsk], member: int, by: int, line: str) -> None:
    """Wake those who asked a member something that it was shown and has not answered."""
    for ask in asks:
        asker = reachable(tx, ask.author)
        if asker is not None and asker != member:
            name = message_name(ask.id)
            about = add_quote(f"{line} {name}", ask.summary)
            wake_members(tx, [asker], reason="control", subject=name, sender=by, line=about)


def _tell_owner(tx: Writing, row: WatchedMember, why: str) -> None:
    """Wake the person who can give a member without a token a new one."""
    person = find_person(tx, row.id, other_than=row.id)
    line = one_line(f"{why}, so its work was freed. Give it a token: teamroom enroll {row.name} --rotate")
    wake_members(
        tx,
        [] if person is None else [person.id],
        reason="alert",
        subject=f"@{row.name}",
        sender=ROOM_MEMBER,
        line=line,
    )


def _record(tx: Writing, name: str, head: str, freed: dict[str, list[str]], told: int) -> None:
    did = [
        f"reopened {', '.join(freed['tasks'])}" if freed["tasks"] else "",
        f"lets anyone claim {', '.join(freed['unassigned'])}" if freed["unassigned"] else "",
        f"voided {', '.join(freed['offers'])}" if freed["offers"] else "",
        f"lifted the block of {', '.join(freed['unblocked'])}" if freed["unblocked"] else "",
        f"told {told} member{'s' if told != 1 else ''} that it cannot answer" if told else "",
    ]
    summary = one_line(f"{head}, the room {'; '.join(filter(None, did))}")
    log.append(tx, ROOM_AUTHOR, act="release", subject=f"@{name}", summary=summary, detail={**freed, "told": told})


def _go_on(tx: Writing, due: Timer, past: int, asked: int = 0) -> None:
    """The next page is due at once, behind a member and an ask."""
    tx.run("count_slot", **due.key, at=tx.now, span=0, slot=past, counted=asked, escalated=0)
    tx.effects.due = min(tx.effects.due, tx.now)
