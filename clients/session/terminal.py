"""Output of the shell: colours and tables on a terminal, aligned plain text in a pipe.

Members' texts are data: they are shown as text, and control characters are made visible. Rich loads only on a
terminal, so that scripts start fast.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from teamroom.server.rules.text import cite, inline

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

LINE_END = re.compile("\r\n?|\n")
"""The line ends of all systems. Texts of earlier releases have those of Windows."""

NARROWEST = 12
WIDEST_COLUMN = 24
GAP = 2
"""Bounds of a column on a terminal, and the gap between columns, in cells."""


def plain(text: str) -> str:
    """Return a text on one line, with the characters that steer or hide escaped."""
    return _escaped(" ".join(text.split()))


def quoted(text: str) -> str:
    """Return a member's text as a quotation on one line, escaped like `plain`; "" for no text."""
    return inline(plain(text)) if text else ""


def cited(text: str) -> str:
    """Return a reference or a capability, escaped like `plain`: bare if it is one plain word, else as a quotation."""
    return cite(plain(text))


def quoted_lines(text: str) -> list[str]:
    """Return the lines of a member's text as a quotation, each escaped like `plain`, with its indentation."""
    return [f"> {line}" for line in _plain_lines(text)]


def _plain_lines(text: str) -> list[str]:
    return [_escaped(line) for line in LINE_END.split(text.expandtabs(4))]


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    from teamroom.server.rules.characters import escape  # its patterns take long to compile

    return escape(text)


class Styled:
    """Text of one line in pieces, each with the style that a terminal shows it in.

    `style` applies to the pieces without a style.
    """

    __slots__ = ("pieces",)

    def __init__(self, *pieces: "str | tuple[str, str] | Styled", style: str = "") -> None:
        self.pieces: list[tuple[str, str]] = []
        for piece in pieces:
            if isinstance(piece, Styled):
                self.pieces += [(text, own or style) for text, own in piece.pieces]
            else:
                self.pieces.append((piece, style) if isinstance(piece, str) else piece)

    @property
    def text(self) -> str:
        """The text without styles."""
        return "".join(text for text, _ in self.pieces)

    def cut(self, cells: int) -> "Styled":
        """Return the text cut to a width, with an ellipsis if something was cut off."""
        if cell_len(self.text) <= cells:
            return self
        left, kept = cells - 1, list[tuple[str, str]]()
        for text, style in self.pieces:
            part = _beginning(text, left)
            kept.append((part, style))
            left -= cell_len(part)
            if part != text:
                break
        return Styled(*kept, "…")

    def rich(self) -> "Text":
        """Return the text as rich prints it."""
        from rich.text import Text

        return Text.assemble(*self.pieces)


Row = Sequence[Styled]


def _beginning(text: str, cells: int) -> str:
    """Return the beginning of a text that fits into so many cells. No letter with its marks, and no emoji, is torn."""
    if text.isascii():
        return text[:cells]
    from rich.cells import split_graphemes

    end, left = 0, cells
    for _, after, width in split_graphemes(text)[0]:
        left -= width
        if left < 0:
            break
        end = after
    return text[:end]


def cell_len(text: str) -> int:
    """Return the width of a text on a terminal, in cells."""
    if text.isascii():
        return len(text)
    from rich import cells

    return cells.cell_len(text)


# ------------------------------------------------------------------ for programs


def print_json(value: Any) -> None:
    """Print one JSON value on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def say(words: str) -> None:
    """Print a message for a person on standard error."""
    print(words, file=sys.stderr, flush=True)


# ------------------------------------------------------------------ for people


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def print_line(line: Styled, is_cut: bool = False) -> None:
    """Print one line. With `is_cut`, a narrow terminal shows only its beginning."""
    if not is_terminal():
        print(line.text)
        return
    out = console()
    words = line.rich()
    if is_cut:
        words.truncate(out.width, overflow="ellipsis")
    out.print(words)


def print_rows(rows: Sequence[Row], free: int = -1, like: Sequence[Row] = ()) -> None:
    """Print rows in columns, one line each. On a terminal, the column `free` takes the remaining width.

    `like` gives the rows that determine the widths, so that several lists align.
    """
    if not rows:
        return
    if is_terminal():
        out = console()
        out.print(_grid(rows, out, free % len(rows[0]), like))
        return
    for line in aligned([[cell.text or "-" for cell in row] for row in rows]):
        print(line)


def print_hanging(head: Styled, text: Styled) -> None:
    """Print a head and a text after it. On a terminal, further lines of the text are indented."""
    if not is_terminal():
        print(f"{head.text}{' ' * GAP}{text.text}")
        return
    from rich.table import Table

    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(head.rich(), text.rich())
    console().print(table)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines of aligned columns. The last column is not padded."""
    if not rows:
        return []
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return ["  ".join([*map(_padded, row, widths), row[-1]]) for row in rows]


def console(stderr: bool = False) -> "Console":
    """Return the console of standard output or error. NO_COLOR turns colours off."""
    from rich.console import Console

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


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def _grid(rows: Sequence[Row], out: "Console", free: int, like: Sequence[Row]) -> "Table":
    from rich.table import Table

    columns = len(rows[0])
    widths = [min(max(cell_len(row[column].text) for row in like or rows), WIDEST_COLUMN) for column in range(columns)]
    others = sum(width for column, width in enumerate(widths) if column != free)
    widths[free] = max(out.width - others - GAP * (columns - 1), NARROWEST)
    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for column in range(columns):
        table.add_column(width=widths[column], no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(cell.rich() for cell in row))
    return table
