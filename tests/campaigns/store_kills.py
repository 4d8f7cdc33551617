"""The process that drives a room's store killed, again and again, and no acknowledged act lost (LOG4).

No HTTP: the room's own writer and door, in a process that is forked in milliseconds (`store_life`) and gets SIGKILL
at a random moment, or inside a commit or a checkpoint. What it acknowledged before must be there, whole; the chain
must verify each time, against the seal that was written meanwhile; acts in doubt are called again in the next life
and must stand once.

The twin answers each act before it is committed, and is killed at random moments.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from teamroom.server.identity import Caller
from tests.campaigns.campaign import Advance, Outcome, command, over_time, silently
from tests.campaigns.process import ROOT
from tests.campaigns.store_life import PLACES
from tests.campaigns.stored_acts import Expected, Told, Wanted, fresh_copy, make_room

LIVES_OF_A_ROOM = 15
"""Then a new room takes its place, so that checking it whole after each kill stays cheap."""

AFTER_SECONDS = (0.005, 0.075)
"""When a life is killed at a random moment: the opening takes about 10 ms, the closing begins after 60."""

INSIDE_SECONDS = 0.001
"""How far into a commit or a checkpoint a kill falls at most; a sync takes about as long."""

NTH = {1: 12, 2: 4}
"""Up to which commit, and which checkpoint, of a life a kill is aimed at."""


class Server:
    """The process that forks lives."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def live(self, order: dict[str, Any], told: Callable[..., None]) -> dict[str, Any]:
        """One life, which tells what it does; returns how it ended. Raises RuntimeError when the server itself ends."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        for line in stdout:
            what, *rest = json.loads(line)
            if what == "ended":
                return dict(rest[0])
            told(what, *rest)
        raise RuntimeError("the server of lives ended")


@contextmanager
def serving(log: Path, module: str = "store_life") -> Iterator[Server]:
    """A server of lives, as long as the block runs; it writes what goes wrong into `log`."""
    arguments = [sys.executable, "-m", f"tests.campaigns.{module}"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        yield Server(process)
        assert process.stdin is not None
        process.stdin.close()


async def campaign(folder: Path, number: int, *, seed: int, twin: bool = False, advance: Advance = silently) -> Outcome:
    """`number` kills."""
    outcome, dice = Outcome(), random.Random(seed)
    template = folder.with_name("template")
    callers = await make_room(template)
    places: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    per_life: list[int] = []
    lost = doubtful = replayed = 0
    expected, told = fresh_copy(template, folder), Told()
    with serving(folder.with_suffix(".log")) as server:
        for turn in range(number):
            if turn and turn % LIVES_OF_A_ROOM == 0:
                lost += _close(expected, outcome)
                expected, told = fresh_copy(template, folder), Told()
            again = list(told.doubtful.values())
            told = Told()
            ended = server.live(_order(folder, callers, again, turn, dice, twin), told.hear)
            places[ended["place"] if ended["code"] == -9 else "ended by itself"] += 1
            if ended["code"] not in (-9, 0):
                outcome.faults.append(f"life {turn} broke off: {folder.with_suffix('.log').read_text()[-500:]}")
            outcome.faults += [f"life {turn}: {what}" for what in (*expected.missing(told), *expected.faults())]
            per_life.append(len(told.acknowledged))
            doubtful, replayed = doubtful + len(told.doubtful), replayed + told.replayed
            refused.update(told.refused)
            advance()
    lost += _close(expected, outcome)
    outcome.figures |= {
        "kills": {place: places[place] for place in (*PLACES, "ended by itself")},
        "acknowledged acts": sum(per_life),
        "of these lost": lost,
        "acts in doubt at a kill": doubtful,
        "of these found to have happened": replayed,
        "refusals": dict(refused),
        "acknowledged acts over time": over_time(per_life),
    }
    return outcome


def _order(
    folder: Path, callers: dict[str, Caller], again: list[Wanted], turn: int, dice: random.Random, twin: bool
) -> dict[str, Any]:
    place = 0 if twin else dice.choice((0, 0, 1, 2))
    return {
        "folder": str(folder),
        "callers": {name: caller._asdict() for name, caller in callers.items()},
        "again": [asdict(wanted) for wanted in again],
        "life": str(turn),
        "seed": dice.random(),
        "twin": twin,
        "place": place,
        "times": dice.randint(1, NTH[place]) if place else 0,
        "after_seconds": dice.uniform(0, INSIDE_SECONDS) if place else dice.uniform(*AFTER_SECONDS),
    }


def _close(expected: Expected, outcome: Outcome) -> int:
    """Look at a whole room once more; returns how many acknowledged acts it lost."""
    lost, faults = expected.faults_of_all()
    outcome.faults += [*lost, *faults]
    return len(lost)


if __name__ == "__main__":
    command("store_kills", __doc__, 10_000, campaign)
