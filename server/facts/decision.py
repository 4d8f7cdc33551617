"""Decisions that people are asked for: as they are stored, and as members see them."""

import json
from typing import Any

from pydantic import BaseModel

from teamroom.server import topics
from teamroom.server.facts.ids import decision_name, task_name
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.text import inline, one_line, shorten
from teamroom.server.store.rows.decisions import AskedPerson, DecisionRow, DecisionState
from teamroom.server.store.transaction import Reading, Writing

PEOPLE = 10
"""How many people one decision asks at most."""

SHOWN = 20
"""How many decisions a list shows."""

TEXT_SHOWN = 1_000
"""How many characters of a detail or a note a list shows; the decision's own page has all of it."""

OPTION_SHOWN = 80
"""How many characters of the chosen option a sentence about a decision shows."""


class DecisionShown(BaseModel):
    """A decision. `by`: who asked for it; `to`: the people who were asked. `digest` covers all that it says.

    `answer`, `note` and `decided_by` are there once it is decided. `replaced_by`: the decision that replaced it.
    """

    decision: str
    state: DecisionState
    question: str
    options: list[str]
    detail: str
    by: str
    to: list[str]
    task: str | None
    artifacts: list[dict[str, Any]]
    until: str
    digest: str
    answer: str | None = None
    note: str = ""
    decided_by: str | None = None
    settled_at: str | None = None
    replaces: str | None = None
    replaced_by: str | None = None


def find_decision(tx: Reading, number: int) -> DecisionRow:
    """A stored decision. Raises Refusal `not_found`."""
    row = tx.one(DecisionRow, "decision", id=number)
    if row is None:
        raise not_found(
            "decision", decision_name(number), "Call check_in to see the decisions that you asked for or are asked for."
        )
    return row


def state_now(tx: Reading, row: DecisionRow) -> DecisionState:
    """The state of a decision now: one whose time is over has expired even before that is recorded."""
    return "expired" if row.state == "open" and row.expires_at <= tx.now else row.state


def answer_of(row: DecisionRow) -> str | None:
    """The option that was chosen; None if none was, or it was redacted."""
    options = json.loads(row.options)
    return options[row.choice - 1] if 0 < row.choice <= len(options) else None


def asked_people(tx: Reading, decision: int) -> list[AskedPerson]:
    """The people who were asked for a decision, by name."""
    return tx.all(AskedPerson, "asked_people", decision=decision, limit=PEOPLE)


def decision_changed(tx: Writing, row: DecisionRow) -> None:
    """State that a decision changed: on its page, on its task's, and in what waits for its members."""
    tx.changed(topics.DECISIONS, topics.inbox(row.asker))
    tx.changed(*(topics.inbox(person.member) for person in asked_people(tx, row.id)))
    if row.task is not None:
        tx.changed(topics.task(row.task))


def describe_outcome(tx: Reading, row: DecisionRow) -> str:
    """What became of a decision, as the end of a sentence about it."""
    at = "" if row.settled_at is None else f" at {tx.shown(row.settled_at)}"
    state = state_now(tx, row)
    if state == "decided":
        answer = answer_of(row)
        chosen = "" if answer is None else f": {inline(one_line(answer, OPTION_SHOWN))}"
        return f"was decided by @{row.decider_name}{at}{chosen}"
    if state == "replaced" and row.replaced_by is not None:
        return f"was replaced by {decision_name(row.replaced_by)}{at}"
    if state == "withdrawn":
        return f"was withdrawn{at}"
    return f"expired at {tx.shown(row.expires_at)}, so nothing was decided" if state == "expired" else "is open"


def require_open(tx: Reading, row: DecisionRow, fix: str) -> None:
    """Refuse to change a decision that is settled. Raises Refusal."""
    state = state_now(tx, row)
    if state != "open":
        raise Refusal(
            "expired" if state == "expired" else "conflict",
            f"{decision_name(row.id)} {describe_outcome(tx, row)}.",
            fix,
            subject=decision_name(row.id),
        )


def show_decision(tx: Reading, row: DecisionRow, characters: int | None = None) -> DecisionShown:
    """A decision as members see it; `characters`: how much of its longer texts."""
    cut = (lambda text: text) if characters is None else (lambda text: shorten(text, characters))
    return DecisionShown(
        decision=decision_name(row.id),
        state=state_now(tx, row),
        question=row.question,
        options=json.loads(row.options),
        detail=cut(row.detail),
        by=row.asker_name,
        to=[person.name for person in asked_people(tx, row.id)],
        task=None if row.task is None else task_name(row.task),
        artifacts=json.loads(row.artifacts),
        until=tx.shown(row.expires_at),
        digest=row.digest,
        answer=answer_of(row),
        note=cut(row.note),
        decided_by=row.decider_name,
        settled_at=None if row.settled_at is None else tx.shown(row.settled_at),
        replaces=None if row.replaces is None else decision_name(row.replaces),
        replaced_by=None if row.replaced_by is None else decision_name(row.replaced_by),
    )


def decisions_of(tx: Reading, caller: Caller, after: int) -> list[DecisionShown]:
    """The open decisions that a member is asked for, which are people alone, and those that it asked for.

    Of the latter, those that are open or were settled after a number of the log.
    """
    is_person = caller.kind == "human"
    asked = tx.column(int, "decisions_asked_of", member=caller.member, now=tx.now, limit=SHOWN) if is_person else []
    own = tx.column(int, "decisions_asked_by", member=caller.member, after=after, limit=SHOWN)
    ids = list(dict.fromkeys([*asked, *own]))[:SHOWN]
    return [show_decision(tx, tx.only(DecisionRow, "decision", id=id_), TEXT_SHOWN) for id_ in ids]


def decisions_about(tx: Reading, task: int) -> list[DecisionShown]:
    """The newest decisions about a task."""
    ids = tx.column(int, "decisions_about", task=task, limit=SHOWN)
    return [show_decision(tx, tx.only(DecisionRow, "decision", id=id_), TEXT_SHOWN) for id_ in ids]
