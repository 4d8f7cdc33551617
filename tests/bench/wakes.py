"""How soon a harness that rests asks its model, after it was mentioned: in an open session, and under a listener.

python -m tests.bench.wakes [MENTIONS]. For each harness that is installed: from the call that posts a mention until
the harness's next request to its (scripted) model, next to the time that its own `--version` takes.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import Queue
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.progress_bar import ProgressBar
from rich.table import Table

from tests.harness.adapted import ADAPTED, Adapted, listened
from tests.harness.harnesses import Harness
from tests.harness.idle import SESSIONS, Session, is_listening, opened
from tests.harness.install import binary, lacking
from tests.harness.room import RoomOfProcesses, room_of_processes
from tests.harness.script import Say, Seen, Step, Turn, use
from tests.support.terminals import LACKING
from tests.support.watching import until

MENTIONS = 5
WAKE_SECONDS = 60.0
TARGET_SECONDS = 1.0


class Model:
    """Calls check_in once in each turn, and notes when each turn was asked for."""

    def __init__(self, turns_before: int) -> None:
        self.asked: Queue[float] = Queue()
        self._turns_before, self._calls, self._turns = turns_before, 0, 0

    def step(self, seen: Seen) -> Turn:
        """A turn that nobody woke has nothing to do, and neither has one after its call."""
        if self._turns_before > 0:
            self._turns_before -= 1
            return Say("Hello.")
        if len(seen) > self._calls:
            self._calls = len(seen)
            return Say("That is all.")
        if self._turns == self._calls:  # a harness may ask again within a turn, to search for the tool
            self._turns += 1
            self.asked.put(time.monotonic())
        return use("check_in")(seen)


def at_rest(
    resting: Session | Adapted, room: RoomOfProcesses, base: Path, steps: list[Step]
) -> contextlib.AbstractContextManager[object]:
    """A harness that rests, in an open session or under a listener."""
    if isinstance(resting, Session):
        return opened(resting, room, base, *steps)
    return listened(resting, room, base, *steps)


def times_of(resting: Session | Adapted, mentions: int) -> list[float]:
    """The seconds from each mention to the model's request."""
    model = Model(int(isinstance(resting, Session) and resting.starts_itself))
    steps: list[Step] = [model.step] * (3 * mentions + 3)
    took = []
    with (
        tempfile.TemporaryDirectory() as folder,
        room_of_processes(Path(folder) / "room") as room,
        at_rest(resting, room, Path(folder), steps),
    ):
        for number in track(range(mentions), f"Mentioning {resting.harness.name}", transient=True):
            until(lambda: is_listening(room), "it listens again", WAKE_SECONDS)
            begun = time.monotonic()
            room.owner("post_message", text=f"@builder how far is part {number}?")
            took.append(model.asked.get(timeout=WAKE_SECONDS) - begun)
            until(lambda number=number: model._calls > number, "it called", WAKE_SECONDS)  # type: ignore[misc]
    return took


def start_of(harness: Harness) -> float:
    """The seconds that the harness takes to print its version."""
    begun = time.monotonic()
    subprocess.run([binary(harness.command), "--version"], capture_output=True, check=True)
    return time.monotonic() - begun


def main() -> None:
    """Time each harness, draw."""
    mentions = int(sys.argv[1]) if len(sys.argv) > 1 else MENTIONS
    table = Table("harness", "p50", "worst", "its own --version", "target", "", box=None)
    for resting in (*SESSIONS, *ADAPTED):
        name = resting.name if isinstance(resting, Adapted) else f"{resting.harness.name}, open session"
        terminal = () if isinstance(resting, Adapted) else LACKING
        if missing := [*lacking(resting.harness.command), *terminal]:
            table.add_row(name, "not here", "", "", "", "; ".join(missing))
            continue
        took = times_of(resting, mentions)
        bar = ProgressBar(total=TARGET_SECONDS, completed=min(median(took), TARGET_SECONDS), width=30)
        figures = f"{median(took):.2f} s", f"{max(took):.2f} s", f"{start_of(resting.harness):.2f} s"
        table.add_row(name, *figures, f"{TARGET_SECONDS:.0f} s", bar)
    Console().print(table)


if __name__ == "__main__":
    main()
