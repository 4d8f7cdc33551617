"""Forecasts in words, the same for agents and people."""

from typing import Protocol

from teamroom.server.rules.spans import duration
from teamroom.server.rules.text import describe_mode


class Expected(Protocol):
    """When an addressee is expected to answer; None: no estimate."""

    mode: str
    presence: str
    supported: bool
    measured: bool
    expected_seconds: float | None
    p90_seconds: float | None
    note: str
    others: list[str]


def describe_forecast(found: Expected) -> str:
    """An addressee's presence, its mode, and when it is expected to answer."""
    return f"({found.presence}, {describe_mode(found.mode, found.supported)}): {_describe_wait(found)}"


def _describe_wait(found: Expected) -> str:
    if found.expected_seconds is None or found.p90_seconds is None:
        others = f"; instead: {', '.join('@' + name for name in found.others)}" if found.others else ""
        first = "" if "no estimate" in found.note or "no listener" in found.note else "no estimate; "
        return f"{first}{found.note}{others}"
    if not found.measured:
        return found.note
    slow = duration(found.p90_seconds)
    return f"expect an answer in about {duration(found.expected_seconds)}, nearly always within {slow}"
