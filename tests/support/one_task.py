"""Keeps a context open across tasks: pytest-asyncio sets a fixture up in one task, and tears it down in another.

A context with a task group in it, such as a client of the SDK, must be left by the task that entered it. Otherwise
anyio raises "Attempted to exit cancel scope in a different task than it was entered in".
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

T = TypeVar("T")


@contextlib.asynccontextmanager
async def in_one_task(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context in one dedicated task, so that any task may open it and any other may close it.

    Raises what the context raises when it is entered or left.
    """
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def live() -> None:
        async with context as value:
            entered.set_result(value)
            await leave.wait()

    task = asyncio.create_task(live())
    try:
        await asyncio.wait((task, entered), return_when=asyncio.FIRST_COMPLETED)
        if not entered.done():
            await task  # which raises why it did not enter
        yield entered.result()
    finally:
        if not entered.done():
            task.cancel()
        leave.set()
        await task
