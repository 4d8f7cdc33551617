"""What the model of each harness was told when the tests last ran it, and the table of it in docs/join.md.

`told.json` is written by `make test-harnesses`. The ordinary tests compare the page with it, without any harness.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.room import OWNER
from tests.support.pages import parts, read, with_parts
from tests.support.repository import ROOT

RECORD = Path(__file__).with_name("told.json")
PAGE, PART = ROOT / "docs" / "join.md", "told"

TOLD_CHARACTERS = 200
"""How much the table shows of what a model was told in place of the room's words."""

MENTION = "@builder how far is the plan?"
PAUSE_REASON = "the disk of the build machine is full"
KILL_REASON = "it ran wild"


@dataclass(frozen=True)
class Situation:
    """What happens to a member, and what its model must be shown then: `words`, which the room says."""

    happens: str
    words: str


_PAUSED = f"You are paused by @{OWNER} since …: “{PAUSE_REASON}”."
_KILLED = f"@builder was killed by @{OWNER}: “{KILL_REASON}”."

SITUATIONS = {
    "started": Situation("It starts: the room's instructions.", "This is a room that you share"),
    "joined": Situation("It calls `check_in`.", "You share this room with agents and people."),
    "mentioned": Situation("It is mentioned while it waits for a wake.", MENTION),
    "paused": Situation("It is paused, and posts.", _PAUSED),
    "restarted": Situation("The room restarts, and it posts again.", _PAUSED),
    "resumed": Situation("It is resumed, and posts.", "M-2"),
    "killed": Situation("It is killed, and posts.", _KILLED),
    "started again": Situation("It is started again.", _KILLED),
}

VARIES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|[0-9a-f]{64}(?:@\d+)?|(?<![\w.-])\d+(?:\.\d+)?")
"""Times, hashes and numbers, which are others in each run; ids such as M-2 are not."""


def shown_as(name: str, told: str) -> list[str]:
    """The forms in which a model was shown the room's words in a situation: text, data, both, or none."""
    words = re.escape(SITUATIONS[name].words).replace("…", ".{1,40}")
    text, data = _text_and_data(told)
    return [form for form, part in (("text", text), ("data", data)) if re.search(words, part)]


def _text_and_data(told: str) -> tuple[str, str]:
    """What a model was told outside JSON, and the JSON in it."""
    pieces = list(_pieces(told))
    return "".join(piece for piece, is_data in pieces if not is_data), "".join(
        piece for piece, is_data in pieces if is_data
    )


def _pieces(told: str) -> Iterator[tuple[str, bool]]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(told):
        try:
            end = decoder.raw_decode(told, at)[1] if told[at] in "{[" else at
        except ValueError:
            end = at
        yield told[at : max(end, at + 1)], end > at
        at = max(end, at + 1)


def write(harness: str, version: str, told: Mapping[str, str]) -> None:
    """Record what the model of a harness was told in each situation."""
    shown = {name: {"shown": shown_as(name, text), "told": VARIES.sub("…", text)} for name, text in told.items()}
    found = {**record(), harness: {"version": version, "situations": shown}}
    RECORD.write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def record() -> dict[str, Any]:
    """What the last run of each harness recorded, by its name."""
    return dict(json.loads(RECORD.read_text(encoding="utf-8"))) if RECORD.exists() else {}


def head() -> tuple[str, ...]:
    """The head of the table."""
    versions = (f"{name} {harness['version']}" for name, harness in sorted(record().items()))
    return ("what happens", "the room's words", *versions)


def rows() -> list[tuple[str, ...]]:
    """The table: for each situation in what form each harness shows its model the room's words."""
    found = [harness["situations"] for _, harness in sorted(record().items())]
    return [
        (situation.happens, f"`{situation.words}`", *(_cell(situations[name]) for situations in found))
        for name, situation in SITUATIONS.items()
    ]


def _cell(seen: dict[str, Any]) -> str:
    told = " ".join(seen["told"].split())
    return " and ".join(seen["shown"]) or (f"`{told[:TOLD_CHARACTERS]}`" if told else "nothing")


def put_on_page(table: str) -> None:
    """Write the table into docs/join.md."""
    text = read(PAGE)
    PAGE.write_text(with_parts(text, {**parts(text), PART: table}), encoding="utf-8")
