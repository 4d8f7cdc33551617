"""Progress bars for long work."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_SECONDS = 1.0
"""Work that takes longer than this shows its progress."""

Report = Callable[[int, int], None]
"""Reports how much is done, and how much there is in total."""


@contextmanager
def progress(*steps: str, quiet_seconds: float = QUIET_SECONDS) -> Iterator[tuple[Report, ...]]:
    """Yield a report function for each step. On a terminal, each is a bar on standard error."""
    if not sys.stderr.isatty():
        yield tuple(_silent for _ in steps)
        return
    from rich.progress import Progress

    from teamroom.clients.session.terminal import console

    started = time.monotonic()
    bars = Progress(console=console(stderr=True), transient=True)

    def reporter(name: str) -> Report:
        task = bars.add_task(name, total=None)

        def report(done: int, total: int) -> None:
            if time.monotonic() - started > quiet_seconds:
                bars.start()
                bars.update(task, completed=done, total=total)

        return report

    try:
        yield tuple(map(reporter, steps))
    finally:
        if bars.live.is_started:
            bars.stop()


def _silent(done: int, total: int) -> None:
    """Show nothing."""
