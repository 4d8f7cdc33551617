"""Row types of reminders, suspicion and the supervisor's lease."""

from typing import NamedTuple

from teamroom.server.rules.reminders import Outcome


class EndedReminder(NamedTuple):
    """What a member was last reminded of before it was killed."""

    rule: str
    subject: int
    since: float
    slot: int


class ReminderRow(NamedTuple):
    """A slot of a reminder, and what became of it."""

    rule: str
    member: str
    at: float
    outcome: Outcome
    reason: str
    missed: int


class OpenReminder(NamedTuple):
    """What a member was reminded of and still owes."""

    rule: str
    subject: int
    at: float
    since: float
    times: int


class WatchedMember(NamedTuple):
    """What the supervisor knows of a member: presence, suspicion, and standing at three levels."""

    id: int
    name: str
    kind: str
    role: str
    owner: int
    owner_name: str
    mode: str
    seen: int
    last_call_at: float | None
    last_progress_at: float | None
    declared_at: float | None
    busy_until: float | None
    works_on_task: int
    connected_at: float | None
    connected_since: float | None
    evidence_at: float | None
    run_since: float | None
    run_moved_at: float | None
    run_heard_at: float | None
    run_ended_at: float | None
    slowest_run: float
    gate_at: float | None
    prompt_since: float | None
    tokens_until: float | None
    trouble: str | None
    trouble_since: float | None
    trouble_reason: str | None
    misses: int | None
    question: str | None
    nonce: str | None
    expected: str | None
    asked_at: float | None
    own_state: str | None
    own_until: float | None
    own_since: float | None
    owner_state: str | None
    owner_until: float | None
    owner_since: float | None
    room_state: str | None
    room_until: float | None
    room_since: float | None


class SuspicionRow(NamedTuple):
    """A suspicion and its open challenge. `expected` is JSON."""

    verdict: str
    since: float
    reason: str
    misses: int
    question: str | None
    nonce: str | None
    expected: str | None
    asked_at: float | None
    wrong_answers: int


class SupervisorRow(NamedTuple):
    """The supervisor's lease."""

    holder: str
    fence: int
    until: float
