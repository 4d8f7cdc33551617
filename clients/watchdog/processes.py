"""Processes of this machine: listed by ps, started in their own sessions, and ended only by id.

The options of `ps` are those that Linux and macOS share.
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
from teamroom.server.private import open_private

COLUMNS = ("pid", "ppid", "pgid", "stat", "lstart", "args")
PS = ("ps", "-A", "-ww", *(word for column in COLUMNS for word in ("-o", f"{column}=")))
"""Each column needs its own option: in POSIX, everything after = is a title."""

PS_SECONDS = 10.0
PROCESSES = 50_000
COMMAND_CHARACTERS = 4096

SAME_START_SECONDS = 2.0
"""ps may round the start time of a process up or down."""

END_SECONDS = 10.0
"""How long a process may take to exit after SIGTERM."""

PACE_SECONDS = 0.1

FIRST = 1
"""The id of the first process, the reference for start times."""

BOOT_ID, FIRST_STAT, STAT_BEGAN = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/1/stat"), 19
"""The files with the boot id and the start of process 1 on Linux, and the field of that after the name."""


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
        """Whether it is alive and in a process group."""
        return self.group == group and not self.is_dead


@dataclass(frozen=True, slots=True)
class Started:
    """Identifies a process, even after its id is reused.

    `began` is in seconds since the start of process 1, because on Linux a clock step moves the start times that ps
    shows. `life` is from `life_of_machine`. If it is "", start times do not move, and `began` is a Unix time.
    """

    id: int
    began: float
    life: str

    @classmethod
    def of(cls, process: Process, processes: Mapping[int, Process]) -> "Started":
        """Return the identity of a process in a listing."""
        life, first = life_of_machine(), processes.get(FIRST)
        if not life or first is None:
            return cls(process.id, process.began, "")
        return cls(process.id, process.began - first.began, life)

    def is_among(self, processes: Mapping[int, Process]) -> bool:
        """Whether the process is still alive."""
        found = processes.get(self.id)
        return found is not None and not found.is_dead and self._is(found, processes)

    def group_among(self, processes: Mapping[int, Process]) -> list[Process]:
        """Return the living processes of its group, also if the leader is gone.

        The system does not reuse a group's id while the group has processes.
        """
        leader = processes.get(self.id)
        if leader is not None and not self._is(leader, processes):
            return []
        return [one for one in processes.values() if one.is_of_group(self.id)]

    def _is(self, process: Process, processes: Mapping[int, Process]) -> bool:
        other = Started.of(process, processes) if self.life else Started(process.id, process.began, "")
        return other.life == self.life and abs(other.began - self.began) <= SAME_START_SECONDS


def life_of_machine() -> str:
    """Return an id of the current boot or container; "" if the system is not Linux or does not provide it."""
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip()
        began = FIRST_STAT.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[STAT_BEGAN]
    except (OSError, ValueError, IndexError):
        return ""
    return f"{boot} {began}"


def processes() -> dict[int, Process]:
    """Return all processes of this machine by id. Raises Failure."""
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
    """Return the processes whose command line matches a pattern, without this one and without children of matches."""
    found = {one.id: one for one in among.values() if not one.is_dead and re.search(pattern, one.command)}
    found.pop(os.getpid(), None)
    return sorted((one for one in found.values() if one.parent not in found), key=lambda one: one.id)


def start(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a long-running command in its own session. Its output is appended to a file. Raises OSError."""
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
    """Run a command; returns its exit code, None if it took too long and was ended. Raises OSError.

    Its output is appended to a file or discarded. A pipe would break for a process that the command leaves behind.
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
    """End a process and its group by id, by force after `seconds`; returns whether anything was running."""
    return await _end(started.id, started.group_among, seconds)


async def end_child(child: subprocess.Popen[bytes], seconds: float = END_SECONDS) -> bool:
    """End a child that was not waited for. Its id cannot be reused until then, so its start time does not matter."""
    return await _end(child.pid, lambda listed: [one for one in listed.values() if one.is_of_group(child.pid)], seconds)


def kill_child(child: subprocess.Popen[bytes], seconds: float = END_SECONDS) -> None:
    """Kill a child that was just started, with its group and without ps."""
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
    return os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "wb")
