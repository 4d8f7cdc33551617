"""The simulation in full: `python -m tests.simulation [AGENT_DAYS] [--seed N] [--twin NAME]`.

Teams of thirty live for fifty days each, in so many rooms as the days of honest agents need; beside each a team that
must be reminded of everything lives for some of them; then one healthy team. The same seed gives the same table.
"""

import argparse
import contextlib
import math
import random
import sys
import time
from functools import partial

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.models.world import clean_up
from tests.simulation.judges import FIGURES, Cast, lines_of_the_room
from tests.simulation.play import FORGETFUL, HEALTHY, MIXED, play
from tests.simulation.twins import TWINS

DAYS = 50.0
FORGETFUL_SHARE, FORGETFUL_WORK = 0.28, 5.0
"""How much of those days a forgetful team lives, and how many tasks are made there for each agent and day."""

MISSES_SHOWN = 5
BAR_CELLS = 20


def main() -> int:
    """Simulate, judge, print the table; ends with 1 where a target is missed (of a twin: where none is)."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("agent_days", type=int, nargs="?", default=10_000, help="of honest agents")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--days", type=float, default=DAYS, help="how long each room lives")
    parser.add_argument("--twin", choices=TWINS, default=None, help="a fault to build in, to see that it is found")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    honest = sum(count for kind, count in MIXED.items() if kind.honest)
    rooms = max(1, math.ceil(given.agent_days / (honest * given.days)))
    reminded = FORGETFUL_SHARE * given.days
    console, started = Console(), time.perf_counter()
    fault = TWINS[given.twin]() if given.twin else contextlib.nullcontext()
    with clean_up(), fault, Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("days", total=rooms * (given.days + reminded) + given.days)
        day = partial(progress.advance, task)
        casts: list[Cast] = []
        forgetful: list[Cast] = []
        for number in range(rooms):
            own = seed + 10 * number
            casts.append(play(MIXED, given.days, own, disturbed=True, advance=day))
            forgetful.append(play(FORGETFUL, reminded, own, disturbed=True, work=FORGETFUL_WORK, advance=day))
        healthy = play(HEALTHY, given.days, seed, disturbed=False, advance=day)
        missed = _print(console, casts, forgetful, healthy)
        for cast in (*casts, *forgetful, healthy):
            cast.room.end()
    days = sum(len(cast.agents) * cast.days for cast in (*casts, *forgetful, healthy))
    console.print(f"{days:,.0f} agent-days in {time.perf_counter() - started:.0f} s, seed {seed}")
    return int(bool(missed) != bool(given.twin))


def _print(console: Console, casts: list[Cast], forgetful: list[Cast], healthy: Cast) -> list[str]:
    """The table, what missed its target, and how many times which verdict was given to whom."""
    table = Table("figure", "target", "value", "", "of")
    missed, examples = [], []
    for figure in FIGURES:
        share = figure.total([*casts, *forgetful] if figure.forgetful else casts)
        holds = figure.holds(share)
        bar = "█" * round(share.value * BAR_CELLS)
        table.add_row(
            figure.name, figure.target, f"{100 * share.value:.2f} %", bar, f"{share.of:,}{'' if holds else '  MISSED'}"
        )
        if not holds:
            missed.append(figure.name)
            examples += share.misses[:MISSES_SHOWN]
    lines = lines_of_the_room(healthy)
    table.add_row("lines of the room for an agent and day, all being well", "<= 2", f"{lines:.2f}", "", "")
    missed += ["lines of the room"] if lines > 2 else []
    console.print(table)
    for example in examples:
        console.print(f"  {example}", markup=False)
    return missed


if __name__ == "__main__":
    sys.exit(main())
