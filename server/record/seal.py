"""The seal's files beside the database: the signed end of the log, and the history of earlier ones.

`seal.json` is replaced at most once a second. `seal.history` only grows: by one line an hour and one at each stop.
`seal.next` is the seal of a log that is about to be committed: of a new room, a restored or an accepted one. A process
that dies before or after that commit leaves a seal that fits.
"""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from teamroom.server.clock import WallTime
from teamroom.server.private import NotPrivateError, open_private, read_private, write_private
from teamroom.server.record.keys import Checks, RoomKey
from teamroom.server.record.sealed import History, Line, Seal, is_genuine, sign
from teamroom.server.store.folder import SEAL

HISTORY = "seal.history"
NEXT = "seal.next"

HISTORY_SECONDS = 3600.0
"""After this long, a new seal is also a line of the history."""


class LogEnd(Protocol):
    """The end of the log: a head row, or a part of one."""

    @property
    def epoch(self) -> int:
        """The room's epoch."""
        ...

    @property
    def seq(self) -> int:
        """The number of the last entry."""
        ...

    @property
    def hash(self) -> str:
        """Its hash."""
        ...


def names(seal: Seal, head: LogEnd) -> bool:
    """Whether a seal names exactly this end of the log."""
    return (seal.epoch, seal.seq, seal.hash) == (head.epoch, head.seq, head.hash)


@dataclass(frozen=True, slots=True)
class Seals:
    """What a folder holds of seals. `seal` None: there is none, or (`is_unreadable`) the file holds none."""

    seal: Seal | None
    is_unreadable: bool
    history: History
    next: Seal | None

    @property
    def newest(self) -> Seal | None:
        """The seal that saw most of the log. The history's last line is newer where a seal was lost with a crash."""
        last = self.history.lines[-1].seal if self.history.lines else None
        found = [seal for seal in (last, self.seal) if seal is not None]
        return max(found, key=lambda seal: (seal.epoch, seal.seq), default=None)

    @property
    def is_there(self) -> bool:
        """Whether the folder holds anything that a room leaves that has begun."""
        return self.seal is not None or self.is_unreadable or bool(self.history.lines)

    @property
    def is_of_first_form(self) -> bool:
        """Whether nothing here was written by this release."""
        return not self.history.lines and self.next is None and (self.seal is None or self.seal.is_of_first_form)

    @property
    def epoch(self) -> int:
        """The highest epoch that any of them names; 0 if there is none."""
        found = [self.seal, self.next, *(line.seal for line in self.history.lines)]
        return max((seal.epoch for seal in found if seal is not None), default=0)

    def fault(self, key: Checks | None) -> str | None:
        """What is wrong with the files themselves, in words."""
        if self.is_unreadable:
            return f"{SEAL} contains no seal"
        if self.seal is None:
            return f"{SEAL} is missing, although the log is not empty"
        if not is_genuine(key, self.seal) or self.seal.is_of_first_form:
            return f"{SEAL} was not signed with the room's key"
        return self.history.fault(key) or self.history.lacks(self.seal)


def read_seals(folder: Path) -> Seals:
    """Read the folder's seals. Raises NotPrivateError."""
    text = _read(folder / SEAL)
    seal = None if text is None else parse_seal(text)
    pending = _read(folder / NEXT)
    return Seals(
        seal,
        text is not None and seal is None,
        read_history(folder),
        None if pending is None else parse_seal(pending),
    )


def read_history(folder: Path) -> History:
    """The lines of the history. A line that was cut off was never counted, and is left out."""
    texts = (_read(folder / HISTORY) or "").split("\n")[:-1]
    return History(tuple(Line(text, parse_seal(text)) for text in texts))


TYPES: dict[str, type | tuple[type, ...]] = {"epoch": int, "seq": int, "line": int, "at": (int, float), "accepts": bool}
"""The types of a seal's fields that are not text."""


def parse_seal(text: str) -> Seal | None:
    """The seal in a text of JSON; None if it contains none."""
    try:
        values = json.loads(text)
        if all(isinstance(value, TYPES.get(name, str)) for name, value in values.items()):
            return Seal(**values)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    return None


def _read(path: Path) -> str | None:
    """The text of a file, None where there is none. The text of one that cannot be read says so, and is no seal.

    Raises NotPrivateError.
    """
    try:
        return read_private(path).decode("utf-8-sig", "replace").replace("\r\n", "\n")
    except FileNotFoundError:
        return None
    except NotPrivateError:
        raise
    except OSError as error:
        return f"{error.strerror}\n"


class Sealer:
    """Writes a folder's seals. Only a server, or a command, that has the folder locked makes one."""

    def __init__(self, folder: Path, key: RoomKey, history: History) -> None:
        self._folder, self._key = folder, key
        self._count, self._digest = len(history.lines), history.digest
        self._last = history.lines[-1].seal if history.lines else None
        self._lock = threading.Lock()

    def write(self, head: LogEnd, now: WallTime, *, keep: bool = False) -> None:
        """Write the signed end of the log; `keep`: also as a line of the history. Raises OSError."""
        with self._lock:
            seal = self._sign(head, now)
            try:
                if keep or self._last is None or abs(now - self._last.at) >= HISTORY_SECONDS:
                    self._append(seal)
            finally:
                self._replace(self._sign(head, now))

    def note(self, found: str, now: WallTime) -> None:
        """Leave a line in the history about what contradicts the log, once. Raises OSError."""
        with self._lock:
            if self._last is not None and self._last.note != found:
                self._append(self._sign(self._last, now, found))

    def prepare(self, head: LogEnd, now: WallTime, *, note: str = "", accepts: bool = False) -> None:
        """Write the seal of a log that is about to be committed. Raises OSError."""
        seal = self._sign(head, now, note, accepts)
        write_private(self._folder / NEXT, _line(seal) + "\n")

    def settle(self, head: LogEnd, now: WallTime) -> None:
        """Put the prepared seal in force, if it names this end of the log; it is dropped if not. Raises OSError."""
        with self._lock:
            text = _read(self._folder / NEXT)
            seal = None if text is None else parse_seal(text)
            if seal is not None and names(seal, head) and seal != self._last:
                self._append(seal)
            elif self._last is None:
                self._append(self._sign(head, now))
            self._replace(self._sign(head, now))
            (self._folder / NEXT).unlink(missing_ok=True)

    def _sign(self, head: LogEnd, now: WallTime, note: str = "", accepts: bool = False) -> Seal:
        return sign(
            self._key, Seal(head.epoch, head.seq, head.hash, now, self._count, self._digest, note, accepts=accepts)
        )

    def _replace(self, seal: Seal) -> None:
        write_private(self._folder / SEAL, _line(seal) + "\n")

    def _append(self, seal: Seal) -> None:
        """Add a line, durably. A part of a line that a crash left behind is removed first."""
        line = Line(_line(seal), seal)
        descriptor = open_private(self._folder / HISTORY, os.O_RDWR | os.O_CREAT)
        try:
            end = _end_of_lines(lambda size, at: os.pread(descriptor, size, at), os.fstat(descriptor).st_size)
            try:
                os.ftruncate(descriptor, end)
                content = f"{line.text}\n".encode()
                if os.pwrite(descriptor, content, end) != len(content):
                    raise OSError("the seals' history was written in part")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
        self._count, self._digest, self._last = self._count + 1, line.digest, seal


LINE_BYTES = 65_536
"""A line is shorter than this: what is longer is the part of a line that no room writes."""


def _end_of_lines(read: Callable[[int, int], bytes], size: int) -> int:
    """Where the last whole line of a file ends."""
    start = max(size - LINE_BYTES, 0)
    return start + read(size - start, start).rfind(b"\n") + 1


def _line(seal: Seal) -> str:
    return json.dumps(asdict(seal))
