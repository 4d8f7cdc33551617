"""Calls that wait: blocked until something is addressed to the caller, and ended by its pause or kill."""

import math
from collections import deque

import anyio

from teamroom.server.acts.presence.presence import ACKNOWLEDGE, WAKES_WAITING, Acknowledge, Waited, WaitForWake
from teamroom.server.acts.presence.trouble import tell_of_take_overs
from teamroom.server.door.door import Door
from teamroom.server.identity import Caller
from teamroom.server.refusals import stopping
from teamroom.server.settings import Settings
from teamroom.server.wake.bus import Bus, Listening

TAKE_OVER_SECONDS = 60.0
"""The while in which take-overs are counted: some are usual, as a client that lost its connection calls again."""


class TakeOvers:
    """How often a member's newest listener ended an older one, of late."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._newest: dict[int, deque[float]] = {}
        self._alarmed: dict[int, float] = {}

    def is_alarming(self, member: int, now: float) -> bool:
        """Note a take-over; whether these are too many, and nobody was told in a while."""
        newest = self._newest.setdefault(member, deque(maxlen=self._settings.take_overs + 1))
        newest.append(now)
        if len(newest) <= self._settings.take_overs or now - newest[0] > TAKE_OVER_SECONDS:
            return False
        if now - self._alarmed.get(member, -math.inf) < self._settings.take_over_alarm_seconds:
            return False
        self._alarmed[member] = now
        return True


class Waiting:
    """Lets callers wait for their wakes."""

    def __init__(self, door: Door, bus: Bus, settings: Settings) -> None:
        self._door = door
        self._bus = bus
        self._settings = settings
        self._take_overs = TakeOvers(settings)

    def hear(self, caller: Caller, listener: str) -> None:
        """Note that a listener of the caller is there, while it does not wait."""
        self._bus.hear(caller.member, listener)

    async def wait_for_wake(self, caller: Caller, arguments: WaitForWake, listener: str | None) -> Waited:
        """Wakes after the caller's cursor, as soon as there are any; none once the time is up.

        `listener`: which listener of the caller waits, where it says so. Raises Refusal, also when the caller is
        paused or killed while it waits.
        """
        if arguments.after is not None:
            await self._door.act(caller, ACKNOWLEDGE, Acknowledge(after=arguments.after))
        seconds = self._settings.wait_seconds if arguments.timeout_seconds is None else arguments.timeout_seconds
        with self._bus.running(caller.member) as running:
            return await self._listen(caller, arguments, min(seconds, self._settings.wait_max_seconds), listener)
        if running.cancelled_caught:
            return await self._read(caller, arguments)  # refused, with who did it and why
        raise stopping()

    async def _listen(self, caller: Caller, arguments: WaitForWake, seconds: float, listener: str | None) -> Waited:
        """Wait as the one live listener; people may listen in as many places as they like."""
        if caller.kind != "agent":
            return await self._wait(caller, arguments, seconds, Listening())
        with self._bus.listening(caller.member, listener) as (listening, took_over):
            if took_over and self._take_overs.is_alarming(caller.member, anyio.current_time()):
                await self._door.act_as_room(lambda tx: tell_of_take_overs(tx, caller))
            return await self._wait(caller, arguments, seconds, listening)

    async def _wait(self, caller: Caller, arguments: WaitForWake, seconds: float, listening: Listening) -> Waited:
        end = anyio.current_time() + seconds
        while True:
            with self._bus.waiting(caller.member) as nudged:
                found = await self._read(caller, arguments)
                if listening.superseded:
                    return found.model_copy(update={"wakes": [], "superseded": True})
                left = end - anyio.current_time()
                if found.wakes or left <= 0 or self._bus.stopping:
                    return found
                with anyio.move_on_after(min(left, left if found.due_seconds is None else found.due_seconds)):
                    await nudged.wait()

    async def _read(self, caller: Caller, arguments: WaitForWake) -> Waited:
        found: Waited = await self._door.read(caller, WAKES_WAITING, arguments)
        return found
