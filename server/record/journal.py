"""The control journal: every stop, revoked token and changed name, kept outside the database.

A backup does not contain later stops, but the journal does. So members stay killed and tokens stay revoked after a
restore. Members also keep the names that they have now, under which the journal names them.
It contains names and token ids, but no tokens and no reasons.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from teamroom.server.private import NotPrivateError, open_private, read_private, write_private
from teamroom.server.rules.standing import LEVELS, STATES, StoredStanding
from teamroom.server.store.folder import FolderError
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.rows.members import Renamed
from teamroom.server.store.rows.restore import StoppedTarget
from teamroom.server.store.transaction import Reading

JOURNAL = "control.journal"


class JournalError(FolderError):
    """The journal cannot be read; the text says where, and what to do."""


@dataclass(frozen=True, slots=True)
class StandingChange:
    """The standing that was last set for a member, an owner's agents (`owner`) or the room; `until`: room time.

    `seq`: the log entry of the act, or one before it; 0 in a line of an earlier release.
    """

    scope: str
    name: str
    state: str
    until: float | None
    by_role: str
    seq: int = 0

    @property
    def subject(self) -> str:
        """How the log names whom it binds."""
        return {"member": f"@{self.name}", "owner": f"owner:{self.name}", "room": "room"}[self.scope]


@dataclass(frozen=True, slots=True)
class NameChange:
    """A member has another name."""

    was: str
    name: str

    @property
    def note(self) -> dict[str, str]:
        """The line of the journal that says so."""
        return asdict(self)


class Stopped(Protocol):
    """A standing as the journal or the database has it."""

    @property
    def state(self) -> str:
        """What binds."""
        ...

    @property
    def until(self) -> float | None:
        """When it ends, in seconds; None: it has no end."""
        ...

    @property
    def by_role(self) -> str:
        """The role of who set it."""
        ...


@dataclass(slots=True)
class Journal:
    """The last standing that was set for each target, every revoked token, and the former names of members.

    `names`: each former name with the member's name now.
    """

    stops: dict[tuple[str, str], StandingChange] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)

    def apply(self, note: Mapping[str, Any]) -> None:
        """Apply one line. A later line about the same target replaces an earlier one."""
        if "token" in note:
            self.tokens.add(note["token"])
            return
        if "was" in note:
            self.rename(NameChange(**note))
            return
        stop = StandingChange(**note)
        if stop.scope not in LEVELS or stop.state not in STATES:
            raise ValueError(f"{stop.scope} {stop.state} is no standing")
        self.stops[stop.scope, stop.name] = stop

    def rename(self, change: NameChange) -> None:
        """Use a member's new name from now on, also for what was said of it before."""
        for former in (change.was, *(former for former, name in self.names.items() if name == change.was)):
            self.names[former] = change.name
        self.names.pop(change.name, None)
        for scope in LEVELS:
            if (stop := self.stops.pop((scope, change.was), None)) is not None:
                self.stops.setdefault((scope, change.name), replace(stop, name=change.name))

    def spellings(self, name: str) -> list[str]:
        """The name of a member and those that it had before."""
        return [name, *(former for former, now in self.names.items() if now == name)]

    def notes(self) -> Iterable[dict[str, Any]]:
        """The lines of the journal, one for each former name, target and token."""
        yield from (NameChange(was, name).note for was, name in sorted(self.names.items()))
        yield from (asdict(stop) for stop in self.stops.values())
        yield from ({"token": token} for token in sorted(self.tokens))


def read(folder: Path) -> Journal | None:
    """The folder's journal; None if there is none. Raises JournalError, NotPrivateError.

    A line that was cut off is skipped: it belongs to an act that was never acknowledged.
    """
    try:
        lines = read_private(folder / JOURNAL).decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except FileNotFoundError:
        return None
    except NotPrivateError:
        raise
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
    descriptor = open_private(folder / JOURNAL, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            text = "\n" + text  # a line that was cut off stays a separate line
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stopped(tx: Reading) -> Journal:
    """What is stopped in a room, and which of its tokens ended, as its journal would say it."""
    stops = {(row.scope, row.name): StandingChange(*row) for row in tx.all(StoppedTarget, "stopped")}
    return Journal(stops, set(tx.column(str, "revoked")), _names(tx))


def _names(tx: Reading) -> dict[str, str]:
    """The former names in a room, which one of an earlier release does not have."""
    if not tx.number("keeps_former_names"):
        return {}
    return {row.name: row.now for row in tx.all(Renamed, "all_former_names")}


def stricter(journal: Journal | None, here: Journal, now: float) -> Journal:
    """What a journal or a room says was stopped: of two that differ, what binds more."""
    if journal is None:
        return here
    for was, name in here.names.items():
        journal.rename(NameChange(was, name))
    binding = {key: stop for key, stop in here.stops.items() if is_laxer(journal.stops.get(key), stop, now)}
    return Journal(journal.stops | binding, journal.tokens | here.tokens, journal.names)


def is_laxer(stored: Stopped | None, stop: StandingChange, now: float) -> bool:
    """Whether a stored standing binds less than a stop does at this moment. `stored` None: it is active."""
    before, here = _strength(stop, now), (0, 0.0, False) if stored is None else _strength(stored, now)
    return here < before


def _strength(stop: Stopped, now: float) -> tuple[int, float, bool]:
    """How much a standing binds: its state, then how long, then whether only an owner may lift it."""
    state = StoredStanding(stop.state, stop.until).in_force(now) or "killed"
    until = math.inf if stop.until is None else stop.until
    return (
        (STATES.index(state), until, stop.by_role == "owner")
        if state == "paused"
        else (STATES.index(state), 0.0, False)
    )


def find_laxer(journal: Journal, tx: Reading) -> list[str]:
    """Where the database lets go on what the journal says was stopped, in words.

    A line of the journal is written after its act's commit, so the log may have later acts that explain a difference.
    """
    stored = {(row.scope, row.name): row for row in tx.all(StoppedTarget, "stopped")}
    found, known = [], Journal(names=_names(tx))
    for (scope, named), stop in sorted(journal.stops.items()):
        name = name_here(tx, known, journal.spellings(named)) if scope != "room" else named
        here = stored.get((scope, name or named))
        if name is not None and is_laxer(here, stop, tx.now) and not _is_explained(tx, stop, known.spellings(name)):
            state = "active" if here is None else _in_words(tx, here)
            found.append(f"{stop.subject} is {state} in it and {_in_words(tx, stop)} in the journal")
    living = sorted(journal.tokens & set(tx.column(str, "not_revoked")))
    return found + [f"the token {token} is valid in it and ended in the journal" for token in living]


def _is_explained(tx: Reading, stop: StandingChange, spellings: Iterable[str]) -> bool:
    """Whether the log has a later act, under any of the target's names, that changed its standing."""
    subjects = [replace(stop, name=name).subject for name in spellings]
    about = {"after": stop.seq, "is_killed": int(stop.state == "killed")}
    return any(tx.number("count_changes_of_standing", subject=subject, **about) > 0 for subject in subjects)


def _in_words(tx: Reading, stop: Stopped) -> str:
    until = "" if stop.until is None else f" until {tx.shown(stop.until)}"
    return f"{stop.state}{until}"


def reconcile(folder: Path, tx: Reading) -> None:
    """Update the journal from the database, when the room opens and is not laxer.

    Raises JournalError, OSError.
    """
    journal = read(folder) or Journal()
    known = list(journal.notes())
    known_here = Journal(names=_names(tx))
    for was, name in known_here.names.items():
        journal.rename(NameChange(was, name))
    head = tx.only(ReadHead, "read_head")
    now = {(row.scope, row.name): StandingChange(*row, seq=head.seq) for row in tx.all(StoppedTarget, "stopped")}
    for key, stop in journal.stops.items():
        is_here = stop.scope == "room" or name_here(tx, known_here, [stop.name]) is not None
        if key not in now and stop.state != "active" and is_here:
            now[key] = StandingChange(stop.scope, stop.name, "active", None, "", head.seq)
        elif key in now and stop.seq and replace(stop, seq=head.seq) == now[key]:
            now[key] = replace(stop, seq=min(stop.seq, head.seq))
    journal.stops |= now
    journal.names = known_here.names
    journal.tokens |= set(tx.column(str, "revoked"))
    if not (folder / JOURNAL).exists() or list(journal.notes()) != known:
        write_private(folder / JOURNAL, "".join(json.dumps(note, sort_keys=True) + "\n" for note in journal.notes()))


def name_here(tx: Reading, known: Journal, spellings: Iterable[str]) -> str | None:
    """The name now of the room's member that has or had one of these names; None if there is none.

    `known`: the former names in this room.
    """
    names = [known.names.get(spelling, spelling) for spelling in spellings]
    return next((name for name in names if tx.number("count_members_named", name=name) > 0), None)


def line(note: Mapping[str, Any]) -> str:
    """A line of the journal in words, for the server's own log."""
    if "token" in note:
        return f"token {note['token']} was revoked"
    if "was" in note:
        return f"@{note['was']} is @{note['name']} now"
    target = {"member": "@{name}", "owner": "all agents of @{name}", "room": "the room"}[note["scope"]]
    return f"{target.format(name=note['name'])}: {note['state']}, by role {note['by_role']}"
