"""Processes of this machine: listed by ps, started in sessions of their own, and ended only by their ids.

`ps` is asked in the words that Linux and macOS share.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from teamroom.clients.session.failure import Failure

COLUMNS = ("pid", "ppid", "pgid", "stat", "lstart", "args")
PS = ("ps", "-A", "-ww", *(word for column in COLUMNS for word in ("-o", f"{column}=")))
"""Each column has an option of its own: by POSIX, what follows an = to the end of its word is a title."""

PS_SECONDS = 10.0
PROCESSES = 50_000
COMMAND_CHARACTERS = 4096

SAME_START_SECONDS = 2.0
"""ps may round the time when a process began one way or the other."""

END_SECONDS = 10.0
"""How long a process has to end by itself, once it was asked to."""

PACE_SECONDS = 0.1

FIRST = 1
"""The process that began first, from which the others' beginnings are counted."""

BOOT_ID, FIRST_STAT, STAT_BEGAN = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/1/stat"), 19
"""Where Linux says which boot this is and when process 1 began; the place of that behind the process's name."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process as ps shows it. `group` is the id of its process group, `began` a Unix time."""

    id: int
    parent: int
    group: int
    is_dead: bool
    began: float
    command: str

    def is_of_group(self, group: int) -> bool:
        """Whether it lives in a process group."""
        return self.group == group and not self.is_dead


@dataclass(frozen=True, slots=True)
class Started:
    """What names a process beyond its life: an id alone may be another's later.

    `began`: in seconds since process 1 began, because on Linux a step of the clock moves what ps shows of every
    process. `life`: see `life_of_machine`; where it is "", a process keeps its time, and `began` is a Unix time.
    """

    id: int
    began: float
    life: str

    @classmethod
    def of(cls, process: Process, processes: Mapping[int, Process]) -> "Started":
        """What names a process of a listing."""
        life, first = life_of_machine(), processes.get(FIRST)
        if not life or first is None:
            return cls(process.id, process.began, "")
        return cls(process.id, process.began - first.began, life)

    def is_among(self, processes: Mapping[int, Process]) -> bool:
        """Whether it still lives."""
        found = processes.get(self.id)
        return found is not None and not found.is_dead and self._is(found, processes)

    def group_among(self, processes: Mapping[int, Process]) -> list[Process]:
        """What lives of its process group: of a leader that is gone, what it left behind.

        While a group has a member the system gives its number to no other process.
        """
        leader = processes.get(self.id)
        if leader is not None and not self._is(leader, processes):
            return []
        return [one for one in processes.values() if one.is_of_group(self.id)]

    def _is(self, process: Process, processes: Mapping[int, Process]) -> bool:
        other = Started.of(process, processes) if self.life else Started(process.id, process.began, "")
        return other.life == self.life and abs(other.began - self.began) <= SAME_START_SECONDS


def life_of_machine() -> str:
    """Which life of the machine, or of the container, this is; "" where the system is no Linux or does not say."""
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip()
        began = FIRST_STAT.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[STAT_BEGAN]
    except (OSError, ValueError, IndexError):
        return ""
    return f"{boot} {began}"


def processes() -> dict[int, Process]:
    """Every process of this machine by its id. Raises Failure."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            PS, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PS_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        raise Failure("Processes cannot be listed: ps does not run.", "Install ps (procps).") from None
    lines = done.stdout.decode("utf-8", "replace").splitlines()[:PROCESSES]
    found = [process for line in lines if (process := _process(line)) is not None]
    if not found:
        raise Failure("Processes cannot be listed: ps shows none.", f"Try: {' '.join(PS)}")
    return {process.id: process for process in found}


def _process(line: str) -> Process | None:
    words = line.split(None, 9)
    try:
        began = datetime.strptime(" ".join(words[5:9]), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()
        command = words[9][:COMMAND_CHARACTERS] if len(words) > 9 else ""
        return Process(int(words[0]), int(words[1]), int(words[2]), words[3].startswith("Z"), began, command)
    except (ValueError, IndexError):
        return None


def matching(pattern: str, among: Mapping[int, Process]) -> list[Process]:
    """The processes whose command line a pattern is found in, but this one; one that starts another is one with it."""
    found = {one.id: one for one in among.values() if not one.is_dead and re.search(pattern, one.command)}
    found.pop(os.getpid(), None)
    return sorted((one for one in found.values() if one.parent not in found), key=lambda one: one.id)


def start(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command that stays, in a session of its own; its output goes to the end of a file. Raises OSError."""
    with _open_log(log) as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


async def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path | None, seconds: float
) -> int | None:
    """Run a command to its end; returns its exit code, None where it took too long and was ended. Raises OSError.

    What it writes goes to the end of a file, or nowhere: no pipe would break when something that it left behind writes.
    """
    with contextlib.ExitStack() as stack:
        output: IO[bytes] | int = subprocess.DEVNULL if log is None else stack.enter_context(_open_log(log))
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            _signal(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())


async def end(started: Started, seconds: float = END_SECONDS) -> bool:
    """End a process and its group by their id, by force where it must be; returns whether anything had to end."""
    return await _end(started.id, started.group_among, seconds)


async def end_child(child: subprocess.Popen[bytes], seconds: float = END_SECONDS) -> bool:
    """The same for a child that was not waited for: until then its id is its own, whatever ps says of its beginning."""
    return await _end(child.pid, lambda listed: [one for one in listed.values() if one.is_of_group(child.pid)], seconds)


def kill_child(child: subprocess.Popen[bytes], seconds: float = END_SECONDS) -> None:
    """End a child that was just started, with its group, by force and without asking ps."""
    _signal(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)


async def _end(group: int, left: Callable[[Mapping[int, Process]], list[Process]], seconds: float) -> bool:
    if not left(await asyncio.to_thread(processes)):
        return False
    _signal(group, signal.SIGTERM)
    give_up_at = time.monotonic() + seconds
    while left(await asyncio.to_thread(processes)):
        if time.monotonic() >= give_up_at:
            _signal(group, signal.SIGKILL)
            break
        await asyncio.sleep(PACE_SECONDS)
    return True


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _open_log(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "wb")
