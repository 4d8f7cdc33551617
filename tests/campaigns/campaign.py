"""What the campaigns have in common: a number and a seed in, figures and faults out, progress on a terminal."""

import argparse
import asyncio
import atexit
import contextlib
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import Progress

from tests.support import postgres

PROGRESS_AFTER_SECONDS = 2.0
FAULTS_PRINTED = 10

ENGINES = ("sqlite", "postgres")

Advance = Callable[[], None]


def silently() -> None:
    """Progress that nobody looks at."""


@dataclass
class Outcome:
    """What a campaign found: figures to print, and faults, of which there may be none."""

    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Campaign(Protocol):
    """A campaign against the room in `folder`, or against its twin: the same room with the fault built in."""

    def __call__(self, folder: Path, number: int, *, seed: int, twin: bool, advance: Advance) -> Awaitable[Outcome]:
        """Run it `number` times."""
        ...


def command(name: str, words: str, default: int, campaign: Campaign, on_both_engines: bool = False) -> None:
    """Run a campaign from a shell. Exits with 1 when it found a fault, or when its twin's was not found.

    `on_both_engines`: it can run on a room in PostgreSQL, which is one whose data folder names a database.
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.campaigns.{name}", description=words)
    parser.add_argument("number", type=int, nargs="?", default=default, help=f"default {default}")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's random choices; default: a new one")
    parser.add_argument("--twin", action="store_true", help="build the fault in, to see that it is found")
    if on_both_engines:
        parser.add_argument("--engine", choices=ENGINES, default="sqlite", help="what keeps the room; default: sqlite")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    for variable in [key for key in os.environ if key.startswith("TEAMROOM_") and not key.startswith("TEAMROOM_TEST_")]:
        del os.environ[variable]
    if given.twin:
        logging.disable(logging.CRITICAL)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, progress(name, given.number) as advance:
        place = Path(folder) / "room"
        if on_both_engines and given.engine == "postgres":
            atexit.register(postgres.drop_all)
            postgres.keep_in_database(place)
        run = campaign(place, given.number, seed=seed, twin=given.twin, advance=advance)
        with postgres.patience() if postgres.is_in_database(place) else contextlib.nullcontext():
            outcome = asyncio.run(_awaited(run))
    _print(name, given.number, seed, given.twin, time.perf_counter() - started, outcome)
    sys.exit(bool(outcome.faults) != given.twin)


@contextlib.contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """A line that moves, on a terminal, once it takes longer than two seconds."""
    bar = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    task = bar.add_task(label, total=total)
    started = time.perf_counter()

    def advance() -> None:
        bar.advance(task)
        if not bar.live.is_started and time.perf_counter() - started > PROGRESS_AFTER_SECONDS:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies; 0.5 is the median."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


BARS = " ▁▂▃▄▅▆▇█"
BARS_DRAWN = 60


def over_time(values: Sequence[float]) -> str:
    """A line that rises and falls with the values, in the order they came, with the least and the most."""
    if not values:
        return "nothing"
    parts = min(BARS_DRAWN, len(values))
    edges = [len(values) * part // parts for part in range(parts + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    top = max(means) or 1.0
    drawn = "".join(BARS[round(mean / top * (len(BARS) - 1))] for mean in means)
    return f"{drawn}  (least {min(values):g}, median {quantile(list(values), 0.5):g}, most {max(values):g})"


async def _awaited(run: Awaitable[Outcome]) -> Outcome:
    return await run


def _print(name: str, number: int, seed: int, twin: bool, seconds: float, outcome: Outcome) -> None:
    print(f"{name} {number}{' (twin: the fault is built in)' if twin else ''}, seed {seed}, {seconds:.1f} s")
    for figure, value in outcome.figures.items():
        print(f"  {figure}: {value}")
    print(f"  faults: {len(outcome.faults)}")
    for fault in outcome.faults[:FAULTS_PRINTED]:
        print(f"    {fault}")
