"""Everything that the room is measured by, against its floors in one run; written into the docs.

python -m tests.bench [--only PART …] [--without PART …] [--into FOLDER] [--rounds N] [--quick]. Writes
`benchmarks.json`, and `benchmarks.md` with the same figures as tables and charts. A part that is left out stays there
as it was. Exits with 1 if a figure is not as good as it must be. Other benchmarks: `python -m tests.bench.NAME`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.bench import report
from tests.bench.costs import ROOT
from tests.bench.figure import Part
from tests.bench.parts import PARTS, Asked, machine, measured

QUICK = Asked(
    rounds=2, entries=(1_000, 10_000), members=(10, 100), listeners=(10, 50), day_seconds=10.0, messages=10_000
)
"""Enough to see whether everything runs. Its figures mean little."""


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """The options. Exits with 2 if they cannot be understood."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--without", nargs="+", choices=list(PARTS), default=[], metavar="PART")
    parser.add_argument("--into", type=Path, default=ROOT / "docs", metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=Asked().rounds, help="how often each call is measured")
    parser.add_argument("--quick", action="store_true", help="only see whether everything runs; --into is needed")
    given = parser.parse_args(words)
    if given.quick and given.into == ROOT / "docs":
        parser.error("--quick measures too little for the docs: name another folder with --into")
    return given


def main() -> None:
    """Measure part after part, and write the files after each, so that an interrupted run keeps what it has.

    A part that fails is left out, and the next one goes on.
    """
    given = parsed(sys.argv[1:])
    names = [name for name in PARTS if name in given.only and name not in given.without]
    console, found = Console(stderr=True), dict[str, Part]()
    asked = QUICK if given.quick else Asked(rounds=given.rounds)
    for number, name in enumerate(names, 1):
        console.rule(f"{number} of {len(names)}: {name}")
        try:
            found[name] = measured(name, asked)
        except Exception:
            console.print_exception()
            continue
        report.write(given.into, machine(), found)
    missed = [f"{name}: {one}" for name, part in found.items() for one in part.missed]
    missed += [f"{name}: not measured" for name in names if name not in found]
    for one in missed:
        console.print(f"missed: {one}", style="bold", markup=False)
    console.print(f"{given.into / report.PAGE} is written, and {report.JSON}; missed: {len(missed)}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
