"""Where in a database file the rows of a table lie, byte by byte, by SQLite's file format."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

INTERIOR, LEAF = 0x05, 0x0D
"""The first byte of a page of a table's tree."""


def bytes_of_rows(path: Path, table: str) -> list[tuple[int, int]]:
    """Every byte of a cell of a table, as its offset in the file and the number of its row.

    The database must be closed: all of it in one file.
    """
    with closing(sqlite3.connect(path)) as connection:
        root = connection.execute("select rootpage from sqlite_schema where name = ?", (table,)).fetchone()[0]
        size = connection.execute("pragma page_size").fetchone()[0]
    return [(offset, row) for start, end, row in _cells(path.read_bytes(), size, root) for offset in range(start, end)]


def _cells(content: bytes, size: int, page: int) -> Iterator[tuple[int, int, int]]:
    """Where the parts of each cell begin and end, below this page of the tree."""
    start = (page - 1) * size
    kind = content[start]
    count = int.from_bytes(content[start + 3 : start + 5], "big")
    first = start + (12 if kind == INTERIOR else 8)
    cells = [start + int.from_bytes(content[at : at + 2], "big") for at in range(first, first + 2 * count, 2)]
    if kind == INTERIOR:
        for child in (*cells, start + 8):
            yield from _cells(content, size, int.from_bytes(content[child : child + 4], "big"))
        return
    assert kind == LEAF
    for cell in cells:
        yield from _parts(content, size, cell)


def _parts(content: bytes, size: int, cell: int) -> Iterator[tuple[int, int, int]]:
    """The part of a cell in its page, and those in the pages that it flows over into."""
    payload, at = _varint(content, cell)
    row, at = _varint(content, at)
    if payload <= size - 35:
        yield cell, at + payload, row
        return
    least = (size - 12) * 32 // 255 - 23
    here = least + (payload - least) % (size - 4)
    here = here if here <= size - 35 else least
    yield cell, at + here + 4, row
    left, page = payload - here, int.from_bytes(content[at + here : at + here + 4], "big")
    while left > 0:
        start = (page - 1) * size
        part = min(left, size - 4)
        yield start, start + 4 + part, row
        left, page = left - part, int.from_bytes(content[start : start + 4], "big")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    value = 0
    for index in range(8):
        value = value << 7 | content[at + index] & 0x7F
        if content[at + index] < 0x80:
            return value, at + index + 1
    return value << 8 | content[at + 8], at + 9
