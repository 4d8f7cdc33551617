"""What waits for a person: asks, reviews, offers, and tasks that only a person can start or unblock."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from teamroom.server.acts.overnight.sections import Kind, shorten
from teamroom.server.clock import rfc3339
from teamroom.server.facts.decision import asked_people, find_decision
from teamroom.server.facts.ids import decision_name, message_name, offer_name, task_name
from teamroom.server.facts.owed import is_still_owed, subject_name
from teamroom.server.rules.letters import command_to_decide
from teamroom.server.rules.overnight import LINES, find_named
from teamroom.server.store.rows.decisions import DecisionRow
from teamroom.server.store.rows.members import Renamed
from teamroom.server.store.rows.overnight import (
    AskOfPerson,
    BlockedTask,
    EscalatedRow,
    OfferToPerson,
    ReviewByPerson,
    TaskForPerson,
)
from teamroom.server.store.transaction import Reading

R = TypeVar("R", AskOfPerson, ReviewByPerson, OfferToPerson, TaskForPerson)

BLOCKED_LOOKED_AT = 1000
"""How many blocked tasks, the longest blocked first, are searched for the name of a person."""

ASKS_LOOKED_AT = 2000
"""How many of the newest asks are searched for those that nobody has answered."""

ESCALATED_LOOKED_AT = 200
"""How many escalations, the oldest first, are checked for those that still apply."""


class Waiting(BaseModel):
    """Something that waits for a person. `person` None: any person. `text`: what `by` wrote about it.

    For an escalation, `by` is the member that does not do what it owes, and `times` how often it was reminded.
    `command`: the command that settles it, where one word is left to fill in.
    """

    kind: Literal["escalation", "decision", "ask", "review", "blocked", "offer", "assigned"]
    subject: str
    person: str | None
    by: str
    since: str
    until: str | None = None
    text: str = ""
    times: int = 0
    command: str = ""


def list_waiting(tx: Reading) -> list[Kind[Waiting]]:
    """What waits for a person now, the most urgent kinds first."""
    blocked, escalated = _blocked(tx), _escalated(tx)
    late = {"before": tx.now - tx.policy.review_seconds, "now": tx.now}
    return [
        Kind("escalation", len(escalated), lambda limit: escalated[:limit]),
        Kind("decision", tx.number("count_all_open_decisions", now=tx.now), lambda limit: _decisions(tx, limit)),
        _kind(tx, "ask", AskOfPerson, "asks_to_people", _ask, looked_at=ASKS_LOOKED_AT),
        _kind(tx, "review", ReviewByPerson, "reviews_by_people", _review, **late),
        Kind("blocked", len(blocked), lambda limit: blocked[:limit]),
        _kind(tx, "offer", OfferToPerson, "offers_to_people", _offer, now=tx.now),
        _kind(tx, "assigned", TaskForPerson, "tasks_for_people", _assigned),
    ]


def _kind(
    tx: Reading, name: str, row: type[R], statement: str, build: Callable[[Reading, R], Waiting], **parameters: Any
) -> Kind[Waiting]:
    """A kind whose rows a statement finds, once. Each row says how many there are."""
    rows = tx.all(row, statement, **parameters, limit=LINES)
    return Kind(name, rows[0].total if rows else 0, lambda limit: [build(tx, one) for one in rows[:limit]])


def _ask(tx: Reading, row: AskOfPerson) -> Waiting:
    return Waiting(
        kind="ask",
        subject=message_name(row.id),
        person=row.person,
        by=row.author,
        since=rfc3339(row.at),
        text=shorten(row.summary),
    )


def _decisions(tx: Reading, limit: int) -> list[Waiting]:
    """The open decisions, those that expire first."""
    return [_decision(tx, find_decision(tx, id_)) for id_ in tx.column(int, "open_decisions", now=tx.now, limit=limit)]


def _decision(tx: Reading, row: DecisionRow) -> Waiting:
    return Waiting(
        kind="decision",
        subject=decision_name(row.id),
        person=", @".join(person.name for person in asked_people(tx, row.id)) or None,
        by=row.asker_name,
        since=tx.shown(row.created_at),
        until=tx.shown(row.expires_at),
        text=shorten(row.question),
        command=command_to_decide(decision_name(row.id), row.digest),
    )


def _review(tx: Reading, row: ReviewByPerson) -> Waiting:
    return Waiting(
        kind="review",
        subject=task_name(row.id),
        person=row.person,
        by=row.completer,
        since=tx.shown(row.completed_at),
        text=shorten(row.title),
    )


def _offer(tx: Reading, row: OfferToPerson) -> Waiting:
    return Waiting(
        kind="offer",
        subject=offer_name(row.id),
        person=row.person,
        by=row.giver,
        since=tx.shown(row.created_at),
        until=tx.shown(row.expires_at),
        text=shorten(row.note),
    )


def _assigned(tx: Reading, row: TaskForPerson) -> Waiting:
    return Waiting(
        kind="assigned",
        subject=task_name(row.id),
        person=row.person,
        by=row.creator,
        since=tx.shown(row.created_at),
        text=shorten(row.title),
    )


def _blocked(tx: Reading) -> list[Waiting]:
    """Blocked tasks that name the person they wait for."""
    people = {row.name: row.now for row in tx.all(Renamed, "people")}
    found = []
    for row in tx.all(BlockedTask, "blocked_tasks", limit=BLOCKED_LOOKED_AT):
        person = find_named(row.blocked_on, people)
        if person is not None:
            found.append(
                Waiting(
                    kind="blocked",
                    subject=task_name(row.id),
                    person=person,
                    by=row.holder,
                    since=tx.shown(row.touched_at),
                    text=shorten(row.blocked_on),
                )
            )
    return found


def _escalated(tx: Reading) -> list[Waiting]:
    """The escalations that still apply."""
    return [
        Waiting(
            kind="escalation",
            subject=subject_name(row.rule, row.subject, f"@{row.name}"),
            person=row.owner_name,
            by=row.name,
            since=tx.shown(row.since),
            times=row.counted,
        )
        for row in tx.all(EscalatedRow, "escalated", limit=ESCALATED_LOOKED_AT)
        if is_still_owed(tx, row.rule, row.subject, row.member, row.since)
    ]
