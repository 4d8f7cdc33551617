"""Spans of time as people write and read them."""

import re
from datetime import datetime

from teamroom.server.clock import wall_clock

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

SPANS = "like 3600, 90s, 30m, 12h or 30d"


def parse_span(text: str) -> float | None:
    """A span in seconds: a number, or a number with s, m, h, d or w; None where it is none, or nothing long."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)([smhdw]?)", text.strip())
    if found is None or float(found[1]) <= 0:
        return None
    return float(found[1]) * UNITS[found[2]]


def span(seconds: float) -> str:
    """A span of seconds in words."""
    for name, unit in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit or (name == "min" and seconds >= unit):
            return f"{seconds // unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def until(at: str, now: float | None = None) -> str:
    """How long it is until a time of the room's replies, in words."""
    return span(datetime.fromisoformat(at).timestamp() - (wall_clock() if now is None else now))


def seconds_between(since: str, until: str) -> float:
    """How long it is from one time of the room's replies to another."""
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def day_and_time(at: str) -> str:
    """A time of the room's replies as a terminal has room for it: month, day, hour and minute, in UTC."""
    return at[5:16].replace("T", " ")
