"""What a shell command and the start of a room cost in processor time, next to an empty Python.

python -m tests.bench.start [RUNS]. Runs each command in turn, so that a busy machine slows all of them alike, and
prints the median of user and system time of each process: for `up` until the room answers, in an empty folder each
time. The ratio to `python -c pass` is what to compare between machines.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from tests.support.shells import TEAMROOM, Shell, up

RUNS = 7
COMMAND_SECONDS, UP_SECONDS = 0.6, 2.5
"""What a command that asks the room, and a start, may cost."""

Measure = Callable[[], float]


def main() -> int:
    """Measure, print a table, and fail where something costs more than it may."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as folder, up(Path(folder) / "room", "--owner", "olga") as room:
        measures = measured_commands(room.shell, Path(folder))
        found: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(runs):
            for name, measure in measures.items():
                found[name].append(measure())
    medians = {name: median(times) for name, times in found.items()}
    show(medians, runs)
    limits = {name: UP_SECONDS if name == "teamroom up" else COMMAND_SECONDS for name in medians}
    return int(any(medians[name] > limits[name] for name in medians))


def measured_commands(shell: Shell, folder: Path) -> dict[str, Measure]:
    """What is measured, by what a person would type."""
    numbers = count()
    commands: dict[str, Callable[[], list[str]]] = {
        "python -c pass": lambda: [sys.executable, "-c", "pass"],
        "teamroom --help": lambda: [TEAMROOM, "--help"],
        "teamroom roster": lambda: [TEAMROOM, "roster"],
        "teamroom board": lambda: [TEAMROOM, "board"],
        "teamroom overnight": lambda: [TEAMROOM, "overnight"],
        "teamroom enroll": lambda: [TEAMROOM, "enroll", f"agent-{next(numbers)}"],
    }

    def measure(words: Callable[[], list[str]]) -> Measure:
        return lambda: cpu_seconds(words(), shell)

    return {
        **{name: measure(words) for name, words in commands.items()},
        "teamroom up": lambda: seconds_until_ready(folder / f"empty-{next(numbers)}"),
    }


def cpu_seconds(command: list[str], shell: Shell) -> float:
    """User and system time of a command that must succeed."""
    process = subprocess.Popen(command, env=shell.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime


def seconds_until_ready(folder: Path) -> float:
    """User and system time of `teamroom up` on an empty folder, once it says that the room is open."""
    with up(folder) as room:
        times = psutil.Process(room.process.pid).cpu_times()
        return times.user + times.system


def show(medians: dict[str, float], runs: int) -> None:
    """A line for each command."""
    table = Table(title=f"processor time, median of {runs}")
    table.add_column("command")
    for heading in ("seconds", "x pass", "limit"):
        table.add_column(heading, justify="right")
    for name, seconds in medians.items():
        limit = {"python -c pass": "", "teamroom up": f"{UP_SECONDS}"}.get(name, f"{COMMAND_SECONDS}")
        table.add_row(name, f"{seconds:.2f}", f"{seconds / medians['python -c pass']:.0f}", limit)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
