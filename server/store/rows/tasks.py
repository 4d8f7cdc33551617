"""Row types of tasks."""

from typing import Literal, NamedTuple

from teamroom.server.clock import WallTime
from teamroom.server.identity import Kind

TaskState = Literal["open", "claimed", "blocked", "offered", "in_review", "done", "cancelled"]


class TaskRow(NamedTuple):
    """A task with the names around it and its open offer, if there is one. `evidence` is JSON.

    `has_cancelled`: whether it depends on cancelled tasks. `is_repair`: whether it brings a member's runtime back.
    """

    id: int
    title: str
    detail: str
    priority: int
    due: WallTime | None
    creator: int
    created_at: float
    changed_seq: int
    state: TaskState
    assigned: int | None
    holder: int | None
    fence: int
    claimed_at: float | None
    touched_at: float | None
    lease_from: float | None
    lease_seconds: float
    blocked_on: str
    snooze_until: float | None
    review: str
    reviewer: int | None
    completed_by: int | None
    completed_at: float | None
    summary: str
    evidence: str
    hops: int
    waits: int
    first_need: str
    place: int
    snooze_date: WallTime | None
    requires: str
    authorised: str
    creator_name: str
    creator_owner: int
    holder_name: str | None
    holder_owner: int | None
    assigned_name: str | None
    reviewer_name: str | None
    completer_name: str | None
    completer_owner: int | None
    completer_owner_name: str | None
    offer: int | None
    giver: int | None
    receiver: int | None
    offer_expires_at: float | None
    receiver_name: str | None
    has_cancelled: bool
    is_repair: bool


class DependencyRow(NamedTuple):
    """A task that another one depends on, and its state."""

    task: int
    state: TaskState


class TaskPlace(NamedTuple):
    """A task's place in an order in which each task stands after those that it depends on."""

    id: int
    place: int


class Needed(NamedTuple):
    """A task that another one is to depend on, and how many tasks depend on it."""

    id: int
    place: int
    dependents: int


class OpenTask(NamedTuple):
    """An open task. `due`: later than any time if it has none."""

    id: int
    priority: int
    due: float


class FreedTask(NamedTuple):
    """A task that waits for no other task any longer."""

    id: int
    assigned: int | None
    creator: int


class OriginRow(NamedTuple):
    """Where a task comes from: its id elsewhere, and the dates that it has there. See `facts/origin.py`."""

    task: int
    external: str
    given: str
    seq: int
    created_date: WallTime | None
    closed_date: WallTime | None


class TaskEntryRow(NamedTuple):
    """An entry in a task's history. `detail` is JSON."""

    seq: int
    member: str
    at: WallTime
    kind: str
    text: str
    detail: str


class CandidateRow(NamedTuple):
    """A member that could review a task, with the facts behind its presence and standing."""

    id: int
    name: str
    kind: Kind
    owner: int
    mode: str
    last_call_at: float
    last_progress_at: float | None
    declared_at: float | None
    busy_until: float | None
    works_on_task: int | None
    connected_at: float | None
    run_since: float | None
    run_moved_at: float | None
    run_heard_at: float | None
    run_ended_at: float | None
    slowest_run: float | None
    gate_at: float | None
    prompt_since: float | None
    tokens_until: float | None
    trouble: str | None
    trouble_reason: str | None
    own_state: str | None
    own_until: float | None
    owner_state: str | None
    owner_until: float | None
    room_state: str | None
    room_until: float | None
    held_it: int


class ReviewRow(NamedTuple):
    """A completion that waits for its review."""

    id: int
    title: str
    review: str
    reviewer: int | None
    reviewer_name: str | None
    completed_by: int
    completed_at: float
    completer_name: str
    completer_owner: int
    completer_owner_name: str


class UpheldShare(NamedTuple):
    """How many of a member's completions were reviewed, and how many were upheld."""

    reviewed: int
    upheld: int
