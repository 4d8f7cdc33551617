"""Row types of decisions."""

from typing import Literal, NamedTuple

DecisionState = Literal["open", "decided", "expired", "withdrawn", "replaced"]


class DecisionRow(NamedTuple):
    """A decision with the names around it. `options` and `artifacts` are JSON; `choice` counts options from 1."""

    id: int
    asker: int
    task: int | None
    question: str
    detail: str
    options: str
    artifacts: str
    digest: str
    state: DecisionState
    created_at: float
    expires_at: float
    choice: int
    note: str
    decided_by: int | None
    settled_at: float | None
    settled_seq: int | None
    replaces: int | None
    replaced_by: int | None
    asker_name: str
    decider_name: str | None


class AskedPerson(NamedTuple):
    """A person who was asked for a decision."""

    member: int
    name: str
