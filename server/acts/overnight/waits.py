"""What waits for a person: questions, reviews, offers, work that only they can begin or let go on."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from teamroom.server.acts.capabilities.probes import count_probes_due
from teamroom.server.acts.overnight.sections import Kind, short
from teamroom.server.acts.reminders.reminders import PREFIX
from teamroom.server.clock import rfc3339
from teamroom.server.rules.overnight import who_is_named
from teamroom.server.store.transaction import Reading

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
        Kind("ask", tx.value("count_asks_to_people"), _rows(tx, "asks_to_people", _ask)),
        Kind("review", tx.value("count_reviews_by_people", **late), _rows(tx, "reviews_by_people", _review, **late)),
        Kind("blocked", len(blocked), lambda limit: blocked[:limit]),
        Kind(
            "offer", tx.value("count_offers_to_people", now=tx.now), _rows(tx, "offers_to_people", _offer, now=tx.now)
        ),
        Kind("assigned", tx.value("count_tasks_for_people"), _rows(tx, "tasks_for_people", _assigned)),
    ]


def _rows(
    tx: Reading, name: str, put: Callable[[Any], Waiting], **parameters: Any
) -> Callable[[int], Sequence[Waiting]]:
    return lambda limit: [put(row) for row in tx.all(name, **parameters, limit=limit)]


def _ask(row: Any) -> Waiting:
    return Waiting(
        kind="ask",
        subject=f"M-{row['id']}",
        person=row["person"],
        by=row["author"],
        since=rfc3339(row["since"]),
        text=short(row["summary"]),
    )


def _review(row: Any) -> Waiting:
    return Waiting(
        kind="review",
        subject=f"T-{row['id']}",
        person=row["person"],
        by=row["completer"],
        since=rfc3339(row["completed_at"]),
        text=short(row["title"]),
    )


def _offer(row: Any) -> Waiting:
    return Waiting(
        kind="offer",
        subject=f"O-{row['id']}",
        person=row["person"],
        by=row["giver"],
        since=rfc3339(row["created_at"]),
        until=rfc3339(row["expires_at"]),
        text=short(row["note"]),
    )


def _assigned(row: Any) -> Waiting:
    return Waiting(
        kind="assigned",
        subject=f"T-{row['id']}",
        person=row["person"],
        by=row["creator"],
        since=rfc3339(row["created_at"]),
        text=short(row["title"]),
    )


def _blocked(tx: Reading) -> list[Waiting]:
    """Blocked tasks that say they wait for a person, by name."""
    people = [row["name"] for row in tx.all("people")]
    found = []
    for row in tx.all("blocked_tasks", limit=BLOCKED_LOOKED_AT):
        person = who_is_named(row["blocked_on"], people)
        if person is not None:
            found.append(
                Waiting(
                    kind="blocked",
                    subject=f"T-{row['id']}",
                    person=person,
                    by=row["holder"],
                    since=rfc3339(row["touched_at"]),
                    text=short(row["blocked_on"]),
                )
            )
    return found


def _escalated(tx: Reading) -> list[Waiting]:
    """What owners were told that their agents do not do, and that is still so."""
    return [
        Waiting(
            kind="escalation",
            subject=f"{PREFIX[row['rule']]}{row['subject']}" if row["rule"] in PREFIX else f"@{row['name']}",
            person=row["owner_name"],
            by=row["name"],
            since=rfc3339(row["since"]),
            times=row["counted"],
        )
        for row in tx.all("escalated", limit=ESCALATED_LOOKED_AT)
        if STANDS[row["rule"]](tx, row)
    ]


# ------------------------------------------------------------------ whether it is still owed


def _task_stands(tx: Reading, row: Any) -> bool:
    task = tx.one("task", id=row["subject"])
    if task is None or tx.value("entry_time", seq=task["changed_seq"]) > row["since"]:
        return False
    is_to_begin = task["state"] == "open" and task["assigned"] == row["member"]
    return is_to_begin or (task["holder"] == row["member"] and task["state"] in ("claimed", "blocked"))


def _ask_stands(tx: Reading, row: Any) -> bool:
    message = tx.one("message", id=row["subject"])
    if message is None:
        return False
    answer = tx.one("has_answered", thread=message["thread"], member=row["member"], message=row["subject"])
    return answer is None


def _review_stands(tx: Reading, row: Any) -> bool:
    task = tx.one("task", id=row["subject"])
    return task is not None and task["state"] == "in_review" and task["reviewer"] == row["member"]


def _proof_stands(tx: Reading, row: Any) -> bool:
    return count_probes_due(tx, row["member"]) > 0


STANDS: dict[str, Callable[[Reading, Any], bool]] = {
    "task": _task_stands,
    "ask": _ask_stands,
    "review": _review_stands,
    "proof": _proof_stands,
}
