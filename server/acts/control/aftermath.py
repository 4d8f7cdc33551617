"""What follows a stop: freed tasks, void offers, and wakes. The stop itself is committed first.

Each page is a transaction of its own. A timer says what is left, so a crash between two pages loses nothing: the
supervisor goes on with the next one.
"""

from teamroom.server.acts.tasks.release import notify_givers, release
from teamroom.server.acts.tasks.repairs import give_back_freed_repairs
from teamroom.server.facts.reviewer import replace_killed_reviewer
from teamroom.server.facts.standing import ROOM, stored_standing, stored_state
from teamroom.server.facts.task import ROOM_AUTHOR, ROOM_MEMBER
from teamroom.server.facts.timers import KILLED, Timer, cancel_timer, find_timer, schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.record import chain as log
from teamroom.server.rules.text import add_quote, one_line
from teamroom.server.store.rows.control import SenderRow
from teamroom.server.store.rows.members import MemberName, MemberRow
from teamroom.server.store.transaction import Writing

RESUMED = "resumed"
"""The rule of the timer of members that wait to be told that they may go on."""

PAGE = 100
"""How many tasks, offers and wakes one page settles."""

REVIEWS = 5
"""How many reviews of a killed member one page gives to others; a choice among many members costs most."""


def begin_after_kill(tx: Writing, member: int) -> None:
    """Remember that what a killed member held must be settled."""
    schedule(tx, KILLED, member, member, 0)


def settle_kill(tx: Writing, due: Timer) -> None:
    """Settle a page of what a killed member held: offers, tasks, members that wait for its answer, and reviews."""
    name = tx.only(MemberName, "member_by_id", id=due.subject).name
    member = tx.only(MemberRow, "member_by_name", name=name)
    killer = stored_standing(tx, "member", member.id).by_member
    freed = release(tx, member.id, PAGE)
    left = PAGE - len(freed["offers"]) - len(freed["tasks"])
    senders = tx.all(
        SenderRow, "senders_to", member=member.id, after=member.acknowledged, past=due.slot, limit=max(left, 0)
    )
    waiting = [row.sender for row in senders if row.waits and row.sender != member.id]
    if freed["offers"] or freed["tasks"] or waiting:
        _record(tx, name, freed, len(waiting))
    give_back_freed_repairs(tx, freed["tasks"], member.id, f"@{name} was killed")
    line = f"@{name} was killed and cannot answer"
    notify_givers(tx, freed["offers"], member.id, killer, line)
    wake_members(tx, waiting, reason="control", subject=f"@{name}", sender=killer, line=line)
    replaced = replace_killed_reviewer(tx, member.id, REVIEWS)
    if left > 0 and len(senders) < left and replaced < REVIEWS:
        cancel_timer(tx, due.rule, due.subject, due.member)
    else:
        _go_on(tx, due, senders[-1].sender if senders else due.slot)


def _record(tx: Writing, name: str, freed: dict[str, list[str]], told: int) -> None:
    did = [
        f"reopened {', '.join(freed['tasks'])}" if freed["tasks"] else "",
        f"voided {', '.join(freed['offers'])}" if freed["offers"] else "",
        f"told {told} member{'s' if told != 1 else ''} that it cannot answer" if told else "",
    ]
    summary = one_line(f"After the kill of @{name}, the room {'; '.join(filter(None, did))}")
    log.append(tx, ROOM_AUTHOR, act="release", subject=f"@{name}", summary=summary, detail={**freed, "told": told})


def begin_after_resume(tx: Writing, owner: int, members: list[int], line: str, sender: int, subject: str) -> None:
    """Wake the first members that a resume lets go on, and remember to wake the others. `owner`: 0 for the room."""
    first = members[:PAGE]
    wake_members(tx, first, reason="control", subject=subject, sender=sender, line=line)
    if len(members) > PAGE:
        timer = (RESUMED, owner, owner or ROOM_MEMBER)
        schedule(tx, *timer, 0)
        found = find_timer(tx, *timer)
        assert found is not None
        _go_on(tx, found, first[-1])


def wake_resumed(tx: Writing, due: Timer) -> None:
    """Wake a page of the members that a resume lets go on."""
    level, target = ("room", ROOM) if due.subject == ROOM else ("owner", due.subject)
    standing = stored_standing(tx, level, target)  # type: ignore[arg-type]
    members = tx.column(int, "agents_after", owner=due.subject, after=due.slot, limit=PAGE)
    if stored_state(standing, tx.now) != "active" or not members:
        cancel_timer(tx, due.rule, due.subject, due.member)
        return
    what = "room" if level == "room" else f"owner:{tx.only(MemberName, 'member_by_id', id=target).name}"
    summary = f"The room told {len(members)} more members that {what} was resumed"
    log.append(tx, ROOM_AUTHOR, act="release", subject=what, summary=summary, detail={"told": len(members)})
    line = add_quote(f"@{standing.by_name} resumed {what}", standing.reason)
    wake_members(tx, members, reason="control", subject=what, sender=standing.by_member, line=line)
    _go_on(tx, due, members[-1])


def _go_on(tx: Writing, due: Timer, past: int) -> None:
    """The next page is due at once, behind a member."""
    tx.run("count_slot", **due.key, at=tx.now, span=0, slot=past, counted=0, escalated=0)
    tx.effects.due = min(tx.effects.due, tx.now)
