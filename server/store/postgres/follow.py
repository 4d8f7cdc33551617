"""Checks that what other servers wrote continues what this server knows: the room's head is never taken on trust."""

from collections.abc import Mapping
from typing import NamedTuple

from teamroom.server.rules.chain import entry_hash
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.transaction import Head

PAGE_ENTRIES = 1000

COUNTERS = ("members", "messages", "tasks", "offers")
"""The ids that the head counts, which never go back."""


class Entry(NamedTuple):
    """An entry of the log without its content."""

    seq: int
    epoch: int
    at: float
    actor: int
    owner: int
    act: str
    subject: str
    outcome: str
    digest: str
    hash: str


def find_break(session: Session, last: Head, head: Head, statements: Mapping[str, str]) -> str | None:
    """What does not follow from the head that this server knew last, in words; None where all of it does."""
    if head.epoch != last.epoch:
        return f"it is of epoch {head.epoch}, and was of epoch {last.epoch}"
    if head.seq < last.seq or any(getattr(head, name) < getattr(last, name) for name in COUNTERS):
        return "it counts less than it did"
    if head.seq == last.seq and any(getattr(head, name) != getattr(last, name) for name in ("hash", *COUNTERS)):
        return f"entry {head.seq} is another one, or ids were counted without an entry"
    seq, hash_ = last.seq, last.hash
    while seq < head.seq:
        page = session.execute(statements["entries_between"], {"after": seq, "limit": PAGE_ENTRIES}).fetchall()
        if not page:
            return f"entry {seq + 1} is missing"
        for entry in map(Entry._make, page):
            if entry.seq > head.seq:
                break
            if entry.seq != seq + 1 or entry.hash != entry_hash(hash_, entry[:8], entry.digest):
                return f"entry {seq + 1} is missing, or does not continue the chain"
            seq, hash_ = entry.seq, entry.hash
    return None if hash_ == head.hash else f"the head has another hash than entry {head.seq}"
