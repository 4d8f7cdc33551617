"""`teamroom watch`: the watchdog. It restarts failed runtimes on its machine, and counts their listeners.

Healthy runtimes produce no output. Texts of the room are data: no member's text decides what is executed.
"""

import contextlib
import fcntl
import math
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from teamroom import __version__
from teamroom.clients.session.failure import FAILED, INTERRUPTED, NOT_AUTHORISED, USAGE, Failure, ungrouped
from teamroom.clients.session.listening import STALE_CURSOR, ListeningRoom, new_listener
from teamroom.clients.session.place import Place, agents_token, naming_caller
from teamroom.clients.session.session import PAUSED_SECONDS
from teamroom.clients.session.signals import ending_signal
from teamroom.clients.session.spans import span
from teamroom.clients.session.terminal import plain, print_json
from teamroom.clients.session.whereabouts import Whereabouts
from teamroom.clients.watchdog.audit import Audit
from teamroom.clients.watchdog.machine import Machine
from teamroom.clients.watchdog.repair import Outcome, Repairs
from teamroom.clients.watchdog.runtimes import Runtime, Runtimes
from teamroom.clients.watchdog.runtimes import load as load_runtimes
from teamroom.server.clock import Clock, awake_clock, steady_clock
from teamroom.server.private import open_private

PROGRAM = "teamroom watch"
"""What runs for a watchdog, as the roster shows it."""

LOOKS_AT_ONCE = 8
"""How many runtimes are checked at the same time."""

ENDS_IT = frozenset({USAGE, NOT_AUTHORISED})
"""Exit codes of failures that no retry fixes. Other failures are reported and retried."""

NAP_SECONDS = 5.0
"""A shorter sleep of this machine does not matter."""

RETURN_SECONDS = 60.0
"""After this machine slept, its runtimes have this long to call the room before anything is repaired."""

NUDGES = frozenset({"repair", "control"})
"""Wakes after which the room is asked immediately. A resume reports the wakes of a pause as one `control` wake."""

COUNTING, WAITING = "Counting listeners", "Waiting for wakes"
"""Names of the work for all runtimes, used in reports of failures. No member can have such a name."""


def watch(place: Place, name: str | None, config: Path, once: bool, verbose: bool, as_json: bool) -> int:
    """Watch the runtimes of a config until a signal ends it, or for one round; returns the exit code."""
    runtimes = load_runtimes(config, place.environment)
    machine = Machine(runtimes, place.environment)
    machine.make_state_folder()
    teller = Teller(verbose, as_json)
    paused_seconds = min(runtimes.every, PAUSED_SECONDS)
    token, listener = partial(agents_token, place, name), None if once else new_listener()
    room = ListeningRoom(
        lambda: place.endpoint,
        token,
        listener,
        where=Whereabouts(PROGRAM, __version__),
        tell=teller.tell,
        paused_seconds=paused_seconds,
        patience_seconds=0.0 if once else math.inf,
    )
    watchdog = Watchdog(room, machine, runtimes, teller)
    with naming_caller(place, name):
        return anyio.run(watchdog.once if once else watchdog.run)


def check(config: Path, environment: Mapping[str, str], as_json: bool) -> int:
    """Check a config, and print what a watchdog would do with it. Starts nothing and asks no room."""
    runtimes = load_runtimes(config, environment)
    machine = Machine(runtimes, environment)
    lines = [anyio.run(_checked, machine, runtimes, name) for name in runtimes.runtime]
    if as_json:
        print_json({"config": str(config), "runtimes": lines})
    else:
        print(
            f"{plain(str(config))} is valid. It checks runtimes every {span(runtimes.every)} and listeners every ",
            end="",
        )
        print(f"{span(runtimes.audit_every)}. At most {runtimes.repairs} restarts in {span(runtimes.repairs_within)}.")
        for line in lines:
            print(f"\n@{line['runtime']}: {line['now']}")
            for key in ("seen_by", "repaired_by", "output", "listeners", "problem"):
                if line[key]:
                    print(f"  {key.replace('_', ' ')}: {plain(str(line[key]))}")
    return FAILED if any(line["problem"] for line in lines) else 0


async def _checked(machine: Machine, runtimes: Runtimes, name: str) -> dict[str, str]:
    """Return a runtime's config and its current state, in words."""
    runtime = runtimes.runtime[name]
    look = await machine.look(name)
    now = {True: "healthy", False: f"unhealthy, {look.found}", None: "not visible here, only in the room"}[look.is_well]
    here = machine.listeners(name)
    return {
        "runtime": name,
        "now": now,
        "seen_by": ", ".join(_ways(runtime)) or "the room only",
        "repaired_by": " ".join(runtime.start or runtime.restart or ()),
        "output": "" if runtime.start is None else str(machine.log(name)),
        "listeners": "" if here is None else f"{len(here)} now",
        "problem": _lacking(runtime, machine.environment(name)),
    }


def _ways(runtime: Runtime) -> Iterator[str]:
    if runtime.start is not None:
        yield "its process"
    if runtime.pid_file is not None:
        yield f"the process in {runtime.pid_file}"
    if runtime.port is not None:
        yield f"port {runtime.port[1]}"
    if runtime.check is not None:
        yield f"the check {runtime.check[0]}"


def _lacking(runtime: Runtime, environment: Mapping[str, str]) -> str:
    """Return in words the first command that does not exist; empty if all exist."""
    for command in (runtime.start, runtime.restart, runtime.check):
        if command is not None and not _found(command[0], runtime.folder, environment):
            return f"there is no command {command[0]}"
    return ""


def _found(word: str, folder: Path | None, environment: Mapping[str, str]) -> bool:
    if os.sep in word:
        return os.access((folder or Path.cwd()) / word, os.X_OK)
    return shutil.which(word, path=environment.get("PATH")) is not None


class Teller:
    """Reports of the watchdog: lines for people, or JSON lines for programs."""

    def __init__(self, verbose: bool, as_json: bool) -> None:
        self._verbose, self._as_json = verbose, as_json

    def tell(self, event: str, words: str, /, quiet: bool = False, **facts: Any) -> None:
        """Report an event. `quiet` events are reported only with --verbose."""
        if quiet and not self._verbose:
            return
        if self._as_json:
            print_json({"event": event, "words": words, **facts})
        else:
            print(plain(words), flush=True)


class Watchdog:
    """Watches the runtimes of a config."""

    def __init__(
        self,
        room: ListeningRoom,
        machine: Machine,
        config: Runtimes,
        teller: Teller,
        steady: Clock = steady_clock,
        awake: Clock = awake_clock,
        rest: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._room, self._machine, self._config, self._tell = room, machine, config, teller.tell
        self._steady, self._awake, self._rest = steady, awake, rest
        self._asleep = steady() - awake()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._nudged = anyio.Event()
        self._has_joined = self._gave_up = self._went_wrong = False
        self._reported: dict[str, set[str]] = {}
        self._ended_by: signal.Signals | None = None
        self.tasks: anyio.abc.TaskGroup
        """Everything that runs concurrently; set while the watchdog runs."""
        self._repairs: Repairs
        self._audit: Audit

    async def run(self) -> int:
        """Watch until a signal, a kill or a newer watchdog ends it; returns the exit code."""
        with contextlib.ExitStack() as stack, ungrouped():
            try:
                async with anyio.create_task_group() as self.tasks:
                    self.tasks.start_soon(self._until_signal)
                    await self._join(stack)
                    cursor = (await self._room.check_in(mode="live"))["cursor"]
                    self.tasks.start_soon(self.listen, cursor)
                    self.tasks.start_soon(self._audit_regularly)
                    self._nudged.set()
                    await self._look_regularly()
            finally:
                self._report_running()
        return INTERRUPTED if self._ended_by is signal.SIGINT else 0

    async def once(self) -> int:
        """Run one round of repairs and one count of listeners; returns the exit code."""
        is_well = True
        with contextlib.ExitStack() as stack, ungrouped():
            await self._join(stack)
            async with anyio.create_task_group() as self.tasks:
                await self._round(True)
            with self.reporting(COUNTING):
                is_well = await self._audit.round(self._busy) == 0
            for name in self._config.runtime:
                with self.reporting(name):
                    is_well = (await self._machine.look(name)).is_well is not False and is_well
        return 0 if is_well and not self._gave_up and not self._went_wrong else FAILED

    def _report_running(self) -> None:
        if not self._has_joined:
            return
        with contextlib.suppress(Failure):
            if left := self._machine.left_running():
                self._tell("leaves", f"The watchdog exits. Still running: {', '.join(left)}.", left=left)

    # -------------------------------------------------------------- beginning and end

    async def _join(self, stack: contextlib.ExitStack) -> None:
        """Join the room as a watchdog, the only one with this name on this machine. Raises Failure."""
        me = await self._room.me()
        if me["role"] != "watchdog":
            raise Failure(
                f"The token belongs to @{me['name']}, whose role is {me['role']}. A watchdog needs the role watchdog.",
                "Run `teamroom enroll rex --role watchdog --save`, then `teamroom watch --as rex`.",
                NOT_AUTHORISED,
            )
        self._lock(str(me["name"]), stack)
        reaches = [f"runtime:{name}" for name in self._config.runtime]
        await self._room.declare_capabilities(capabilities=reaches)
        self._repairs = Repairs(self._room, self._machine, self._config, str(me["name"]), self._tell)
        self._audit = Audit(self._room, self._repairs.who, self._machine, self._config, self._tell)
        self._has_joined = True
        self._tell("watches", f"@{me['name']} watches: {', '.join(self._config.runtime)}.", quiet=True)

    def _lock(self, me: str, stack: contextlib.ExitStack) -> None:
        assert self._config.state is not None
        path = self._config.state / f"{me}.lock"
        file = stack.enter_context(os.fdopen(open_private(path, os.O_RDWR | os.O_CREAT), "w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failure(
                f"@{me} is already watching on this machine.", "Stop that watchdog first, or enroll another."
            ) from None

    async def _until_signal(self) -> None:
        self._ended_by = await ending_signal()
        self.tasks.cancel_scope.cancel()

    # -------------------------------------------------------------- concurrent work

    async def listen(self, cursor: int | None) -> None:
        """Wait for wakes, so that requested repairs start immediately."""
        while True:
            with self.reporting(WAITING):
                cursor = (await self._wait(cursor))["cursor"]
                self._reported.pop(WAITING, None)
                continue
            await anyio.sleep(self._config.every)

    async def _wait(self, cursor: int | None) -> dict[str, Any]:
        """Wait once; returns the reply with the cursor for the next wait."""
        try:
            waited = await self._room.wait(cursor)
        except Failure as failure:
            if failure.body.get("code") not in STALE_CURSOR:
                raise
            self._nudged.set()
            return {"cursor": (await self._room.check_in())["cursor"]}
        if waited["superseded"]:
            self._tell("superseded", "A newer watchdog with this name superseded this one, which now exits.")
            self.tasks.cancel_scope.cancel()
            await anyio.sleep_forever()
        if any(wake["reason"] in NUDGES for wake in waited["wakes"]):
            self._nudged.set()
        return waited

    async def _look_regularly(self) -> None:
        """Check the runtimes at their interval, and immediately when the room asks."""
        while True:
            if self._has_slept():
                await self._rest(RETURN_SECONDS)
            is_asked = self._nudged.is_set()
            if is_asked:
                self._nudged = anyio.Event()
            await self._round(is_asked)
            with anyio.move_on_after(self._config.every):
                await self._nudged.wait()

    def _has_slept(self) -> bool:
        """Whether this machine slept since the last look: then the room knows nothing new of its runtimes yet."""
        before, self._asleep = self._asleep, self._steady() - self._awake()
        return self._asleep - before > NAP_SECONDS

    async def _audit_regularly(self) -> None:
        """Count listeners at their interval, and ask the room for repairs in case a wake was lost."""
        while True:
            await anyio.sleep(self._config.audit_every)
            with self.reporting(COUNTING):
                await self._audit.round(self._busy)
                self._reported.pop(COUNTING, None)
            self._nudged.set()

    async def _round(self, is_asked: bool) -> None:
        limiter = anyio.CapacityLimiter(LOOKS_AT_ONCE)

        async def look_at(name: str) -> None:
            async with limiter:
                with self.reporting(name):
                    look = await self._machine.look(name)
                    is_wanted = look.is_well is False or is_asked or name in self._again
                    if is_wanted and name not in self._busy:
                        self._busy.add(name)
                        self.tasks.start_soon(self._repair, name, look.found if look.is_well is False else None)
                    elif name not in self._busy:
                        self._reported.pop(name, None)

        async with anyio.create_task_group() as looks:
            for name in self._config.runtime:
                if name not in self._busy:
                    looks.start_soon(look_at, name)
        self._tell("looked", "Checked all runtimes.", quiet=True)

    async def _repair(self, name: str, found: str | None) -> None:
        outcome: Outcome = "again"
        try:
            with self.reporting(name):
                outcome = await self._repairs.carry_out(name, found)
        finally:
            self._busy.discard(name)
        self._gave_up = self._gave_up or outcome == "given up"
        if outcome == "again":
            self._again.add(name)
        else:
            self._again.discard(name)

    @contextlib.contextmanager
    def reporting(self, name: str) -> Iterator[None]:
        """Report a failure of some work once for as long as it persists, and continue with the rest."""
        try:
            yield
        except (Failure, OSError) as error:
            if isinstance(error, Failure) and error.exit_code in ENDS_IT:
                raise
            self._went_wrong = True
            why, fix = (error.why, error.fix) if isinstance(error, Failure) else (f"{error.strerror or error}.", "")
            reported, fault = self._reported.setdefault(name, set()), _fault(error)
            if fault not in reported:
                is_runtime = name in self._config.runtime
                words = f"{'@' if is_runtime else ''}{name}: {why} Retrying. {fix}".rstrip()
                self._tell("failed", words, runtime=name if is_runtime else None, why=why, fix=fix)
            reported.add(fault)


def _fault(error: Failure | OSError) -> str:
    """Return what identifies a fault. Texts may contain numbers that change each time."""
    if isinstance(error, OSError):
        return f"{type(error).__name__} {error.errno}"
    kind = None if type(error) is Failure else type(error).__name__
    return str(error.body.get("code") or kind or error.why)
