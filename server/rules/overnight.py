"""The layout of `overnight`: how many lines each section gets, the span it covers, and the steps of its chart.

It is all arithmetic on counts, so the cost does not depend on how much happened.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LINES = 60
"""How many lines a person reads at a glance (QUI5)."""

HEAD_LINES, SECTION_LINES = 2, 2
"""Lines of the head (the span, the pace), and of each section in addition to its list (a blank line, a heading)."""

STEPS = 48
"""The most steps in the chart of a span's pace."""

BARS = "▁▂▃▄▅▆▇█"

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
STEP_SECONDS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY)


def allot_lines(sections: Sequence[Sequence[int]], lines: int = LINES) -> list[list[int]]:
    """How many entries of each kind each section shows, given how many there are, on so many lines.

    Sections, and the kinds in them, come in the order in which a person needs them. Sections share the lines evenly:
    lines that one does not need go to the others, and an odd line to the first. If a section leaves something out, one
    of its lines says so.
    """
    room = lines - HEAD_LINES - SECTION_LINES * len(sections)
    given = distribute([sum(kinds) for kinds in sections], room)
    return [
        list(kinds) if sum(kinds) <= lines_given else distribute(kinds, lines_given - 1)
        for kinds, lines_given in zip(sections, given, strict=True)
    ]


def count_records(shown: Sequence[int], lines: int) -> list[int]:
    """How many things of each section fit on so many lines if each takes two, and one line says what is left out."""
    room = lines - HEAD_LINES - (SECTION_LINES + 1) * len(shown)
    return distribute(shown, room // 2)


def distribute(wanted: Sequence[int], room: int) -> list[int]:
    """How many lines of `room` each gets: as evenly as possible, never more than it wants, the first ones first."""
    given = [0] * len(wanted)
    while room > 0 and (hungry := [i for i, want in enumerate(wanted) if given[i] < want]):
        for i in hungry[:room]:
            given[i] += 1
        room -= len(hungry)
    return given


@dataclass(frozen=True, slots=True)
class Look:
    """A member's newest look: it ended `at`, when the log ended at `upto`.

    It showed everything since the time `since`, which is every entry after `after`. Both times are room time.
    """

    at: float
    upto: int
    since: float
    after: int


def next_look(last: Look, now: float, upto: int, gap_seconds: float) -> Look:
    """The look that a member takes now. It extends the last one within `gap_seconds`, or starts where that ended."""
    if now - last.at < gap_seconds:
        return Look(now, upto, last.since, last.after)
    return Look(now, upto, last.at, last.upto)


def step_seconds(span: float) -> float:
    """How many seconds a step of the chart covers: the shortest step of which at most `STEPS` cover the span."""
    for step in STEP_SECONDS:
        if span <= STEPS * step:
            return step
    return math.ceil(span / STEPS / DAY) * DAY


_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def bars(counts: Sequence[int]) -> str:
    """Counts as bars, each one character wide; a zero is a space."""
    most = max(counts, default=0)
    return "".join(BARS[(count * len(BARS) - 1) // most] if count else " " for count in counts)


def find_named(text: str, people: Mapping[str, str]) -> str | None:
    """The first word of a text that is the name of one of these people, with or without an @; None if none is.

    `people`: each name that a person has or had, and the name now, which is returned.
    """
    by_folded = {name.casefold(): now for name, now in people.items()}
    for word in _WORD.findall(text):
        found = by_folded.get(word.rstrip(".-").casefold())
        if found is not None:
            return found
    return None
