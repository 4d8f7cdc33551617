"""The log: numbered from 1 without a gap, and chained by SHA-256.

An entry has a header (number, epoch, time, actor, owner, act, subject, outcome) and content (summary and detail). The
content is hashed with its own salt, and the chain covers the header and that digest. So content can be redacted with
its salt, and the chain still verifies. Nobody can check a guess at redacted content against the digest.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from teamroom.server import topics
from teamroom.server.clock import WallTime
from teamroom.server.record.texts import StoredTexts
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


@dataclass(frozen=True, slots=True)
class Author:
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
    """Append one entry to the log in the act's own transaction; returns its number."""
    head = tx.head
    seq = head.seq + 1
    salt = tx.entropy(SALT_BYTES).hex()
    detail_text = canonical(detail or {})
    digest = content_digest(salt, summary, detail_text)
    head.hash = entry_hash(
        head.hash, (seq, head.epoch, tx.wall, author.member, author.owner, act, subject, outcome), digest
    )
    head.seq = seq
    tx.save_clock()
    tx.run(
        "append_entry",
        seq=seq,
        epoch=head.epoch,
        at=tx.wall,
        actor=author.member,
        owner=author.owner,
        act=act,
        subject=subject,
        outcome=outcome,
        summary=summary,
        detail=detail_text,
        salt=salt,
        digest=digest,
        hash=head.hash,
    )
    tx.changed(topics.STREAM)
    return seq


def canonical(value: Mapping[str, Any]) -> str:
    """Canonical JSON, the form that is hashed: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_digest(salt: str, summary: str, detail: str) -> str:
    """The salted digest of an entry's content, which can be redacted."""
    return hashlib.sha256(f"{salt}\n{len(summary)}\n{summary}{detail}".encode()).hexdigest()


def entry_hash(previous: str, header: tuple[Any, ...], digest: str) -> str:
    """The hash of an entry, over the hash before it, the header and the content's digest."""
    return hashlib.sha256(f"{previous}\n{json.dumps(header)}\n{digest}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Seal:
    """The end of the log at some moment, signed with the room's key and kept outside the database."""

    epoch: int
    seq: int
    hash: str
    at: WallTime
    signature: str


def seal(key: bytes, epoch: int, seq: int, hash_: str, at: WallTime) -> Seal:
    """Sign the end of the log (HMAC-SHA-256)."""
    return Seal(epoch, seq, hash_, at, _sign(key, epoch, seq, hash_, at))


def is_genuine(key: bytes, seal: Seal) -> bool:
    """Whether the room's key made this seal."""
    return hmac.compare_digest(seal.signature, _sign(key, seal.epoch, seal.seq, seal.hash, seal.at))


def _sign(key: bytes, epoch: int, seq: int, hash_: str, at: WallTime) -> str:
    return hmac.new(key, json.dumps([epoch, seq, hash_, at]).encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found: how many entries are intact, and the number of the first one that is not, if any."""

    entries: int
    hash: str
    first_bad: int | None = None
    why: str = ""

    @property
    def good(self) -> bool:
        """Whether every entry is intact."""
        return self.first_bad is None


@dataclass(slots=True)
class Verifier:
    """Checks the log page by page, with the texts that it covers. `step` returns the result once it is known."""

    seal: Seal | None
    key: bytes | None
    seq: int = 0
    hash: str = FIRST_HASH
    texts: StoredTexts = field(default_factory=StoredTexts)

    def step(self, tx: Reading, limit: int = PAGE_ENTRIES) -> Verification | None:
        """Check the next `limit` entries. None: there is more to check."""
        entries = tx.all(LogEntry, "log_page", after=self.seq, limit=limit)
        for entry in entries:
            if (why := self.fault_of(entry)) is not None:
                return Verification(self.seq, self.hash, self.seq + 1, why)
            if (wrong := self.texts.follow(tx, entry)) is not None:
                return Verification(self.seq, self.hash, wrong.seq, wrong.why)
            self.seq, self.hash = entry.seq, entry.hash
            if self.seal is not None and self.seq == self.seal.seq and self.hash != self.seal.hash:
                return Verification(self.seq, self.hash, self.seq, "the chain was rewritten: it differs from the seal")
        return None if len(entries) == limit else self.judge_end(tx)

    def unreadable(self, why: str) -> Verification:
        """The result if the next entry, or the text that was being checked, cannot be read."""
        if (at := self.texts.looked_at) is not None:
            return Verification(at.seq - 1, self.hash, at.seq, f"{at.why} cannot be read: {why}")
        return Verification(self.seq, self.hash, self.seq + 1, f"it cannot be read: {why}")

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
            return Verification(self.seq, self.hash, bad, f"the head row says that the log ends at {head.seq}")
        if (wrong := self.texts.changed_task(tx)) is not None:
            return Verification(wrong.seq - 1, self.hash, wrong.seq, wrong.why)
        if self.seal is None:
            return Verification(self.seq, self.hash)
        if self.key is None or not is_genuine(self.key, self.seal):
            return Verification(self.seq, self.hash, self.seq, "the seal was not made with this room's key")
        if self.seal.seq > self.seq:
            return Verification(
                self.seq, self.hash, self.seq + 1, f"the seal covers entry {self.seal.seq}; the end was cut off"
            )
        return Verification(self.seq, self.hash)
