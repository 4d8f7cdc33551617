"""Waiting calls: they block until a wake arrives, and a pause or kill ends them."""

from collections import defaultdict
from functools import partial

import anyio

from teamroom.server.acts.presence.presence import (
    ACKNOWLEDGE,
    WAKES_WAITING,
    Acknowledge,
    WaitAgain,
    Waited,
    WaitForWake,
)
from teamroom.server.door.door import Door
from teamroom.server.door.principal import Heard
from teamroom.server.identity import Caller
from teamroom.server.refusals import stopping
from teamroom.server.settings import Settings
from teamroom.server.wake.bus import Bus
from teamroom.server.wake.listeners import Listeners, Listening, Origin
from teamroom.server.wake.newest import LISTENERS_KNOWN


class Given:
    """Up to which number each listener was given wakes. A restart of the server forgets it.

    A listener is known by its name and its session, as far as it has them.
    """

    def __init__(self) -> None:
        self._given: dict[int, dict[tuple[str | None, str | None], int]] = defaultdict(dict)

    def upto(self, caller: Caller, origin: Origin) -> int:
        """The number of the last wake that a listener was given; 0 if it was given none."""
        return self._given[caller.member].get((origin.name, origin.session_id), 0)

    def note(self, caller: Caller, origin: Origin, cursor: int) -> None:
        """Note that a listener was given wakes."""
        given, key = self._given[caller.member], (origin.name, origin.session_id)
        given.pop(key, None)
        given[key] = cursor
        if len(given) > LISTENERS_KNOWN:
            del given[next(iter(given))]


class Waiting:
    """Lets callers wait for their wakes."""

    def __init__(self, door: Door, bus: Bus, listeners: Listeners, settings: Settings) -> None:
        self._door = door
        self._bus = bus
        self._listeners = listeners
        self._settings = settings
        self._given = Given()

    def note_call(self, caller: Caller, listener: str) -> None:
        """Note that a listener of the caller is present, although it does not wait."""
        self._listeners.note_call(caller, listener)

    async def heard(self, caller: Caller, origin: Origin) -> Heard | None:
        """What a listener of the caller says with a call; None if the call comes from another client."""
        if origin.name is None:
            return None
        is_newest = await self._listeners.is_newest(caller, origin.name)
        given = self._door.deliveries.of(caller.member) if origin.woke is not None else ()
        return Heard(origin.run, origin.name, is_newest, origin.woke, origin.ended, given)

    async def hear_with_read(self, caller: Caller, origin: Origin) -> None:
        """Record what the caller's newest listener says of its wakes with a call that reads. Raises Refusal."""
        if origin.woke is None and origin.ended is None:
            return
        heard = await self.heard(caller, origin)
        if heard is not None and heard.is_newest:
            await self._door.note_steps(caller, heard)

    async def wait_for_wake(self, caller: Caller, arguments: WaitForWake, origin: Origin) -> Waited:
        """Wait for wakes after the caller's cursor; returns none if the time is up first.

        `origin`: which listener of the caller waits. Raises Refusal, even if the caller is paused or killed only while
        it waits.
        """
        if arguments.after is not None:
            heard = await self.heard(caller, origin)
            await self._door.act(caller, ACKNOWLEDGE, Acknowledge(after=arguments.after), listener=heard)
        else:
            await self._read(caller, arguments)
            await self.hear_with_read(caller, origin)
            arguments = WaitAgain(timeout_seconds=arguments.timeout_seconds, given=self._given.upto(caller, origin))
        seconds = self._settings.wait_seconds if arguments.timeout_seconds is None else arguments.timeout_seconds
        seconds = min(seconds, self._settings.wait_max_seconds)
        nudge = partial(self._bus.nudge, caller.member)
        with self._bus.running(caller.member) as running:
            async with self._listeners.listening(caller, "long poll", origin, nudge) as listening:
                found = await self._wait(caller, arguments, seconds, listening)
                if found.wakes:
                    self._given.note(caller, origin, found.cursor)
                    self._door.note_delivery(caller, origin.name, found.after, found.cursor)
                return found
        if running.cancelled_caught:
            return await self._read(caller, arguments)  # refused, with who did it and why
        raise stopping()

    async def _wait(self, caller: Caller, arguments: WaitForWake, seconds: float, listening: Listening) -> Waited:
        end, has_waited = anyio.current_time() + seconds, False
        while True:
            with self._bus.waiting(caller.member) as nudged:
                found = await self._read(caller, arguments)
                left = end - anyio.current_time()
                is_over = bool(found.wakes) or left <= 0 or self._bus.stopping
                if listening.superseded or (is_over and has_waited and not await self._listeners.is_live(listening)):
                    return _superseded(found)
                if is_over:
                    return found
                with anyio.move_on_after(min(left, left if found.due_seconds is None else found.due_seconds)):
                    await nudged.wait()
                has_waited = True

    async def _read(self, caller: Caller, arguments: WaitForWake) -> Waited:
        found: Waited = await self._door.read(caller, WAKES_WAITING, arguments)
        return found


def _superseded(found: Waited) -> Waited:
    """The reply to a listener that was superseded: it gets no wakes, so its cursor passes none of those found."""
    cursor = found.after if found.wakes else found.cursor
    return found.model_copy(update={"wakes": [], "cursor": cursor, "superseded": True})
