"""Spans of time as people write them."""

import re

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

SPANS = "like 3600, 90s, 30m, 12h or 30d"


def parse_span(text: str) -> float | None:
    """A span in seconds: a number, or a number with s, m, h, d or w; None where it is none, or nothing long."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)([smhdw]?)", text.strip())
    if found is None or float(found[1]) <= 0:
        return None
    return float(found[1]) * UNITS[found[2]]
