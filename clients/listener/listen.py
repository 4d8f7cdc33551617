"""`teamroom listen`: the one live listener of an agent. It runs a command for the agent's wakes.

The command gets the wakes as JSON on standard input, and one line about them in a variable. No text of a member is on
its command line, which other users can read and which programs take options from. While it runs, the listener sends
heartbeats with a report of the run: when it began, and when its processes last moved. The room judges from that whether
the agent works.

The wakes are acknowledged once they are answered: the command exited with 0 and, with `--done call`, the agent called
the room meanwhile. A harness whose model cannot be reached often exits with 0 too, but it makes no call.
"""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import anyio
import anyio.abc
import anyio.to_thread

from teamroom.clients.listener.movement import Clock, Movement
from teamroom.clients.session.failure import INTERRUPTED, USAGE, Failure, ungrouped
from teamroom.clients.session.lineage import mark
from teamroom.clients.session.listening import STALE_CURSOR, WAIT_SECONDS, ListeningRoom, new_listener
from teamroom.clients.session.place import Place, check_kind, check_member, member_token, naming_caller
from teamroom.clients.session.protocol import RUN_ENDED, WOKE
from teamroom.clients.session.signals import ending_signal
from teamroom.clients.session.spans import span
from teamroom.clients.session.terminal import plain, say
from teamroom.clients.session.whereabouts import Whereabouts
from teamroom.server.rules.text import cite, quote_wake

BEAT_SECONDS = 10.0
"""How often the listener looks at its command and sends a heartbeat while the command runs."""

PARENT_SECONDS = 1.0
"""How often the listener checks that the program that started it still runs."""

END_SECONDS, STOPPED_SECONDS = 10.0, 1.0
"""How long a command may take to exit after SIGTERM; and one whose member was stopped."""

LOOK_SECONDS, ROUNDS = 0.05, 20
"""How often it is looked whether the processes of a command have exited, and how often they are killed at most."""

FAILED_SECONDS = (5.0, 300.0)
"""The first and the longest wait before a failed command is run again."""

PLACEHOLDER, SENTENCE = "{wake}", "call check_in"
"""The placeholder in a command, and the sentence that takes its place. It is the same for every wake."""

LINE, LINE_BYTES = "TEAMROOM_WAKE", 4096
"""The variable with the line about the wakes, and the longest one."""

WAITS = ("wakes", "tasks", "offers", "reviews", "probes", "reminders")
"""The fields of a check-in that an agent has to look at."""


Done = Literal["call", "exit"]
"""What answers a wake: a call of the member during the run, or the end of the command. Both need the exit code 0."""


def listen(
    place: Place,
    name: str,
    command: Sequence[str],
    parent: int | None,
    clock: Clock = time.monotonic,
    done: Done | None = None,
    stops_on_pause: bool = False,
) -> int:
    """Listen for a member until a signal, a kill or a newer listener ends it; returns the exit code.

    The listener also ends with its `parent`, the id of the process that started it. `clock` stands still while the
    machine sleeps. `done` None: a call for agents, the exit for people. `stops_on_pause`: a pause
    ends the command, which runs again after the resume. Raises Failure.
    """
    if shutil.which(command[0]) is None:
        raise Failure(f"There is no command {plain(command[0])}.", "Name the command to run for a wake after --", USAGE)

    with naming_caller(place, name):
        return anyio.run(Listener(place, name, command, parent, clock, done, stops_on_pause).run)


class Listener:
    """A listener and the command that it runs."""

    def __init__(
        self,
        place: Place,
        name: str,
        command: Sequence[str],
        parent: int | None,
        clock: Clock,
        done: Done | None = None,
        stops_on_pause: bool = False,
    ) -> None:
        self._done, self._stops_on_pause = done, stops_on_pause
        self._place, self._name, self._clock = place, name, clock
        self._token = partial(member_token, place, name)
        where = Whereabouts(os.path.basename(command[0]))
        self._room = ListeningRoom(lambda: place.endpoint, self._token, new_listener(), where=where, tell=self._tell)
        self._command, self._parent = command, parent
        self._paused = anyio.Event()
        self._heard = 0
        """The newest wake that came while a command ran."""
        self._ended_by: signal.Signals | None = None
        self._tasks: anyio.abc.TaskGroup

    async def run(self) -> int:
        """Listen; returns the exit code."""
        with ungrouped():
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._until_signal)
                if self._parent is not None:
                    self._tasks.start_soon(self._until_parent_ends, self._parent)
                me = await self._room.me()
                check_member(self._name, me, "Listen")
                self._name = str(me["name"])
                check_kind(self._place, me)
                self._done = self._done or ("call" if me["kind"] == "agent" else "exit")
                command = plain(shlex.join(self._command))
                say(f"teamroom: Listening for @{plain(self._name)} at {self._place.endpoint}. A wake runs: {command}")
                await self._listen()
                self._tasks.cancel_scope.cancel()
        return INTERRUPTED if self._ended_by is signal.SIGINT else 0

    async def _listen(self) -> None:
        """Wait for wakes and run the command for them, until a newer listener supersedes this one."""
        after = await self._begin()
        pause, longest = FAILED_SECONDS
        while after is not None:
            try:
                waited = await self._room.wait(after)
            except Failure as failure:
                if failure.body.get("code") not in STALE_CURSOR:
                    raise
                after = await self._begin()
                continue
            if waited["superseded"]:
                break
            if waited["wakes"] and not await self._run(waited["wakes"], waited["cursor"]):
                if not await self._rest(pause, waited["cursor"]):
                    break
                pause = min(2 * pause, longest)
                continue
            pause, after = FAILED_SECONDS[0], waited["cursor"]
        say(f"teamroom: A newer listener of @{plain(self._name)} superseded this one, which now exits.")

    async def _begin(self) -> int | None:
        """Run the command for work that already waits, for example after a crash.

        Returns the cursor after it; None once a newer listener has superseded this one.
        """
        pause, longest = FAILED_SECONDS
        while True:
            found = await self._room.call("check_in", mode="live")
            cursor = int(found["cursor"])
            waits = found["challenge"] is not None or any(found[kind] for kind in WAITS)
            if not waits or await self._run(found["wakes"], cursor):
                return cursor
            if not await self._rest(pause, cursor):
                return None
            pause = min(2 * pause, longest)

    def _tell(self, event: str, words: str, /, **facts: Any) -> None:
        say(f"teamroom: {plain(words)}")
        if event == "paused":
            self._paused.set()

    # -------------------------------------------------------------- the command

    async def _run(self, wakes: list[dict[str, Any]], cursor: int) -> bool:
        """Run the command for some wakes until it ends; returns whether that answered them."""
        self._name = str((await self._room.me())["name"])  # it may have got another one since
        calls_before = self._room.calls
        line = wake_line(self._name, wakes)
        message = json.dumps({"member": self._name, "cursor": cursor, "line": line, "wakes": wakes}).encode()
        variables = {"TEAMROOM_TOKEN": self._token(), "TEAMROOM_URL": self._place.endpoint, LINE: line}
        variables |= mark(self._name)
        is_leader, began = os.getpgrp() == os.getpid(), self._clock()
        process = await asyncio.create_subprocess_exec(
            *(SENTENCE if word == PLACEHOLDER else word for word in self._command),
            env={**os.environ, **variables},
            stdin=asyncio.subprocess.PIPE,
            process_group=None if is_leader else 0,
        )
        say(f"teamroom: {what_woke(wakes)}. Running the command (process {process.pid}).")
        self._room.say(WOKE, cursor)
        movement = Movement(process.pid, None if is_leader else process.pid, self._clock)
        self._paused = anyio.Event()
        seconds = END_SECONDS
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._beat, movement)
                tasks.start_soon(self._hear_of_stop)
                if self._stops_on_pause:
                    tasks.start_soon(self._end_on_pause, process, movement)
                await process.communicate(message)
                tasks.cancel_scope.cancel()
        except* Failure:
            seconds = STOPPED_SECONDS
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await end_run(process, movement, seconds)
        took = span(self._clock() - began)
        if self._stops_on_pause and self._paused.is_set():
            say(f"teamroom: the command was ended after {took} by the pause, and will run again for these wakes.")
            return False
        has_called = self._done == "exit" or await self._room.has_called(calls_before)
        self._room.say(RUN_ENDED, {"code": process.returncode, "called": has_called})
        if process.returncode != 0:
            say(f"teamroom: the command {_ended(process.returncode)} after {took}, and will run again for these wakes.")
            return False
        if not has_called:
            say(
                f"teamroom: the command exited with 0 after {took}. It ended without a call to the room, so it will "
                "run again for the same wakes. If its end is the answer, listen with --done exit."
            )
            return False
        say(f"teamroom: the command exited with 0 after {took}. Its wakes are answered.")
        return True

    async def _rest(self, seconds: float, cursor: int) -> bool:
        """Listen before the command runs again for wakes up to a cursor. A newer wake ends the rest.

        Returns False once a newer listener has superseded this one.
        """
        await self._room.beat()  # no run is on
        if self._heard > cursor:
            return True
        end = anyio.current_time() + seconds
        while (left := end - anyio.current_time()) > 0:
            waited = await self._room.wait(None, min(left, WAIT_SECONDS))
            if waited["superseded"] or any(wake["seq"] > cursor for wake in waited["wakes"]):
                return not waited["superseded"]
        return True

    async def _beat(self, run: Movement) -> None:
        """Send heartbeats, the first one now: each reports the run."""

        async def look() -> dict[str, float]:
            await anyio.to_thread.run_sync(run.look)
            return run.report()

        while True:
            await self._room.beat(look)
            await anyio.sleep(BEAT_SECONDS)

    async def _hear_of_stop(self) -> None:
        """Have a wait open while the command runs: a kill ends it at once. What it brings comes again after the run."""
        while not (waited := await self._room.wait(None))["superseded"]:
            self._heard = max([self._heard, *(wake["seq"] for wake in waited["wakes"])])

    async def _end_on_pause(self, process: asyncio.subprocess.Process, run: Movement) -> None:
        await self._paused.wait()
        await end_run(process, run, STOPPED_SECONDS)

    # -------------------------------------------------------------- its own end

    async def _until_signal(self) -> None:
        self._ended_by = await ending_signal()
        self._tasks.cancel_scope.cancel()

    async def _until_parent_ends(self, parent: int) -> None:
        while True:
            if os.getppid() != parent:
                break
            await anyio.sleep(PARENT_SECONDS)
        self._tasks.cancel_scope.cancel()


async def end_run(process: asyncio.subprocess.Process, run: Movement, seconds: float) -> None:
    """End a command that still runs with all processes below it, by force after some seconds.

    A process that left its group, or whose parent has exited, is one of them: the listener has known it since.
    """
    if process.returncode is not None:
        return
    _signal(run, signal.SIGTERM)
    for _ in range(round(seconds / LOOK_SECONDS)):
        if not _signal(run, 0):
            break
        await anyio.sleep(LOOK_SECONDS)
    for _ in range(ROUNDS):
        if not _signal(run, signal.SIGKILL):
            break
        await anyio.sleep(LOOK_SECONDS)
    await process.wait()


def _signal(run: Movement, number: int) -> int:
    """Send a signal to every process of a run; returns how many there are."""
    try:
        tree = run.tree()
    except (OSError, subprocess.SubprocessError):
        return 0
    for one in tree:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one.id, number)
    return len(tree)


def _ended(code: int | None) -> str:
    return f"was ended by signal {-code}" if code is not None and code < 0 else f"exited with {code}"


def what_woke(wakes: list[dict[str, Any]]) -> str:
    """Return in words what woke a member, without texts of others."""
    if not wakes:
        return "Work waits in the room"
    first, more = wakes[-1], f", and {len(wakes) - 1} more" if len(wakes) > 1 else ""
    return plain(f"Woken by {first['reason']} {cite(first['subject'])} from @{first['from']}{more}")


def wake_line(name: str, wakes: list[dict[str, Any]]) -> str:
    """Return one line of at most LINE_BYTES for the member's model about what woke it. Texts of others are quoted."""
    if not wakes:
        return f"You are @{name} in the room. Work waits for you there. Call check_in first."
    first = wakes[-1]
    more = f", and {len(wakes) - 1} more" if len(wakes) > 1 else ""
    text = quote_wake(first["reason"], first["from"], first["line"])
    what = f"{first['reason']} {cite(first['subject'])} from @{first['from']}: {text}{more}"
    line = plain(f"You are @{name} in the room. You were woken: {what}. Call check_in first.")
    return line.encode("utf-8", "backslashreplace")[:LINE_BYTES].decode("utf-8", "ignore")
