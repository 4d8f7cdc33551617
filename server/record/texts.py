"""Compares the stored texts of messages and tasks with the log.

A row contains the text that members read. The entry of its act contains the text, or a digest of it. A message never
changes, so it is compared at its entry. A task can be edited, so it is compared after the whole log was read. Redacted
texts cannot be compared: a redacted message must be empty, and tasks with any redacted entry are skipped.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from teamroom.server.store.rows.log import LogEntry, MessageTexts, TaskTexts
from teamroom.server.store.rows.redact import EntryRow
from teamroom.server.store.transaction import Reading


@dataclass(frozen=True, slots=True)
class Wrong:
    """A text that is not as it was written, and the number of the entry that wrote it."""

    seq: int
    why: str


@dataclass(slots=True)
class StoredTexts:
    """Follows the log, entry by entry. Keeps a few digests for each task."""

    looked_at: Wrong | None = None
    """The text that is being read. If the database fails meanwhile, this is the text that cannot be read."""
    _tasks: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    _redacted: set[str] = field(default_factory=set)

    def follow(self, tx: Reading, entry: LogEntry) -> Wrong | None:
        """Process an entry whose hash was verified; returns what is wrong with its message, if anything is."""
        if entry.outcome != "ok":
            return None
        if entry.act == "post_message":
            return self._message(tx, entry)
        if entry.subject.startswith("T-"):
            self._note(entry)
        return None

    def changed_task(self, tx: Reading) -> Wrong | None:
        """The first task whose texts differ from the log read so far; None if there is none."""
        for name, written in self._tasks.items():
            if (wrong := self._task(tx, name, written)) is not None:
                return wrong
        return None

    def _task(self, tx: Reading, name: str, written: dict[str, tuple[int, str]]) -> Wrong | None:
        self.looked_at = Wrong(max((seq for seq, _ in written.values()), default=1), name)
        row = tx.one(TaskTexts, "words_of_task", id=int(name[2:]))
        if row is None:
            return Wrong(self.looked_at.seq, f"{name} is missing")
        stored = {**row._asdict(), "evidence": _in_order(row.evidence)}
        for column, (since, digest) in written.items():
            if not _is(stored[column], digest) and tx.one(EntryRow, "entry_with_content", seq=since) is not None:
                return Wrong(since, f"the stored {column} of {name} was changed")
        self.looked_at = None
        return None

    def _message(self, tx: Reading, entry: LogEntry) -> Wrong | None:
        name = entry.subject
        self.looked_at = Wrong(entry.seq, name)
        row = tx.one(MessageTexts, "words_of_message", seq=entry.seq)
        self.looked_at = None
        if row is None or f"M-{row.id}" != name:
            return Wrong(entry.seq, f"{name} is missing")
        if entry.salt is None:
            return None if row.text == "" else Wrong(entry.seq, f"{name} has a text although it was redacted")
        kept = json.loads(entry.detail or "{}")
        for column in ("text", "summary"):
            if column in kept and not _is(getattr(row, column), kept[column]):
                return Wrong(entry.seq, f"the stored {column} of {name} was changed")
        if (row.author, row.at, row.kind) != (entry.actor, entry.at, kept["kind"]):
            return Wrong(entry.seq, f"{name} is stored with another author, time or kind")
        return None

    def _note(self, entry: LogEntry) -> None:
        name = entry.subject
        if entry.salt is None:
            self._redacted.add(name)
            self._tasks.pop(name, None)
        if name in self._redacted:
            return
        kept = json.loads(entry.detail or "{}")
        is_new = entry.act in ("create_task", "import_task")
        written = self._tasks.setdefault(name, {}) if is_new else self._tasks.get(name, {})
        for column in kept.get("changes", ()):  # an older release recorded only that they changed
            written.pop(column, None)
        if entry.act in ("create_task", "update_task"):
            words = {"title": _digest_of(kept.get("title")), "detail": kept.get("text")}
        elif entry.act == "import_task":
            words = {name: _digest_of(kept[name]) for name in ("title", "summary")} | {"detail": kept["text"]}
        elif entry.act == "complete_task":
            evidence = _in_order(json.dumps(kept["evidence"]))
            words = {"summary": _digest_of(kept["summary"]), "evidence": _digest_of(evidence)}
        else:
            words = {}
        written.update({column: (entry.seq, digest) for column, digest in words.items() if digest is not None})


def text_digest(text: str) -> str:
    """The digest in an entry of a text that is stored elsewhere, so that a change to that text is found."""
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_of(text: str | None) -> str | None:
    return None if text is None else text_digest(text)


def _is(stored: Any, digest: str) -> bool:
    return isinstance(stored, str) and text_digest(stored) == digest


def _in_order(evidence: Any) -> str | None:
    """Evidence as JSON with sorted keys; None if it is not JSON."""
    try:
        return json.dumps(json.loads(evidence), sort_keys=True)
    except (TypeError, ValueError):
        return None
