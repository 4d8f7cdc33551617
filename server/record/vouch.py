"""Says what in a room's database contradicts its folder, before anything is written to it.

The entry at the sealed number must have the sealed hash, and every later entry must follow from there. A seal that is
older than the log is normal: it is written up to `seal_seconds` after the act. What the control journal says was
stopped must be stopped.
"""

from teamroom.server.record.chain import PAGE_ENTRIES, Verifier
from teamroom.server.record.journal import JOURNAL, Journal, find_laxer
from teamroom.server.record.keys import RoomKey
from teamroom.server.record.seal import LogEnd, Seals, names
from teamroom.server.record.sealed import Seal, is_genuine
from teamroom.server.store.folder import KEY
from teamroom.server.store.rows.head import LargestIds, ReadHead
from teamroom.server.store.rows.log import LogEntry
from teamroom.server.store.transaction import Reading

SEALED_WITH_HISTORY = 16
"""The migration since which a room has a seal with a history. A room without it is of an earlier release."""


LAXER_NAMED = 5
"""How many differences from the control journal are named."""


def contradiction(seals: Seals, key: RoomKey | None, stops: Journal | None, tx: Reading | None) -> str | None:
    """What contradicts the seal or the control journal, in words; None where nothing does.

    `tx` None: the database holds no room. `stops` None: there is no journal.
    """
    return unsealed(seals, key, tx) or (None if tx is None or stops is None else _laxer(stops, tx))


def _laxer(stops: Journal, tx: Reading) -> str | None:
    if not tx.number("was_migrated", number=SEALED_WITH_HISTORY):
        return None  # an earlier release let the database overrule the journal
    found = find_laxer(stops, tx)
    more = f", and {len(found) - LAXER_NAMED} more" if len(found) > LAXER_NAMED else ""
    return f"it is laxer than {JOURNAL}: {'; '.join(found[:LAXER_NAMED])}{more}" if found else None


def unsealed(seals: Seals, key: RoomKey | None, tx: Reading | None) -> str | None:
    """What contradicts the seal, in words; None where nothing does."""
    if tx is None:
        return _no_room(seals)
    head = tx.only(ReadHead, "read_head")
    if seals.is_of_first_form and not tx.number("was_migrated", number=SEALED_WITH_HISTORY):
        return _of_earlier_release(seals.seal, key, head)
    if key is None:
        return f"{KEY} is missing or contains no key, although the log is not empty"
    if seals.next is not None and is_genuine(key, seals.next) and names(seals.next, head):
        return None  # the seal was prepared for this very end of the log
    if (fault := seals.fault(key)) is not None:
        return fault
    seal = seals.newest
    if seal is None:
        return None
    return _missing(seal, head) or _broken_after(tx, seal, head) or _miscounted(tx)


def has_lost(seals: Seals, key: RoomKey | None, tx: Reading) -> bool:
    """Whether a seal covers an entry that the log no longer contains, so readers have seen another log."""
    head = tx.only(ReadHead, "read_head")
    last = seals.history.lines[-1].seal if seals.history.lines else None
    for seal in (seals.seal, last):
        if seal is None or not is_genuine(key, seal) or seal.epoch < head.epoch:
            continue
        found = tx.one(LogEntry, "log_page", after=seal.seq - 1, limit=1)
        if found is None or (found.seq, found.hash) != (seal.seq, seal.hash) or seal.epoch > head.epoch:
            return True
    return False


def _no_room(seals: Seals) -> str | None:
    if not seals.is_there:
        return None
    covered = "a room" if (seal := seals.newest) is None else f"{seal.seq} entries"
    return f"it is missing or empty, but the seal covers {covered}"


def _of_earlier_release(seal: Seal | None, key: RoomKey | None, head: ReadHead) -> str | None:
    """What that release looked for: a seal that its room need not have, and that saw more than there is."""
    if key is None:
        return f"{KEY} is missing or contains no key, although the log is not empty"
    if seal is None or not is_genuine(key, seal) or seal.epoch < head.epoch:
        return None
    return _missing(seal, head)


def _missing(seal: Seal, head: LogEnd) -> str | None:
    if seal.epoch > head.epoch:
        return f"it is of epoch {head.epoch}, but the seal is of epoch {seal.epoch}"
    if seal.epoch < head.epoch:
        return f"it is of epoch {head.epoch}, but the seal is of the earlier epoch {seal.epoch}"
    if seal.seq > head.seq:
        return f"its log ends at entry {head.seq}, but the seal covers entry {seal.seq}"
    return None


def _broken_after(tx: Reading, seal: Seal, head: LogEnd) -> str | None:
    """What does not follow, from the sealed entry to the end of the log. `verify` looks at what comes before."""
    sealed = tx.one(LogEntry, "log_page", after=seal.seq - 1, limit=1)
    if sealed is None or sealed.seq != seal.seq:
        return f"entry {seal.seq}, which the seal covers, is missing"
    if sealed.hash != seal.hash:
        return f"entry {seal.seq} is not the one that was sealed: the log was rewritten"
    walk = Verifier(None, None, seq=seal.seq, hash=seal.hash)
    while entries := tx.all(LogEntry, "log_page", after=walk.seq, limit=PAGE_ENTRIES):
        for entry in entries:
            if (why := walk.fault_of(entry)) is not None:
                return f"entry {walk.seq + 1}, which follows the seal: {why}"
            walk.seq, walk.hash = entry.seq, entry.hash
    if (walk.seq, walk.hash) != (head.seq, head.hash):
        return f"its head says that the log ends at entry {head.seq}, and it ends at entry {walk.seq} or otherwise"
    return None


def _miscounted(tx: Reading) -> str | None:
    """What the head row counts too low, so that an id would be given twice."""
    head, largest = tx.only(LargestIds, "counted_ids"), tx.only(LargestIds, "largest_ids")
    for name in LargestIds._fields:
        if getattr(head, name) < getattr(largest, name):
            return f"its head counts {getattr(head, name)} {name}, and there is number {getattr(largest, name)}"
    return None
