"""A listener of an agent as its owner starts it, in the hand of a test: what it says, and who wakes the agent."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.repository import ROOT
from tests.support.shells import TEAMROOM, Shell
from tests.support.watching import EVENT_SECONDS, WatchedRoom, until, watched_room

QUICK = (sys.executable, "-m", "tests.support.quick_listen")
"""A listener that is quick to give up and to try again."""


@contextmanager
def listened_room(folder: Path) -> Iterator[WatchedRoom]:
    """A room with an agent, the builder, and somebody who wakes it."""
    with watched_room(folder) as running:
        running.enroll("builder")
        running.enroll("asker")
        yield running


def shell(room: WatchedRoom, member: str = "builder") -> Shell:
    """The shell of a member."""
    return Shell(room.folder, {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.tokens[member]})


@contextmanager
def listener(
    room: WatchedRoom, words: Sequence[str], program: Sequence[str] = (TEAMROOM, "listen"), **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """A listener of the builder at work, until the block ends."""
    with subprocess.Popen(
        [*program, "--as", "builder", *words],
        env={**shell(room).environment, **variables},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(EVENT_SECONDS)


def says(process: subprocess.Popen[str], words: str) -> str:
    """The next line on standard error with these words; it fails when the listener ends without it."""
    assert process.stderr is not None
    passed = list[str]()
    for line in process.stderr:
        if words in line:
            return line
        passed.append(line)
    raise AssertionError(f"it never said {words!r}: {passed}")


def hears(room: WatchedRoom) -> None:
    """Wait until the builder has a listener."""
    until(lambda: room.who("builder")["listening"], "it listens")


def wake(room: WatchedRoom, text: str) -> str:
    """Wake the builder; returns the message's id."""
    return str(room.act("asker", "post_message", text=text, to=["builder"])["message"])


def lost_runs(room: WatchedRoom) -> list[str]:
    """What the owner was told of runs that made no call."""
    return [one["line"] for one in room.owner("check_in")["wakes"] if "runs answered no wake" in one["line"]]


def lives(number: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.strip().startswith("Z")
