"""What the shell writes: colours and tables only on a terminal, plain aligned text in a pipe.

Whatever a member wrote is data: it is shown as text, and what could steer a terminal is made visible.
"""

import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from teamroom.server.clock import wall_clock

STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters (which turn writing round), surrogates, and line ends that are none to a person."""

NARROWEST = 12
WIDEST_COLUMN = 24
GAP = 2
"""Bounds of a column on a terminal, and what lies between two, in cells."""


def plain(text: str) -> str:
    """A text on one line without anything that steers a terminal: such characters are written as escapes."""
    return "".join(_visible(character) for character in " ".join(text.split()))


def plain_lines(text: str) -> list[str]:
    """The lines of a text, each made plain but for its indentation."""
    return ["".join(_visible(character) for character in line) for line in text.expandtabs(4).split("\n")]


def _visible(character: str) -> str:
    if unicodedata.category(character) not in STEERING:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def console(stderr: bool = False) -> Console:
    """The terminal, or the pipe, that words go to. NO_COLOR takes the colours away."""
    stream = sys.stderr if stderr else sys.stdout
    on_terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=on_terminal,
        color_system="auto" if on_terminal and not os.environ.get("NO_COLOR") else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not on_terminal,
    )


def print_json(value: Any) -> None:
    """Exactly one JSON value on a line of its own, for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def say(words: str) -> None:
    """Words for a person beside what a program reads: on standard error."""
    print(words, file=sys.stderr, flush=True)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as columns of plain text, the last column free."""
    if not rows:
        return []
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return ["  ".join([*map(_padded, row, widths), row[-1]]) for row in rows]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def grid(rows: Sequence[Sequence[Text]], out: Console, free: int, like: Sequence[Sequence[Text]] = ()) -> Table:
    """Rows as one line each within the terminal's width: the column `free` takes what the others leave.

    `like` are the rows whose widths count, where several grids stand under each other.
    """
    columns = len(rows[0])
    widths = [min(max(row[column].cell_len for row in like or rows), WIDEST_COLUMN) for column in range(columns)]
    others = sum(width for column, width in enumerate(widths) if column != free)
    widths[free] = max(out.width - others - GAP * (columns - 1), NARROWEST)
    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for column in range(columns):
        table.add_column(width=widths[column], no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    return table


def print_hanging(out: Console, head: Text, text: Text) -> None:
    """A head and a text beside it; where a terminal needs more lines, they stand under the text's first."""
    if not out.is_terminal:
        out.print(Text.assemble(head, " " * GAP, text))
        return
    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(head, text)
    out.print(table)


def until(at: str, now: float | None = None) -> str:
    """How long it is until a time of the room's replies, in words."""
    return span(datetime.fromisoformat(at).timestamp() - (wall_clock() if now is None else now))


def span(seconds: float) -> str:
    """A span of seconds in words."""
    for name, unit in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit or (name == "min" and seconds >= unit):
            return f"{seconds // unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"
