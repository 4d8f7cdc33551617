"""The tasks in progress with their holders and last progress, and what each member did in a span."""

import json
from typing import Literal

from pydantic import BaseModel

from teamroom.server.acts.overnight.sections import Kind, shorten
from teamroom.server.clock import rfc3339
from teamroom.server.facts.ids import number_of
from teamroom.server.facts.member import facts_of
from teamroom.server.facts.reviewer import as_review, reviewer_now
from teamroom.server.facts.task import ROOM_MEMBER, task_now
from teamroom.server.rules.presence import Presence, find_presence, is_mode_supported
from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.rows.messages import MessagePlace
from teamroom.server.store.rows.overnight import DoneByMember, HandOverCount, LastEntry, StateCount
from teamroom.server.store.rows.supervisor import WatchedMember
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading

TITLES = 2
"""How many of a member's newest completions are named."""

IN_WORK = ("claimed", "blocked", "offered", "in_review")


class Brought(BaseModel):
    """The last progress of a task; `evidence`: the first evidence of a completion."""

    by: str
    at: str
    kind: str
    text: str
    evidence: str = ""


class Held(BaseModel):
    """A task in progress: its holder (in review, its completer), that member's presence, and the last progress."""

    task: str
    title: str
    state: Literal["claimed", "blocked", "offered", "in_review"]
    holder: str
    presence: str
    reason: str
    overdue: bool
    lease_until: str | None
    waits_for: str | None
    last: Brought | None


class Title(BaseModel):
    """A task by its title."""

    task: str
    title: str


class Doer(BaseModel):
    """What a member did in the span. `newest`: what it completed last."""

    member: str
    completed: int = 0
    reviewed: int = 0
    handed_over: int = 0
    took_over: int = 0
    reports: int = 0
    newest: list[Title] = []


# ------------------------------------------------------------------ tasks in progress


def list_held(tx: Reading, counts: dict[str, int]) -> list[Kind[Held]]:
    """All tasks in progress. Those that are overdue, or soon will be, come first."""

    def first(limit: int) -> list[Held]:
        known: dict[int, Presence] = {}
        return [_held(tx, id_, known) for id_ in tx.column(int, "tasks_in_work", limit=limit)]

    return [Kind("task", sum(counts.get(state, 0) for state in IN_WORK), first)]


def count_unfinished(tx: Reading) -> dict[str, int]:
    """The number of tasks in each unfinished state."""
    return {row.state: row.tasks for row in tx.all(StateCount, "count_unfinished")}


def _held(tx: Reading, id_: int, known: dict[int, Presence]) -> Held:
    task = task_now(tx, tx.only(TaskRow, "task", id=id_))
    row = task.row
    has_it = (row.completed_by if task.state == "in_review" else row.holder) or ROOM_MEMBER
    if has_it not in known:
        facts = facts_of(tx, tx.only(WatchedMember, "watched", member=has_it))
        known[has_it] = find_presence(facts, tx.now, tx.settings)
        if not is_mode_supported(facts, tx.now, tx.settings):
            known[has_it] = known[has_it]._replace(reason=f"{known[has_it].reason}; {facts.mode} without a listener")
    return Held(
        task=task.name,
        title=shorten(row.title),
        state=task.state,
        holder=(row.completer_name if task.state == "in_review" else row.holder_name) or "",
        presence=known[has_it].state,
        reason=known[has_it].reason,
        overdue=task.overdue_seconds(tx.now, tx.settings) > 0,
        lease_until=task.lease_until(tx),
        waits_for=_waits_for(tx, task.state, row),
        last=_brought(tx, id_),
    )


def _waits_for(tx: Reading, state: str, row: TaskRow) -> str | None:
    if state == "in_review":
        reviewer = reviewer_now(tx, as_review(row))
        return None if reviewer is None else f"@{reviewer.name}"
    return {"blocked": shorten(row.blocked_on), "offered": f"@{row.receiver_name}"}.get(state)


def _brought(tx: Reading, task: int) -> Brought | None:
    row = tx.one(LastEntry, "last_brought", task=task)
    if row is None:
        return None
    evidence = (json.loads(row.detail) if row.detail else {}).get("evidence") or [None]
    return Brought(
        by=row.member,
        at=rfc3339(row.at),
        kind=row.kind,
        text=shorten(row.text),
        evidence="" if evidence[0] is None else shorten(f"{evidence[0]['kind']} {evidence[0]['ref']}"),
    )


# ------------------------------------------------------------------ what members did


def list_done(tx: Reading, after: int) -> list[Kind[Doer]]:
    """What each member did since a number, the most productive first."""
    ranked = sorted(((id_, tally) for id_, tally in _tallies(tx, after).items() if any(tally.values())), key=_rank)
    return [Kind("member", len(ranked), lambda limit: [_doer(tx, after, *of) for of in ranked[:limit]])]


def _tallies(tx: Reading, after: int) -> dict[int, dict[str, int]]:
    """What each member did, in numbers, the most important first."""
    before = tx.one(MessagePlace, "message_before", seq=after)
    found = {
        row.member: {
            "completed": row.completed,
            "reviewed": row.reviewed,
            "handed_over": 0,
            "took_over": 0,
            "reports": row.reports,
        }
        for row in tx.all(DoneByMember, "done_by_member", after=after, message=0 if before is None else before.id)
    }
    for row in tx.all(HandOverCount, "handed_over", after=after):
        found[row.giver]["handed_over"] += row.times
        found[row.receiver]["took_over"] += row.times
    return found


def _rank(of: tuple[int, dict[str, int]]) -> tuple[int, ...]:
    id_, tally = of
    return (*(-number for number in tally.values()), id_)


def _doer(tx: Reading, after: int, id_: int, tally: dict[str, int]) -> Doer:
    names = tx.column(str, "newest_completions", member=id_, after=after, limit=TITLES)
    titles = [(name, tx.only(TaskRow, "task", id=number_of(name)).title) for name in dict.fromkeys(names)]
    return Doer(
        member=tx.only(MemberName, "member_by_id", id=id_).name,
        **tally,
        newest=[Title(task=name, title=shorten(title)) for name, title in titles],
    )
