"""A harness that stays between turns: the listener starts it once, speaks to it, and starts it again if it ended."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import anyio.abc

from teamroom.clients.listener.batch import Batch
from teamroom.clients.listener.child import Child, how_it_ended
from teamroom.clients.listener.driver import TurnEnd, Woken
from teamroom.clients.listener.movement import Clock, Movement
from teamroom.clients.session.terminal import plain, say

START_SECONDS = 120.0
"""How long a harness may take to start, and then to begin a turn. OpenCode needs a minute on a busy machine."""

ENDED_SECONDS = 1.0
"""How long the processes that a harness left behind may take to exit after SIGTERM."""

LINE_BYTES = 32 << 20
"""The longest line that a harness may print: one with the results of its tools. Longer ones are dropped."""

SHOWN = 100
"""How much of the id of a session is shown."""

EXIT_SECONDS = 0.1
"""How often it is looked whether a harness has exited."""

UNREAD_BYTES = 1 << 20
"""How much a harness may leave unread before it gets no more."""

RESUMES = 2
"""How often a session is resumed in vain before a new one is begun."""


class HarnessError(Exception):
    """A harness did not do what it was asked for. `words` say so, without texts of models or members."""

    def __init__(self, words: str, code: int = 1) -> None:
        super().__init__(words)
        self.words, self.code = words, code


Started = Callable[[], None]
"""Says that the harness was seen to begin a turn."""


class Talk(Protocol):
    """How one running harness is spoken to. Methods raise HarnessError; none has to see that the harness ends.

    `session`: what resumes the conversation later; None while there is none.
    """

    session: str | None

    async def begin(self) -> None:
        """Resume the session that was given, or begin one. If it was refused, `session` is another then."""
        ...

    async def turn(self, line: str, started: Started) -> None:
        """Take a turn until it ends."""
        ...

    def hear(self, line: bytes) -> None:
        """Take in a line that the harness printed. Raises ValueError for what is not of its protocol."""
        ...

    def stop(self) -> None:
        """Ask the harness to stop its turn, without an answer. Its processes are ended next."""
        ...


class Harness(Protocol):
    """A kind of harness. `name`: as people know it. `variables`: what it is started with, besides who it is."""

    @property
    def name(self) -> str:
        """Return its name."""
        ...

    @property
    def variables(self) -> Mapping[str, str]:
        """Return its variables."""
        ...

    def words(self, command: Sequence[str], session: str | None) -> list[str]:
        """Return the words that start it."""
        ...

    def talk(self, send: "Send", session: str | None, variables: Mapping[str, str]) -> Talk:
        """Return how a harness that has started is spoken to. `variables`: what makes it the member."""
        ...


Send = Callable[[bytes], None]
"""Writes a line to the harness's standard input."""


class Running:
    """A harness that has started, until it ends."""

    def __init__(self, child: Child, talk: Talk, variables: Mapping[str, str]) -> None:
        self.child, self.talk, self.variables = child, talk, variables
        self.gone = anyio.Event()
        self.is_ending, self.is_busy = False, True
        self.strange_lines = 0

    async def unless_it_ends(self, deed: Callable[[], Awaitable[None]]) -> None:
        """Do something with the harness. Raises HarnessError if it fails, or if the harness ends before it is done."""
        is_done = False
        failures = list[HarnessError]()

        async def act() -> None:
            nonlocal is_done
            try:
                await deed()
                is_done = True
            except HarnessError as error:
                failures.append(error)
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(act)
            await self.gone.wait()
            tasks.cancel_scope.cancel()
        if failures:
            raise failures[0]
        if not is_done:
            code = self.child.process.returncode
            raise HarnessError(how_it_ended(code), code or 1)

    async def read(self) -> None:
        """Take in what the harness prints until it ends; then end what it left behind."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_it_exited, tasks.cancel_scope)
            await self._hear_lines()
            with anyio.move_on_after(ENDED_SECONDS):
                await anyio.sleep_forever()
            tasks.cancel_scope.cancel()
        await self.child.end_processes(ENDED_SECONDS)
        await self.child.process.wait()
        self.gone.set()

    async def _until_it_exited(self, reading: anyio.CancelScope) -> None:
        """Stop reading once the harness has exited: a process below it may keep its output open."""
        while True:
            if self.child.process.returncode is not None:
                break
            await anyio.sleep(EXIT_SECONDS)
        await anyio.sleep(EXIT_SECONDS)  # for what it printed last
        reading.cancel()

    async def _hear_lines(self) -> None:
        output = self.child.process.stdout
        assert output is not None
        while True:
            try:
                line = await output.readline()
                if not line:
                    break
                if line.strip():
                    self.talk.hear(line)
            except (ValueError, RecursionError):
                self.strange_lines += 1

    @property
    def strange(self) -> str:
        """In words how much it printed that is not of its protocol."""
        return f" (it printed {self.strange_lines} lines that are not of its protocol)" if self.strange_lines else ""


class Supervised:
    """The driver of a harness that stays. `command`: the words that start it, without those of its protocol."""

    def __init__(self, harness: Harness, command: Sequence[str], clock: Clock, session: str | None = None) -> None:
        self._harness, self._command, self._clock, self._session = harness, command, clock, session
        self._running: Running | None = None
        self._in_vain = self._ends = 0
        self._starting = anyio.Lock()
        self._tasks: anyio.abc.TaskGroup

    @property
    def turn(self) -> str:
        """What takes a turn."""
        return f"the turn of {self._harness.name}"

    @property
    def program(self) -> str:
        """The program that is started."""
        return Path(self._command[0]).name

    @property
    def describes(self) -> str:
        """What a wake does."""
        return f"A wake is a turn of {self._harness.name}, which stays between turns: {plain(self._command[0])}"

    @property
    def movement(self) -> Movement | None:
        """The processes of the harness."""
        return None if self._running is None else self._running.child.movement

    def begin(self, tasks: anyio.abc.TaskGroup, variables: Mapping[str, str]) -> None:
        """Start the harness now, so that the first wake does not wait for that."""
        self._tasks = tasks
        tasks.start_soon(self._start_early, variables)

    async def _start_early(self, variables: Mapping[str, str]) -> None:
        try:
            await self._ready(variables)
        except HarnessError as error:
            say(f"teamroom: {self._harness.name} {error.words}. It is started again for a wake.")

    async def take_turn(self, batch: Batch, woken: Woken) -> TurnEnd:
        """Take a turn; start the harness before, unless it runs."""
        name = self._harness.name
        try:
            running = await self._ready(batch.variables)
            running.is_busy = True
            await self._turn(running, batch.line, woken)
            running.is_busy = False
        except HarnessError as error:
            return TurnEnd(error.code, f"{name} {error.words}")
        return TurnEnd(0, f"the turn of {name} ended")

    async def _turn(self, running: Running, line: str, woken: Woken) -> None:
        async def take() -> None:
            with anyio.move_on_after(START_SECONDS) as limit:

                def started() -> None:
                    if limit.deadline < math.inf:
                        limit.deadline = math.inf
                        running.child.movement.begin()
                        woken(f"{self._harness.name} began a turn (process {running.child.process.pid})")

                await running.talk.turn(line, started)
            if limit.cancelled_caught:
                raise HarnessError(f"began no turn within {START_SECONDS:.0f} s{running.strange}")

        try:
            await running.unless_it_ends(take)
        except HarnessError:
            await self._end(ENDED_SECONDS)  # nobody knows what it would do with a further line
            raise
        finally:
            self._know_session(running.talk.session)

    def _know_session(self, session: str | None) -> None:
        """Keep the session, and say once which it is: a later listener can resume it."""
        if session is not None and session != self._session:
            say(f"teamroom: {self._harness.name} keeps this in its session: --session {plain(session[:SHOWN])}")
        self._session = session

    # -------------------------------------------------------------- its process

    async def _ready(self, variables: Mapping[str, str]) -> Running:
        """Return the running harness. One that was started as another member, or with an old token, is replaced.

        Raises HarnessError if it does not start, or is ended meanwhile.
        """
        ends = self._ends
        async with self._starting:
            if self._running is not None and self._running.variables != variables:
                await self._end(ENDED_SECONDS)
            self._check_not_ended(ends)
            return self._running or await self._start(variables, ends)

    def _check_not_ended(self, ends: int) -> None:
        """Raise HarnessError if `end` was called since it had been called so often."""
        if ends != self._ends:
            raise HarnessError("was ended while it started")

    async def _start(self, variables: Mapping[str, str], ends: int) -> Running:
        resumed = self._session
        words = self._harness.words(self._command, resumed)
        try:
            child = await Child.start(
                words,
                {**variables, **self._harness.variables},
                self._clock,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES,
            )
        except OSError as error:
            raise HarnessError(f"could not be started: {error.strerror}") from None
        running = self._running = Running(
            child, self._harness.talk(partial(_write, child), resumed, variables), variables
        )
        self._tasks.start_soon(self._read, running)
        has_begun = False
        try:
            self._check_not_ended(ends)
            with anyio.fail_after(START_SECONDS):
                await running.unless_it_ends(running.talk.begin)
            self._check_not_ended(ends)
            if self._running is not running:
                code = child.process.returncode
                raise HarnessError(how_it_ended(code), code or 1)
            has_begun, running.is_busy = True, False
        except HarnessError:
            if ends == self._ends:
                self._start_failed(resumed)
            raise
        except TimeoutError:
            self._start_failed(resumed)
            raise HarnessError(f"did not answer within {START_SECONDS:.0f} s{running.strange}") from None
        finally:
            if not has_begun:
                with anyio.CancelScope(shield=True):
                    await self._end(ENDED_SECONDS)
        self._in_vain = 0
        self._session = running.talk.session
        how = "is ready"
        if resumed is not None:
            how = (
                "resumed its session" if self._session == resumed else "could not resume its session, and began another"
            )
        say(f"teamroom: {self._harness.name} {how} (process {child.process.pid}).")
        return running

    def _start_failed(self, resumed: str | None) -> None:
        """Give up a session that cannot be resumed."""
        self._in_vain = 0 if resumed is None else self._in_vain + 1
        if self._in_vain >= RESUMES:
            say(f"teamroom: {self._harness.name} could not resume its session, so it will begin a new one.")
            self._session, self._in_vain = None, 0

    async def _read(self, running: Running) -> None:
        await running.read()
        if self._running is running:
            self._running = None
        if not running.is_ending and not running.is_busy:
            ended = how_it_ended(running.child.process.returncode)
            say(f"teamroom: {self._harness.name} {ended} between turns. It is started again for the next wake.")

    async def end(self, seconds: float) -> None:
        """End the harness with all processes below it, also one that is just being started."""
        self._ends += 1
        await self._end(seconds)

    async def _end(self, seconds: float) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        running.is_ending = True
        running.talk.stop()
        await running.child.end_processes(seconds)
        await running.child.process.wait()


def _write(child: Child, line: bytes) -> None:
    """Write a line to a program. One that has ended, or reads nothing, is seen elsewhere."""
    pipe = child.process.stdin
    assert pipe is not None
    if not pipe.is_closing() and pipe.transport.get_write_buffer_size() < UNREAD_BYTES:
        pipe.write(line + b"\n")
