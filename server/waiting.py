"""Calls that wait: blocked until something is addressed to the caller, and ended by its pause or kill."""

import anyio

from teamroom.server.acts.presence import ACKNOWLEDGE, WAKES_WAITING, Acknowledge, Waited, WaitForWake
from teamroom.server.door import Door
from teamroom.server.identity import Caller
from teamroom.server.refusals import stopping
from teamroom.server.settings import Settings
from teamroom.server.wake.bus import Bus


class Waiting:
    """Lets callers wait for their wakes."""

    def __init__(self, door: Door, bus: Bus, settings: Settings) -> None:
        self._door = door
        self._bus = bus
        self._settings = settings

    async def wait_for_wake(self, caller: Caller, arguments: WaitForWake) -> Waited:
        """Wakes after the caller's cursor, as soon as there are any; none once the time is up.

        Raises Refusal, also when the caller is paused or killed while it waits.
        """
        if arguments.after is not None:
            await self._door.act(caller, ACKNOWLEDGE, Acknowledge(after=arguments.after))
        seconds = self._settings.wait_seconds if arguments.timeout_seconds is None else arguments.timeout_seconds
        with self._bus.running(caller.member) as running:
            return await self._wait(caller, arguments, min(seconds, self._settings.wait_max_seconds))
        if running.cancelled_caught:
            return await self._read(caller, arguments)  # refused, with who did it and why
        raise stopping()

    async def _wait(self, caller: Caller, arguments: WaitForWake, seconds: float) -> Waited:
        end = anyio.current_time() + seconds
        while True:
            with self._bus.waiting(caller.member) as nudged:
                found = await self._read(caller, arguments)
                left = end - anyio.current_time()
                if found.wakes or left <= 0 or self._bus.stopping:
                    return found
                with anyio.move_on_after(min(left, left if found.due_seconds is None else found.due_seconds)):
                    await nudged.wait()

    async def _read(self, caller: Caller, arguments: WaitForWake) -> Waited:
        found: Waited = await self._door.read(caller, WAKES_WAITING, arguments)
        return found
