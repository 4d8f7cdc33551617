"""Receipts, and the stream that the room makes of them."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, Field

from teamroom.server.acts.act import Arguments, Name, Read, Seq, Words, always
from teamroom.server.clock import rfc3339
from teamroom.server.facts.ids import spell
from teamroom.server.facts.member import no_such_member
from teamroom.server.facts.names import spell_subject
from teamroom.server.facts.roles import LOG_READERS
from teamroom.server.identity import Caller
from teamroom.server.record.chain import FIRST_HASH, Verifier
from teamroom.server.record.rows import for_readers
from teamroom.server.refusals import not_found
from teamroom.server.rules.folding import notes_line, runs
from teamroom.server.rules.names import AT, normalize_name
from teamroom.server.rules.text import REDACTED, quote_entry
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.log import LogEntry, ReceiptRow, StreamRow
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.transaction import Reading

PAGE_RECEIPTS = 100
PAGE_STREAM = 100
CHECKED_ENTRIES = 500
"""The most entries that one look checks; `teamroom verify` checks all."""

END_ENTRIES = 500
"""How many of the newest entries are read for the end of the stream, which folded ones must not fill."""


class ReadReceipts(Arguments):
    """Arguments of `read_receipts`. Without `after` the newest."""

    after: Seq | None = None
    actor: Name | None = None
    act: Name | None = None
    subject: Words | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_RECEIPTS)] = 20


class Receipt(BaseModel):
    """One entry of the log. `summary` and `detail` are empty if they were redacted."""

    seq: int
    at: str
    actor: str
    owner: str
    act: str
    subject: str
    outcome: str
    summary: str
    detail: dict[str, Any]
    hash: str


class Receipts(BaseModel):
    """Reply of `read_receipts`; `cursor` is the `after` of the next call."""

    receipts: list[Receipt]
    cursor: int


class OneReceipt(Arguments):
    """The number of an entry of the log."""

    seq: Seq


class ReadStream(Arguments):
    """Where to read the stream from; without `after`, its end."""

    after: Seq | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_STREAM)] = 50


class StreamEntry(BaseModel):
    """One line of the stream. `previous`: the number of the line before it, so that a reader notices a gap.

    `folded`: it shows `count` consecutive notes that exceed their authors' limits, under the number of the newest.
    """

    seq: int
    previous: int
    at: str
    actor: str
    kind: str
    act: str
    subject: str
    line: str
    folded: bool = False
    count: int = 1


class Stream(BaseModel):
    """A page of the stream."""

    entries: list[StreamEntry]
    cursor: int


class CheckEntries(Arguments):
    """Which entries to check against the hash of the one before: those after a number and up to another."""

    after: Seq
    upto: Seq


class EntriesChecked(BaseModel):
    """The entries that were checked. `fault`: what is wrong with entry `upto` + 1, where the check stopped."""

    after: int
    upto: int
    fault: str | None


def check_entries(tx: Reading, caller: Caller, arguments: CheckEntries) -> EntriesChecked:
    """Check up to `CHECKED_ENTRIES` entries as `teamroom verify` does: number, content and hash of each."""
    before = tx.all(LogEntry, "log_page", after=arguments.after - 1, limit=1) if arguments.after else []
    chain = Verifier(None, None, seq=arguments.after, hash=before[0].hash if before else FIRST_HASH)
    limit = min(max(arguments.upto - arguments.after, 0), CHECKED_ENTRIES)
    fault = None
    for entry in tx.all(LogEntry, "log_page", after=arguments.after, limit=limit):
        if (fault := chain.fault_of(entry)) is not None:
            break
        chain.seq, chain.hash = entry.seq, entry.hash
    return EntriesChecked(after=arguments.after, upto=chain.seq, fault=fault)


def read_receipts(tx: Reading, caller: Caller, arguments: ReadReceipts) -> Receipts:
    """Return entries of the log: the newest, or those after a number. Raises Refusal `not_found`."""
    seqs = _find_entries(tx, arguments)
    cursor = seqs[-1] if seqs else arguments.after or tx.only(ReadHead, "read_head").seq
    return Receipts(receipts=[_shown(tx.only(ReceiptRow, "receipt", seq=seq)) for seq in seqs], cursor=cursor)


def _find_entries(tx: Reading, arguments: ReadReceipts) -> list[int]:
    """The numbers of a page of entries, in order. An index leads to them under each filter."""
    actor, act, subject = _actor(tx, arguments), arguments.act or "", _subject(tx, arguments.subject or "")
    given: dict[str, Any] = {"actor": actor, "act": act, "subject": subject}
    filters = given if subject else {name: value for name, value in given.items() if value}
    after, newest = FILTERED[tuple(filters)]
    found: list[int] = []
    for spelled in spell_subject(tx, subject) if subject else (subject,):
        of_one = {**filters, "subject": spelled} if spelled else filters
        if arguments.after is None:
            found += tx.column(int, newest, **of_one, limit=arguments.limit)
        else:
            found += tx.column(int, after, **of_one, after=arguments.after, limit=arguments.limit)
    found.sort()
    return found[-arguments.limit :] if arguments.after is None else found[: arguments.limit]


FILTERED = {
    (): ("entries_after", "newest_entries"),
    ("actor",): ("entries_of_actor_after", "newest_entries_of_actor"),
    ("act",): ("entries_of_act_after", "newest_entries_of_act"),
    ("actor", "act"): ("entries_of_actor_and_act_after", "newest_entries_of_actor_and_act"),
    ("actor", "act", "subject"): ("entries_of_subject_after", "newest_entries_of_subject"),
}
"""The statements of a page by its filters: after a number, and from the end. Few entries are about one subject."""


def _actor(tx: Reading, arguments: ReadReceipts) -> int:
    """The number of the member whose entries are wanted; 0 for all. Raises Refusal `not_found`."""
    name = arguments.actor or ""
    if not name:
        return 0
    row = tx.one(MemberRow, "member_by_name", name=name)
    if row is None:
        raise no_such_member(tx, name)
    return int(row.id)


def _subject(tx: Reading, subject: str) -> str:
    """A subject as the log writes it: an id as the room prints it, the name of a member as the member has it."""
    subject = spell(subject)
    owner, _, name = subject.rpartition(":")
    if (owner and normalize_name(owner) != "owner") or not (owner or name.startswith(tuple(AT))):
        return subject
    row = tx.one(MemberRow, "member_by_name", name=name.lstrip(AT))
    return subject if row is None else f"owner:{row.name}" if owner else f"@{row.name}"


def read_receipt(tx: Reading, caller: Caller, arguments: OneReceipt) -> Receipt:
    """Return one entry of the log. Raises Refusal `not_found`."""
    row = tx.one(ReceiptRow, "receipt", seq=arguments.seq)
    if row is None:
        raise not_found("receipt", str(arguments.seq), "Call read_receipts without after to see the newest.")
    return _shown(row)


def read_stream(tx: Reading, caller: Caller, arguments: ReadStream) -> Stream:
    """Return a page of the stream, oldest first."""
    if arguments.after is None:
        lines = _end_of_stream(tx, arguments.limit)
    else:
        lines = runs(tx.all(StreamRow, "stream_page", after=arguments.after, limit=arguments.limit), _is_folded)
    if not lines:
        return Stream(entries=[], cursor=arguments.after or 0)
    previous = tx.value(int, "stream_before", seq=lines[0][0].seq - 1) or 0
    entries = []
    for line in lines:
        entries.append(_entry(line, previous))
        previous = line[-1].seq
    return Stream(entries=entries, cursor=previous)


def _end_of_stream(tx: Reading, limit: int) -> list[list[StreamRow]]:
    """The newest lines. Only where notes were folded does a page of lines take more entries than it has lines."""
    rows = tx.all(StreamRow, "stream_end", limit=limit)
    if any(map(_is_folded, rows)):
        rows = tx.all(StreamRow, "stream_end", limit=END_ENTRIES)
    return runs(rows[::-1], _is_folded)[-limit:]


def _is_folded(row: StreamRow) -> bool:
    return bool(row.folded)


def _entry(rows: list[StreamRow], previous: int) -> StreamEntry:
    newest = rows[-1]
    folded = _is_folded(newest)
    return StreamEntry(
        seq=newest.seq,
        previous=previous,
        at=rfc3339(newest.at),
        actor=newest.actor,
        kind=newest.kind,
        act=newest.act,
        subject=newest.subject,
        line=notes_line([row.actor for row in rows]) if folded else quote_entry(newest.act, newest.summary or REDACTED),
        folded=folded,
        count=len(rows),
    )


def _shown(row: ReceiptRow) -> Receipt:
    return Receipt(
        seq=row.seq,
        at=rfc3339(row.at),
        actor=row.actor,
        owner=row.owner,
        act=row.act,
        subject=row.subject,
        outcome=row.outcome,
        summary=quote_entry(row.act, row.summary or ""),
        detail={} if row.detail is None else for_readers(json.loads(row.detail)),
        hash=row.hash,
    )


READ_RECEIPTS = Read("read_receipts", ReadReceipts, read_receipts, roles=LOG_READERS)
CHECK_ENTRIES = Read("check_entries", CheckEntries, check_entries, roles=LOG_READERS)
READ_RECEIPT = Read("read_receipt", OneReceipt, read_receipt, is_small=always)
READ_STREAM = Read("read_stream", ReadStream, read_stream, is_small=always)
