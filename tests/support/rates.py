"""Rates of members where a test or a benchmark sends more than a member may."""

from typing import Any

from teamroom.server.clock import steady_clock
from teamroom.server.door.rates import Rates
from teamroom.server.settings import Settings

LIMITLESS: dict[str, Any] = {
    "acts_per_second": 1_000_000,
    "acts_burst": 10_000_000,
    "bytes_per_day": 1_000_000_000_000,
    "refusals_per_minute": 1_000_000,
}
"""Settings that no program of the tests reaches."""


def without_limits() -> Rates:
    """Rates that nobody reaches."""
    return Rates(Settings(**LIMITLESS), steady_clock)
