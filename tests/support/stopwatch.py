"""Measures the room instead of the machine: time without the waits for a processor that something else occupied.

Linux counts for each thread how long it was ready to run and did not. Without those counts, the time is the wall's.
"""

import os
import time
from pathlib import Path

NANOSECONDS = 1e9


class Stopwatch:
    """Runs from its creation on. `processes` are those that work on what is measured; this one is always among them."""

    def __init__(self, *processes: int) -> None:
        self._processes = {os.getpid(), *processes}
        self._waited_before = self._waits()
        self._waited = 0.0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start, less the waits of all threads; read it before a process takes its waits with it."""
        passed = time.monotonic() - self._began
        waits = self._waits()
        now = sum(waited - self._waited_before.get(thread, 0.0) for thread, waited in waits.items())
        self._waited = max(self._waited, now)
        return max(passed - self._waited, 0.0)

    def _waits(self) -> dict[str, float]:
        """How long each thread waited for a processor so far, in seconds."""
        waits = {}
        for process in self._processes:
            for counts in Path("/proc", str(process), "task").glob("*/schedstat"):
                try:
                    waits[counts.parent.name] = int(counts.read_text().split()[1]) / NANOSECONDS
                except (OSError, IndexError):
                    continue  # it has ended
        return waits
