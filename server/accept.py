"""Accepts a room that its seal contradicts, as it is: a person decides that, and every later check names it.

A new epoch starts if the seal covers entries that the log no longer contains. What the control journal says was
stopped is stopped again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from teamroom.server.acts.control.mend import mend
from teamroom.server.acts.control.restore import accept_log
from teamroom.server.clock import WallTime
from teamroom.server.private import write_private
from teamroom.server.record import journal
from teamroom.server.record.backups import restore_command
from teamroom.server.record.chain import Verifier
from teamroom.server.record.journal import Journal
from teamroom.server.record.keys import find_key
from teamroom.server.record.seal import Sealer, Seals, read_seals
from teamroom.server.record.sealed import Witness
from teamroom.server.record.vouch import contradiction, has_lost
from teamroom.server.restore import prepare_seal
from teamroom.server.settings import Settings
from teamroom.server.stopped import stopped_room
from teamroom.server.store.engine import StorageError
from teamroom.server.store.folder import KEY, OWNER_TOKEN
from teamroom.server.store.rows.head import LargestIds
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.rows.servers import OtherServer
from teamroom.server.store.transaction import Head, Reading, Writing


class AcceptError(Exception):
    """A room that cannot be accepted; the text says why. It is as it was."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why, self.fix = why, fix


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What contradicts a room, in words, and whether its log lost entries that a seal covers."""

    what: str
    has_lost: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted: the contradiction, the log's end since then, and what was stopped again."""

    what: str
    epoch: int
    seq: int
    hash: str
    stopped: list[str]


def accept(
    folder: Path,
    now: WallTime,
    settings: Settings,
    report: Callable[[int, int], None] = lambda done, total: None,
    *,
    is_restored: bool = False,
    others: Sequence[Path] = (),
) -> Accepted:
    """Accept the folder's room as it is; the caller has locked it. Raises AcceptError, FolderError, OSError.

    `report` gets how many entries of the log were verified before, and how many there are. `is_restored`: a person put
    an earlier copy of the database back, so a new epoch starts even if nothing contradicts that copy.
    `others`: the folders of the room's other servers, whose journals say who was stopped through them.
    """
    if settings.database.get_secret_value() and find_key(folder) is None:
        why = f"{folder / KEY} is missing, so nothing can be sealed."
        raise AcceptError(why, f"Copy the room's {KEY} there first.")
    found = look(folder, settings)
    if is_restored:
        found = Contradiction("; ".join(["its database was restored", *([found.what] if found else [])]), True)
    if found is None:
        raise AcceptError("Nothing contradicts the seal, so there is nothing to accept.", "Start the room.")
    seals, stops = read_seals(folder), journal.read(folder)

    def work(tx: Writing) -> tuple[Head, list[str], Sealer, str]:
        if tx.all(OtherServer, "other_servers", id="", now=tx.now, limit=1):
            raise AcceptError("Another server has the room open.", "Stop all servers of the room, then repeat.")
        what = _with_first_difference(tx, found.what, _accepted_before(folder, seals), report)
        _mend_head(tx)
        epoch = max(seals.epoch, tx.head.epoch) + 1 if found.has_lost else tx.head.epoch
        strictest = journal.stopped(tx)
        for known in (stops, *map(journal.read, others)):
            strictest = journal.stricter(known, strictest, tx.now)
        stopped = accept_log(tx, what, epoch, strictest)
        if (token := mend(tx)) is not None:  # in its file before the commit: should that fail, accepting makes another
            write_private(folder / OWNER_TOKEN, f"{token}\n")
        tx.end()  # which amends the newest entry
        why = "a person accepted the log"
        return tx.head, stopped, prepare_seal(folder, seals, tx.head, now, why, what), what

    try:
        head, stopped, sealer, what = stopped_room(folder, settings).change(now, work)
    except StorageError as error:
        raise AcceptError(f"The database cannot be written: {error}.", restore_command(folder)) from error
    sealer.settle(head, now)
    return Accepted(what, head.epoch, head.seq, head.hash, stopped)


def look(folder: Path, settings: Settings) -> Contradiction | None:
    """What contradicts the folder's room; None if nothing does. Changes nothing. Raises AcceptError, FolderError."""
    seals, stops = read_seals(folder), journal.read(folder)
    seen: list[Contradiction | None] = []

    def vouch(tx: Reading | None) -> str | None:
        seen.append(None if tx is None else _contradiction(folder, seals, stops, tx))
        return "it holds no room" if tx is None else None

    room = stopped_room(folder, settings)
    try:
        damage = room.look(vouch)
    except StorageError as error:
        damage = str(error)
    if damage is not None:
        raise AcceptError(f"{room.place} cannot be accepted: {damage}.", restore_command(folder))
    return seen[0]


def _contradiction(folder: Path, seals: Seals, stops: Journal | None, tx: Reading) -> Contradiction | None:
    key = find_key(folder)
    what = contradiction(seals, key, stops, tx)
    return None if what is None else Contradiction(what, has_lost(seals, key, tx))


def _accepted_before(folder: Path, seals: Seals) -> int:
    """Up to which entry a person accepted the log earlier; 0 if nobody did."""
    acceptance = None if seals.is_unreadable else Witness(seals.seal, seals.history, find_key(folder)).acceptance
    return 0 if acceptance is None else acceptance.seq


def _with_first_difference(tx: Writing, what: str, accepted: int, report: Callable[[int, int], None]) -> str:
    """What contradicts the room, with the first thing in it that its own log contradicts.

    The acceptance lists every row again, so nothing that is checked later would show it.
    """
    verifier = Verifier(None, None, accepted=accepted)
    verdict = None
    while verdict is None:
        verdict = verifier.step(tx)
        report(verifier.seq, max(verifier.seq, tx.head.seq))
    return what if verdict.good else f"{what}; and entry {verdict.first_bad}: {verdict.why}"


def _mend_head(tx: Writing) -> None:
    """Let the head row continue the log: no number and no id is given twice."""
    last = tx.one(LogEntry, "last_entry")
    if last is not None and last.seq >= tx.head.seq:
        tx.head.seq, tx.head.hash = last.seq, last.hash
    largest = tx.only(LargestIds, "largest_ids")
    for name in LargestIds._fields:
        setattr(tx.head, name, max(getattr(tx.head, name), getattr(largest, name)))
