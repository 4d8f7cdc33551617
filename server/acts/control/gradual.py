"""The end of a pause of several agents: what it held is delivered over time, so that they do not all start (QUI7).

When such a pause ends, by a resume or by its time, a timer of its owner or of the room is due. Its pages note every
agent that no pause binds any longer. From then on, the room lets five go at once and one each second. Until its turn,
an agent may act and check in, but `wait_for_wake` shows it nothing of what was held.
"""

from teamroom.server.acts.act import Arguments
from teamroom.server.facts.standing import ROOM, state_of, stored_standing, stored_state
from teamroom.server.facts.task import ROOM_MEMBER
from teamroom.server.facts.timers import RESUMED, Timer, cancel_timer, find_timer, schedule
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.rules.standing import Level
from teamroom.server.rules.text import add_quote
from teamroom.server.store.rows.control import HeldBack
from teamroom.server.store.rows.members import MemberName, MemberRow
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.transaction import Writing

LET_GO = "let_go"
"""The rule of the one timer by which the room lets agents go."""

AT_ONCE, EACH_SECONDS = 5, 1.0
"""How many agents are let go at once, and how often one more."""

PAGE = 500
"""How many numbers of members one page looks at."""

WAKES_LOOKED_AT = 20
"""Among how many of its newest wakes an agent's alerts and questions from people are looked for."""


def end_later(tx: Writing, owner: int, until: float | None) -> None:
    """A pause of an owner's agents, or of the room (0), begins: note when it ends by itself. None: never."""
    tx.run("forget_held_back", owner=owner)
    if until is None:
        cancel_timer(tx, RESUMED, owner, owner or ROOM_MEMBER)
    else:
        schedule(tx, RESUMED, owner, owner or ROOM_MEMBER, 0, at=until)


def begin_to_let_go(tx: Writing, owner: int) -> None:
    """A pause of an owner's agents, or of the room (0), has ended: let them go, one after the other."""
    schedule(tx, RESUMED, owner, owner or ROOM_MEMBER, 0)


def let_go_first(tx: Writing, caller: Caller, arguments: Arguments) -> None:
    """Let the first agents go, right after a resume."""
    target = str(getattr(arguments, "target", ""))
    row = tx.one(MemberRow, "member_by_name", name=target.removeprefix("owner:").lstrip("@"))
    owner = ROOM if row is None or not target.startswith("owner:") else row.id
    noted = find_timer(tx, RESUMED, owner, owner or ROOM_MEMBER)
    if noted is not None and noted.at <= tx.now:
        note_agents(tx, noted)
    due = find_timer(tx, LET_GO, ROOM, ROOM_MEMBER)
    if due is not None and due.at <= tx.now:
        let_go(tx, due)


def note_agents(tx: Writing, due: Timer) -> None:
    """Note a page of the agents whose pause has ended."""
    level, target = _level(due.subject)
    if stored_state(stored_standing(tx, level, target), tx.now) != "active":
        cancel_timer(tx, due.rule, due.subject, due.member)
        return
    upto = due.slot + PAGE
    page = {"after": due.slot, "upto": upto, "looked_at": WAKES_LOOKED_AT}
    tx.run("hold_back", owner=due.subject, **page, now=tx.now)
    if upto < tx.head.members:
        tx.run("count_slot", **due.key, at=tx.now, span=0, slot=upto, counted=0, escalated=0)
        tx.effects.due = min(tx.effects.due, tx.now)
        return
    cancel_timer(tx, due.rule, due.subject, due.member)
    if find_timer(tx, LET_GO, ROOM, ROOM_MEMBER) is None:
        schedule(tx, LET_GO, ROOM, ROOM_MEMBER, 0)


def let_go(tx: Writing, due: Timer) -> None:
    """Let the next agents go: those with an alert or a person's question first, then those that waited longest."""
    count = AT_ONCE if due.slot == 0 else 1
    rows = tx.all(HeldBack, "next_held_back", limit=count + 1)
    for row in rows[:count]:
        tx.run("let_go", member=row.member)
        _tell(tx, row)
    if len(rows) <= count:
        cancel_timer(tx, due.rule, due.subject, due.member)
        return
    at = tx.now + EACH_SECONDS
    tx.run("count_slot", **due.key, at=at, span=0, slot=due.slot + count, counted=0, escalated=0)
    tx.effects.due = min(tx.effects.due, at)


def _tell(tx: Writing, row: HeldBack) -> None:
    """Wake an agent that may go on. If another pause binds it by now, that one holds its wakes."""
    if state_of(tx.only(WatchedMember, "watched", member=row.member), tx.now) != "active":
        return
    level, target = _level(row.owner)
    standing = stored_standing(tx, level, target)
    what = "room" if level == "room" else f"owner:{tx.only(MemberName, 'member_by_id', id=target).name}"
    if standing.state == "active":
        line = add_quote(f"@{standing.by_name} resumed {what}", standing.reason)
    else:
        line = add_quote(f"The pause of {what} by @{standing.by_name} has ended", standing.reason)
    wake_members(tx, [row.member], reason="control", subject=what, sender=standing.by_member, line=line)


def _level(owner: int) -> tuple[Level, int]:
    return ("room", ROOM) if owner == ROOM else ("owner", owner)
