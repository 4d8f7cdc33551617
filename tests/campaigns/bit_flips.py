"""Single bits of a room's files flipped, and files cut, and never a wrong "verified" (LOG3, SAF6).

Four in ten flips land in the bytes of an entry of the log, wherever SQLite keeps them: `teamroom verify` must find
each and name the first entry that is not as it was. One or two in ten land in the row of a message or a task: it must
find each that changes what was written there. The others land anywhere in the database, its write-ahead log, the seal
or the key; and files are cut. Whatever happens then, the room opens or refuses in its own words, in time, and what it
does not know to be damaged reads as it was acknowledged.

The twin verifies no more than that the numbers are dense.
"""

import contextlib
import faulthandler
import logging
import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from teamroom.clients.local.verify import verified
from teamroom.clients.session.failure import Failure
from teamroom.server.acts.members.members import ENROLL
from teamroom.server.acts.messages.messages import POST_MESSAGE, READ_MESSAGES
from teamroom.server.acts.tasks.tasks import CREATE_TASK
from teamroom.server.app import Room
from teamroom.server.door.door import UnauthorisedError
from teamroom.server.record.chain import Verdict, Verifier
from teamroom.server.refusals import Refusal
from teamroom.server.settings import Settings
from teamroom.server.store import folder as data_folder
from teamroom.server.store.engine import StorageError
from teamroom.server.store.sqlite.copy import open_to_read
from tests.campaigns.campaign import Advance, Outcome, command, over_time, quantile, silently
from tests.campaigns.row_bytes import bytes_of_rows

ENTRIES = 120
"""Acts in the room that is damaged: posts and tasks, some longer than a page of the database."""

LATE_ENTRIES = 20
"""Of these, the last are still in the write-ahead log when a room is taken that was not closed."""

BOUND_SECONDS = 10.0
"""Verifying, opening and closing may take as long; five times that is a loop, and ends the campaign."""

IN_ENTRIES, IN_TEXTS, ANYWHERE, IN_LOG_OF_WRITES, IN_SEAL_OR_KEY = 0.4, 0.55, 0.7, 0.8, 0.85
"""Shares of the flips, added up; what is left are cut files."""

WRITTEN = {
    "messages": "select id, seq, author, at, kind, summary, text from message order by id",
    "tasks": "select id, title, detail, summary, evidence from task order by id",
}
"""What members wrote: a verified room holds it as it was."""

CONTENT = {
    "what messages answer": "select id, reply_to, thread, task from message order by id",
    "states of tasks": "select id, state, creator, holder from task order by id",
    "members": "select id, name, kind, role, owner from member order by id",
}
"""What no chain covers."""

SELECT_ENTRY = "select * from log where seq > ? order by seq limit 1"


@dataclass(frozen=True, slots=True)
class Damage:
    """What was done to the files."""

    what: str
    is_in_entry: int = 0
    """The entry in whose bytes a bit was flipped; 0 for all others."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a bit can be flipped: in bytes of entries, each with its number, and of messages and tasks."""

    entries: list[tuple[int, int]]
    texts: list[int]


@dataclass(slots=True)
class Seen:
    """What became of a damaged room."""

    verdict: str
    opening: str
    first_changed: int | None
    changed_text: str | None = None
    fault: str = ""


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` flips and cuts, each in a copy of the same room."""
    outcome, dice = Outcome(), random.Random(seed)
    closed, taken = folder.with_name("closed"), folder.with_name("taken")
    await _make(closed, taken)
    before = _entries(closed), _content(closed, WRITTEN), _content(closed, CONTENT)
    rows = {table: bytes_of_rows(closed / data_folder.DATABASE, table) for table in ("log", "message", "task")}
    whereabouts = Whereabouts(rows["log"], [offset for table in ("message", "task") for offset, _ in rows[table]])
    verdicts: dict[str, Counter[str]] = {}
    openings: dict[str, Counter[str]] = {}
    seconds: list[float] = []
    in_entries = found = as_it_was = texts_found = 0
    logging.disable(logging.CRITICAL)
    try:
        for turn in range(number):
            damage = _damage(folder, closed, taken, whereabouts, dice)
            started = time.perf_counter()
            faulthandler.dump_traceback_later(5 * BOUND_SECONDS, exit=True)
            seen = await _look(folder, before, damage, twin)
            faulthandler.cancel_dump_traceback_later()
            seconds.append(time.perf_counter() - started)
            kind = damage.what.split(":")[0]
            verdicts.setdefault(kind, Counter())[seen.verdict] += 1
            openings.setdefault(kind, Counter())[seen.opening] += 1
            if damage.is_in_entry:
                in_entries += 1
                as_it_was += seen.first_changed is None and seen.verdict == "good"
                found += seen.first_changed is not None and not seen.fault
            texts_found += seen.changed_text is not None and seen.verdict != "good"
            if seen.fault:
                outcome.faults.append(f"turn {turn}, {damage.what}: {seen.fault}")
            if seconds[-1] > BOUND_SECONDS:
                outcome.faults.append(f"turn {turn}, {damage.what}: took {seconds[-1]:.1f} s")
            advance()
    finally:
        logging.disable(logging.NOTSET)
    outcome.figures |= {
        "flips in bytes of an entry": in_entries,
        "of these found and named": found,
        "of these without effect: every entry reads as before": as_it_was,
        "damaged texts of messages and tasks that verify found": texts_found,
        **{f"verify, {kind}": dict(counts.most_common()) for kind, counts in verdicts.items()},
        **{f"opening, {kind}": dict(counts.most_common()) for kind, counts in openings.items()},
        "seconds for each": f"median {quantile(seconds, 0.5):.2f}, worst {max(seconds):.2f}",
        "seconds over time": over_time([round(s, 3) for s in seconds]),
    }
    return outcome


# ------------------------------------------------------------------ the room, and what is done to it


async def _make(closed: Path, taken: Path) -> None:
    """A room with a history, as it is when it was closed, and as a copy of its files taken while it ran."""
    data_folder.make_private(closed)
    room = Room(closed, Settings())
    token = await room.open("olga")
    assert token is not None
    owner = await room.door.identify(token)
    await room.door.act(owner, ENROLL, ENROLL.arguments(name="builder"))
    for number in range(ENTRIES):
        if number == ENTRIES - LATE_ENTRIES:  # the way to an empty write-ahead log is to close
            await room.close()
            room = Room(closed, Settings())
            await room.open("olga")
        text = f"message {number} " + "x" * (number % 7 * 900)
        if number % 3:
            await room.door.act(owner, POST_MESSAGE, POST_MESSAGE.arguments(text=text))
        else:
            await room.door.act(owner, CREATE_TASK, CREATE_TASK.arguments(title=f"task {number}", detail=text))
    room.seal()
    shutil.copytree(closed, taken)
    await room.close()


def _damage(folder: Path, closed: Path, taken: Path, whereabouts: Whereabouts, dice: random.Random) -> Damage:
    """Put a copy of the room into the folder, and damage it."""
    chance, database = dice.random(), folder / data_folder.DATABASE
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(closed if chance < IN_TEXTS or dice.random() < 0.5 else taken, folder)
    if chance < IN_ENTRIES:
        offset, seq = dice.choice(whereabouts.entries)
        return Damage(f"a bit of an entry: {seq}, {_flip(database, dice, offset)}", seq)
    if chance < IN_TEXTS:
        return Damage(f"a bit of a message or a task: {_flip(database, dice, dice.choice(whereabouts.texts))}")
    if chance < ANYWHERE:
        return Damage(f"a bit of the database: {_flip(database, dice)}")
    if chance < IN_LOG_OF_WRITES:
        shutil.rmtree(folder)
        shutil.copytree(taken, folder)
        return Damage(f"a bit of the write-ahead log: {_flip(database.with_name(database.name + '-wal'), dice)}")
    if chance < IN_SEAL_OR_KEY:
        return Damage(f"a bit of the seal or the key: {_flip(folder / dice.choice(('seal.json', 'room.key')), dice)}")
    path = dice.choice([path for path in sorted(folder.iterdir()) if path.name.startswith("room.db") and _size(path)])
    left = dice.choice((0, dice.randrange(_size(path)), dice.randrange(_size(path)) // 4096 * 4096))
    with path.open("r+b") as file:
        file.truncate(left)
    return Damage(f"a cut file: {path.name} at {left}")


def _flip(path: Path, dice: random.Random, offset: int | None = None) -> str:
    offset = dice.randrange(_size(path)) if offset is None else offset
    bit = dice.randrange(8)
    with path.open("r+b") as file:
        file.seek(offset)
        old = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([old ^ 1 << bit]))
    return f"{path.name}, byte {offset}, bit {bit}"


def _size(path: Path) -> int:
    return path.stat().st_size


# ------------------------------------------------------------------ what becomes of it


async def _look(folder: Path, before: tuple[Any, Any, Any], damage: Damage, twin: bool) -> Seen:
    """Verify, then open, act and read; what that says must fit what was changed."""
    entries, written, content = before
    changed = _first_changed(folder, entries)
    seen = Seen("", "", changed, _changed(folder, WRITTEN, written))
    try:
        with _dense_only() if twin else contextlib.nullcontext():
            seen.verdict, first_bad = _verify(folder)
        seen.opening = await _open(folder)
    except Exception as error:
        seen.fault = f"{type(error).__name__}: {error} (verify said {seen.verdict or 'nothing yet'})"
        return seen
    if seen.verdict == "good" and changed is not None:
        seen.fault = f"verified, and entry {changed} is not as it was"
    elif damage.is_in_entry and changed is not None and first_bad != changed:
        seen.fault = f"entry {changed} is the first that changed, verify says {first_bad}"
    elif seen.verdict == "good" and seen.changed_text is not None:
        seen.fault = f"verified, and {seen.changed_text}"
    elif seen.verdict == "good" and seen.opening == "works" and (other := _changed(folder, CONTENT, content)):
        seen.opening = f"works, and {other}"
    return seen


def _verify(folder: Path) -> tuple[str, int | None]:
    """What `teamroom verify` says, and the first bad number. Whatever else is raised is a traceback to a person."""
    try:
        found = verified(folder, seal_wait_seconds=0)
    except Failure:
        return "cannot be read", None
    return ("good" if found.good else "bad"), found.verdict.first_bad


async def _open(folder: Path) -> str:
    """What the room does when it is opened, asked to act, and read."""
    room = Room(folder, Settings(readers=1))
    try:
        await room.open("olga")
    except (StorageError, data_folder.FolderError):
        return "refuses to open"
    try:
        caller = await room.door.identify((folder / data_folder.OWNER_TOKEN).read_text().strip())
        await room.door.act(caller, POST_MESSAGE, POST_MESSAGE.arguments(text="after the damage"))
        await room.door.read(caller, READ_MESSAGES, READ_MESSAGES.arguments())
    except (Refusal, StorageError, UnauthorisedError):
        return "opens, and refuses"
    finally:
        await room.close()
    return "works"


@contextlib.contextmanager
def _dense_only() -> Iterator[None]:
    """A verification that looks at numbers alone."""
    with (
        patch.object(Verifier, "fault_of", lambda self, entry: None if entry.seq == self.seq + 1 else "a gap"),
        patch.object(Verifier, "judge_end", lambda self, tx: Verdict(self.seq, self.hash)),
    ):
        yield


def _first_changed(folder: Path, entries: list[tuple[Any, ...]]) -> int | None:
    """The first entry that does not read as it was; None when all do."""
    for entry in entries:
        try:
            found = _rows(folder, SELECT_ENTRY, entry[0] - 1)
        except sqlite3.Error:
            return int(entry[0])
        if not found or repr(tuple(found[0])) != repr(entry):
            return int(entry[0])
    return None


def _rows(folder: Path, sql: str, *parameters: Any) -> list[Any]:
    """What a statement finds, by a connection that leaves the files alone."""
    with closing(open_to_read(folder / data_folder.DATABASE)) as connection:
        return connection.execute(sql, parameters).fetchall()


def _changed(folder: Path, content: dict[str, str], before: dict[str, list[Any]]) -> str | None:
    """What became of what members see; None where all reads as it was."""
    for what, sql in content.items():
        try:
            found = [repr(tuple(row)) for row in _rows(folder, sql)]
        except sqlite3.Error:
            return f"some of the {what} cannot be read"
        if found[: len(before[what])] != before[what]:
            return f"nothing notices that {what} changed"
    return None


def _content(folder: Path, content: dict[str, str]) -> dict[str, list[Any]]:
    return {what: [repr(tuple(row)) for row in _rows(folder, sql)] for what, sql in content.items()}


def _entries(folder: Path) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in _rows(folder, "select * from log order by seq")]


if __name__ == "__main__":
    command("bit_flips", __doc__, 1000, campaign)
