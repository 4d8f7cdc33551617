"""Fails a test for an exception that nobody saw: one of a callback, or of a task that nobody awaited.

asyncio only logs such an exception. The hooks in `tests/conftest.py` give each test a loop that keeps it, and raise it
at the end of the step (setup, call or teardown) in which it came.
"""

import asyncio
from typing import Any

import uvloop

_unseen: list[Exception] = []


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop as `teamroom up` has it, which keeps every exception that nobody saw."""
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(_keep)
    return loop


def raise_unseen() -> None:
    """Raise what was kept since the last call; several exceptions are raised as a group."""
    unseen = _unseen.copy()
    _unseen.clear()
    if len(unseen) == 1:
        raise unseen[0]
    if unseen:
        raise ExceptionGroup("several exceptions that nobody saw", unseen)


def _keep(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, Exception):
        _unseen.append(error)
    else:
        loop.default_exception_handler(context)
