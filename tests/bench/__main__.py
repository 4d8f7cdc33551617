"""What calls cost, next to a no-op on the bare SDK in the same run, and how that grows; written into the docs.

python -m tests.bench [--rounds N] [--entries N …] [--into FOLDER]. Writes `benchmarks.json`, and `benchmarks.md` with
the same figures as tables and a chart. The other benchmarks run alone: `python -m tests.bench.NAME`.
"""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import costs, growth

DOCS = costs.ROOT / "docs"
BAR_CHARACTERS = 40

PAGE = """# Benchmarks

How much CPU a call costs the server, and how that grows. The command `python -m tests.bench` writes this page and
[the same figures as JSON](benchmarks.json). `make bench` runs the other benchmarks.

## What a call costs
Sixteen callers call at once. CPU per call counts all threads of the server. The no-op is a tool that does nothing, on
the bare SDK, measured in the same rounds. The share is the no-op's CPU over the call's, so 1.00 is as cheap as a call
that does nothing. Clients of 2026-07-28 are compared with an SDK that answers with one JSON body. Clients of 2025-06-18
are compared with the SDK's own sessions and event streams. Each figure is a median. Acts are durable: SQLite syncs
before it answers.

{shares}

## How the cost grows
The room has a thousand members and ten thousand tasks, and its log grows. These calls are made at its door, without the
wire. Growth is the cost with the longest log over the cost with the shortest; {bound:g} or less counts as flat.

{growth}

```text
{chart}
```

Measured on {machine}.
"""


def figures_of(versions: Sequence[costs.Version], names: Sequence[str]) -> list[dict[str, Any]]:
    """The figures of each call in each protocol."""
    found = []
    for era in costs.ERAS:
        no_op, room = (version for version in versions if version.era == era)
        for name in names:
            share = costs.share_of(room.costs[name], no_op.costs[name])
            cpu, floor = median(room.costs[name]), median(no_op.costs[name])
            figure = {"call": name, "protocol": era, "engine": "SQLite", "cpu_us": round(cpu), "no_op_us": round(floor)}
            found.append(figure | {"share": round(share, 2), "target": costs.TARGETS[name]})
    return found


def table_of_shares(figures: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The figures as a table, a line for each call and protocol."""
    yield "| call | protocol | CPU per call | no-op | share | target |"
    yield "|---|---|---|---|---|---|"
    for one in figures:
        verdict = "reached" if one["share"] >= one["target"] else "missed"
        yield (
            f"| `{one['call']}` | {one['protocol']} | {one['cpu_us']:,} µs | {one['no_op_us']:,} µs | "
            f"{one['share']:.2f} | {one['target']:.2f} {verdict} |"
        )


def table_of_growth(grown: growth.Costs) -> Iterator[str]:
    """How the cost of each call grows, as a table."""
    sizes = sorted(next(iter(grown.values())))
    yield f"| call | {' | '.join(f'{size:,} entries' for size in sizes)} | growth |"
    yield "|---|" + "---|" * (len(sizes) + 1)
    for name, by_size in grown.items():
        shown = " | ".join(f"{by_size[size]:,.0f} µs" for size in sizes)
        yield f"| `{name}` | {shown} | {growth.growth_of(by_size):.2f} |"


def chart_of_growth(grown: growth.Costs) -> Iterator[str]:
    """A bar for each call and size; the longest is the most that any call costs."""
    most = max(cost for by_size in grown.values() for cost in by_size.values())
    for name, by_size in grown.items():
        for size, cost in sorted(by_size.items()):
            bar = "█" * max(1, round(cost / most * BAR_CHARACTERS))
            yield f"{name if size == min(by_size) else '':20} {size:>9,} {bar} {cost:,.0f} µs"


def machine() -> str:
    """What the figures were measured on, in words."""
    return (
        f"{os.cpu_count()} cores of {platform.machine()}, {platform.system()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def main() -> None:
    """Measure everything, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=costs.ROUNDS)
    parser.add_argument("--entries", type=int, nargs="+", default=list(growth.ENTRIES))
    parser.add_argument("--into", type=Path, default=DOCS, metavar="FOLDER")
    given = parser.parse_args()
    versions = costs.run(list(costs.TARGETS), given.rounds)
    costs.show(versions, list(costs.TARGETS))
    with tempfile.TemporaryDirectory() as folder:
        grown = asyncio.run(growth.measure(Path(folder) / "room", tuple(given.entries)))
    growth.show(grown)
    write(given.into, figures_of(versions, list(costs.TARGETS)), grown)


def write(into: Path, figures: list[dict[str, Any]], grown: growth.Costs) -> None:
    """Write the figures as JSON, and as a page."""
    found = {"machine": machine(), "calls": figures, "growth_us": grown}
    (into / "benchmarks.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page = PAGE.format(
        shares="\n".join(table_of_shares(figures)),
        growth="\n".join(table_of_growth(grown)),
        chart="\n".join(chart_of_growth(grown)),
        bound=growth.BOUND,
        machine=machine(),
    )
    (into / "benchmarks.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
