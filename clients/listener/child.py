"""A program that a listener started, with all processes below it."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from teamroom.clients.listener.movement import Clock, Movement, Process

LOOK_SECONDS, ROUNDS = 0.05, 20
"""How often it is looked whether the processes have exited, and how often they are killed at most."""


class Child:
    """A running program and its movement. A process below it that left its group or its parent still belongs to it."""

    def __init__(self, process: asyncio.subprocess.Process, movement: Movement) -> None:
        self.process, self.movement = process, movement

    @classmethod
    async def start(cls, command: Sequence[str], variables: Mapping[str, str], clock: Clock, **pipes: Any) -> "Child":
        """Start a program with further variables, in a group of its own unless this process leads one.

        A shell that started this process as the leader of a group ends both with it. A caller that is cancelled
        meanwhile still gets the program, and can end it. Raises OSError.
        """
        is_leader = os.getpgrp() == os.getpid()
        with anyio.CancelScope(shield=True):
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **variables},
                stdin=asyncio.subprocess.PIPE,
                process_group=None if is_leader else 0,
                **pipes,
            )
        return cls(process, Movement(process.pid, None if is_leader else process.pid, clock))

    async def end(self, seconds: float) -> None:
        """End the program, if it still runs, with all processes below it. After some seconds, they are killed."""
        if self.process.returncode is not None:
            return
        await self.end_processes(seconds)
        await self.process.wait()

    async def end_processes(self, seconds: float) -> None:
        """End the processes that are there, whether or not the program itself still is."""
        killed_at = anyio.current_time() + seconds  # looking takes long on a busy machine
        self._signal(signal.SIGTERM)
        while anyio.current_time() < killed_at:
            if not self._signal(0):
                return
            await anyio.sleep(LOOK_SECONDS)
        for _ in range(ROUNDS):
            if not self._signal(signal.SIGKILL):
                return
            await anyio.sleep(LOOK_SECONDS)

    def _signal(self, number: int) -> int:
        """Send a signal to every process; returns how many there are."""
        tree: list[Process] = []
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            tree = self.movement.tree()
        for one in tree:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one.id, number)
        return len(tree)


def how_it_ended(code: int | None) -> str:
    """Return in words how a program ended."""
    return f"was ended by signal {-code}" if code is not None and code < 0 else f"exited with {code}"
