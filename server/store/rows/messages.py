"""Row types of messages."""

from typing import NamedTuple

from teamroom.server.clock import WallTime


class MessageRow(NamedTuple):
    """A message with its author."""

    id: int
    seq: int
    author: str
    author_kind: str
    at: WallTime
    kind: str
    summary: str
    text: str
    reply_to: int | None
    thread: int
    task: int | None


class MatchRow(NamedTuple):
    """A message that a search found, with the beginning of its text."""

    id: int
    summary: str
    text: str


class UnwokenReply(NamedTuple):
    """A message that did not wake its addressee."""

    id: int
    author: str
    summary: str


class AskToMember(NamedTuple):
    """An ask that a member has not answered."""

    id: int
    summary: str
    author: str
    at: WallTime
    task: int | None


class MessagePlace(NamedTuple):
    """A message's id and its log number."""

    id: int
    seq: int


class MessageSize(NamedTuple):
    """A message's id, and how long its words are."""

    id: int
    characters: int


class LastTurn(NamedTuple):
    """The newest message from one member to another, and how far their exchange, and a ring with them, has come."""

    message: int
    author: int
    turn: int
    lap: int
    seq: int


class UnansweredAsk(NamedTuple):
    """An ask that a member has not answered."""

    id: int
    author: int
    summary: str
