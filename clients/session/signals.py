"""The signals that end a program."""

import signal

import anyio

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def ending_signal() -> signal.Signals:
    """Wait for a signal that ends this program, and return it."""
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async for number in signals:
            return number
    raise AssertionError("unreachable: signals do not end")
