"""Waiting for something on the event loop that no event tells, such as what a database on the way does."""

import asyncio
import time
from collections.abc import Callable

from tests.support.bounds import BOUND_SECONDS


async def until(is_so: Callable[[], bool]) -> float:
    """Wait until something is so; returns how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(BOUND_SECONDS):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return time.monotonic() - began
