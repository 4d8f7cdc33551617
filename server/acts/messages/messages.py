"""Messages: post to the one stream that every member reads, and read it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from teamroom.server import topics
from teamroom.server.acts.act import (
    Act,
    Arguments,
    Line,
    MessageId,
    Name,
    Read,
    Reply,
    Seq,
    TaskId,
    Text,
    Words,
    author,
)
from teamroom.server.acts.messages.budgets import require_own_task, spend
from teamroom.server.acts.messages.exchanges import Addressed, Post, address, notify_owners, notify_owners_of_ring
from teamroom.server.acts.messages.find_messages import Filter, messages_before, messages_from, search_messages
from teamroom.server.clock import rfc3339
from teamroom.server.facts.blocks import settle_member
from teamroom.server.facts.cursors import require_this_epoch
from teamroom.server.facts.ended import is_ended
from teamroom.server.facts.forecast import find_helpers, forecasts, needs_of_any
from teamroom.server.facts.ids import LARGEST_NUMBER, MessageNumber, message_name, task_name
from teamroom.server.facts.member import Forecast, facts_named, find_member
from teamroom.server.facts.mentions import mentioned_member
from teamroom.server.facts.owed import Slot, schedule_reminder, slots_of
from teamroom.server.facts.steps import WakeSteps, steps_of_message
from teamroom.server.facts.wakes import wake_members
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.record.texts import text_digest
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.mentions import find_mentions
from teamroom.server.rules.names import WHOLE_ROOM, normalize_name
from teamroom.server.rules.search import parse_search
from teamroom.server.rules.text import PAGE_CHARACTERS, add_quote, count_fitting, one_line
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.members import MemberFacts
from teamroom.server.store.rows.messages import MessagePlace, MessageRow
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing

ADDRESSEES = 20
"""How many members one message addresses at most."""

PAGE_MESSAGES = 50
STEPS_MESSAGES = 3
"""Of how many messages at once the steps of their wakes are shown."""

HEAD_CHARACTERS = 100
"""How many characters a message adds to a reply in addition to its text."""


class PostMessage(Arguments):
    """Arguments of `post_message`."""

    text: Annotated[Text, Field(min_length=1)]
    summary: Line | None = None
    to: Annotated[list[Name], Field(max_length=ADDRESSEES)] | None = None
    reply_to: MessageId | None = None
    task: TaskId | None = None
    kind: Literal["report", "ask", "note", "alert"] = "note"


class Posted(Reply):
    """Reply of `post_message`.

    `folded`: the author's notes for the hour are used up, so it is shown in one line with a count. `not_woken`:
    addressees that only exchange answers with the author while nobody else moves a task of theirs, or whose message,
    which this one replies to, asked nothing (`asked_nothing`).
    """

    message: str
    forecast: list[Forecast]
    folded: bool = False
    not_woken: list[str] = Field(default_factory=list)
    asked_nothing: bool = False


class ReadMessages(Arguments):
    """Arguments of `read_messages`."""

    thread: MessageId | None = None
    ids: Annotated[list[MessageId], Field(max_length=PAGE_MESSAGES)] | None = None
    query: Annotated[Words, Field(min_length=1)] | None = None
    mentions: Name | None = None
    after: Seq | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MESSAGES)] = 20


@dataclass(slots=True)
class Message:
    """A message in full. `previous` is the number of the one before it under the same filter.

    `reminders`: of an ask that was read by id, whom the room reminded of it, or why it did not. `wakes`: of one of a
    few that were read by id, what was seen of the wake of each addressee.
    A plain dataclass, because a page holds fifty.
    """

    id: str
    seq: int
    previous: int
    author: str
    author_kind: str
    at: str
    kind: str
    summary: str
    text: str
    thread: str
    task: str | None
    reply_to: str | None
    reminders: list[Slot] = field(default_factory=list)
    wakes: list[WakeSteps] = field(default_factory=list)


class Messages(BaseModel):
    """Reply of `read_messages`; `cursor` is the `after` of the next call.

    `left_out`: requested ids that did not fit into one reply.
    """

    messages: list[Message]
    cursor: int
    left_out: list[str] = Field(default_factory=list)


def post_message(tx: Writing, caller: Caller, arguments: PostMessage) -> Posted:
    """Post a message: one line in the stream, the full text on request, a wake for each addressee.

    Raises Refusal: `rate_limited` beyond the limits of asks and alerts; `invalid` or `not_allowed` for a report that is
    not about a task of the author.
    """
    summary, kind = one_line(arguments.summary or arguments.text), arguments.kind
    parent = _message(tx, arguments.reply_to) if arguments.reply_to is not None else None
    task = _task(tx, arguments.task)
    if kind == "report":
        require_own_task(tx, caller, task)
    folded = spend(tx, caller, kind)
    addressees = _addressees(tx, caller, arguments, parent)
    if kind == "alert" and not addressees:
        addressees = find_helpers(tx, caller, task)
    tx.head.messages += 1
    id_, name = tx.head.messages, message_name(tx.head.messages)
    thread = parent.thread if parent else id_
    seq = log.append(
        tx,
        author(caller),
        act="post_message",
        subject=name,
        summary=_stream_line(caller, addressees, kind, summary),
        detail={
            "kind": kind,
            "task": None if arguments.task is None else task_name(arguments.task),
            "text": text_digest(arguments.text),
            "summary": text_digest(summary),
        },
    )
    tx.run(
        "add_message",
        id=id_,
        seq=seq,
        author=caller.member,
        at=tx.wall,
        kind=kind,
        summary=summary,
        text=arguments.text,
        reply_to=parent.id if parent else None,
        thread=thread,
        task=None if task is None else task.id,
        folded=int(folded),
    )
    found = address(tx, caller, addressees, Post(id_, thread, kind, parent))
    if parent is not None and parent.kind == "ask":
        tx.changed(topics.inbox(caller.member))
    reason = "alert" if kind == "alert" else "mention"
    woken = [row.id for row in found.woken]
    wake_members(tx, woken, reason=reason, subject=name, sender=caller.member, line=summary, asks=kind == "ask")
    if kind == "ask":
        for row in (row for row in found.woken if not is_ended(tx, row)):
            schedule_reminder(tx, "ask", id_, row.id, row.mode)
    for row in found.ended:
        notify_owners(tx, caller, row, name)
    for ring in found.rings:
        notify_owners_of_ring(tx, ring, name)
    about = task.id if task is not None else None if parent is None else parent.task
    settle_member(tx, caller, about)
    return Posted(
        receipt=seq,
        message=name,
        forecast=_forecasts(tx, caller, addressees, found, task),
        folded=folded,
        not_woken=[row.name for row in found.stopped],
        asked_nothing=found.is_courtesy,
    )


def _forecasts(
    tx: Writing, caller: Caller, addressees: list[MemberFacts], found: Addressed, task: TaskRow | None
) -> list[Forecast]:
    """The forecasts for a message's addressees; one that it does not wake has none."""
    made = forecasts(tx, caller, addressees, needs_of_any(tx, task))
    for one, row in zip(made, addressees, strict=True):
        if row in found.stopped:
            one.expected_seconds, one.p90_seconds, one.note = None, None, _why_not_woken(found)
    return made


def _why_not_woken(found: Addressed) -> str:
    if found.is_courtesy:
        return "not woken: the message that you reply to asked nothing; the next check_in shows yours"
    return "not woken: you only answered each other while nobody else moved a task of yours"


def read_messages(tx: Reading, caller: Caller, arguments: ReadMessages) -> Messages:
    """Return messages in full, oldest first: by id, thread, mention or words, or after a number.

    Without `after` and `ids` the newest ones; with a query, the best matches first. Raises Refusal `not_found`.
    """
    if arguments.ids is not None:
        return _asked_for(tx, arguments.ids)
    require_this_epoch(tx, arguments.after)
    wanted = Filter(
        thread=_message(tx, arguments.thread).thread if arguments.thread is not None else 0,
        mention=find_member(tx, arguments.mentions).id if arguments.mentions is not None else 0,
        words=parse_search(arguments.query or ""),
    )
    if arguments.query is not None and arguments.after is None:
        return _search(tx, wanted, arguments)
    rows = _page(tx, wanted, arguments)
    if not rows:
        return Messages(messages=[], cursor=arguments.after or tx.only(ReadHead, "read_head").seq)
    previous = _previous(tx, wanted, rows[0])
    shown = []
    for row in rows:
        shown.append(_shown(row, previous))
        previous = row.seq
    return Messages(messages=shown, cursor=previous)


def _asked_for(tx: Reading, ids: list[MessageNumber]) -> Messages:
    """Return messages by their ids; asks with their reminders, and a few with what was seen of their wakes."""
    rows = [_message(tx, number) for number in dict.fromkeys(ids)]
    chosen = _chosen(rows)
    for row, message in zip(rows, chosen.messages, strict=False):
        if row.kind == "ask":
            message.reminders = slots_of(tx, "ask", row.id)
        if len(rows) <= STEPS_MESSAGES:
            message.wakes = steps_of_message(tx, row.id)
    return chosen


def _search(tx: Reading, wanted: Filter, arguments: ReadMessages) -> Messages:
    """Return the matches of a query: best first, or newest first under another filter."""
    ids = search_messages(tx, wanted, arguments.limit)
    return _chosen([tx.only(MessageRow, "message", id=id_) for id_ in ids], cursor=tx.only(ReadHead, "read_head").seq)


def _chosen(rows: list[MessageRow], cursor: int | None = None) -> Messages:
    """As many of these messages as fit, with the cursor at the newest unless one is given."""
    fit = _fitting(rows)
    return Messages(
        messages=[_shown(row, 0) for row in rows[:fit]],
        cursor=max((row.seq for row in rows[:fit]), default=0) if cursor is None else cursor,
        left_out=[message_name(row.id) for row in rows[fit:]],
    )


def _page(tx: Reading, wanted: Filter, arguments: ReadMessages) -> list[MessageRow]:
    """The next messages under a filter, oldest first: after a number, else the newest."""
    limit = arguments.limit
    newest: list[MessageRow]
    if arguments.after is None:
        if wanted.is_empty:
            newest = tx.all(MessageRow, "newest_messages", limit=limit)
        else:
            newest = [
                tx.only(MessageRow, "message", id=id_) for id_ in messages_before(tx, wanted, LARGEST_NUMBER, limit)
            ]
        return list(reversed(newest[: _fitting(newest)]))
    found: list[MessageRow] = []
    if wanted.is_empty and arguments.query is None:
        found = tx.all(MessageRow, "messages_after", after=arguments.after, limit=limit)
    elif wanted.words or arguments.query is None:
        before = tx.one(MessagePlace, "message_before", seq=arguments.after)
        first = 1 if before is None else before.id + 1
        found = [tx.only(MessageRow, "message", id=id_) for id_ in messages_from(tx, wanted, first, limit)]
    return found[: _fitting(found)]


def _previous(tx: Reading, wanted: Filter, row: MessageRow) -> int:
    """The number of the previous message under the same filter, so that a reader notices a gap."""
    if wanted.is_empty:
        before = tx.one(MessagePlace, "message_before", seq=row.seq - 1)
        return 0 if before is None else int(before.seq)
    ids = messages_before(tx, wanted, row.id, 1)
    return int(tx.only(MessageRow, "message", id=ids[0]).seq) if ids else 0


def _fitting(rows: Sequence[MessageRow]) -> int:
    """How many messages fit into one reply, with the marks of their quoted lines and their heads."""
    return count_fitting((len(row.text) + 2 * row.text.count("\n") + HEAD_CHARACTERS for row in rows), PAGE_CHARACTERS)


def is_a_page(arguments: ReadMessages) -> bool:
    """Whether an index leads to the page, because there is no search."""
    return arguments.query is None


def _addressees(tx: Writing, caller: Caller, arguments: PostMessage, parent: MessageRow | None) -> list[MemberFacts]:
    """The members in `to`, those that the text mentions, and the author it answers: each once, never the caller."""
    rows = {}
    for name in arguments.to or ():
        if normalize_name(name) not in WHOLE_ROOM:  # everybody reads the stream
            row = find_member(tx, name)
            rows[row.id] = row
    mentioned = [mentioned_member(tx, mention) for mention in find_mentions(arguments.text)]
    for found in (*mentioned, None if parent is None else facts_named(tx, parent.author)):
        if found is not None:
            rows[found.id] = found
    rows.pop(caller.member, None)
    if len(rows) > ADDRESSEES:
        raise Refusal(
            "too_large",
            f"The message addresses {len(rows)} members; the limit is {ADDRESSEES}.",
            "Address fewer members, or none.",
        )
    return list(rows.values())


def _stream_line(caller: Caller, addressees: list[MemberFacts], kind: str, summary: str) -> str:
    to = f" to {', '.join('@' + row.name for row in addressees[:3])}" if addressees else ""
    more = f" and {len(addressees) - 3} more" if len(addressees) > 3 else ""
    return add_quote(f"@{caller.name} {kind}{to}{more}", summary)


def _message(tx: Reading, number: int) -> MessageRow:
    row = tx.one(MessageRow, "message", id=number)
    if row is None:
        raise not_found("message", message_name(number), "Call read_messages without ids to see the newest.")
    return row


def _task(tx: Reading, number: int | None) -> TaskRow | None:
    if number is None:
        return None
    row = tx.one(TaskRow, "task", id=number)
    if row is None:
        raise not_found("task", task_name(number), "Call read_board to see the ids of the tasks.")
    return row


def _shown(row: MessageRow, previous: int) -> Message:
    return Message(
        id=message_name(row.id),
        seq=row.seq,
        previous=previous,
        author=row.author,
        author_kind=row.author_kind,
        at=rfc3339(row.at),
        kind=row.kind,
        summary=row.summary,
        text=row.text,
        thread=message_name(row.thread),
        task=None if row.task is None else task_name(row.task),
        reply_to=None if row.reply_to is None else message_name(row.reply_to),
    )


POST_MESSAGE = Act("post_message", PostMessage, Posted, post_message, repeats=True)
READ_MESSAGES = Read(
    "read_messages",
    ReadMessages,
    read_messages,
    is_small=is_a_page,
    narrow="Search for rarer or longer words, or read by thread, ids or after a number.",
    is_shared=True,
)
