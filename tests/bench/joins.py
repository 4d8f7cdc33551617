"""How long a person's first join takes: from `teamroom join` in an empty home to a wake that is proven.

python -m tests.bench.joins [HARNESS…]. For each real harness that is installed: `teamroom join` on a terminal, with
answers to what it asks. The same run of the harness by hand, in the same home, is the time that is its own.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.harness.harnesses import Harness
from tests.harness.install import lacking
from tests.harness.joiners import JOINERS
from tests.harness.proving import Desk, steps, steps_of
from tests.harness.room import room_of_processes
from tests.harness.script import read
from tests.harness.scripted_model import ScriptedModel

QUESTIONS, BEYOND_SECONDS = 3, 20.0
"""The most questions of a join, and the most seconds that it may take beyond the harness's own run."""


def row_of(harness: Harness) -> list[str]:
    """Join a harness; returns its row of the table."""
    with (
        tempfile.TemporaryDirectory() as base,
        room_of_processes(Path(base) / "room") as room,
        ScriptedModel(harness.api, steps()) as model,
    ):
        desk = Desk.empty(harness, room, Path(base), model.url)
        begun = time.monotonic()
        done = desk.join_on_terminal()
        took = time.monotonic() - begun
        found = steps_of(done)
        if done.code != 0 or list(found) != ["notified", "woken", "acted"]:
            return [harness.name, "not proven", "", "", "", "", done.out[-300:]]
        own = desk.run()
    asked = int(read(r"Questions asked: (\d+)", done.out))
    is_met = asked <= QUESTIONS and took - own <= BEYOND_SECONDS
    figures = f"{took:.1f} s", f"{own:.1f} s", f"{took - own:.1f} s"
    acted = f"{found['woken']:.1f} and {found['acted']:.1f} s"
    return [harness.name, str(asked), *figures, acted, "met" if is_met else "missed"]


HEAD = ["harness", "questions", "join", "its own run", "beyond", "woken and acted after", "target"]
WIDTHS = (16, 10, 9, 12, 9, 22, 0)


def show(row: list[str]) -> None:
    """Print a row as soon as it is known."""
    print("".join(f"{cell:{width}}" for cell, width in zip(row, WIDTHS, strict=True)).rstrip(), flush=True)


def main() -> None:
    """Join each harness, and print its row."""
    wanted = sys.argv[1:]
    print(f"target: at most {QUESTIONS} questions, and at most {BEYOND_SECONDS:.0f} s beyond the harness's own run")
    show(HEAD)
    for harness in JOINERS:
        if not wanted or harness.command in wanted:
            missing = lacking(harness.command)
            show([harness.name, "not here", "", "", "", "", "; ".join(missing)] if missing else row_of(harness))


if __name__ == "__main__":
    main()
