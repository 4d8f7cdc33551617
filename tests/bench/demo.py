"""What the demo costs in processor time, and how soon its room answers: python -m tests.bench.demo [RUNS].

Each run is `teamroom demo --speed 0` with its whole process tree. The time until the first line is of a run that
stays, from the start of the command. Where there is a browser, it also shows the first paint of the page that the link
leads to. The table shows medians, and asserts nothing.
"""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser
from rich.console import Console
from rich.table import Table

from tests.bench.start import cpu_seconds
from tests.support.browsers import find_browser, launched
from tests.support.shells import STEP_SECONDS, TEAMROOM, Shell

RUNS = 7
LIMIT_SECONDS = 6.0
"""What a whole demo without waiting may cost."""

LINK = re.compile(r"(http://\S+)/sign-in#\S+")

FIRST_PAINT = """() => new Promise((done) => new PerformanceObserver(
    (found) => done(found.getEntriesByName("first-contentful-paint")[0].startTime)
).observe({ type: "paint", buffered: true }))"""

COMMAND = (TEAMROOM, "demo", "--speed", "0")
QUIETLY = ("sh", "-c", f"exec {TEAMROOM} demo --speed 0 2> /dev/null")


def main() -> None:
    """Measure, and print a table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as home:
        shell = Shell(Path(home))
        whole = [cpu_seconds([*QUIETLY], shell) for _ in range(runs)]
        first = [seconds_until_first_line(shell) for _ in range(runs)]
    table = Table("what", "seconds", "limit", title=f"teamroom demo --speed 0, median of {runs}")
    table.add_row("processor time of the whole demo", f"{median(whole):.2f}", f"{LIMIT_SECONDS:.0f}")
    table.add_row("elapsed until its first line", f"{median(first):.2f}", "")
    if (browser := find_browser()) is not None:
        with tempfile.TemporaryDirectory() as home, launched(browser) as chromium:
            paints = [first_paint(Shell(Path(home)), chromium) for _ in range(runs)]
        table.add_row("first paint of its page, after the link was opened", f"{median(paints):.2f}", "")
    Console().print(table)


@contextlib.contextmanager
def staying(shell: Shell) -> Iterator[str]:
    """A demo whose room stays until the block ends; yields its first line, which shows the way into the room."""
    with subprocess.Popen(
        [*COMMAND, "--stay"],
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline()
        process.terminate()
        process.communicate(timeout=STEP_SECONDS)


def seconds_until_first_line(shell: Shell) -> float:
    """How long a person waits for the first line."""
    began = time.monotonic()
    with staying(shell) as line:
        took = time.monotonic() - began
    assert line
    return took


def first_paint(shell: Shell, browser: Browser) -> float:
    """How long after the request of the home page the browser shows something of it, as the browser says."""
    with staying(shell) as line:
        link = LINK.search(line)
        assert link is not None
        page = browser.new_context().new_page()
        page.goto(link[0])
        page.wait_for_url(f"{link[1]}/")
        milliseconds = page.evaluate(FIRST_PAINT)
    return float(milliseconds) / 1000


if __name__ == "__main__":
    main()
