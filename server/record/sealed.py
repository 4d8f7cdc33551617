"""The sealed head of the log, and what the seals of all times say about the log of now.

Each seal names the number and the hash of the log's end at its time. The history keeps one seal an hour and one for
each stop. Each of its lines includes the digest of the line before it, so the newest signature vouches for all lines.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, replace

from teamroom.server.clock import WallTime, rfc3339
from teamroom.server.record.keys import Checks, RoomKey

NO_LINE = "0" * 64
"""What the first line of a history follows."""

SEALED = "teamroom seal"
"""What the signed message of a seal begins with, so that no other signature of the room passes for one."""

SIGNATURE_BYTES = 64
"""How long a signature with Ed25519 is."""

NAMED_AT_MOST = 20
"""How many contradictions a verification names, one by one."""


@dataclass(frozen=True, slots=True)
class Seal:
    """The end of the log at some moment, signed with the room's key and kept outside the database.

    `line`: how many lines the history has before this one, and `previous`: the digest of the last of them.
    `note`: what contradicts the log, in words. `accepts`: a person accepted the log in spite of it.
    """

    epoch: int
    seq: int
    hash: str
    at: WallTime
    line: int = 0
    previous: str = NO_LINE
    note: str = ""
    accepts: bool = False
    signature: str = ""

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        said = (self.epoch, self.seq, self.hash, self.at, self.line, self.previous, self.note, self.accepts)
        return json.dumps([SEALED, *said]).encode()

    @property
    def is_of_first_form(self) -> bool:
        """Whether an earlier release made it: those signed with HMAC-SHA-256, and kept no history."""
        return self.line == 0 and len(self.signature) != 2 * SIGNATURE_BYTES


def sign(key: RoomKey, seal: Seal) -> Seal:
    """The seal, signed."""
    return replace(seal, signature=key.sign(seal.message))


def is_genuine(key: Checks | None, seal: Seal) -> bool:
    """Whether the room's key made this seal."""
    if seal.is_of_first_form and isinstance(key, RoomKey):
        message = json.dumps([seal.epoch, seal.seq, seal.hash, seal.at]).encode()
        signature = hmac.new(key.secret, message, hashlib.sha256).hexdigest()
        return hmac.compare_digest(seal.signature.encode(), signature.encode())
    return key is not None and key.has_signed(seal.message, seal.signature)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the history file. `seal` is None if the line cannot be read."""

    text: str
    seal: Seal | None

    @property
    def digest(self) -> str:
        """What the next line and the seal include of it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class History:
    """The lines of the seals' history, oldest first."""

    lines: tuple[Line, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of its last line."""
        return self.lines[-1].digest if self.lines else NO_LINE

    def acceptance(self, key: Checks | None) -> int:
        """The place of the newest line with which a person accepted the log as it was; -1 if there is none."""
        places = (number for number, line in enumerate(self.lines) if line.seal is not None and line.seal.accepts)
        return max((n for n in places if (seal := self.lines[n].seal) and is_genuine(key, seal)), default=-1)

    def fault(self, key: Checks | None) -> str | None:
        """What is wrong with the lines themselves since the newest acceptance, in words."""
        for number in range(self.acceptance(key) + 1, len(self.lines)):
            seal = self.lines[number].seal
            before = self.lines[number - 1].digest if number else NO_LINE
            if seal is None or (seal.line, seal.previous) != (number, before):
                return f"line {number + 1} of the seals' history was changed, or one before it was removed"
        last = self.lines[-1].seal if self.lines else None
        if last is not None and not is_genuine(key, last):
            return "the last line of the seals' history was not signed with the room's key"
        return None

    def lacks(self, seal: Seal) -> str | None:
        """What the seal counted in the history and what is not there, in words."""
        if seal.line > len(self.lines):
            return f"the seals' history has {len(self.lines)} lines, and the seal counted {seal.line}"
        if seal.line and seal.previous != self.lines[seal.line - 1].digest:
            return f"line {seal.line} of the seals' history is not the one that the seal followed"
        return None


class Witness:
    """Compares the log, entry by entry, with the seal and with every seal of the history."""

    def __init__(self, seal: Seal | None, history: History | None, key: Checks | None) -> None:
        """`history` None: it is not looked at."""
        self.named: list[str] = []
        """What contradicted the log at some time, and that is over or that a person accepted."""
        self.agreed = 0
        """The last entry that a seal named and that stands."""
        self._fault = _fault_of(seal, history, key)
        history = history or History()
        self._accepted = history.acceptance(key)
        self._seals: dict[int, list[tuple[int, Seal]]] = {}
        self._elsewhere: list[tuple[int, Seal]] = []
        self._unnamed = 0
        known = [*(line.seal for line in history.lines), seal]
        for place, found in enumerate(known):
            if found is None:
                continue
            if found.note and place < len(history.lines):
                self.name(f"{'accepted' if found.accepts else 'found'} at {rfc3339(found.at)}: {found.note}")
            if self._fault is None:
                self._seals.setdefault(found.seq, []).append((place, found))
        self.acceptance = history.lines[self._accepted].seal if self._accepted >= 0 else None

    def name(self, what: str) -> None:
        """Take down what contradicts the log."""
        if len(self.named) < NAMED_AT_MOST:
            self.named.append(what)
        elif len(self.named) == NAMED_AT_MOST:
            self.named.append("and more of this kind")

    def see(self, seq: int, epoch: int, hash_: str) -> str | None:
        """Compare the next entry of the log with the seals that name it; what contradicts it, in words."""
        for place, seal in self._seals.pop(seq, ()):
            if seal.epoch != epoch:
                self._elsewhere.append((place, seal))
            elif seal.hash == hash_:
                self.agreed = seq
            elif (why := self._judge(place, seal, _rewritten(seal, self.agreed))) is not None:
                return why
        return None

    def end(self, epoch: int, seq: int) -> tuple[int, str] | None:
        """What the log lacks of what seals named, once all of it was seen: the first such number, and why."""
        if self._fault is not None:
            return seq, self._fault
        for place, seal in self._elsewhere:
            if seal.epoch >= epoch and (why := self._judge(place, seal, _rewritten(seal, self.agreed))) is not None:
                return seal.seq, why
        for place, seal in sorted((found for seals in self._seals.values() for found in seals), key=lambda f: f[1].seq):
            cut = f"the seal covers entry {seal.seq}; the end was cut off"
            # An entry of an earlier epoch may be gone: the room was restored from a backup that was older.
            if seal.seq > seq and seal.epoch >= epoch and (why := self._judge(place, seal, cut)) is not None:
                return seq + 1, why
        return None

    def _judge(self, place: int, seal: Seal, why: str) -> str | None:
        if place > self._accepted:
            return why
        self.name(f"entry {seal.seq} was another one when it was sealed at {rfc3339(seal.at)}")
        return None


def _fault_of(seal: Seal | None, history: History | None, key: Checks | None) -> str | None:
    if seal is not None and not is_genuine(key, seal):
        return "the seal was not made with this room's key"
    if history is None:
        return None
    return history.fault(key) or (None if seal is None else history.lacks(seal))


def _rewritten(seal: Seal, agreed: int) -> str:
    return f"the chain was rewritten after entry {agreed}: it differs from the seal of {rfc3339(seal.at)}"
