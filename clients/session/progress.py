"""How far long work is, on a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_SECONDS = 1.0
"""Work that takes longer than this shows how far it is."""

Report = Callable[[int, int], None]
"""Takes how much is done, and how much there is."""


@contextmanager
def progress(*steps: str, quiet_seconds: float = QUIET_SECONDS) -> Iterator[tuple[Report, ...]]:
    """Reports for the steps of some work: each is a bar on standard error, once the work has taken a while."""
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
    """Report to nobody."""
