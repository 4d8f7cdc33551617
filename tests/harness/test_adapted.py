"""A real harness that stays under a listener: a mention wakes it, and a restart, a pause and a kill reach it."""

import os
import signal
import time
from pathlib import Path
from threading import Event

import psutil
import pytest

from tests.harness.adapted import ADAPTED, Adapted, Listened, listened
from tests.harness.idle import is_listening
from tests.harness.install import lacking
from tests.harness.room import RoomOfProcesses, free_port, room_of_processes, served_room
from tests.harness.script import Say, Seen, Step, Thought, Turn, use
from tests.support.promises import promise
from tests.support.rates import LIMITLESS
from tests.support.watching import until

pytestmark = [pytest.mark.harness, promise("WAK1", "WAK2", "WAK3", "ID1")]

WAKE_SECONDS, KILLED_SECONDS = 60.0, 2.0


def unless_missing(adapted: Adapted) -> object:
    """A harness as a parameter; it is skipped with a reason where it is not installed."""
    missing = lacking(adapted.harness.command)
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(adapted, id=f"{adapted.harness.command}-{adapted.adapter}", marks=skip)


EACH = pytest.mark.parametrize("adapted", [unless_missing(adapted) for adapted in ADAPTED])


class Model:
    """A model that takes one step of a script in each turn, and notes each turn that it was asked for."""

    def __init__(self, *turns: Step) -> None:
        self.asked: list[Event] = [Event() for _ in turns]
        self._turns, self._count, self._calls, self._seen = turns, 0, False, 0

    @property
    def steps(self) -> list[Step]:
        """The script: the same step, however long the conversation is."""
        return [self._step] * 40

    def _step(self, seen: Seen) -> Turn:
        """A call, and with its result the end of the turn. What searches for the tool first has no result yet."""
        if self._calls and len(seen) != self._seen:
            self._calls = False
            self._count += 1
            return Say("That is all.")
        self._calls, self._seen = True, len(seen)
        number = min(self._count, len(self._turns) - 1)  # a wake can come again
        self.asked[number].set()
        return self._turns[number](seen)


def processes_of(found: Listened) -> list[psutil.Process]:
    """The harness of a listener and all processes below it."""
    return psutil.Process(found.process.pid).children(recursive=True)


def mention(room: RoomOfProcesses, text: str) -> None:
    """Wake the member."""
    room.owner("post_message", text=f"@builder {text}")


@EACH
def test_a_mention_wakes_a_resting_harness_whose_calls_are_its_members(tmp_path: Path, adapted: Adapted) -> None:
    model = Model(use("check_in"), use("create_task", title="part 1"))
    with room_of_processes(tmp_path / "room") as room, listened(adapted, room, tmp_path, *model.steps) as found:
        (harness, *_) = processes_of(found)
        for number in range(2):
            mention(room, f"how far is part {number}?")
            assert model.asked[number].wait(WAKE_SECONDS), found.said[-3000:]
            found.says("Its wakes are answered.", number + 1)
        assert "how far is part 0?" in found.model.seen[0]
        assert harness.is_running(), "it is the same process"
        assert "how far is part 0?" not in found.said.partition("Listening")[2], "no text of a member is in the log"
        (receipt,) = room.owner("read_receipts", act="create_task")["receipts"]
        assert receipt["actor"] == "builder"
        (member,) = room.owner("who", name="builder")["members"]
        assert member["wake_verified"]
    assert not harness.is_running()


@EACH
def test_a_harness_that_is_killed_goes_on_in_its_session_and_a_restart_of_the_room_loses_nothing(
    tmp_path: Path, adapted: Adapted
) -> None:
    pause = Thought()
    model = Model(use("check_in"), pause.before(use("check_in")), use("check_in"))
    with (
        served_room(
            tmp_path / "room", free_port(), {f"TEAMROOM_{k.upper()}": str(v) for k, v in LIMITLESS.items()}
        ) as served,
        listened(adapted, served.room, tmp_path, *model.steps) as found,
    ):
        mention(served.room, "begin")
        found.says("Its wakes are answered.", 1)
        os.kill(processes_of(found)[0].pid, signal.SIGKILL)
        found.says("between turns. It is started again")
        mention(served.room, "and go on")
        assert model.asked[1].wait(WAKE_SECONDS), found.said[-3000:]
        found.says("resumed its session" if adapted.resumes else "could not resume its session, and began another")
        served.restart()
        until(lambda: is_listening(served.room), "it listens again", WAKE_SECONDS)
        pause.end()
        found.says("Its wakes are answered.", 2)
        mention(served.room, "once more")
        found.says("Its wakes are answered.", 3)
        assert len(found.model.seen) >= (3 if adapted.resumes else 2), "the model had the conversation so far"


@EACH
def test_a_pause_refuses_its_calls_and_a_kill_ends_it_with_all_below_it(tmp_path: Path, adapted: Adapted) -> None:
    paused, busy = Thought(), Thought()
    model = Model(paused.before(use("post_message", text="done")), busy.before(use("check_in")))
    with room_of_processes(tmp_path / "room") as room, listened(adapted, room, tmp_path, *model.steps) as found:
        mention(room, "begin")
        paused.wait()
        room.owner("pause", target="builder", reason="the disk is full")
        paused.end()
        until(lambda: found.model.seen, "the model saw the result", WAKE_SECONDS)
        assert "the disk is full" in found.model.seen[0]
        room.owner("resume", target="builder")
        mention(room, "go on")
        busy.wait()
        processes = processes_of(found)
        assert processes
        begun = time.monotonic()
        room.owner("kill", target="builder", reason="it ran wild")
        until(lambda: not any(map(runs, processes)), "all have ended")
        assert time.monotonic() - begun < KILLED_SECONDS
        found.process.wait(WAKE_SECONDS)
        busy.end()


def runs(process: psutil.Process) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
