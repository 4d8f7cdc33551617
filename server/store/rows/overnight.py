"""Row types of the overnight screen."""

from typing import NamedTuple

from teamroom.server.clock import WallTime


class AskOfPerson(NamedTuple):
    """An ask that a person has not answered; `person` None: that nobody has answered, and that addresses nobody.

    `total`, here and below: how many there are in all.
    """

    id: int
    summary: str
    author: str
    person: str | None
    at: WallTime
    total: int


class ReviewByPerson(NamedTuple):
    """A completion that waits for a person. `person` None: for any."""

    id: int
    title: str
    completed_at: float
    completer: str
    person: str | None
    total: int


class BlockedTask(NamedTuple):
    """A blocked task and its holder."""

    id: int
    title: str
    blocked_on: str
    touched_at: float
    holder: str


class TaskForPerson(NamedTuple):
    """A task that is assigned to a person and can start."""

    id: int
    title: str
    created_at: float
    creator: str
    person: str
    total: int


class OfferToPerson(NamedTuple):
    """An open offer to a person."""

    id: int
    note: str
    created_at: float
    expires_at: float
    giver: str
    person: str
    total: int


class EscalatedRow(NamedTuple):
    """Something owed that was escalated to the member's owner."""

    rule: str
    subject: int
    since: float
    counted: int
    member: int
    name: str
    owner_name: str


class SubjectCount(NamedTuple):
    """How many log entries there are about a subject, and the newest one."""

    subject: str
    times: int
    seq: int


class SuspectedMember(NamedTuple):
    """A member under suspicion, and the task to repair it, if there is one."""

    name: str
    verdict: str
    since: float
    reason: str
    repair: int | None


class AtPrompt(NamedTuple):
    """A member whose harness waits at a prompt since a time: for which phase, and with which tool."""

    name: str
    phase: str
    tool: str
    since: float


class SentBack(NamedTuple):
    """A completion that was sent back."""

    seq: int
    task: int
    at: WallTime
    summary: str | None
    reviewer: str
    completer: str


class AlertRow(NamedTuple):
    """An alert, and the first other member that answered it."""

    id: int
    at: WallTime
    summary: str
    author: str
    answered_by: str | None


class RefusalCount(NamedTuple):
    """How many refusals of one act a member has in the log, and the time of the newest."""

    name: str
    act: str
    entries: int
    at: WallTime


class RefusedCalls(NamedTuple):
    """How many calls of one act of a member were refused, and when the last one was, in room time."""

    name: str
    act: str
    calls: int
    at: float


class StoppedRow(NamedTuple):
    """A standing that is not active. `name` None: the room."""

    scope: str
    name: str | None
    state: str
    since: float
    until: float | None
    by_name: str
    reason: str


class NewestStop(NamedTuple):
    """The newest log entry that stopped a subject. `detail` is JSON."""

    seq: int
    at: WallTime
    detail: str | None
    actor: str


class ResumedBy(NamedTuple):
    """The log entry that resumed or revived a subject."""

    act: str
    at: WallTime
    actor: str


class StateCount(NamedTuple):
    """How many tasks are in a state."""

    state: str
    tasks: int


class LastEntry(NamedTuple):
    """The newest entry on a task. `detail` is JSON."""

    member: str
    at: WallTime
    kind: str
    text: str
    detail: str


class DoneByMember(NamedTuple):
    """What a member did, in numbers."""

    member: int
    completed: int
    reviewed: int
    reports: int


class HandOverCount(NamedTuple):
    """How many tasks one member handed over to another."""

    giver: int
    receiver: int
    times: int
