"""Output of the shell: colours and tables on a terminal, aligned plain text in a pipe.

Members' texts are data: they are shown as text, and control characters are made visible. Rich loads only on a
terminal, so that scripts start fast.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teamroom.server.rules.text import cite, inline

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

LINE_END = re.compile("\r\n?|\n")
"""The line ends of all systems. Texts of earlier releases have those of Windows."""

NARROW = 60
"""Below so many cells, a terminal shows each record on two lines."""

NARROWEST, GAP, INDENT = 8, 2, 2
"""The narrowest column that is cut, the gap between columns, and the indentation of a second line, in cells."""


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


@dataclass(frozen=True)
class Layout:
    """How the columns of a table, which are named by number, use the width of a terminal.

    `free`: it takes the width that the others leave, and `share` of the whole width at least. `whole`: they are never
    cut, such as ids, names, numbers and states. `first`: what is on the first of two lines on a narrow terminal.
    """

    free: int = -1
    whole: tuple[int, ...] = (0,)
    first: tuple[int, ...] = (0,)
    share: float = 0.4


LISTED = Layout()
"""A list whose first column names the record and whose last one is text."""


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


def print_line(line: Styled, is_cut: bool = False, is_whole: bool = False) -> None:
    """Print one line. With `is_cut`, a narrow terminal shows only its beginning.

    With `is_whole`, no line end is put into it, so that a command can be copied from several lines of a terminal.
    """
    if not is_terminal():
        print(line.text)
        return
    out = console()
    words = line.rich()
    if is_cut:
        words.truncate(out.width, overflow="ellipsis")
    out.print(words, soft_wrap=is_whole or None)


def print_rows(rows: Sequence[Row], layout: Layout = LISTED) -> None:
    """Print rows in columns, one line each. On a narrow terminal, each takes two lines."""
    if not rows:
        return
    if not is_terminal():
        for line in aligned([[cell.text or "-" for cell in row] for row in rows]):
            print(line)
        return
    out = console()
    widths = None if is_narrow(out.width) else fit_columns(rows, layout, out.width)
    if widths is not None:
        out.print(_grid(rows, widths))
        return
    for row in rows:
        for part in on_two_lines(row, layout, out.width):
            out.print(part.rich(), overflow="fold")


def print_hanging(head: Styled, text: Styled) -> None:
    """Print a head and a text after it. On a terminal, further lines of the text are indented.

    On a narrow one, a text that does not fit after its head is below it.
    """
    if not is_terminal():
        print(f"{head.text}{' ' * GAP}{text.text}")
        return
    from rich.table import Table

    out = console()
    is_below = is_narrow(out.width) and cell_len(head.text) + GAP + cell_len(text.text) > out.width
    if is_below and head.text.strip():
        out.print(head.rich(), overflow="fold")
    indent = Styled(" " * INDENT) if is_below else head
    table = Table.grid(padding=(0, 0 if is_below else GAP, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(indent.rich(), text.rich())
    out.print(table)


# ------------------------------------------------------------------ how columns fit


def is_narrow(width: int) -> bool:
    """Whether a terminal is too narrow for one line a record."""
    return width < NARROW


def fit_columns(rows: Sequence[Row], layout: Layout, width: int) -> list[int] | None:
    """Return the width of each column on a terminal; None if the rows do not fit on one line each.

    A column is as wide as its widest cell, as far as there is room. The widest ones are cut first, and those of
    `whole` never. The free column gets what is left, at least its share if it needs that.
    """
    columns = len(rows[0])
    free = layout.free % columns
    widths = [max(cell_len(row[column].text) for row in rows) for column in range(columns)]
    wanted, widths[free] = widths[free], 0
    gaps = GAP * (sum(map(bool, widths)) if wanted else max(sum(map(bool, widths)) - 1, 0))
    least = min(wanted, round(width * layout.share))
    while sum(widths) + gaps + least > width:
        cut = [column for column in range(columns) if column not in layout.whole and widths[column] > NARROWEST]
        if not cut:
            break
        widths[max(cut, key=widths.__getitem__)] -= 1
    left = width - sum(widths) - gaps
    if left < min(wanted, NARROWEST):
        return None
    widths[free] = min(wanted, left)
    return widths


def on_two_lines(row: Row, layout: Layout, width: int) -> list[Styled]:
    """Return a row as two lines for a narrow terminal, or one if there is nothing for a second.

    The columns of `first` come first, as many as fit. The rest is below, cut to the width.
    """
    first, rest = [row[0]], [cell for column, cell in enumerate(row) if column not in layout.first and cell.text]
    left = width - cell_len(row[0].text)
    for column in layout.first[1:]:
        cell = row[column]
        room = left - GAP
        if column not in layout.whole and room >= NARROWEST:
            cell = cell.cut(room)
        if not cell.text:
            continue
        if cell_len(cell.text) <= room:
            first.append(cell)
            left = room - cell_len(cell.text)
        else:
            rest.insert(0, cell)
    lines = [_joined(first)]
    if rest:
        lines.append(Styled(" " * INDENT, _joined(rest).cut(width - INDENT)))
    return lines


def _joined(cells: Sequence[Styled]) -> Styled:
    pieces: list[str | Styled] = []
    for cell in cells:
        pieces += [" " * GAP, cell] if pieces else [cell]
    return Styled(*pieces)


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


def _grid(rows: Sequence[Row], widths: Sequence[int]) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    shown = [column for column, width in enumerate(widths) if width]
    for column in shown:
        table.add_column(width=widths[column], no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(row[column].rich() for column in shown))
    return table
