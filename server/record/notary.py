"""Vouches for a room when it opens, and seals what its server writes: nothing else ever gets the room's signature."""

import logging
from collections.abc import Callable
from pathlib import Path

from teamroom.server.clock import WallTime
from teamroom.server.identity import Entropy
from teamroom.server.record import journal
from teamroom.server.record.keys import KEY_BYTES, RoomKey, find_key, make_key
from teamroom.server.record.seal import LogEnd, Sealer, read_seals
from teamroom.server.record.vouch import contradiction
from teamroom.server.store.engine import CHANGED
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Reading

logger = logging.getLogger("teamroom.record")


class Notary:
    """The seals of one room, for the server that has its folder locked."""

    def __init__(
        self, folder: Path, clock: Callable[[], WallTime], entropy: Entropy, *, is_shared: bool = False
    ) -> None:
        """`is_shared`: other servers write the room's log too, so a folder without seals joins the room as it is."""
        self._is_shared = is_shared
        self.contradiction: str | None = None
        """What contradicted the room when it was opened, in words."""
        self._folder, self._clock, self._entropy = folder, clock, entropy
        self._key: RoomKey | None = None
        self._head: LogEnd | None = None
        self._sealer: Sealer | None = None
        self._sealed = 0
        self._writes, self._why = True, ""

    @property
    def secret(self) -> bytes:
        """The room's secret; a random one where a damaged room has none, because nothing may be signed there."""
        return self._entropy(KEY_BYTES) if self._key is None else self._key.secret

    @property
    def has_key(self) -> bool:
        """Whether this server can seal the log."""
        return self._key is not None

    @property
    def fault(self) -> str:
        """Why the seal is not written; empty if it is."""
        return "" if self._writes else f"it cannot be written: {self._why}"

    def vouch(self, tx: Reading | None) -> str | None:
        """What contradicts the room in the database, in words. The history notes it, so later checks name it too."""
        self._key = find_key(self._folder)
        self._head = None if tx is None else tx.only(ReadHead, "read_head")
        seals = read_seals(self._folder)
        if self._is_shared and tx is not None and not seals.is_there and seals.next is None:
            key = "its key" if self._key is not None else "no key, so this server never seals it"
            logger.info("this folder joins a room that other servers have; it has %s", key)
            return None
        self.contradiction = contradiction(seals, self._key, journal.read(self._folder), tx)
        is_to_be_noted = self.contradiction is not None and self._head is not None and seals.history.lines
        if self._key is not None and is_to_be_noted and seals.history.fault(self._key) is None:
            self._sealer = Sealer(self._folder, self._key, seals.history)
            self._note(self.contradiction or "")
            self._sealer = None
        return self.contradiction

    def begin_new(self) -> None:
        """Get ready to seal a room that is about to be made. Raises FolderError."""
        self._key = make_key(self._folder, self._entropy)
        self._sealer = Sealer(self._folder, self._key, read_seals(self._folder).history)

    def prepare(self, head: LogEnd) -> None:
        """Seal the new room's first entries before they are committed. Raises OSError."""
        if self._sealer is not None:
            self._sealer.prepare(head, self._clock())
            self._head = ReadHead(head.epoch, head.seq, head.hash, 0.0)

    def begin(self) -> None:
        """Seal what was vouched for, before the first act. On a full disk, the room opens and tries again later."""
        if self._head is None or self._key is None:
            return
        self._sealer = Sealer(self._folder, self._key, read_seals(self._folder).history)
        head = self._head
        self._try(lambda sealer: sealer.settle(head, self._clock()), head.seq)

    def seal(self, committed: LogEnd | None, damage: str | None, *, stops: bool = False) -> None:
        """Write the signed head if the log has moved since; `stops`: also as a line of the seals' history.

        `committed`: the head as this server committed it last, and never what it finds in the database.
        """
        if damage == CHANGED:
            self._note(damage)
        head = committed or self._head
        if head is not None and (stops or head.seq != self._sealed):
            self._try(lambda sealer: sealer.write(head, self._clock(), keep=stops), head.seq)
        if stops and self._writes:
            self._sealer = None  # a stop is one line, however often the room is closed

    def _note(self, found: str) -> None:
        self._try(lambda sealer: sealer.note(found, self._clock()), self._sealed)

    def _try(self, work: Callable[[Sealer], None], seq: int) -> None:
        """Write what is sealed up to an entry then."""
        if self._sealer is None:
            return
        try:
            work(self._sealer)
            self._sealed = seq
            self._writes = True
        except OSError as error:
            if self._writes:
                logger.error("the seal cannot be written (%s); the room keeps trying", error)
            self._writes, self._why = False, str(error.strerror or error)
