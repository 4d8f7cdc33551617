"""The helpers of the tests do what the tests rely on."""

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from tests.support.one_task import in_one_task
from tests.support.promises import house
from tests.support.stopwatch import Stopwatch

pytestmark = house


# ------------------------------------------------------------------ contexts in a task of their own


@contextlib.asynccontextmanager
async def with_a_task_group(left: list[str]) -> AsyncIterator[str]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep_forever)
        yield "open"
        tasks.cancel_scope.cancel()
    left.append("left")


async def opened_and_closed_in_two_tasks(context: contextlib.AbstractAsyncContextManager[str]) -> None:
    """What pytest-asyncio does with a fixture."""
    assert await asyncio.create_task(context.__aenter__()) == "open"
    await asyncio.create_task(context.__aexit__(None, None, None))


async def test_a_context_with_a_task_group_is_closed_by_another_task_than_opened_it() -> None:
    left: list[str] = []
    await opened_and_closed_in_two_tasks(in_one_task(with_a_task_group(left)))
    assert left == ["left"]


async def test_closing_fails_without_a_separate_task() -> None:
    async with contextlib.AsyncExitStack() as bound:
        await bound.enter_async_context(asyncio.timeout(10))
        with pytest.raises(RuntimeError, match="different task"):
            await opened_and_closed_in_two_tasks(with_a_task_group([]))


async def test_an_exception_of_a_context_reaches_its_opener_or_closer() -> None:
    @contextlib.asynccontextmanager
    async def raises(when: str) -> AsyncIterator[None]:
        if when == "entering":
            raise ZeroDivisionError(when)
        yield
        raise ZeroDivisionError(when)

    for when in ("entering", "leaving"):
        with pytest.raises(ZeroDivisionError, match=when):
            async with in_one_task(raises(when)):
                pass


async def test_a_context_that_never_opens_is_cancelled_with_its_opener() -> None:
    @contextlib.asynccontextmanager
    async def never() -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), in_one_task(never()):
            pass
    assert len(asyncio.all_tasks()) == 1


# ------------------------------------------------------------------ a stopwatch for busy machines


@contextlib.contextmanager
def on_one_processor_with_a_busy_program() -> Iterator[None]:
    """This thread and an endless loop share one processor."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)
        busy.kill()
        busy.wait()


def work(cpu_seconds: float) -> None:
    end = time.thread_time() + cpu_seconds
    while time.thread_time() < end:
        pass


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system counts no waits for a processor")
def test_a_stopwatch_leaves_out_delays_of_a_busy_machine() -> None:
    with on_one_processor_with_a_busy_program():
        stopwatch, began = Stopwatch(), time.monotonic()
        work(0.2)
        measured, passed = stopwatch.seconds, time.monotonic() - began
    assert passed > 0.3
    assert 0.1 < measured < (0.2 + passed) / 2


def test_a_stopwatch_counts_time_spent_waiting() -> None:
    stopwatch = Stopwatch()
    time.sleep(0.1)
    assert stopwatch.seconds > 0.09


# ------------------------------------------------------------------ exceptions that nobody sees


@pytest.mark.xfail(strict=True, raises=ZeroDivisionError, reason="the exception of a callback fails its test")
async def test_an_exception_of_a_callback_fails_the_test() -> None:
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)


@pytest.mark.xfail(strict=True, raises=ZeroDivisionError, reason="the exception of a lost task fails its test")
async def test_an_exception_of_a_task_that_nobody_awaits_fails_the_test() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    task = asyncio.create_task(broken())
    await asyncio.sleep(0)
    del task
    gc.collect()
