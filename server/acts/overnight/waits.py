"""What waits for a person: questions, reviews, offers, work that only they can begin or let go on."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from teamroom.server.acts.overnight.sections import Kind, short
from teamroom.server.clock import rfc3339
from teamroom.server.facts.ids import message_name, offer_name, task_name
from teamroom.server.facts.owed import is_still_owed, subject_name
from teamroom.server.rules.overnight import who_is_named
from teamroom.server.store.rows.overnight import (
    AskOfPerson,
    BlockedTask,
    EscalatedRow,
    OfferToPerson,
    ReviewByPerson,
    TaskForPerson,
)
from teamroom.server.store.transaction import Reading

R = TypeVar("R")

BLOCKED_LOOKED_AT = 1000
"""Among how many blocked tasks, those first that stand longest, it is looked for the ones that name a person."""

ESCALATED_LOOKED_AT = 200
"""How many escalations, the oldest first, are looked at for those that still stand."""


class Waiting(BaseModel):
    """Something that waits for a person. `person` None: for anybody. `text` is what `by` wrote of it.

    Of an escalation `by` is the member that does not do what it owes, and `times` how often it was reminded.
    """

    kind: Literal["escalation", "ask", "review", "blocked", "offer", "assigned"]
    subject: str
    person: str | None
    by: str
    since: str
    until: str | None = None
    text: str = ""
    times: int = 0


def waits(tx: Reading) -> list[Kind[Waiting]]:
    """All that waits for a person now, the most pressing kinds first."""
    blocked, escalated = _blocked(tx), _escalated(tx)
    late = {"before": tx.now - tx.policy.review_seconds, "now": tx.now}
    return [
        Kind("escalation", len(escalated), lambda limit: escalated[:limit]),
        Kind("ask", tx.number("count_asks_to_people"), _rows(tx, AskOfPerson, "asks_to_people", _ask)),
        Kind(
            "review",
            tx.number("count_reviews_by_people", **late),
            _rows(tx, ReviewByPerson, "reviews_by_people", _review, **late),
        ),
        Kind("blocked", len(blocked), lambda limit: blocked[:limit]),
        Kind(
            "offer",
            tx.number("count_offers_to_people", now=tx.now),
            _rows(tx, OfferToPerson, "offers_to_people", _offer, now=tx.now),
        ),
        Kind("assigned", tx.number("count_tasks_for_people"), _rows(tx, TaskForPerson, "tasks_for_people", _assigned)),
    ]


def _rows(
    tx: Reading, kind: type[R], name: str, put: Callable[[R], Waiting], **parameters: Any
) -> Callable[[int], Sequence[Waiting]]:
    return lambda limit: [put(row) for row in tx.all(kind, name, **parameters, limit=limit)]


def _ask(row: AskOfPerson) -> Waiting:
    return Waiting(
        kind="ask",
        subject=message_name(row.id),
        person=row.person,
        by=row.author,
        since=rfc3339(row.since),
        text=short(row.summary),
    )


def _review(row: ReviewByPerson) -> Waiting:
    return Waiting(
        kind="review",
        subject=task_name(row.id),
        person=row.person,
        by=row.completer,
        since=rfc3339(row.completed_at),
        text=short(row.title),
    )


def _offer(row: OfferToPerson) -> Waiting:
    return Waiting(
        kind="offer",
        subject=offer_name(row.id),
        person=row.person,
        by=row.giver,
        since=rfc3339(row.created_at),
        until=rfc3339(row.expires_at),
        text=short(row.note),
    )


def _assigned(row: TaskForPerson) -> Waiting:
    return Waiting(
        kind="assigned",
        subject=task_name(row.id),
        person=row.person,
        by=row.creator,
        since=rfc3339(row.created_at),
        text=short(row.title),
    )


def _blocked(tx: Reading) -> list[Waiting]:
    """Blocked tasks that say they wait for a person, by name."""
    people = tx.column(str, "people")
    found = []
    for row in tx.all(BlockedTask, "blocked_tasks", limit=BLOCKED_LOOKED_AT):
        person = who_is_named(row.blocked_on, people)
        if person is not None:
            found.append(
                Waiting(
                    kind="blocked",
                    subject=task_name(row.id),
                    person=person,
                    by=row.holder,
                    since=rfc3339(row.touched_at),
                    text=short(row.blocked_on),
                )
            )
    return found


def _escalated(tx: Reading) -> list[Waiting]:
    """What owners were told that their agents do not do, and that is still so."""
    return [
        Waiting(
            kind="escalation",
            subject=subject_name(row.rule, row.subject, f"@{row.name}"),
            person=row.owner_name,
            by=row.name,
            since=rfc3339(row.since),
            times=row.counted,
        )
        for row in tx.all(EscalatedRow, "escalated", limit=ESCALATED_LOOKED_AT)
        if is_still_owed(tx, row.rule, row.subject, row.member, row.since)
    ]
