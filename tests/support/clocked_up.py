"""A room as `teamroom up` runs it, whose wall clock is shifted: `python -m tests.support.clocked_up FOLDER PORT OWNER`.

The environment variable ATK_CLOCK names a file that holds the shift in seconds. The room reads the file while it runs,
so replacing the file sets the clock. The steady clock goes on as it is. Programs outside this repository rely on this
command: it prints `open URL` once the room answers, and a signal ends it.
"""

import os
import sys
from pathlib import Path

from teamroom.clients.local.up import up
from teamroom.server.clock import Clock, steady_clock, wall_clock

READ_EVERY_SECONDS = 0.02
"""How old a shift may be that was read."""


class ShiftedClock:
    """The wall clock plus the seconds in a file; while the file cannot be read, the last shift stays."""

    def __init__(self, file: Path, wall: Clock = wall_clock, steady: Clock = steady_clock) -> None:
        self._file, self._wall, self._steady = file, wall, steady
        self._read_at = float("-inf")
        self._shift = 0.0

    def __call__(self) -> float:
        """The shifted time, in seconds since 1970-01-01 UTC."""
        now = self._steady()
        if now - self._read_at > READ_EVERY_SECONDS:
            self._read_at = now
            self._shift = self._read()
        return self._wall() + self._shift

    def _read(self) -> float:
        try:
            return float(self._file.read_text(encoding="ascii").strip() or 0)
        except (OSError, ValueError):
            return self._shift


def main() -> None:
    """Serve the room until a signal ends it."""
    folder, port, owner = sys.argv[1:]
    clock = ShiftedClock(Path(os.environ["ATK_CLOCK"]))
    up(Path(folder), int(port), owner, lambda opened: print("open", opened.url, flush=True), clock=clock)


if __name__ == "__main__":
    main()
