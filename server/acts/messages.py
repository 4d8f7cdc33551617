"""Messages: the one stream that everybody reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from teamroom.server import log
from teamroom.server.acts.act import Act, Arguments, Line, Name, Read, Reply, Seq, TaskId, Text, author, number
from teamroom.server.acts.cursors import require_this_epoch
from teamroom.server.acts.expect import Forecast, find_member, forecast
from teamroom.server.clock import rfc3339
from teamroom.server.identity import Caller
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.text import PAGE_CHARACTERS, how_many_fit, mentions, one_line
from teamroom.server.store.transaction import Reading, Writing

ADDRESSEES = 20
"""How many members one message addresses at most."""

PAGE_MESSAGES = 50

MessageId = Annotated[str, Field(pattern=r"^M-[0-9]{1,16}$")]


class PostMessage(Arguments):
    """Arguments of `post_message`."""

    text: Annotated[Text, Field(min_length=1)]
    summary: Line | None = None
    to: Annotated[list[Name], Field(max_length=ADDRESSEES)] | None = None
    reply_to: MessageId | None = None
    task: TaskId | None = None
    kind: Literal["report", "ask", "note", "alert"] = "note"


class Posted(Reply):
    """Reply of `post_message`."""

    message: str
    forecast: list[Forecast]


class ReadMessages(Arguments):
    """Arguments of `read_messages`."""

    thread: MessageId | None = None
    ids: Annotated[list[MessageId], Field(max_length=PAGE_MESSAGES)] | None = None
    query: Annotated[Line, Field(min_length=1)] | None = None
    mentions: Name | None = None
    after: Seq | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MESSAGES)] = 20


@dataclass(slots=True)
class Message:
    """A message in full. `previous` is the number of the one before it under the same filter.

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


class Messages(BaseModel):
    """Reply of `read_messages`; `cursor` is the `after` of the next call.

    `left_out` are ids that were asked for and did not fit into one reply.
    """

    messages: list[Message]
    cursor: int
    left_out: list[str] = Field(default_factory=list)


def post_message(tx: Writing, caller: Caller, arguments: PostMessage, now: float) -> Posted:
    """Post a message: one line for the stream, the whole text one call away, a wake for each addressee."""
    summary = one_line(arguments.summary or arguments.text)
    parent = _message(tx, arguments.reply_to) if arguments.reply_to is not None else None
    task = _task(tx, arguments.task)
    addressees = _addressees(tx, caller, arguments, parent)
    tx.head.messages += 1
    id_, name = tx.head.messages, f"M-{tx.head.messages}"
    seq = log.append(
        tx,
        author(caller),
        now,
        act="post_message",
        subject=name,
        summary=_stream_line(caller, addressees, arguments.kind, summary),
        detail={"kind": arguments.kind, "task": arguments.task, "text": log.text_digest(arguments.text)},
    )
    tx.run(
        "add_message",
        id=id_,
        seq=seq,
        author=caller.member,
        at=now,
        kind=arguments.kind,
        summary=summary,
        text=arguments.text,
        reply_to=parent["id"] if parent else None,
        thread=parent["thread"] if parent else id_,
        task=task,
    )
    for row in addressees:
        tx.run("add_addressee", message=id_, member=row["id"])
    reason = "alert" if arguments.kind == "alert" else "mention"
    log.wake(tx, [row["id"] for row in addressees], reason=reason, subject=name, sender=caller.member, line=summary)
    return Posted(receipt=seq, message=name, forecast=[forecast(row, now, tx.settings) for row in addressees])


def read_messages(tx: Reading, caller: Caller, arguments: ReadMessages, now: float) -> Messages:
    """Messages in full, oldest first: by id, of a thread, that mention somebody, or after a number.

    Without `after` and `ids` the newest ones. Raises Refusal `not_found`.
    """
    if arguments.ids is not None:
        rows = [_message(tx, name) for name in dict.fromkeys(arguments.ids)]
        fit = _fitting(rows)
        return Messages(
            messages=[_shown(row, 0) for row in rows[:fit]],
            cursor=max((row["seq"] for row in rows[:fit]), default=0),
            left_out=[f"M-{row['id']}" for row in rows[fit:]],
        )
    filters = {
        "thread": _message(tx, arguments.thread)["thread"] if arguments.thread is not None else 0,
        "mention": find_member(tx, arguments.mentions)["id"] if arguments.mentions is not None else 0,
    }
    require_this_epoch(tx, arguments.after)
    query = like(arguments.query)
    if arguments.after is None:
        newest = tx.all("newest_messages", **filters, query=query, limit=arguments.limit)
        rows = list(reversed(newest[: _fitting(newest)]))
    else:
        found = tx.all("messages_after", **filters, query=query, after=arguments.after, limit=arguments.limit)
        rows = list(found[: _fitting(found)])
    if not rows:
        return Messages(messages=[], cursor=arguments.after or tx.one("read_head")["seq"])
    previous = tx.value("message_before", **filters, seq=rows[0]["seq"] - 1) or 0
    shown = []
    for row in rows:
        shown.append(_shown(row, previous))
        previous = row["seq"]
    return Messages(messages=shown, cursor=previous)


def _fitting(rows: Sequence[Any]) -> int:
    return how_many_fit((len(row["text"]) for row in rows), PAGE_CHARACTERS)


def is_a_page(arguments: ReadMessages) -> bool:
    """Whether no filter makes the read scan."""
    return not (arguments.query or arguments.thread or arguments.mentions)


def like(query: str | None) -> str:
    """A search word as a pattern of SQL; empty where nothing is searched for."""
    if not query:
        return ""
    escaped = query.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _addressees(tx: Writing, caller: Caller, arguments: PostMessage, parent: Any) -> list[Any]:
    """Whom `to` names, whom the text mentions and who wrote what it answers: each once, never the author."""
    rows = {}
    for name in arguments.to or ():
        row = find_member(tx, name)
        rows[row["id"]] = row
    named = [*mentions(arguments.text), *([parent["author"]] if parent is not None else [])]
    for name in named:
        row = tx.one("member_facts", name=name)
        if row is not None:
            rows[row["id"]] = row
    rows.pop(caller.member, None)
    if len(rows) > ADDRESSEES:
        raise Refusal(
            "too_large", f"A message addresses at most {ADDRESSEES} members.", "Post it without names, or to fewer."
        )
    return list(rows.values())


def _stream_line(caller: Caller, addressees: list[Any], kind: str, summary: str) -> str:
    to = f" to {', '.join('@' + row['name'] for row in addressees[:3])}" if addressees else ""
    more = f" and {len(addressees) - 3} more" if len(addressees) > 3 else ""
    return one_line(f"@{caller.name} {kind}{to}{more}: {summary}")


def _message(tx: Reading, name: str) -> Any:
    row = tx.one("message", id=number(name))
    if row is None:
        raise not_found("message", name, "Call read_messages without ids to see the newest.")
    return row


def _task(tx: Reading, name: str | None) -> int | None:
    if name is None:
        return None
    if tx.one("task", id=number(name)) is None:
        raise not_found("task", name, "Call read_board to see the tasks.")
    return number(name)


def _shown(row: Any, previous: int) -> Message:
    return Message(
        id=f"M-{row['id']}",
        seq=row["seq"],
        previous=previous,
        author=row["author"],
        author_kind=row["author_kind"],
        at=rfc3339(row["at"]),
        kind=row["kind"],
        summary=row["summary"],
        text=row["text"],
        thread=f"M-{row['thread']}",
        task=None if row["task"] is None else f"T-{row['task']}",
        reply_to=None if row["reply_to"] is None else f"M-{row['reply_to']}",
    )


POST_MESSAGE = Act("post_message", PostMessage, Posted, post_message, repeats=True)
READ_MESSAGES = Read("read_messages", ReadMessages, read_messages, is_small=is_a_page)
