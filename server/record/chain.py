"""The log: numbered from 1 without a gap, and chained by SHA-256.

An entry has a header (number, epoch, time, actor, owner, act, subject, outcome) and content (summary and detail). The
content is hashed with its own salt, and the chain covers the header and that digest. So content can be redacted with
its salt, and the chain still verifies. Nobody can check a guess at redacted content against the digest.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from teamroom.server import topics
from teamroom.server.record import baseline
from teamroom.server.record.keys import Checks
from teamroom.server.record.rebuild import Rebuilt
from teamroom.server.record.rows import ROWS, RowChange, as_detail, stored
from teamroom.server.record.sealed import History, Seal, Witness
from teamroom.server.record.texts import StoredTexts
from teamroom.server.rules.chain import entry_hash
from teamroom.server.store.logged import TABLES
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.log import EntryAge, LogEntry
from teamroom.server.store.transaction import Reading, Writing

FIRST_HASH = "0" * 64
SALT_BYTES = 16
PAGE_ENTRIES = 1000
"""How many entries a verification reads at a time."""

HEADER = ("seq", "epoch", "at", "actor", "owner", "act", "subject", "outcome")
"""The first columns of an entry. Its hash covers their values unchanged."""

TEXTS = ("act", "subject", "outcome", "summary", "detail", "salt", "digest", "hash")
"""Columns of an entry that contain text or null. Damage can turn them into bytes."""


class Author(NamedTuple):
    """Who an entry names: the member that acted, and the person who is accountable for it."""

    member: int
    owner: int


ROOM_MEMBER = 1
"""The member `room`, which is the actor of everything that the room itself does."""

ROOM_AUTHOR = Author(ROOM_MEMBER, ROOM_MEMBER)


def time_of(tx: Reading, seq: int) -> float:
    """When an entry was written, in room time. Raises MissingRowError if there is no such entry."""
    return tx.only(EntryAge, "entry_age", seq=seq).at


def append(
    tx: Writing,
    author: Author,
    *,
    act: str,
    subject: str,
    summary: str,
    outcome: str = "ok",
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Append one entry to the log in the act's own transaction; returns its number.

    The newest entry of an act is written at the act's end, or before the next one: until then its detail can grow.
    """
    head = tx.head
    if tx.write_newest is not None:
        tx.write_newest(tx)
    head.seq += 1
    header = (head.seq, head.epoch, tx.wall, author.member, author.owner, act, subject, outcome)
    tx.newest = Newest(head.hash, header, tx.entropy(SALT_BYTES).hex(), summary, detail or {})
    tx.write_newest, tx.at_end = write, end_act
    tx.save_clock()
    tx.changed(topics.STREAM)
    return head.seq


class Newest(NamedTuple):
    """The newest entry of an act: what its hash is made of."""

    previous: str
    header: tuple[Any, ...]
    salt: str
    summary: str
    detail: Mapping[str, Any]


def write(tx: Writing) -> None:
    """Write the newest entry of an act as it is now."""
    newest: Newest = tx.newest
    tx.write_newest = None
    text, digest = _seal(tx, newest)
    header = dict(zip(HEADER, newest.header, strict=True))
    content = {"summary": newest.summary, "detail": text, "salt": newest.salt}
    tx.run("append_entry", **header, **content, digest=digest, hash=tx.head.hash)


def _seal(tx: Writing, newest: Newest) -> tuple[str, str]:
    """Let the log end with an entry; returns its detail as it is hashed, and the digest of its content."""
    text = canonical(newest.detail)
    digest = content_digest(newest.salt, newest.summary, text)
    tx.head.hash = entry_hash(newest.previous, newest.header, digest)
    return text, digest


def end_act(tx: Writing) -> None:
    """Write into the newest entry of an act which rows the act changed, so that they can be rebuilt from the log.

    Every act that has an entry ends with this, in its own transaction.
    """
    before, tx.before, tx.at_end = tx.before, {}, None
    changes = []
    for (table, key), row in before.items():
        now = tx.logged_row(TABLES[table], key)
        if now != row:
            was = None if row is None else stored(TABLES[table], row).mark
            changes.append(RowChange(table, key, was, None if now is None else stored(TABLES[table], now)))
    begun: dict[str, Any] = {}
    if not baseline.has_begun(tx):
        rows, begun = baseline.begin(tx, before)
        changes += rows
    if changes:
        detail = {**tx.newest.detail, ROWS: as_detail(changes), **begun}
        tx.newest = tx.newest._replace(detail=detail)
    if tx.write_newest is not None:
        write(tx)
    elif changes:
        text, digest = _seal(tx, tx.newest)
        tx.run("amend_entry", seq=tx.head.seq, detail=text, digest=digest, hash=tx.head.hash)


def head_of(tx: Writing) -> str:
    """The end of the log as this transaction leaves it: what a reader can keep, as `HASH@NUMBER`."""
    tx.end()  # which writes the newest entry
    return f"{tx.head.hash}@{tx.head.seq}"


def canonical(value: Mapping[str, Any]) -> str:
    """Canonical JSON, the form that is hashed: sorted keys, no spaces."""
    return _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""Made once, because `json.dumps` makes one for each call."""


def content_digest(salt: str, summary: str, detail: str) -> str:
    """The salted digest of an entry's content, which can be redacted."""
    return hashlib.sha256(f"{salt}\n{len(summary)}\n{summary}{detail}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found: how many entries are intact, and the number of the first one that is not, if any.

    `named`: what contradicted the log at some time, and that a person accepted or that is over.
    `rebuilt`: how many rows of each table are as the log says. `not_rebuilt`: what cannot be rebuilt, in words.
    """

    entries: int
    hash: str
    first_bad: int | None = None
    why: str = ""
    named: tuple[str, ...] = ()
    rebuilt: Mapping[str, int] = field(default_factory=dict)
    not_rebuilt: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether every entry is intact."""
        return self.first_bad is None


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A head of the log that somebody kept: a number, and the hash of its entry."""

    seq: int
    hash: str


@dataclass(slots=True)
class Verifier:
    """Checks the log page by page, with the texts that it covers. `step` returns the result once it is known."""

    seal: Seal | None
    key: Checks | None
    history: History | None = None
    """The seals of earlier times; None: they are not looked at."""
    kept: KeptHead | None = None
    """A head that somebody kept: the log must continue it."""
    seq: int = 0
    hash: str = FIRST_HASH
    texts: StoredTexts = field(default_factory=StoredTexts)
    rows: Rebuilt = field(default_factory=Rebuilt)
    witness: Witness = field(init=False)
    accepted: int | None = None
    """Up to this entry, a person accepted the log as it stands. None: not known yet."""

    def __post_init__(self) -> None:
        self.compare_with(self.seal)

    def compare_with(self, seal: Seal | None) -> None:
        """Compare the entries that follow with this seal."""
        self.seal = seal
        self.witness = Witness(seal, self.history, self.key)

    def step(self, tx: Reading, limit: int = PAGE_ENTRIES) -> Verification | None:
        """Check the next `limit` entries. None: there is more to check."""
        if self.accepted is None:
            self.accepted = self._accepted(tx)
        entries = tx.all(LogEntry, "log_page", after=self.seq, limit=limit)
        for entry in entries:
            if (why := self.fault_of(entry)) is not None:
                if entry.seq > self.accepted:
                    return self._bad(self.seq + 1, why)
                self.witness.name(f"entry {entry.seq}: {why}")
            elif (wrong := self.texts.follow(tx, entry)) is not None:
                return self._bad(wrong.seq, wrong.why)
            elif (wrong := self.rows.follow(tx, entry)) is not None:
                if entry.seq > self.accepted:
                    return self._bad(wrong.seq, wrong.why)
                self.witness.name(f"entry {wrong.seq}: {wrong.why}")
            self.seq, self.hash = entry.seq, entry.hash
            if (why := self.witness.see(entry.seq, entry.epoch, entry.hash) or self._forks()) is not None:
                return self._bad(self.seq, why)
        return None if len(entries) == limit else self.judge_end(tx)

    def _accepted(self, tx: Reading) -> int:
        """Up to where a person accepted the log, if the acceptance is part of this log."""
        seal = self.witness.acceptance
        if seal is None:
            return 0
        found = tx.one(LogEntry, "log_page", after=seal.seq - 1, limit=1)
        return seal.seq if found is not None and (found.seq, found.hash) == (seal.seq, seal.hash) else 0

    def _forks(self) -> str | None:
        """How the log differs from the head that somebody kept, at its number."""
        if self.kept is None or self.seq != self.kept.seq or self.hash == self.kept.hash:
            return None
        return "it is not the entry of the head that was given, so the log does not continue that head"

    def _bad(self, first_bad: int, why: str) -> Verification:
        entries = min(self.seq, first_bad - 1)
        return Verification(entries, self.hash, first_bad, why, tuple(self.witness.named))

    def unreadable(self, why: str) -> Verification:
        """The result if the next entry, or the text or row that was being checked, cannot be read."""
        if (at := self.texts.looked_at or self.rows.looked_at) is not None:
            return self._bad(at.seq, f"{at.why} cannot be read: {why}")
        return self._bad(self.seq + 1, f"it cannot be read: {why}")

    def fault_of(self, entry: LogEntry) -> str | None:
        """What is wrong with the next entry, or None."""
        if entry.seq != self.seq + 1:
            return f"number {self.seq + 1} is missing"
        if any(not isinstance(getattr(entry, name), str | None) for name in TEXTS):
            return "a field that must be text is not"
        if entry.salt is not None and entry.digest != content_digest(
            entry.salt, entry.summary or "", entry.detail or ""
        ):
            return "its content was changed"
        if entry.salt is None and (entry.summary is not None or entry.detail is not None):
            return "its content has no salt"
        header = entry[: len(HEADER)]
        if entry.hash != entry_hash(self.hash, header, entry.digest):
            return "its hash does not match the entry before it"
        return None

    def judge_end(self, tx: Reading) -> Verification:
        """The result for the whole log, once every entry was checked."""
        head = tx.only(ReadHead, "read_head")
        if head.seq != self.seq or head.hash != self.hash:
            bad = min(head.seq, self.seq) + 1 if head.seq != self.seq else self.seq
            return self._bad(bad, f"the head row says that the log ends at {head.seq}")
        if (wrong := self.texts.changed_task(tx) or self.rows.changed_row(tx)) is not None:
            return self._bad(wrong.seq, wrong.why)
        if (lost := self.witness.end(head.epoch, self.seq)) is not None:
            return self._bad(*lost)
        if self.seal is not None and self.seal.epoch != head.epoch:
            return self._bad(self.seq, f"the seal is of epoch {self.seal.epoch}, and the room of epoch {head.epoch}")
        if self.kept is not None and self.kept.seq > self.seq:
            return self._bad(self.seq + 1, f"the head that was given is entry {self.kept.seq}")
        return Verification(
            self.seq,
            self.hash,
            named=tuple(self.witness.named),
            rebuilt=self.rows.compared,
            not_rebuilt=tuple(self.rows.unknown()),
        )
