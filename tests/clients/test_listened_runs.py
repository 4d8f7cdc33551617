"""What `teamroom listen` reports of its command, and what the room makes of it: hours pass, and nobody waits."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pytest

from teamroom.clients.listener.movement import PROC, Movement, Process, list_proc, list_ps, seconds_of
from teamroom.server.store.rows.members import MemberRow
from teamroom.server.store.rows.supervisor import WatchedMember
from tests.presence.test_zombies import MINUTE, said, verdict
from tests.support.promises import promise
from tests.support.rooms import BOUND_SECONDS, Member, RunningRoom, running_room
from tests.support.shells import Shell

pytestmark = promise("PRS1", "PRS3")

CHILD = """\
import os, signal, sys, time
from pathlib import Path
Path(sys.argv[1] + ".pid").write_text(str(os.getpid()))
while (does := Path(sys.argv[1]).read_text()) != "ends":
    if does == "computes":
        sum(range(60_000))
    elif does == "prints":
        print("step", flush=True)
    elif does == "hangs":
        signal.pause()
    time.sleep(0.02)
"""
"""The command of a listener: it does what a file says."""

STEP_SECONDS, PACE_SECONDS = 7 * MINUTE, 0.1


@dataclass
class Seat:
    """An agent behind its listener, and time in the hand of the test."""

    room: RunningRoom
    folder: Path
    asker: Member
    builder: Member
    passed: float = 0.0

    def does(self, what: str) -> None:
        """From now on its command does this."""
        replace(self.folder / "does", what)

    @property
    def child(self) -> int:
        """The process of the command."""
        return int((self.folder / "does.pid").read_text())

    def presence(self) -> WatchedMember:
        """What the room knows of the agent."""
        return self.room.look_up(lambda tx: tx.only(WatchedMember, "watched", member=self.number))

    @cached_property
    def number(self) -> int:
        """The agent's number."""
        return self.room.look_up(lambda tx: tx.only(MemberRow, "member_by_name", name="builder")).id

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        for _ in range(round(BOUND_SECONDS / PACE_SECONDS)):
            if is_so():
                return
            await asyncio.sleep(PACE_SECONDS)
        raise AssertionError(f"not within {BOUND_SECONDS} s: {what}, but {self.presence()}")

    async def passes(self, minutes: float, moving: bool) -> None:
        """Let time pass in steps, each until the listener has looked at its command again and reported."""
        for _ in range(round(minutes * MINUTE / STEP_SECONDS)):
            self.passed += STEP_SECONDS
            replace(self.folder / "shift", str(self.passed))
            await self.room.later(STEP_SECONDS)
            now = self.room.room.clock()
            await self.until(partial(self._is_reported, now, moving), "its run was reported")
            await self.room.room.supervisor.tick()

    def _is_reported(self, now: float, moving: bool) -> bool:
        row = self.presence()
        return ((row.run_moved_at if moving else row.run_heard_at) or 0.0) >= now


@pytest.fixture
async def seat(tmp_path: Path) -> AsyncIterator[Seat]:
    """An agent behind its real listener, whose command runs for an ask."""
    async with running_room(tmp_path / "room") as room:
        asker, builder = await room.enroll("asker", "builder", mode="live")
        (rex,) = await room.enroll("rex", role="watchdog", mode="live")
        await rex("declare_capabilities", capabilities=["runtime:builder"])
        found = Seat(room, tmp_path, asker, builder)
        found.does("computes")
        replace(tmp_path / "shift", "0")
        await asker("post_message", text="please build everything", to=["builder"], kind="ask")
        async with listening(found):
            begun = found.folder / "does.pid"
            await found.until(lambda: found.presence().run_since is not None and begun.exists(), "its run began")
            yield found


@contextlib.asynccontextmanager
async def listening(seat: Seat) -> AsyncIterator[None]:
    """The real listener in a process, until the block ends."""
    environment = Shell(
        seat.folder, {"TEAMROOM_URL": seat.room.url, "TEAMROOM_TOKEN": seat.room.tokens["builder"]}
    ).environment
    child = [sys.executable, "-c", CHILD, str(seat.folder / "does")]
    with (seat.folder / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.shifted_listen", str(seat.folder / "shift"), "builder", *child),
            env=environment,
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
            os.kill(seat.child, signal.SIGCONT)
        process.terminate()
        await asyncio.wait_for(process.wait(), BOUND_SECONDS)


def replace(file: Path, text: str) -> None:
    """Write a file that others read at any time."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


async def test_an_agent_in_one_long_turn_is_at_work_while_it_computes_or_prints_and_nothing_is_repaired(
    seat: Seat,
) -> None:
    await seat.passes(21, moving=True)
    seat.does("prints")
    await seat.passes(21, moving=True)
    assert (await verdict(seat.asker, "builder"), said(seat.room, "builder")) == ("working", [])
    await seat.builder("post_message", text="it is built", reply_to="M-1")
    seat.does("ends")
    await seat.until(lambda: seat.presence().run_ended_at is not None, "its run ended")
    assert 30 * MINUTE < seat.presence().slowest_run < 50 * MINUTE
    assert [e["act"] for e in seat.room.entries() if e["subject"] == "@builder"] == ["enroll"]


@promise("PRS4")
async def test_an_agent_that_is_suspended_is_found_after_two_hours_and_is_at_work_again_once_it_goes_on(
    seat: Seat,
) -> None:
    os.kill(seat.child, signal.SIGSTOP)
    await seat.passes(7, moving=False)  # what it did until now is seen in the first step
    await seat.passes(112, moving=False)
    assert (await verdict(seat.asker, "builder"), said(seat.room, "builder")) == ("working", [])
    await seat.passes(14, moving=False)
    assert (await verdict(seat.asker, "builder"), said(seat.room, "builder")) == ("suspect", ["suspect"])
    os.kill(seat.child, signal.SIGCONT)
    await seat.passes(21, moving=True)
    assert (await verdict(seat.asker, "builder"), said(seat.room, "builder")) == ("working", ["suspect"])
    await seat.builder("post_message", text="it is built", reply_to="M-1")
    assert said(seat.room, "builder") == ["suspect", "recovered"]


@promise("PRS4")
async def test_an_agent_that_hangs_is_a_zombie_after_two_challenges_and_a_repair_is_requested(seat: Seat) -> None:
    seat.does("hangs")
    await seat.passes(7, moving=False)  # what it did until now is seen in the first step
    await seat.passes(112, moving=False)
    assert said(seat.room, "builder") == []
    await seat.passes(42, moving=False)
    assert said(seat.room, "builder") == ["suspect", "suspect", "zombie"]
    assert [e["subject"] for e in seat.room.entries() if e["act"] == "repair"] == ["@builder"]


# ------------------------------------------------------------------ what counts as a movement


@dataclass
class Machine:
    """Processes and a clock, in the hand of the test."""

    now: float = 0.0
    listed: tuple[Process, ...] = (Process(10, 1, 10, 0.0),)

    def movement(self, group: int | None = None) -> Movement:
        """The movement of the run whose first process is 10."""
        return Movement(10, group, lambda: self.now, lambda: {process.id: process for process in self.listed})

    def moves(self, movement: Movement, *listed: Process, seconds: float = 10.0) -> bool:
        """Whether a run with these processes has moved since the last look."""
        self.now += seconds
        self.listed = listed
        movement.look()
        return movement.report()["moved_seconds_ago"] == 0.0


def test_a_run_moves_if_it_uses_a_hundredth_of_the_cpu_in_a_minute_and_not_if_it_waits_and_tidies_up() -> None:
    machine = Machine()
    movement = machine.movement()
    assert not machine.moves(movement, Process(10, 1, 10, 0.5)), "a burst"
    assert machine.moves(movement, Process(10, 1, 10, 0.7)), "too much for a minute"
    assert not machine.moves(movement, Process(10, 1, 10, 1.4), seconds=100)
    assert movement.report() == {"began_seconds_ago": 120.0, "moved_seconds_ago": 100.0}
    for used in (1.6, 1.8, 1.9):
        assert not machine.moves(movement, Process(10, 1, 10, used), seconds=60)
    assert machine.moves(movement, Process(10, 1, 10, 2.0 + 0.6), seconds=60)


WRITES = """\
import os, sys
os.write(1, b".")
while os.read(0, 1):
    for _ in range(5):
        os.write(1, b"x" * int(sys.argv[1]))
"""
"""Writes five times, as many bytes as it is told, for each byte that it reads."""


@pytest.mark.skipif(not (PROC / "self" / "io").exists(), reason="only Linux shows what a process wrote")
@pytest.mark.parametrize(("written", "moves"), [(1, False), (8, False), (9, True), (80, True)])
def test_a_run_moves_if_it_writes_output_and_not_if_its_event_loop_wakes_itself(written: int, moves: bool) -> None:
    machine = Machine()
    command = [sys.executable, "-c", WRITES, str(written)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."
        movement = Movement(process.pid, None, lambda: machine.now)
        machine.now += 10
        process.stdin.write(b"!")
        for _ in range(5 * written):
            process.stdout.read(1)
        movement.look()
        process.stdin.close()
    assert (movement.report()["moved_seconds_ago"] == 0.0) == moves


def test_a_run_moves_if_a_process_below_it_works_begins_or_ends() -> None:
    machine = Machine()
    movement = machine.movement()
    first, other = Process(10, 1, 10, 0.0), Process(99, 1, 99, 0.0)
    assert machine.moves(movement, first, Process(11, 10, 10, 0.0), other)
    assert machine.moves(movement, first, Process(11, 10, 10, 0.0), Process(12, 11, 12, 5.0), other)
    other = Process(99, 1, 99, 9.0)
    assert not machine.moves(movement, first, Process(11, 10, 10, 0.0), Process(12, 11, 12, 5.0), other)
    assert machine.moves(movement, first, Process(11, 10, 10, 0.0), other)


def test_a_process_that_left_the_run_and_its_group_still_belongs_to_it() -> None:
    machine = Machine()
    movement = machine.movement(group=10)
    first = Process(10, 1, 10, 0.0)
    machine.moves(movement, first, Process(11, 10, 11, 0.0), Process(12, 1, 10, 0.0))
    assert machine.moves(movement, first, Process(11, 1, 11, 3.0), Process(12, 1, 10, 0.0)), "it is a daemon now"
    assert machine.moves(movement, first, Process(11, 1, 11, 3.0), Process(12, 1, 10, 3.0)), "it is of its group"
    assert not machine.moves(movement, first, Process(11, 1, 11, 3.0), Process(12, 1, 10, 3.0), Process(13, 1, 13, 9.0))


def test_a_run_whose_processes_cannot_be_listed_is_not_said_to_move() -> None:
    machine = Machine()

    def fails() -> dict[int, Process]:
        raise OSError("no ps here")

    movement = Movement(10, None, lambda: machine.now, fails)
    machine.now = 60.0
    movement.look()
    assert movement.report() == {"began_seconds_ago": 60.0, "moved_seconds_ago": 60.0}


@pytest.mark.parametrize(
    ("shown", "seconds"), [("0:00.05", 0.05), ("12:34.50", 754.5), ("01:02:03", 3723), ("2-00:00:01", 172_801)]
)
def test_the_cpu_time_that_ps_shows_is_read_on_every_system(shown: str, seconds: float) -> None:
    assert seconds_of(shown) == seconds


@pytest.mark.parametrize("list_processes", [list_proc, list_ps])
def test_this_process_is_listed_in_each_way(list_processes: Callable[[], dict[int, Process]]) -> None:
    found = list_processes()[os.getpid()]
    assert (found.parent, found.group) == (os.getppid(), os.getpgrp())
