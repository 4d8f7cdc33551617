"""The models in their full length: `python -m tests.models EXAMPLES STEPS [NAME…] [--twin] [--engine postgres]`."""

import argparse
import atexit
import sys
import time

from rich.console import Console
from rich.progress import Progress

from tests.models.engines import ENGINES
from tests.models.run import MODELS, run
from tests.models.world import clean_up
from tests.support import postgres


def main() -> int:
    """Run each model, say what it did, and end with 1 where one found something (a twin: nothing)."""
    parser = argparse.ArgumentParser(prog="python -m tests.models", description=__doc__)
    parser.add_argument("examples", type=int, nargs="?", default=3000)
    parser.add_argument("steps", type=int, nargs="?", default=100)
    parser.add_argument("models", nargs="*", default=[])
    parser.add_argument("--twin", action="store_true", help="build each model's fault in, to see that it is found")
    parser.add_argument("--engine", choices=ENGINES, default="sqlite", help="what keeps the rooms; default: sqlite")
    given = parser.parse_args()
    if given.engine == "postgres":
        atexit.register(postgres.drop_all)
    console, failed = Console(), 0
    with clean_up(), Progress(console=console, disable=not console.is_terminal) as progress:
        for name in given.models or MODELS:
            task = progress.add_task(name, total=given.examples)
            started = time.perf_counter()
            violation, done = run(
                name,
                given.examples,
                given.steps,
                engine=given.engine,
                twin=given.twin,
                advance=lambda task=task: progress.advance(task),
            )
            seconds = time.perf_counter() - started
            console.print(
                f"{name}: {done.runs:,} runs, {done.steps:,} steps, {done.crashes:,} crashes, {seconds:.0f} s"
            )
            console.print(violation or "0 violations", markup=False)
            failed += (violation is None) if given.twin else (violation is not None)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
