"""A plain command that runs once for each batch of wakes.

It gets the wakes as JSON on standard input, and one line about them in a variable. No text of a member is on its
command line, which other users can read and which programs take options from.
"""

import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import anyio.abc

from teamroom.clients.listener.batch import Batch
from teamroom.clients.listener.child import Child, how_it_ended
from teamroom.clients.listener.driver import TurnEnd, Woken
from teamroom.clients.listener.movement import Clock, Movement
from teamroom.clients.session.failure import USAGE, Failure
from teamroom.clients.session.terminal import plain

PLACEHOLDER, SENTENCE = "{wake}", "call check_in"
"""The placeholder in a command, and the sentence that takes its place. It is the same for every wake."""

LINE = "TEAMROOM_WAKE"
"""The variable with the line about the wakes."""

ENDED_SECONDS = 1.0
"""How long a command that was ended while it started may take to exit after SIGTERM."""


class Command:
    """The driver that runs a command. The run ends with it: what it left in the background goes on."""

    turn = "the command"

    def __init__(self, command: Sequence[str], clock: Clock) -> None:
        """Raises Failure if there is no such command."""
        check_command(command)
        self._command, self._clock = command, clock
        self._child: Child | None = None
        self._ends = 0
        """How often it was ended: a command that is just being started has no process yet."""

    @property
    def program(self) -> str:
        """The program that is started."""
        return Path(self._command[0]).name

    @property
    def describes(self) -> str:
        """What a wake does."""
        return f"A wake runs: {plain(shlex.join(self._command))}"

    @property
    def movement(self) -> Movement | None:
        """The processes of the command."""
        return None if self._child is None else self._child.movement

    def begin(self, tasks: anyio.abc.TaskGroup, variables: Mapping[str, str]) -> None:
        """Nothing runs without a wake."""

    async def take_turn(self, batch: Batch, woken: Woken) -> TurnEnd:
        """Run the command until it ends."""
        words = [SENTENCE if word == PLACEHOLDER else word for word in self._command]
        ends = self._ends
        self._child = child = await Child.start(words, {**batch.variables, LINE: batch.line}, self._clock)
        if ends != self._ends:
            with anyio.CancelScope(shield=True):
                await child.end(ENDED_SECONDS)
            return TurnEnd(child.process.returncode or 1, "the command was ended while it started")
        woken(f"Running the command (process {child.process.pid})")
        await child.process.communicate(batch.message)
        code = child.process.returncode
        return TurnEnd(code, f"the command {how_it_ended(code)}")

    async def end(self, seconds: float) -> None:
        """End the command if it runs, or is just being started."""
        self._ends += 1
        if self._child is not None:
            await self._child.end(seconds)


def check_command(command: Sequence[str]) -> None:
    """Raise Failure if there is no such command on this machine."""
    if shutil.which(command[0]) is None:
        raise Failure(f"There is no command {plain(command[0])}.", "Name the command to run for a wake after --", USAGE)
