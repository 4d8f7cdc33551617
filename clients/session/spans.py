"""Spans of time as people write and read them."""

from datetime import datetime

from teamroom.server.clock import wall_clock


def span(seconds: float) -> str:
    """Return a span of seconds in words."""
    for name, unit in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit or (name == "min" and seconds >= unit):
            return f"{seconds // unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def until(at: str, now: float | None = None) -> str:
    """Return in words how long it is until a time of a reply."""
    return span(datetime.fromisoformat(at).timestamp() - (wall_clock() if now is None else now))


def passed_since(at: str, now: float | None = None) -> str:
    """Return in words how long ago a time of a reply was."""
    return span((wall_clock() if now is None else now) - datetime.fromisoformat(at).timestamp())


def seconds_between(since: str, until: str) -> float:
    """Return the seconds between two times of a reply."""
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()
