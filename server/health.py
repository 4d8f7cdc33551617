"""The last signs of life of each part of the room, and what they say of it.

A part that works gives signs of life itself, however little it has to do. `server/watching.py` looks at them from the
outside, so that a part that hangs or died is found. Times are of a clock that no change of the wall clock moves.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from teamroom.server.clock import WallTime, wall_clock

State = Literal["ok", "silent", "failed", "not running"]

SILENT_SECONDS = 40.0
"""After how long without a sign of life a part counts as dead. Each gives one at least every 30 seconds."""

FAILED_SECONDS = 10.0
"""How long a part must fail before it is named."""

AGAIN_SECONDS = 3600.0
"""How long after a part was named it can be named again, if it worked in between."""

SUPERVISOR, LETTERS, SEAL, BACKUPS, LOOP = "supervisor", "letters", "seal", "backups", "event loop"
DISK, STORE, WRITER = "disk", "store", "writer"

PARTS = (SUPERVISOR, LETTERS, SEAL, BACKUPS, LOOP, DISK, STORE, WRITER)

NEEDED = frozenset({STORE, WRITER, SEAL, DISK})
"""The parts without which the room is not ready."""


class PartHealth(NamedTuple):
    """A part as it is now: its last sign of life, how long ago that was, and its own words about it."""

    name: str
    state: State
    last: WallTime | None
    seconds: float | None
    detail: str

    @property
    def is_needed(self) -> bool:
        """Whether the room is not ready without it."""
        return self.name in NEEDED

    @property
    def is_bad(self) -> bool:
        """Whether it is dead, hangs or fails."""
        return self.state in ("silent", "failed")


@dataclass(slots=True)
class _Signs:
    """What a part said last, since when it is bad, and when it was named."""

    at: float | None = None
    last: WallTime | None = None
    fault: str = ""
    detail: str = ""
    bad_since: float | None = None
    named_at: float | None = None


class Health:
    """The parts of one room. Any thread may give and read signs of life."""

    def __init__(self, now: Callable[[], float] = time.monotonic, wall: Callable[[], WallTime] = wall_clock) -> None:
        self.now, self._wall = now, wall
        self._signs = {name: _Signs() for name in PARTS}
        self._lock = threading.Lock()

    def alive(self, part: str, fault: str = "", detail: str = "") -> None:
        """Note a sign of life of a part. `fault`: why it does not do what it is for."""
        self._note(part, fault, detail, self._wall())

    def looked_at(self, part: str, last: WallTime | None, detail: str) -> None:
        """Note what was found of a part that gives no signs of life itself: when it last did something, if ever."""
        self._note(part, "", detail, last)

    def forgive(self) -> None:
        """Count silence from now on: the whole server did not run for a while."""
        with self._lock:
            for signs in self._signs.values():
                signs.at = None if signs.at is None else self.now()

    def _note(self, part: str, fault: str, detail: str, last: WallTime | None) -> None:
        with self._lock:
            signs = self._signs[part]
            signs.at, signs.fault, signs.detail, signs.last = self.now(), fault, detail, last

    def parts(self) -> list[PartHealth]:
        """Every part, in the order of `PARTS`."""
        with self._lock:
            now, wall = self.now(), self._wall()
            return [_part(name, signs, now, wall) for name, signs in self._signs.items()]

    def is_ready(self) -> bool:
        """Whether no part that the room needs is bad."""
        return not any(part.is_bad for part in self.parts() if part.is_needed)

    def bad(self) -> dict[str, str]:
        """The parts that are bad, and their states."""
        return {part.name: part.state for part in self.parts() if part.is_bad}

    def states(self) -> dict[str, str]:
        """Every part and its state."""
        return {part.name: part.state for part in self.parts()}

    def news(self) -> list[PartHealth]:
        """The bad parts that were not named yet; see `note_named`."""
        found = []
        with self._lock:
            now, wall = self.now(), self._wall()
            for name, signs in self._signs.items():
                part = _part(name, signs, now, wall)
                if part.is_bad:
                    signs.bad_since = now if signs.bad_since is None else signs.bad_since
                    is_certain = part.state == "silent" or now - signs.bad_since >= FAILED_SECONDS
                    found += [part] if is_certain and signs.named_at is None else []
                    continue
                signs.bad_since = None
                if signs.named_at is not None and now - signs.named_at >= AGAIN_SECONDS:
                    signs.named_at = None
        return found

    def note_named(self, part: str) -> None:
        """Note that a bad part was named in the stream, which happens once."""
        with self._lock:
            self._signs[part].named_at = self.now()


def _part(name: str, signs: _Signs, now: float, wall: WallTime) -> PartHealth:
    if signs.at is None:
        return PartHealth(name, "not running", None, None, signs.detail)
    silence = max(now - signs.at, 0.0)
    if silence > SILENT_SECONDS:
        return PartHealth(name, "silent", signs.last, silence, signs.detail)
    seconds = None if signs.last is None else max(wall - signs.last, 0.0)
    return PartHealth(name, "failed" if signs.fault else "ok", signs.last, seconds, signs.fault or signs.detail)


def sentence(part: PartHealth) -> str:
    """What the stream says of a bad part."""
    if part.state == "failed":
        return f"The room's {part.name} fails: {part.detail}"
    return f"The room's {part.name} has given no sign of life for {part.seconds or 0:.0f} s"
