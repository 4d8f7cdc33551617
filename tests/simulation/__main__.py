"""The simulation in full: `python -m tests.simulation [AGENT_DAYS] [--seed N] [--twin NAME]`.

Teams of thirty live for fifty days each, in so many rooms as the days of honest agents need; beside each a team that
must be reminded of everything lives for some of them; then one healthy team. The same seed gives the same table.
"""

import argparse
import math
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.simulation.judges import FIGURES, Share
from tests.simulation.lives import Life
from tests.simulation.play import MIXED
from tests.simulation.twins import TWINS

DAYS = 50.0
FORGETFUL_SHARE = 0.28
"""How much of those days a forgetful team lives."""

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
    lives = [Life("healthy", given.days, seed, given.twin)]
    for number in range(max(1, math.ceil(given.agent_days / (honest * given.days)))):
        lives.append(Life("mixed", given.days, seed + 10 * number, given.twin))
        lives.append(Life("forgetful", given.days * FORGETFUL_SHARE, seed + 10 * number, given.twin))
    console, started = Console(), time.perf_counter()
    found, lines = _simulate(lives, console)
    missed = _print(console, found, lines)
    days = sum(life.agent_days for life in lives)
    console.print(f"{days:,.0f} agent-days in {time.perf_counter() - started:.0f} s, seed {seed}")
    return int(bool(missed) != bool(given.twin))


def _simulate(lives: Sequence[Life], console: Console) -> tuple[list[Share], float]:
    """All teams, as many at once as there are processors; the shares of all, and the lines of the healthy one."""
    found, lines = [Share() for _ in FIGURES], 0.0
    pool = ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"))
    with pool, Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("agent-days", total=sum(life.agent_days for life in lives))
        going = {pool.submit(life.judged): life for life in lives}
        for done in as_completed(going):
            shares, lines_here = done.result()
            found = [before + share for before, share in zip(found, shares, strict=True)]
            lines = lines_here if going[done].team == "healthy" else lines
            progress.advance(task, going[done].agent_days)
    return found, lines


def _print(console: Console, found: Sequence[Share], lines: float) -> list[str]:
    """The table, and what missed its target, with examples."""
    table = Table("figure", "target", "value", "", "of")
    missed, examples = [], []
    for figure, share in zip(FIGURES, found, strict=True):
        holds = figure.holds(share)
        bar = "█" * round(share.value * BAR_CELLS)
        table.add_row(
            figure.name, figure.target, f"{100 * share.value:.2f} %", bar, f"{share.of:,}{'' if holds else '  MISSED'}"
        )
        if not holds:
            missed.append(figure.name)
            examples += share.misses[:MISSES_SHOWN]
    table.add_row("lines of the room for an agent and day, all being well", "<= 2", f"{lines:.2f}", "", "")
    missed += ["lines of the room"] if lines > 2 else []
    console.print(table)
    for example in examples:
        console.print(f"  {example}", markup=False)
    return missed


if __name__ == "__main__":
    sys.exit(main())
