"""Row types of the log and of wakes."""

from typing import NamedTuple

from teamroom.server.clock import WallTime


class LogEntry(NamedTuple):
    """An entry of the log as it is hashed. The content (`summary`, `detail`, `salt`) is None once it was redacted."""

    seq: int
    epoch: int
    at: WallTime
    actor: int
    owner: int
    act: str
    subject: str
    outcome: str
    summary: str | None
    detail: str | None
    salt: str | None
    digest: str
    hash: str


class MessageTexts(NamedTuple):
    """The stored texts of a message, to be compared with the log."""

    id: int
    author: int
    at: WallTime
    kind: str
    summary: str
    text: str


class TaskTexts(NamedTuple):
    """The stored texts of a task, to be compared with the log. `evidence` is JSON."""

    title: str
    detail: str
    summary: str
    evidence: str


class ReceiptRow(NamedTuple):
    """An entry of the log as members read it. `detail` is JSON; both texts are None once they were redacted."""

    seq: int
    at: WallTime
    actor: str
    owner: str
    act: str
    subject: str
    outcome: str
    summary: str | None
    detail: str | None
    hash: str


class StreamRow(NamedTuple):
    """An entry of the stream. `folded`: 1 for a note beyond its author's budget."""

    seq: int
    at: WallTime
    actor: str
    kind: str
    act: str
    subject: str
    summary: str | None
    folded: int


class WakeTime(NamedTuple):
    """A wake's log entry and its room time."""

    seq: int
    at: float


class LastAct(NamedTuple):
    """The log number and the room time of a member's last act."""

    seq: int
    at: float


class EntryAge(NamedTuple):
    """When a log entry was written, in room time."""

    at: float
