"""How long a person's first join takes: from `teamroom join` in an empty home to a wake that is proven.

python -m tests.bench.joins [HARNESS…]. For each real harness that is installed: `teamroom join` on a terminal, with
answers to what it asks. The same run of the harness by hand, in the same home, is the time that is its own.
"""

import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

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


def main() -> None:
    """Join each harness, draw."""
    wanted = sys.argv[1:]
    target = f"at most {QUESTIONS} questions, {BEYOND_SECONDS:.0f} s beyond"
    table = Table("harness", "questions", "join", "its own run", "beyond", "woken and acted after", target, box=None)
    for harness in JOINERS:
        if wanted and harness.command not in wanted:
            continue
        if missing := lacking(harness.command):
            table.add_row(harness.name, "not here", "", "", "", "", "; ".join(missing))
            continue
        table.add_row(*row_of(harness))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
