"""Task lists in Markdown: `- [ ]` and `- [x]`, nested by indentation, and the text below each task."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field

from teamroom.clients.importing.item import Found, Item, date_of
from teamroom.clients.importing.values import has_wrong_bytes
from teamroom.server.rules.text import shorten

TASK = re.compile(r"(?P<indent> *)(?:[-*+]|\d{1,9}[.)]) +\[(?P<mark>[ xX/~-])\](?: +(?P<text>.*))?$")
BULLET = re.compile(r"(?P<indent> *)(?:[-*+]|\d{1,9}[.)]) +(?P<text>\S.*)$")
HEADING = re.compile(r" {0,3}(?P<signs>#{1,6}) +(?P<text>.*)$")
FENCE = re.compile(r" *(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
DATES = re.compile(
    r"(?P<sign>\N{WHITE HEAVY CHECK MARK}|\N{HEAVY PLUS SIGN}|\N{CALENDAR})\N{VARIATION SELECTOR-16}?\s*"
    r"(?P<date>\d{4}-\d\d-\d\d)"
)
"""Dates that note programs write behind a task: done, created, due."""

DONE, CREATED, DUE = "\N{WHITE HEAVY CHECK MARK}", "\N{HEAVY PLUS SIGN}", "\N{CALENDAR}"

FINISHED = "xX~-"
CANCELLED = "~-"
"""Marks of tasks that are done or cancelled. `/` is in progress."""

NESTED = 2
"""So many more spaces begin a list inside another."""

TAB = 4
DIGITS = 16
LABEL_CHARACTERS = 60
SOURCE_CHARACTERS = 120


def read_markdown(text: str, source: str) -> Found:
    """The tasks of a file. A task is recognised by its text and those of the tasks above it, so it may move.

    Of tasks that are equal in this, the first one in the file is the first one, and so on.
    """
    reader = _Reader(source[:SOURCE_CHARACTERS])
    for number, line in enumerate(text.split("\n"), 1):
        reader.read(number, line.expandtabs(TAB).rstrip())
    return reader.found


@dataclass(slots=True)
class _Open:
    """A list item that further lines can belong to. `task` None: a bullet that is no task."""

    indent: int
    task: Item | None
    path: str


@dataclass(slots=True)
class _Reader:
    """Reads a file line by line. `open`: the list items around the next line, the outermost first."""

    source: str
    found: Found = field(default_factory=Found)
    open: list[_Open] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    fence: str = ""
    below: Item | None = None
    """The task that the last line of text belongs to, and with it the code after it."""
    margin: int = 0
    """How many spaces before the text of that task do not belong to it."""
    in_comment: bool = False
    seen: Counter[str] = field(default_factory=Counter)

    def read(self, number: int, line: str) -> None:
        """Take in the next line, without tabs and white space at its end."""
        if self.fence:
            if self.below is not None:
                self.below.detail += f"{_without_margin(line, self.margin)}\n"
            fence = FENCE.match(line)
            if fence is not None and fence["fence"].startswith(self.fence) and not fence["info"].strip():
                self.fence = ""
            return
        line = self._without_comments(line)
        if (fence := FENCE.match(line)) is not None:
            self.fence = fence["fence"]
            self._add_text(line)
        elif (heading := HEADING.match(line)) is not None:
            level = len(heading["signs"])
            self.headings = [*self.headings[: level - 1], heading["text"].rstrip(" #")]
            self.open.clear()
        elif (task := TASK.match(line)) is not None:
            self._add_task(number, task)
        else:
            self._add_text(line)

    def _without_comments(self, line: str) -> str:
        """A line without what HTML comments hide."""
        shown = []
        while line:
            sign = "-->" if self.in_comment else "<!--"
            before, found, line = line.partition(sign)
            if not self.in_comment:
                shown.append(before)
            if found:
                self.in_comment = not self.in_comment
        return "".join(shown).rstrip()

    def _add_task(self, number: int, task: re.Match[str]) -> None:
        indent, dates = len(task["indent"]), dict[str, float | None]()
        self._close(indent)
        title = DATES.sub(lambda seen: _note(seen, dates), task["text"] or "")
        title = " ".join(title.split())
        if not title or has_wrong_bytes(title):
            self.found.broken.append(f"line {number}: {'it is not UTF-8' if title else 'the task has no text'}")
            return
        parent = next((one.task for one in reversed(self.open) if one.task is not None), None)
        above = next((one.path for one in reversed(self.open) if one.task is not None), "")
        path = f"{above}\n{title}"
        self.seen[path] += 1
        times = self.seen[path]
        item = self._item(number, title, task["mark"], dates)
        item.external = f"markdown:{self.source}#{_digest(path, times)}"
        if parent is not None:
            parent.needs.append(item.external)
        self.found.items.append(item)
        self.open.append(_Open(indent, item, path))

    def _item(self, number: int, title: str, mark: str, dates: dict[str, float | None]) -> Item:
        under = f", under {' > '.join(filter(None, self.headings))}" if any(self.headings) else ""
        return Item(
            external="",
            label=shorten(title, LABEL_CHARACTERS),
            where=f"line {number}",
            title=title,
            due=dates.get(DUE),
            created_at=dates.get(CREATED),
            done=mark in FINISHED,
            closed_at=dates.get(DONE) if mark in FINISHED else None,
            summary="Cancelled" if mark in CANCELLED else "",
            end=f"From {self.source}{under}.",
        )

    def _add_text(self, line: str) -> None:
        """Add a line to the text of the task that it stands below."""
        indent = len(line) - len(line.lstrip())
        bullet = BULLET.match(line)
        if bullet is not None:
            self._close(indent)
        elif line and indent < NESTED:
            self.open.clear()
        around = [one for one in self.open if one.task is not None and (not line or one.indent < indent)]
        self.below = around[-1].task if around else None
        if self.below is not None:
            self.margin = around[-1].indent + NESTED
            self.below.detail += f"{_without_margin(line, self.margin)}\n"
        if bullet is not None:
            self.open.append(_Open(indent, None, ""))

    def _close(self, indent: int) -> None:
        """Leave the list items that one with so many spaces before it is not inside of."""
        while self.open and self.open[-1].indent + NESTED > indent:
            self.open.pop()


def _note(seen: re.Match[str], dates: dict[str, float | None]) -> str:
    """Note a date behind a task, and return the text that replaces it: none."""
    dates[seen["sign"]] = date_of(seen["date"])
    return ""


def _without_margin(line: str, margin: int) -> str:
    return line[min(len(line) - len(line.lstrip()), margin) :]


def _digest(path: str, times: int) -> str:
    """What recognises a task: a digest of its path, and how often the file had it so far."""
    if times > 1:
        path = f"{path}\n\n{times}"
    return hashlib.sha256(path.encode(errors="surrogatepass")).hexdigest()[:DIGITS]
