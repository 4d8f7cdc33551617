"""Whether a run moves: whether its processes used CPU, produced output, began or ended.

Linux shows in /proc what each process used and wrote. Elsewhere, ps shows the CPU time, and output is seen only where
it goes to a file.
"""

import os
import re
import stat
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

CPU_SHARE, CPU_SECONDS = 0.01, 60.0
"""A run that used less of one CPU in that span only waits: programs that wait use a little, and that in bursts.

Claude Code, whose model says nothing for minutes, uses a quarter of a second at once every two minutes.
"""

WAKE_UP_BYTES = 8
"""A write this short is no output. The event loops of harnesses wake themselves with such writes, many a second."""

PROCESSES, TREE = 50_000, 4_096
"""How many processes are listed, and how many of a run are measured."""

OUTPUTS = (1, 2)
"""The file descriptors to which a run writes: it inherits them from its listener."""

PROC = Path("/proc")
PS = ("ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "time=")
PS_SECONDS = 5.0

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its parent, its process group, and the CPU seconds that it and its ended children used.

    `began`: tells it from an earlier process with the same id, where the system shows it.
    """

    id: int
    parent: int
    group: int
    cpu_seconds: float
    began: str = ""


List = Callable[[], Mapping[int, Process]]
"""Lists the processes of this machine by id. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes of a run used and wrote so far: bytes beyond wake-ups, and times of the outputs' changes."""

    processes: frozenset[tuple[int, str]]
    cpu_seconds: float
    written: tuple[int, ...]


class Movement:
    """How long a run has been on, and when its processes last moved. `clock` stands still while the machine sleeps.

    The processes of a run are its first one, all below it, its process group, and those of them that left both since.
    """

    def __init__(
        self, first: int, group: int | None, clock: Clock = time.monotonic, list_processes: List | None = None
    ) -> None:
        self._first, self._group, self._clock = first, group, clock
        self._list = list_processes or (list_proc if (PROC / "self" / "stat").exists() else list_ps)
        self._known: frozenset[tuple[int, str]] = frozenset()
        self._began = self._moved = self._measured = clock()
        self._last = self._sample()
        self._cpu_before = self._last.cpu_seconds if self._last is not None else 0.0

    def begin(self) -> None:
        """Count from now: the same processes begin another run."""
        self._began = self._moved = self._clock()

    def look(self) -> None:
        """Look whether the run moved since the last look."""
        now, sample = self._clock(), self._sample()
        if sample is None:
            return
        used = sample.cpu_seconds - self._cpu_before > CPU_SHARE * max(now - self._measured, CPU_SECONDS)
        if used or self._last is None or _has_written(self._last, sample):
            self._moved = now
        if used or now - self._measured >= CPU_SECONDS:
            self._cpu_before, self._measured = sample.cpu_seconds, now
        self._last = sample

    def tree(self) -> list[Process]:
        """Return the processes of the run that are there now, and know them from now on.

        Raises OSError or SubprocessError.
        """
        tree = self._tree(self._list())
        self._known |= {(process.id, process.began) for process in tree}
        return tree

    def report(self) -> dict[str, float]:
        """Return how long ago the run began, and last moved, in seconds."""
        now = self._clock()
        return {
            "began_seconds_ago": round(now - self._began, 1),
            "moved_seconds_ago": round(now - max(self._moved, self._began), 1),
        }

    def _sample(self) -> Sample | None:
        """Return what the run used so far; None if the system does not show it."""
        try:
            tree = self._tree(self._list())
        except (OSError, subprocess.SubprocessError):
            return None
        self._known = frozenset((process.id, process.began) for process in tree)
        written = (*_written_by(tree), *_written_to(OUTPUTS))
        return Sample(self._known, sum(process.cpu_seconds for process in tree), written)

    def _tree(self, listed: Mapping[int, Process]) -> list[Process]:
        below = defaultdict[int, list[Process]](list)
        for process in listed.values():
            below[process.parent].append(process)
        waiting = [
            process
            for process in listed.values()
            if process.id == self._first or process.group == self._group or (process.id, process.began) in self._known
        ]
        found = dict[int, Process]()
        while waiting and len(found) < TREE:
            process = waiting.pop()
            if process.id not in found and process.id != os.getpid():
                found[process.id] = process
                waiting += below[process.id]
        return sorted(found.values(), key=lambda process: process.id)


def _has_written(before: Sample, after: Sample) -> bool:
    """Whether a process began, ended or wrote more than what wakes an event loop."""
    if before.processes != after.processes or len(before.written) != len(after.written):
        return True
    return any(now > then for then, now in zip(before.written, after.written, strict=True))


# ------------------------------------------------------------------ what the system shows


def list_proc() -> dict[int, Process]:
    """List processes as Linux shows them in /proc."""
    found = dict[int, Process]()
    for name in _numbers(os.listdir(PROC)):
        try:
            words = (PROC / name / "stat").read_bytes().rpartition(b")")[2].split()
            cpu_seconds = sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")
            found[int(name)] = Process(int(name), int(words[1]), int(words[2]), cpu_seconds, words[19].decode())
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
    return found


def _numbers(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.isdigit()][:PROCESSES]


def list_ps() -> dict[int, Process]:
    """List processes with ps, whose columns are the same on every system. Raises OSError or SubprocessError."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    shown = subprocess.run(
        PS, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PS_SECONDS, check=True
    ).stdout
    found = dict[int, Process]()
    for line in shown.decode("ascii", "replace").splitlines()[:PROCESSES]:
        words = line.split()
        if len(words) == 4 and all(word.isdigit() for word in words[:3]):
            number, parent, group = map(int, words[:3])
            found[number] = Process(number, parent, group, seconds_of(words[3]))
    return found


def seconds_of(shown: str) -> float:
    """Return the seconds of a CPU time as ps shows it: `1-02:03:04`, `02:03:04` or `3:04.05`."""
    parts = [float(part) for part in re.findall(r"[0-9]+(?:\.[0-9]+)?", shown)]
    return sum(part * unit for part, unit in zip(reversed(parts), (1, 60, 3_600, 86_400), strict=False))


def _written_by(tree: Iterable[Process]) -> list[int]:
    """Return how many bytes each process wrote beyond wake-ups of event loops, where the system shows it."""
    written = []
    for process in tree:
        try:
            shown = (PROC / str(process.id) / "io").read_bytes()
            count, writes = (int(shown.partition(name)[2].split()[0]) for name in (b"wchar:", b"syscw:"))
            written.append(count - WAKE_UP_BYTES * writes)
        except (OSError, ValueError, IndexError):
            continue
    return written


def _written_to(descriptors: Iterable[int]) -> list[int]:
    """Return the time of the newest change of each of these files."""
    changed = []
    for descriptor in descriptors:
        try:
            file = os.fstat(descriptor)
        except OSError:
            continue
        if stat.S_ISREG(file.st_mode):
            changed.append(file.st_mtime_ns)
    return changed
