"""When a program tells the room where it runs: at once, then now and then."""

import time
from collections.abc import Callable

from teamroom.clients.session.here import find_runtime

SAY_SECONDS = 60.0
"""How often a program that calls again and again says it."""


class Whereabouts:
    """Says where this process runs, now and then. `harness`: the program that it runs for, with a version if known."""

    def __init__(self, harness: str = "", version: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.harness, self.version = harness, version
        self._clock, self._said_at = clock, -SAY_SECONDS

    def due(self, seconds: float = SAY_SECONDS) -> dict[str, str] | None:
        """Return what to tell the room now; None if that was told within so many seconds."""
        now = self._clock()
        if now - self._said_at < seconds:
            return None
        self._said_at = now
        return find_runtime(self.harness, self.version)
