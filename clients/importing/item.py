"""What a file of tasks says: its tasks in the form in which the room takes them, and what is not taken."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from teamroom.clients.importing.values import has_wrong_bytes
from teamroom.server.rules.characters import clean, forbidden_character
from teamroom.server.rules.text import TEXT_CHARACTERS, cite, shorten

TITLE_CHARACTERS = 200
EXTERNAL_CHARACTERS = 200
NEEDS = 50
"""The room's limits: a title, an external id, and the tasks that one task depends on."""

LATEST = 4_000_000_000.0
"""The last date that the room takes, in seconds since 1970-01-01 UTC."""


NUMBER = re.compile(r"#\d+")


@dataclass(slots=True)
class Item:
    """A task of a file. `label`: what people call it there; `where`: its line or place in the file.

    `needs`: the external ids that it depends on. Dates are seconds since 1970-01-01 UTC.
    """

    external: str
    label: str
    where: str
    title: str
    detail: str = ""
    priority: int = 0
    due: float | None = None
    created_at: float | None = None
    done: bool = False
    closed_at: float | None = None
    summary: str = ""
    needs: list[str] = field(default_factory=list)
    end: str = ""
    """The last line of its detail, which stays when the detail is cut."""

    @property
    def name(self) -> str:
        """Its label in a line of ours: what a file says is in quotation marks, unless it is one plain word."""
        return self.label if NUMBER.fullmatch(self.label) else cite(" ".join(clean(self.label).text.split()))

    def arguments(self) -> dict[str, Any]:
        """The arguments of `import_task`."""
        return {
            "external": self.external,
            "title": self.title,
            "detail": self.detail or None,
            "priority": self.priority,
            "due": self.due,
            "depends_on": self.needs,
            "created_at": self.created_at,
            "done": self.done,
            "closed_at": self.closed_at,
            "summary": self.summary or None,
        }


@dataclass(slots=True)
class Found:
    """What a file has: tasks, what is broken, what is taken only in part, and what is left out on purpose, by kind."""

    items: list[Item] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    in_part: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    """What was removed from texts: what steers or hides, by kind."""


def tidy(found: Found) -> None:
    """Bring the texts of all tasks into the form that the room takes. What does not fit is named."""
    kept = []
    for item in found.items:
        if (fault := _fault(item, found)) is None:
            _fit(item, found)
            kept.append(item)
        else:
            found.broken.append(f"{item.where}: {fault}")
    found.items = kept


def _fault(item: Item, found: Found) -> str | None:
    """Why the room cannot take a task at all; None if it can."""
    item.title = " ".join(_clean(item.title, found).split())
    if not item.title:
        return "it has no title"
    if len(item.external) > EXTERNAL_CHARACTERS or forbidden_character(item.external) is not None:
        return f"its id has more than {EXTERNAL_CHARACTERS} characters, or characters that cannot be seen"
    return None


def _fit(item: Item, found: Found) -> None:
    if len(item.title) > TITLE_CHARACTERS:
        item.detail = f"{item.title}\n\n{item.detail}".rstrip()
        item.title = shorten(item.title, TITLE_CHARACTERS)
        found.in_part.append(f"{item.name}: its title is cut; its text begins with the whole title")
    if has_wrong_bytes(item.detail):
        found.in_part.append(f"{item.name}: its text has bytes that are not UTF-8, which are missing")
    item.detail, item.end = _clean(item.detail, found).strip("\n"), _clean(item.end, found)
    if (cut := _cut(item)) > 0:
        found.in_part.append(f"{item.name}: its text is cut; {cut:,} characters of it are missing")
    item.summary = shorten(_clean(item.summary, found).strip(), TEXT_CHARACTERS)
    if len(item.needs) > NEEDS:
        found.in_part.append(f"{item.name}: it depends on {len(item.needs)} tasks; only {NEEDS} of them are taken")
        del item.needs[NEEDS:]


def _clean(text: str, found: Found) -> str:
    cleaned = clean(text)
    found.removed.update(cleaned.removed)
    return cleaned.text


def _cut(item: Item) -> int:
    """Join the text of a task and its last line, and cut the text to fit; returns how many characters are missing."""
    end = shorten(item.end, TEXT_CHARACTERS // 4)
    whole = "\n\n".join(part for part in (item.detail, end) if part)
    if len(whole) <= TEXT_CHARACTERS:
        item.detail = whole
        return 0
    kept = shorten(item.detail, TEXT_CHARACTERS - len(end) - 2)
    missing = len(item.detail) - len(kept) + 1
    item.detail = f"{kept}\n\n{end}" if end else kept
    return missing


# ------------------------------------------------------------------ values of JSON, which can be anything


def text_of(value: Any) -> str:
    """A value that must be a text; "" for anything else."""
    return value if isinstance(value, str) else ""


def list_of(value: Any) -> list[Any]:
    """A value that must be a list; empty for anything else. GitHub's GraphQL has lists as `nodes`."""
    if isinstance(value, Mapping):
        value = value.get("nodes")
    return value if isinstance(value, list) else []


def named(value: Any, name: str) -> str:
    """The text of a field of an object, or the value itself if it is a text: labels, people and milestones."""
    return text_of(value.get(name)) if isinstance(value, Mapping) else text_of(value)


def date_of(value: Any) -> float | None:
    """A date in RFC 3339 in seconds since 1970-01-01 UTC; None if it is none, or not between then and 2096."""
    try:
        read = datetime.fromisoformat(text_of(value).strip())
        seconds = (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= LATEST and math.isfinite(seconds) else None


def comments(values: Any, text: str) -> list[str]:
    """The comments below a task, each with its author and date."""
    found = []
    for value in list_of(values):
        if isinstance(value, Mapping) and (body := text_of(value.get(text)).strip()):
            who = named(value.get("author") or value.get("user"), "login") or "somebody"
            day = text_of(value.get("created_at") or value.get("createdAt"))[:10]
            found.append(f"Comment by {who}{f' on {day}' if day else ''}:\n{body}")
    return found
