"""Signals that end a program in order."""

import signal

import anyio

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def ending_signal() -> signal.Signals:
    """The first signal that asks this program to end; it waits until one comes."""
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async for number in signals:
            return number
    raise AssertionError("unreachable: signals do not end")
