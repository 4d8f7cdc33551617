"""What an entry says of the rows that its act changed: each row as it is afterwards, and a mark of it before.

Everything is in the entry's detail, under `rows`. A mark is a short digest of a row's columns. It lets a rebuild find a
row that was changed outside the log even if a later act changed it again. Values that are null, 0 or '' are left out.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from teamroom.server.store.logged import TABLES, Key, Logged, Row

ROWS = "rows"
"""The name in an entry's detail under which it lists rows."""

LEAP = "leap"
"""The name in a restore's detail: how much it raised every fence."""

KEPT = "kept"
"""The name in a redaction's detail: a digest of what stays of the redacted entries."""

BEGUN = "begun"
"""The name in the detail of the last entry of a baseline."""

MARK_BYTES = 8

Facts = dict[str, Any]
"""The columns of a row that are not null, 0 or ''."""

HELD = ("claimed", "blocked", "offered")
"""The states of a task that a restore reopens."""


class Stored(NamedTuple):
    """A logged row: its columns, and digests of its words. `words` None: they were redacted, so they are unknown."""

    facts: Facts
    words: Mapping[str, str] | None

    @property
    def mark(self) -> str:
        """The short digest of the columns."""
        return _mark(self.facts)

    @property
    def words_mark(self) -> str | None:
        """The short digest of the words, None if they are unknown."""
        return None if self.words is None else _mark(self.words)


class RowChange(NamedTuple):
    """What an entry says of one row: `was`: its mark before the act, None without a row. `now` None: it is deleted."""

    table: str
    key: Key
    was: str | None
    now: Stored | None


def stored(logged: Logged, row: Row) -> Stored:
    """A row as an entry keeps it."""
    facts = {name: _as_json(value) for name, value in logged.facts(row).items() if value}
    if logged.secret and logged.secret in facts:
        facts[logged.secret] = _digest(str(facts[logged.secret]))
    return Stored(facts, {name: _digest(str(text)) for name, text in logged.texts(row).items() if text})


def as_detail(changes: list[RowChange]) -> dict[str, Any]:
    """Changes as an entry's detail lists them."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        told: dict[str, Any] = {"key": list(change.key)}
        if change.was is not None:
            told["was"] = change.was
        if change.now is not None:
            told["now"] = change.now.facts
            if change.now.words is not None and TABLES[change.table].words:
                told["words"] = dict(change.now.words)
        rows.setdefault(change.table, []).append(told)
    return rows


def changes_in(detail: Mapping[str, Any]) -> Iterator[RowChange]:
    """The changes that an entry's detail lists; of tables that this release does not know, none."""
    for table, rows in detail.get(ROWS, {}).items():
        if (logged := TABLES.get(table)) is None:
            continue
        for told in rows:
            words = told.get("words") if logged.words else {}
            now = Stored(told["now"], words) if "now" in told else None
            yield RowChange(table, tuple(told["key"]), told.get("was"), now)


def what_stays(detail: Mapping[str, Any]) -> str | None:
    """What a redaction keeps of an entry's detail: numbers, names and states, and no words. None: nothing."""
    rows = {
        table: [{name: value for name, value in told.items() if name != "words"} for told in listed]
        for table, listed in detail.get(ROWS, {}).items()
    }
    kept = {ROWS: rows} if rows else {}
    kept |= {name: detail[name] for name in (KEPT, BEGUN, LEAP) if name in detail}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if kept else None


def for_readers(detail: Mapping[str, Any]) -> dict[str, Any]:
    """An entry's detail as members read it: what happened, without the rows that `verify` rebuilds."""
    return {name: value for name, value in detail.items() if name not in (ROWS, KEPT, BEGUN)}


def after_restore(table: str, row: Stored, leap: int) -> Stored:
    """A row after a restore, which reopens every task, raises every fence and voids open offers."""
    facts = dict(row.facts)
    words = row.words
    if table == "task":
        facts["fence"] = facts.get("fence", 0) + leap
        if facts.get("state") in HELD:
            facts = {name: value for name, value in facts.items() if name != "holder"} | {"state": "open"}
            words = None
    elif table == "offer" and facts.get("state") == "offered":
        facts["state"] = "voided"
        words = None
    return Stored(facts, words)


def _as_json(value: Any) -> Any:
    """A value of a row as an entry can hold it. Only damage puts bytes where a number or a text belongs."""
    return repr(value) if isinstance(value, bytes) else value


def _mark(value: Mapping[str, Any]) -> str:
    text = _ENCODER.encode(value)
    return hashlib.sha256(text.encode(errors="replace")).digest()[:MARK_BYTES].hex()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)
"""Made once, because `json.dumps` makes one for each call."""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).digest()[: 2 * MARK_BYTES].hex()
