"""Taking content away under a chain that still verifies: of one thing, or of everything that is old enough."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from teamroom.server.acts.act import Act, Arguments, Line, Reply, Seq, author
from teamroom.server.facts.ids import Kind, offer_name, parse
from teamroom.server.facts.roles import ROOM_OWNERS
from teamroom.server.facts.task import task_changed
from teamroom.server.identity import Caller
from teamroom.server.record import chain as log
from teamroom.server.refusals import Refusal, not_found
from teamroom.server.rules.text import REDACTED, named, one_line
from teamroom.server.store.rows.hand_offs import OfferRow
from teamroom.server.store.rows.log import ReceiptRow
from teamroom.server.store.rows.messages import MessageRow
from teamroom.server.store.rows.redact import EntryRow, PageEntry
from teamroom.server.store.rows.tasks import TaskRow
from teamroom.server.store.transaction import Reading, Writing

ENTRIES = 1_000
"""How many entries of the log one call takes content of at most, or looks at."""

OFFERS = 100

ROWS: dict[Kind, type[Any]] = {"message": MessageRow, "task": TaskRow, "offer": OfferRow}
"""What each kind of thing is read as, by a statement of that name."""

KEPT: frozenset[str] = frozenset(
    {"open", "enroll", "revoke", "pause", "resume", "kill", "set_policy", "restore", "redact"}
)
"""Acts whose content does not grow old: who stopped whom, and why."""


class Redact(Arguments):
    """Arguments of `redact`: one thing, or an age; with an age, `after` goes on where the last call ended."""

    what: Annotated[Line, Field(min_length=1, description="M-7, T-3, O-2 or the number of an entry")] | None = None
    older_than_seconds: Annotated[float, Field(ge=3600, le=3_200_000_000)] | None = None
    after: Seq | None = None
    reason: Line


class Redacted(Reply):
    """Reply of `redact`: how many entries lost their content. With an age, the `after` of the next call, if any."""

    what: str
    entries: int
    after: int | None = None


def redact(tx: Writing, caller: Caller, arguments: Redact) -> Redacted:
    """Take away what was written about one thing, or before some time. Headers, numbers and hashes stay.

    Raises Refusal.
    """
    if (arguments.what is None) == (arguments.older_than_seconds is None):
        raise Refusal("invalid", "Say what, or how old.", "Give what (such as M-7), or older_than_seconds.")
    if arguments.what is not None:
        taken, following = _take(tx, arguments.what), None
        what = arguments.what
    else:
        age = arguments.older_than_seconds or 0.0
        taken, following = _take_old(tx, tx.now - age, arguments.after or 0)
        what = f"what is older than {age / 86_400:g} d"
    if not taken:
        return Redacted(what=what, entries=0, after=following)
    tx.run("forget_claims")
    tx.effects.scrub = following is None
    seq = log.append(
        tx,
        author(caller),
        act="redact",
        subject=arguments.what or "",
        summary=one_line(f"@{caller.name} took the content of {what} away: {arguments.reason}"),
        detail={"entries": taken, "reason": arguments.reason},
    )
    return Redacted(receipt=seq, what=what, entries=len(taken), after=following)


def _take(tx: Writing, what: str) -> list[int]:
    if what.isascii() and what.isdigit():
        entries = tx.all(EntryRow, "entry_with_content", seq=min(int(what), 2**53 - 1))
        if not entries and tx.one(ReceiptRow, "receipt", seq=min(int(what), 2**53 - 1)) is None:
            raise not_found("entry", what, "read_receipts shows their numbers.")
        return _take_entries(tx, entries)
    if (found := parse(what)) is None:
        raise Refusal(
            "invalid", f"{named(what)} is nothing that has content.", "Give M-7, T-3, O-2 or an entry's number."
        )
    kind, number = found
    if tx.one(ROWS[kind], kind, id=number) is None:
        raise not_found(kind, what, "read_messages and read_board show their ids.")
    taken = _take_subject(tx, what)
    if kind == "task":
        tx.run("take_task", id=number, taken=REDACTED)
        task_changed(tx, number, tx.only(TaskRow, "task", id=number).holder)
        for offer in tx.column(int, "offers_of_task", task=number, limit=OFFERS):
            tx.run("take_offer", id=offer)
            taken += _take_subject(tx, offer_name(offer))
    elif kind == "offer":
        tx.run("take_offer", id=number)
    return taken


def _take_subject(tx: Writing, subject: str) -> list[int]:
    tx.run("take_wakes_about", subject=subject, taken=REDACTED)
    return _take_entries(tx, tx.all(EntryRow, "entries_about", subject=subject, limit=ENTRIES))


def _take_old(tx: Writing, before: float, after: int) -> tuple[list[int], int | None]:
    """Take a page of old entries away, but for control acts and tasks that are not finished."""
    page = tx.all(PageEntry, "entries_of_page", after=after, limit=ENTRIES)
    old = [entry for entry in page if entry.at < before]
    going = [e for e in old if e.has_content and e.act not in KEPT and not _is_in_work(tx, e.subject)]
    for entry in going:
        if (found := parse(entry.subject, "task")) is not None:
            tx.run("take_finished_task", id=found[1], seq=entry.seq, taken=REDACTED)
            task_changed(tx, found[1])
    more = len(page) == ENTRIES and len(old) == len(page)
    return _take_entries(tx, going), page[-1].seq if more else None


def _is_in_work(tx: Reading, subject: str) -> bool:
    kind, number = parse(subject) or (None, 0)
    if kind == "offer":
        offer = tx.one(OfferRow, "offer", id=number)
        kind, number = (None, 0) if offer is None else ("task", offer.task)
    task = tx.one(TaskRow, "task", id=number) if kind == "task" else None
    return task is not None and task.state not in ("done", "cancelled")


def _take_entries(tx: Writing, entries: Sequence[EntryRow | PageEntry]) -> list[int]:
    for entry in entries:
        seq = entry.seq
        tx.run("take_content", seq=seq)
        tx.run("unindex_message", seq=seq)
        tx.run("take_message", seq=seq, taken=REDACTED)
        tx.run("take_wakes", seq=seq, taken=REDACTED)
        tx.run("take_task_entries", seq=seq)
        if entry.act in ("pause", "resume", "kill"):
            tx.run("take_reason", at=entry.at, taken=REDACTED)
        elif (found := parse(entry.subject, "offer")) is not None:
            tx.run("take_offer", id=found[1])
    return [entry.seq for entry in entries]


REDACT = Act("redact", Redact, Redacted, redact, roles=ROOM_OWNERS)
