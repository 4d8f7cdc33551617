"""The server that runs in a data folder: found by its lock, asked how it is, and ended.

Only a running server holds the folder's lock, and only what holds the lock is ended: never a program that got the
process id of an earlier server.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from teamroom.clients.session.connection import Connection
from teamroom.clients.session.failure import Failure, UnreachableError
from teamroom.server.announcement import announcement
from teamroom.server.store.folder import LOCK, find_holder

ANSWER_SECONDS = 2.0
"""How long a room may take to say whether it is ready."""

STOP_SECONDS = 20.0
"""How long a server may take to end. It needs 2 seconds at most, unless its disk or its machine is very slow."""

PACE_SECONDS = 0.02

FILES_LOOKED_AT = 100_000
"""The most open files of a process that are looked at."""

PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Server:
    """A server that has a folder: its process, and what it said of itself, which is None until it serves."""

    folder: Path
    process: int
    url: str
    since: str | None = None
    version: str | None = None
    log: Path | None = None

    @property
    def serves(self) -> bool:
        """Whether it has opened the room. Before, it upgrades or verifies it."""
        return self.since is not None


def find_server(folder: Path) -> Server | None:
    """Return the server that has the folder; None if none has. Raises Failure."""
    try:
        holder = find_holder(folder)
    except OSError as error:
        raise Failure(
            f"Nobody can say whether a room runs in {folder}: {error.strerror or error}.", "Correct that, then repeat."
        ) from None
    if holder is None or not holder.purpose.startswith("http"):
        return None
    return announced_server(folder, holder.process) or Server(folder, holder.process, holder.purpose)


def announced_server(folder: Path, process: int) -> Server | None:
    """Return the server with a process id, as it said when it began to serve the folder; None if it has not."""
    said = announcement(folder)
    if said is None or said.process != process:
        return None
    return Server(folder, process, said.url, said.since or "", said.version, Path(said.log) if said.log else None)


@dataclass(frozen=True)
class Readiness:
    """Whether a room is ready, and the state of its parts: of all of them, or only of those that are bad."""

    is_ready: bool
    parts: dict[str, str]


def ask_readiness(url: str, folder: Path | None) -> Readiness | None:
    """Ask the room at an address whether it is ready; None if it does not answer. It needs no token.

    With the folder, the room says the state of each part over its own socket.
    """
    path = f"{urlsplit(url).path}/readyz"
    try:
        with Connection(url, ANSWER_SECONDS) as connection:
            found = _readiness(connection, path)
    except UnreachableError:
        return None
    if folder is not None:
        with contextlib.suppress(Failure), Connection(url, ANSWER_SECONDS, folder, only_socket=True) as connection:
            return _readiness(connection, "/readyz") or found
    return found


def _readiness(connection: Connection, path: str) -> Readiness | None:
    answer = connection.get(path)
    try:
        body: Any = json.loads(answer.body)
        return Readiness(answer.is_success and body["ok"] is True, dict(body.get("parts", {})))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


# ------------------------------------------------------------------ ending it


def end_server(server: Server, is_forced: bool = False, seconds: float = STOP_SECONDS) -> bool:
    """End a server and wait until it has ended; returns whether it had to be killed. Raises Failure.

    `is_forced`: kill it if it has not ended after `seconds`. What it acknowledged is kept also then.
    """
    with _process(server.process) as process:
        if not _holds(server):
            return False
        process.send(signal.SIGTERM)
        if process.ends_within(seconds):
            return False
        if not is_forced:
            raise Failure(
                f"The room at {server.url} (process {server.process}) was told to stop {seconds:.0f} s ago, and has "
                "not ended.",
                "Wait, or kill it: `teamroom down --force`. What it acknowledged is kept.",
            )
        process.send(signal.SIGKILL)
        if not process.ends_within(seconds):
            raise Failure(
                f"Process {server.process} was killed {seconds:.0f} s ago, and the system has not ended it.",
                "It waits for its disk. Check that disk.",
            )
        return True


def _holds(server: Server) -> bool:
    """Whether the server still has the folder; False if it has ended. Raises Failure if its id is another program's."""
    now = find_server(server.folder)
    if now is None or now.process != server.process:
        return False
    if (is_open := _has_open(server.process, server.folder / LOCK)) is None or is_open:
        return True
    if find_server(server.folder) is None:
        return False
    raise Failure(
        f"The lock of {server.folder} names process {server.process}, but that process here does not hold it.",
        "The server runs elsewhere, such as in a container. Stop it there.",
    )


def _has_open(process: int, path: Path) -> bool | None:
    """Whether a process has a file open; None where the system does not show it."""
    if not (PROCESSES / "self" / "fd").is_dir():
        return None
    files = PROCESSES / str(process) / "fd"
    with contextlib.suppress(OSError):
        wanted = os.stat(path)
        for name in os.listdir(files)[:FILES_LOOKED_AT]:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(files / name), wanted):
                    return True
    return False


@dataclass(frozen=True)
class _Process:
    """A process that is ended. Where the system has descriptors of processes, no other one can take its id."""

    id: int
    descriptor: int | None

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.descriptor is None:
                os.kill(self.id, number)
            else:
                signal.pidfd_send_signal(self.descriptor, number)

    def ends_within(self, seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while not self._has_ended():
            if time.monotonic() >= give_up_at:
                return False
            time.sleep(PACE_SECONDS)
        return True

    def _has_ended(self) -> bool:
        if self.descriptor is not None:
            import select

            return bool(select.select([self.descriptor], [], [], 0)[0])
        try:
            os.kill(self.id, 0)
        except ProcessLookupError:
            return True
        return False


@contextlib.contextmanager
def _process(number: int) -> Iterator[_Process]:
    """Hold on to the process that has this id now."""
    descriptor = None
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(number)
    try:
        yield _Process(number, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)
