"""Rebuilds from the log what members may do and who holds what, and compares it with what the database holds.

The fold goes entry by entry. For each row it keeps a mark and the number of the entry that last changed the row: some
150 bytes for a row and nothing for an entry. Each change also says what the row was before it. So a row that was
changed outside the log is found even if a later act changed it again.

An entry of an earlier release says less. What no later entry records is listed as unknown; see `baseline`.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from teamroom.server.clock import WallTime, rfc3339
from teamroom.server.record.baseline import LATER, NUMBERED
from teamroom.server.record.rows import (
    BEGUN,
    KEPT,
    LEAP,
    MARK_BYTES,
    ROWS,
    RowChange,
    Stored,
    after_restore,
    changes_in,
    stored,
)
from teamroom.server.record.texts import Wrong
from teamroom.server.rules.text import shorten
from teamroom.server.store.logged import FIRST, TABLES, Key, Logged, tables_of
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.rows.members import MemberName
from teamroom.server.store.rows.rebuild import KeptPart
from teamroom.server.store.transaction import Reading

ACCEPT = "accept"
"""The act by which a person accepts a log that contradicts its seal."""

PAGE_ROWS = 1000
"""How many rows the comparison reads at a time."""

VALUE_SHOWN = 60
"""The most characters of a value that a finding shows."""

MEMBERS = frozenset(
    {
        *("owner", "member", "by_member", "creator", "assigned", "holder", "reviewer", "completed_by", "completer"),
        *("giver", "receiver", "asker", "decided_by"),
        *("target", "made_by", "revoked_by"),
    }
)
"""Columns that hold the number of a member."""

TIMES = re.compile(r"since|until|due|\w+_(at|until|date)")
"""Columns that hold seconds since 1970-01-01 UTC."""

DATES = ("due", "snooze_date", "created_date", "closed_date")
"""Those of them that follow the wall clock; the others hold room time."""


class Begun(NamedTuple):
    """Since which entry the log records rows, which tasks and offers are older, and which tables it listed whole.

    `partial`: tables of `LATER` that it did not.
    """

    seq: int
    tasks: int
    offers: int
    whole: frozenset[str]
    partial: frozenset[str]


class Leap(NamedTuple):
    """A restore: its entry, and how much it raised every fence."""

    seq: int
    fences: int


class Held(NamedTuple):
    """What the log says of a row: the entry that last changed it, and the marks of its columns and its words."""

    seq: int
    mark: str
    words: str | None


@dataclass(slots=True)
class Rebuilt:
    """The rows as the log says, up to the entry that was followed last."""

    report: Callable[[int, int], None] = lambda done, total: None
    """Gets how many rows were compared, and how many there are."""
    compared: Counter[str] = field(default_factory=Counter)
    """How many rows of each table are as the log says."""
    looked_at: Wrong | None = None
    """What is being read: if the database fails to read it, that is what cannot be read."""
    _held: dict[str, dict[Any, int]] = field(default_factory=lambda: defaultdict(dict))
    _leaps: list[Leap] = field(default_factory=list)
    _begun: Begun | None = None
    _last: int = 0
    _unknown: Counter[str] = field(default_factory=Counter)
    _tables: dict[str, Logged] | None = None
    _has_kept: bool = True

    # ------------------------------------------------------------------ the fold

    def follow(self, tx: Reading, entry: LogEntry) -> Wrong | None:
        """Take in an entry that the chain vouches for; returns what contradicts the entries before it."""
        self._look_at_schema(tx)
        self._last = entry.seq
        try:
            detail = self._detail(tx, entry)
            changes = list(changes_in(detail or {}))
        except MALFORMED:
            return Wrong(entry.seq, "what a redaction kept of this entry was changed")
        if detail is None:
            return self._earlier_verdict(tx, entry) if self._begun is None and entry.act == "review_task" else None
        if KEPT in detail and not (self._has_kept and detail[KEPT] == kept_digest(tx, entry.seq)):
            return Wrong(entry.seq, "what this redaction kept of redacted entries was changed")
        if entry.act == ACCEPT:  # a person accepted all that came before, and the act lists every row again
            self._held.clear()
            self._leaps.clear()
            self._begun = None
        if BEGUN in detail and self._begun is not None:
            return Wrong(entry.seq, "the log began to record rows twice, so its mark of that was removed")
        if LEAP in detail:
            self._leaps.append(Leap(entry.seq, int(detail[LEAP])))
        for change in changes:
            if (why := self._take(tx, change, entry.seq)) is not None:
                return Wrong(entry.seq, f"{name_of(tx, change.table, change.key)} {why}")
        if BEGUN in detail:
            said = detail[BEGUN]
            whole, partial = frozenset(said["whole"]), frozenset(said.get("partial", ()))
            self._begun = Begun(entry.seq, said["tasks"], said["offers"], whole, partial)
        return None

    def _take(self, tx: Reading, change: RowChange, seq: int) -> str | None:
        """Take in one change; returns why it does not follow from the entries before it."""
        held = self._now(tx, change.table, change.key)
        if held is None and change.was is not None and not self._may_be_older(change.table, change.key):
            return "is not in the log before this entry"
        if held is not None and held.mark != change.was:
            return "was changed outside the log before this entry"
        if change.now is None:
            self._held[change.table].pop(_short(change.key), None)
        else:
            self._hold(change.table, change.key, Held(seq, change.now.mark, change.now.words_mark))
        return None

    def _earlier_verdict(self, tx: Reading, entry: LogEntry) -> Wrong | None:
        """Compare a verdict that an earlier release recorded: the entry itself says what it was."""
        if entry.outcome != "ok" or not entry.subject.startswith("T-"):
            return None
        key = (int(entry.subject[2:]), entry.seq)
        row = tx.logged_row(TABLES["verdict"], key)
        if row is None:
            return Wrong(entry.seq, f"{name_of(tx, 'verdict', key)} is missing")
        found = stored(TABLES["verdict"], row)
        said = json.loads(entry.detail or "{}").get("verdict")
        upheld = found.facts.get("upheld", 0)
        if found.facts.get("reviewer") != entry.actor or (said is not None and upheld != int(said == "accept")):
            return Wrong(entry.seq, f"{name_of(tx, 'verdict', key)} was changed outside the log")
        self._hold("verdict", key, Held(entry.seq, found.mark, found.words_mark))
        return None

    # ------------------------------------------------------------------ the comparison

    def changed_row(self, tx: Reading) -> Wrong | None:
        """The first row that is not as the log read so far says."""
        tables = self._look_at_schema(tx)
        self.compared.clear()
        self._unknown.clear()
        counts = {table: tx.count_logged(logged) for table, logged in tables.items()}
        total, done = sum(counts.values()), 0
        for table in set(self._held) - set(tables):
            if self._held[table]:
                return Wrong(max(self._last, 1), f"the table {table} is missing")
        for logged in tables.values():
            before = done
            for key, found in self._rows(tx, logged):
                if (wrong := self._compare(tx, logged, key, found)) is not None:
                    return wrong
                done += 1
                if done % PAGE_ROWS == 0:
                    self.report(done, total)
            if self.compared[logged.table] != len(self._held[logged.table]):
                return self._missing(tx, logged)
            if done - before != counts[logged.table]:
                return Wrong(max(self._last, 1), f"the table {logged.table} has a row whose key is empty")
        self.looked_at = Wrong(max(self._last, 1), "what follows from verdicts and dependencies")
        wrong = self._wrong_count(tx) if self._has_kept else None
        self.looked_at = None
        return wrong

    def _wrong_count(self, tx: Reading) -> Wrong | None:
        """The first stored count that does not follow from the rows that were compared."""
        if (member := tx.value(int, "wrong_share")) is not None:
            return Wrong(max(self._last, 1), f"the share of upheld work of {_member(tx, member)} is not its verdicts'")
        if (task := tx.value(int, "wrong_waits")) is not None:
            return Wrong(max(self._last, 1), f"T-{task} waits for another number of tasks than its dependencies say")
        return None

    def unknown(self) -> Iterator[str]:
        """What cannot be rebuilt, in words."""
        if self._begun is None and self._unknown:
            yield "everything but the log and its texts: nothing was done in this room since its upgrade"
        elif self._begun is not None:
            for table, count in self._unknown.items():
                yield f"{plural(table, count)} from before entry {self._begun.seq}, which no later entry changed"

    def _rows(self, tx: Reading, logged: Logged) -> Iterator[tuple[Key, Stored]]:
        after: Key | None = FIRST[logged.table]
        while after is not None:
            self.looked_at = Wrong(max(self._last, 1), f"the table {logged.table}")
            page = tx.logged_page(logged, after, PAGE_ROWS)
            for row in page:
                yield logged.key_of(row), stored(logged, row)
            after = logged.key_of(page[-1]) if len(page) == PAGE_ROWS else None

    def _compare(self, tx: Reading, logged: Logged, key: Key, found: Stored) -> Wrong | None:
        held = self._now(tx, logged.table, key)
        if held is None:
            if self._may_be_older(logged.table, key):
                self._unknown[logged.table] += 1
                return None
            return Wrong(max(self._last, 1), f"{name_of(tx, logged.table, key)} is not in the log")
        if held.mark != found.mark or (held.words is not None and held.words != found.words_mark):
            return Wrong(held.seq, self._difference(tx, logged, key, found, held.seq))
        self.compared[logged.table] += 1
        return None

    def _missing(self, tx: Reading, logged: Logged) -> Wrong:
        for short, value in self._held[logged.table].items():
            key = short if isinstance(short, tuple) else (short,)
            if tx.logged_row(logged, key) is None:
                return Wrong(_unpacked(value).seq, f"{name_of(tx, logged.table, key)} is missing")
        return Wrong(max(self._last, 1), f"a row of the table {logged.table} is missing")

    def _difference(self, tx: Reading, logged: Logged, key: Key, found: Stored, seq: int) -> str:
        """How a row differs from what the log says of it, in words."""
        name, said = name_of(tx, logged.table, key), self._said(tx, logged.table, key, seq)
        for column in logged.columns:
            is_, was = found.facts.get(column), said.facts.get(column)
            if is_ != was:
                if column == logged.secret:
                    return f"{name} has another {column} than the log says"
                return f"{name} has {column} {_shown(tx, column, is_)}; the log says {_shown(tx, column, was)}"
        for column in logged.words:
            if (found.words or {}).get(column) != (said.words or {}).get(column):
                return f"the stored {column} of {name} was changed"
        return f"{name} was changed outside the log"

    # ------------------------------------------------------------------ what the log says

    def _may_be_older(self, table: str, key: Key) -> bool:
        """Whether a row may be older than what the log records."""
        begun = self._begun
        if table in LATER:
            return begun is not None and table in begun.partial
        if begun is None:
            return True
        if table in NUMBERED:
            older = begun.offers if table == "offer" else begun.tasks
            return 0 < int(key[0]) <= older and (table != "verdict" or int(key[1]) < begun.seq)
        return table not in begun.whole

    def _now(self, tx: Reading, table: str, key: Key) -> Held | None:
        """What the log says of a row, after the restores since then."""
        value = self._held[table].get(_short(key))
        if value is None:
            return None
        held = _unpacked(value)
        if table in ("task", "offer") and self._leaps and self._leaps[-1].seq > held.seq:
            said = self._said(tx, table, key, held.seq)
            held = Held(held.seq, said.mark, said.words_mark)
        return held

    def _said(self, tx: Reading, table: str, key: Key, seq: int) -> Stored:
        """A row as the entry that last changed it says, after the restores since then."""
        try:
            detail = _parsed(tx.value(str, "content_of", seq=seq) or self._kept(tx, seq)) or {}
            change = next((c for c in changes_in(detail) if (c.table, c.key) == (table, key)), None)
        except MALFORMED:
            change = None
        row = change.now if change is not None and change.now is not None else Stored({}, None)
        for leap in self._leaps:
            if leap.seq > seq:
                row = after_restore(table, row, leap.fences)
        return row

    def _detail(self, tx: Reading, entry: LogEntry) -> dict[str, Any] | None:
        """The part of an entry's detail that the rebuild reads, also if the entry was redacted; None without one."""
        if entry.salt is None:
            return _parsed(self._kept(tx, entry.seq))
        text = entry.detail or ""
        return _parsed(text) if any(f'"{name}":' in text for name in (ROWS, KEPT, LEAP, BEGUN)) else None

    def _kept(self, tx: Reading, seq: int) -> str | None:
        return tx.value(str, "kept_part", seq=seq) if self._has_kept else None

    def _look_at_schema(self, tx: Reading) -> dict[str, Logged]:
        """The logged tables that the database has: one that was not upgraded yet lacks some of their columns."""
        if self._tables is None:
            places = set(tx.column(str, "places"))
            self._tables, self._has_kept = tables_of(places), "kept.part" in places and "share.upheld" in places
        return self._tables

    def _hold(self, table: str, key: Key, held: Held) -> None:
        self._held[table][_short(key)] = _packed(held)


MALFORMED = (ValueError, TypeError, KeyError, AttributeError)
"""What reading JSON raises that somebody changed."""

SEQ_BITS, MARK_BITS = 53, 8 * MARK_BYTES


def _packed(held: Held) -> int:
    """What is held of a row as one number, which takes a third of the memory."""
    words = 0 if held.words is None else int(held.words, 16) << 1 | 1
    return (words << MARK_BITS | int(held.mark, 16)) << SEQ_BITS | held.seq


def _unpacked(value: int) -> Held:
    seq, rest = value & (1 << SEQ_BITS) - 1, value >> SEQ_BITS
    mark, words = rest & (1 << MARK_BITS) - 1, rest >> MARK_BITS
    digits = 2 * MARK_BYTES
    return Held(seq, f"{mark:0{digits}x}", f"{words >> 1:0{digits}x}" if words else None)


def _short(key: Key) -> Any:
    return key[0] if len(key) == 1 else key


def _parsed(text: str | None) -> dict[str, Any] | None:
    return None if text is None else dict(json.loads(text))


def kept_digest(tx: Reading, redaction: int) -> str:
    """The digest of what a redaction kept of the entries that it redacted."""
    digest = hashlib.sha256()
    for kept in tx.all(KeptPart, "kept_of_redaction", redaction=redaction):
        digest.update(f"{kept.seq}\n{kept.part}\n".encode(errors="replace"))
    return digest.hexdigest()


# ------------------------------------------------------------------ words


def name_of(tx: Reading, table: str, key: Key) -> str:
    """How a finding names a row."""
    if table == "standing":
        return f"the standing of {_target(tx, *key)}"
    if table == "pause":
        return f"a pause of {_target(tx, *key[:2])}"
    if table == "token":
        row = tx.logged_row(TABLES["token"], key)
        return f"the token {key[0]}" + ("" if row is None else f" of {_member(tx, row[1])}")
    if table == "member":
        return _member(tx, key[0])
    if table == "former_name":
        return f"the former name {key[0]}"
    return {
        "policy": "the policy",
        "task": f"T-{key[0]}",
        "offer": f"O-{key[0]}",
        "origin": f"the origin of T-{key[0]}",
        "repair": f"the repair T-{key[0]}",
        "dependency": f"the dependency of T-{key[0]} on T-{key[-1]}",
        "verdict": f"the verdict of entry {key[-1]} on T-{key[0]}",
        "decision": f"D-{key[0]}",
        "authorisation": f"A-{key[0]}",
        "asked": f"who was asked for D-{key[0]}",
        "approval_rule": f"the approval rule {key[0]}",
        "approval": f"the call that D-{key[0]} is about",
        "letter_setting": f"the letter settings of {_member(tx, key[0])}",
        "channel": f"channel {key[-1]} of {_member(tx, key[0])}",
    }[table]


def _target(tx: Reading, scope: Any, target: Any) -> str:
    if scope == "room":
        return "the room"
    return _member(tx, target) if scope == "member" else f"the agents of {_member(tx, target)}"


def _member(tx: Reading, number: Any) -> str:
    row = tx.one(MemberName, "member_by_id", id=number)
    return f"member {number}" if row is None else f"@{row.name}"


def _shown(tx: Reading, column: str, value: Any) -> str:
    if value is None:
        return "nothing" if column in MEMBERS or TIMES.fullmatch(column) else "0 or nothing"
    if column in MEMBERS and isinstance(value, int):
        return _member(tx, value)
    if TIMES.fullmatch(column) and isinstance(value, int | float) and 0 <= value < 1e11:
        return rfc3339(WallTime(value) if column in DATES else tx.date_of(value))
    return shorten(str(value), VALUE_SHOWN)


PLURALS = {"policy": "policies", "dependency": "dependencies"}


def plural(table: str, count: int) -> str:
    """How many rows of a table, in words."""
    name = table.replace("_", " ")
    return f"{count} {name}" if count == 1 else f"{count} {PLURALS.get(table, f'{name}s')}"
