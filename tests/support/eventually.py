"""Waiting for something on the event loop that no event tells, such as what a database on the way does."""

import asyncio
import time
from collections.abc import Callable
from itertools import count

from tests.support.bounds import BOUND_SECONDS

TURNS = 20
"""How many turns of the event loop are not paced: within them comes what needs neither a thread nor a process."""

PACE_SECONDS = 0.005
"""How often it looks after that, so that it does not take the CPU from what it waits for."""


async def until(is_so: Callable[[], bool]) -> float:
    """Wait until something is so; returns how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(BOUND_SECONDS):
        for turn in count():
            if is_so():
                break
            await asyncio.sleep(0 if turn < TURNS else PACE_SECONDS)
    return time.monotonic() - began
