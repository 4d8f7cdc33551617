"""Runtimes on this machine: checks them, ends them and starts them.

It executes only the commands in `runtimes.toml`, and ends only what it started from there.
"""

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from teamroom.clients.session.failure import TOKEN, Failure
from teamroom.clients.session.lineage import mark
from teamroom.clients.session.spans import span
from teamroom.clients.watchdog.processes import (
    Process,
    Started,
    end,
    end_child,
    kill_child,
    matching,
    processes,
    run,
    start,
)
from teamroom.clients.watchdog.runtimes import Runtime, Runtimes
from teamroom.server.private import NotPrivateError, make_private_folder, open_private, read_private, write_private

CONTENTS = ("*.lock", "*.json")
"""Patterns of files that show that a folder is one of a watchdog's state."""

LOG_BYTES = 8 * 1024 * 1024
"""The size at which a runtime's output file is emptied."""

LOOK_AGAIN_SECONDS = 2.0
"""A failing port or check is checked again after this. A process that is gone is not."""

NOT_STARTED = "it was not started here yet"

PORT_SECONDS = 3.0
PID_FILE_BYTES = 64

OWN_TOKEN = "TEAMROOM_TOKEN"
"""The watchdog's own token, which no runtime gets. A variable that one runtime gets renamed is passed to no other."""


@dataclass(frozen=True, slots=True)
class Look:
    """The state of a runtime on this machine: healthy or not, None if it cannot be seen here; and what is wrong."""

    is_well: bool | None
    found: str = ""
    is_certain: bool = True
    """Whether a second check would find the same."""
    is_gone: bool = False
    """Whether a process of it ran here and is gone."""
    may_run_elsewhere: bool = False
    """Whether it may have been started from elsewhere. Then only the room knows whether it runs."""


class Machine:
    """The runtimes of a config on this machine."""

    def __init__(self, config: Runtimes, environment: Mapping[str, str]) -> None:
        assert config.state is not None
        self._config, self._state = config, config.state
        named = (names for one in config.runtime.values() for names in one.environment.items())
        own = {OWN_TOKEN, *(theirs for mine, theirs in named if mine != theirs)}
        self._bare = {name: value for name, value in environment.items() if name not in own and not TOKEN.search(value)}
        self._environment = environment
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        """The processes that this watchdog started, by runtime, until they ended and were looked at."""
        self._remembered: dict[str, Started] = {}

    def make_state_folder(self) -> None:
        """Create the state folder. Raises Failure, NotPrivateError."""
        try:
            make_private_folder(self._state, *CONTENTS)
        except NotPrivateError:
            raise
        except OSError as error:
            raise Failure(
                f"{self._state} cannot be created: {error.strerror}.", 'Name another folder: state = "…"'
            ) from None

    async def look(self, name: str) -> Look:
        """Check a runtime in every way that its config names. Raises Failure."""
        self._shorten(self.log(name))
        look = await self._look(name)
        if look.is_well is False and not look.is_certain:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            look = await self._look(name)
        return look

    def has_ended(self, name: str) -> str | None:
        """Return how the last process of a runtime ended; None if it runs or is not this program's child."""
        child, started = self.children.get(name), self._started(name)
        if child is None or child.poll() is None or (started is not None and started.id != child.pid):
            return None
        return _ended(child.returncode)

    async def end(self, name: str) -> None:
        """End the last process of a runtime and its children. Runtimes with a restart command are left running."""
        if self._config.runtime[name].start is None:
            return
        child, started = self._running_child(name), self._started(name)
        if child is not None:
            await end_child(child)
            child.poll()
        if started is not None:
            await end(started)
        self._forget(name)

    async def start(self, name: str) -> str:
        """Start a runtime, or run its restart command; returns in words what was done."""
        runtime = self._config.runtime[name]
        try:
            if runtime.start is not None:
                return self._start(name, runtime)
            assert runtime.restart is not None
            seconds = self._config.commands_within
            code = await run(runtime.restart, self._folder(runtime), self.environment(name), self.log(name), seconds)
        except OSError as error:
            return f"its command could not be run ({error.strerror})"
        return f"its restart command {_ended(code, seconds)}"

    def left_running(self) -> list[str]:
        """Return in words the started runtimes that still run."""
        listed, left = processes(), list[str]()
        for name, runtime in self._config.runtime.items():
            child, started = self._running_child(name), self._started(name)
            if child is not None:
                left.append(f"@{name} (process {child.pid})")
            elif runtime.start is not None and started is not None and started.is_among(listed):
                left.append(f"@{name} (process {started.id})")
        return left

    def listeners(self, name: str) -> list[Process] | None:
        """Return the processes that match a runtime's listener; None if its config has no pattern. Raises Failure."""
        pattern = self._config.runtime[name].listener
        return None if pattern is None else matching(pattern, processes())

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a runtime: marked as an agent's, and without tokens except its own."""
        wanted = self._config.runtime[name].environment
        return {**self._bare, **{mine: self._environment[theirs] for mine, theirs in wanted.items()}, **mark(name)}

    def log(self, name: str) -> Path:
        """Return the file with a runtime's output."""
        return self._state / f"{name}.log"

    # -------------------------------------------------------------- checks

    async def _look(self, name: str) -> Look:
        runtime = self._config.runtime[name]
        if not runtime.is_seen_here:
            return Look(None)
        gone = await asyncio.to_thread(self._gone, name, runtime)
        if gone is not None:
            is_unknown = gone == NOT_STARTED
            return Look(False, gone, is_gone=not is_unknown, may_run_elsewhere=is_unknown)
        if runtime.port is not None and not await _is_open(runtime.port):
            return Look(False, f"nothing listens on port {runtime.port[1]}", False)
        if runtime.check is not None:
            seconds = self._config.commands_within
            try:
                code = await run(runtime.check, self._folder(runtime), self.environment(name), None, seconds)
            except OSError as error:
                return Look(False, f"its check cannot be run ({error.strerror})")
            if code != 0:
                return Look(False, f"its check {_ended(code, seconds)}", False)
        return Look(True)

    def _gone(self, name: str, runtime: Runtime) -> str | None:
        """Return in words which process of a runtime is gone; None if none is."""
        if runtime.start is not None and self._running_child(name) is None:
            started, how = self._started(name), self.has_ended(name)
            if how is not None:
                return f"its process {how}"
            if started is None:
                return NOT_STARTED
            if not started.is_among(processes()):
                return "its process is gone"
        if runtime.pid_file is not None:
            try:
                number = int(_head(runtime.pid_file))
            except (OSError, ValueError):
                return "its pid file names no process"
            found = processes().get(number)
            if found is None or found.is_dead:
                return "the process of its pid file is gone"
        return None

    def _running_child(self, name: str) -> subprocess.Popen[bytes] | None:
        """Return the runtime's child process if it still runs."""
        child = self.children.get(name)
        return child if child is not None and child.poll() is None else None

    # -------------------------------------------------------------- starting

    def _start(self, name: str, runtime: Runtime) -> str:
        """Start a runtime and record it without interruption. A process that cannot be recorded is ended again."""
        assert runtime.start is not None
        child = start(runtime.start, self._folder(runtime), self.environment(name), self.log(name))
        self.children[name] = child
        try:
            listed = processes()
            self._remember(name, Started.of(listed[child.pid], listed))
        except (Failure, OSError, KeyError) as error:
            kill_child(child)
            return f"it could not be recorded: {_why(error)}, so it was ended again"
        return f"it was started as process {child.pid}"

    def _folder(self, runtime: Runtime) -> Path:
        return runtime.folder or Path.cwd()

    def _record(self, name: str) -> Path:
        return self._state / f"{name}.json"

    def _started(self, name: str) -> Started | None:
        """Return the last recorded process of a runtime, also from an earlier run with the same state folder.

        Records without a life are from an earlier version, and contain a Unix time. Raises Failure for a record of
        another user, because it says which process is ended.
        """
        try:
            found = json.loads(read_private(self._record(name)))
            started = Started(int(found["id"]), float(found["began"]), str(found.get("life", "")))
        except NotPrivateError as error:
            raise Failure(f"{error}.", error.fix) from None
        except (OSError, ValueError, TypeError, KeyError):
            return self._remembered.get(name)
        return started if started.id > 1 else None

    def _remember(self, name: str, started: Started) -> None:
        write_private(self._record(name), json.dumps(asdict(started)))
        self._remembered[name] = started

    def _forget(self, name: str) -> None:
        """Remove the record of an ended process. If that fails, the record names a process that is gone."""
        if self._running_child(name) is None:
            self.children.pop(name, None)
            self._remembered.pop(name, None)
            with contextlib.suppress(OSError):
                self._record(name).unlink(missing_ok=True)

    @staticmethod
    def _shorten(log: Path) -> None:
        try:
            if log.stat().st_size > LOG_BYTES:
                with os.fdopen(open_private(log, os.O_WRONLY), "wb") as file:
                    file.truncate(0)
        except OSError:
            pass


def _ended(code: int | None, seconds: float = 0.0) -> str:
    if code is None:
        return f"took longer than {span(seconds)}"
    return f"was ended by signal {-code}" if code < 0 else f"ended with {code}"


def _why(error: Failure | OSError | KeyError) -> str:
    if isinstance(error, Failure):
        return error.why.rstrip(".")
    return str(error.strerror) if isinstance(error, OSError) else "ps does not show it"


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(PID_FILE_BYTES).decode("ascii", "replace").strip()


async def _is_open(address: tuple[str, int]) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(*address), PORT_SECONDS)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
