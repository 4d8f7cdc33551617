"""Spans of time as people write them."""

import re

UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}

SPANS = "like 3600, 90s, 30m, 12h or 30d"

_SPAN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*(s|min|m|h|d|w)?", re.IGNORECASE)


def parse_span(text: str, bare: int = 1) -> float | None:
    """A span in seconds; None if the text is not a positive number with an optional unit.

    `bare`: how many seconds a number without a unit counts.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        return None
    return float(found[1]) * (UNITS[found[2].lower()] if found[2] else bare)


def in_words(seconds: float) -> str:
    """A span exactly, in the largest unit that fits a whole number of times."""
    for name, unit in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:g} s"


def duration(seconds: float) -> str:
    """Render a span of time in one unit, rounded."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def is_bare(text: str) -> bool:
    """Whether a span has no unit."""
    found = _SPAN.fullmatch(text.strip())
    return found is not None and not found[2]
