"""The control journal: every stop and every revoked token, kept outside the database.

A backup does not contain later stops, but the journal does. So members stay killed and tokens stay revoked after a
restore.
It contains names and token ids, but no tokens and no reasons.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from teamroom.server.clock import WallTime
from teamroom.server.store.folder import PRIVATE_FILE, FolderError, write_private
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.transaction import Reading

JOURNAL = "control.journal"


class JournalError(FolderError):
    """The journal cannot be read; the text says where, and what to do."""


@dataclass(frozen=True, slots=True)
class StandingChange:
    """The standing that was last set for a member, an owner's agents (`owner`) or the room.

    `until` is a date: room time means nothing outside the room.
    """

    scope: str
    name: str
    state: str
    until: WallTime | None
    by_role: str


@dataclass(slots=True)
class Journal:
    """The last standing that was set for each target, and every revoked token."""

    stops: dict[tuple[str, str], StandingChange] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    def apply(self, note: Mapping[str, Any]) -> None:
        """Apply one line. A later line about the same target replaces an earlier one."""
        if "token" in note:
            self.tokens.add(note["token"])
        else:
            stop = StandingChange(**note)
            self.stops[stop.scope, stop.name] = stop

    def notes(self) -> Iterable[dict[str, Any]]:
        """The lines of the journal, one for each target and token."""
        yield from (asdict(stop) for stop in self.stops.values())
        yield from ({"token": token} for token in sorted(self.tokens))


def read(folder: Path) -> Journal | None:
    """The folder's journal; None if there is none. Raises JournalError.

    A line that was cut off is skipped: it belongs to an act that was never acknowledged.
    """
    try:
        lines = (folder / JOURNAL).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise JournalError(f"{folder / JOURNAL} cannot be read: {error}") from None
    journal = Journal()
    for number, line in enumerate(lines, 1):
        if not line.endswith("}"):
            continue
        try:
            journal.apply(json.loads(line))
        except (ValueError, TypeError) as error:
            raise JournalError(
                f"{folder / JOURNAL}, line {number}, was changed: {error}. Put back the file that belongs to this "
                "room; without it, open the room once, which rebuilds it from the database."
            ) from None
    return journal


def append(folder: Path, notes: Iterable[Mapping[str, Any]]) -> None:
    """Append lines, so that they survive a power cut. Raises OSError."""
    text = "".join(json.dumps(note, sort_keys=True) + "\n" for note in notes)
    descriptor = os.open(folder / JOURNAL, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            text = "\n" + text  # a line that was cut off stays a separate line
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reconcile(folder: Path, tx: Reading) -> None:
    """Update the journal from the database, when the room opens. Raises JournalError, OSError."""
    journal = read(folder) or Journal()
    known = list(journal.notes())
    now = {(stop.scope, stop.name): _dated(tx, stop) for stop in tx.all(StandingChange, "stopped")}
    for key, stop in journal.stops.items():
        if key not in now and stop.state != "active" and is_here(tx, stop):
            now[key] = StandingChange(stop.scope, stop.name, "active", None, "")
    journal.stops |= now
    journal.tokens |= set(tx.column(str, "revoked"))
    if not (folder / JOURNAL).exists() or list(journal.notes()) != known:
        write_private(folder / JOURNAL, "".join(json.dumps(note, sort_keys=True) + "\n" for note in journal.notes()))


def _dated(tx: Reading, stop: StandingChange) -> StandingChange:
    """A stop as the database has it, with the date at which it ends."""
    return stop if stop.until is None else replace(stop, until=tx.date_of(stop.until))


def is_here(tx: Reading, stop: StandingChange) -> bool:
    """Whether this room has the target of a stop."""
    return stop.scope == "room" or tx.one(MemberRow, "member_by_name", name=stop.name) is not None


def line(note: Mapping[str, Any]) -> str:
    """A line of the journal in words, for the server's own log."""
    if "token" in note:
        return f"token {note['token']} was revoked"
    target = {"member": "@{name}", "owner": "all agents of @{name}", "room": "the room"}[note["scope"]]
    return f"{target.format(name=note['name'])}: {note['state']}, by role {note['by_role']}"
