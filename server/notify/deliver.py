"""Delivers pending letters, each channel independently, outside any transaction, until a letter arrives or expires.

A letter is pending in the database from the commit that wrote it to the commit that records the outcome. A server that
stops in between sends the letter again when it starts: at least once, never lost.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from teamroom.server.acts.letters.notices import (
    GONE,
    Delivery,
    due_deliveries,
    next_delivery,
    note_delivered,
    note_failed,
    note_left_out,
    note_postponed,
    read_letter,
    schedule_digests,
)
from teamroom.server.clock import RoomClock
from teamroom.server.door.door import Door
from teamroom.server.facts.channels import Channel, configured_channels, find_channels, people_with_channels
from teamroom.server.logs import without_secrets
from teamroom.server.metrics import Metrics
from teamroom.server.notify import channels
from teamroom.server.notify.addresses import AddressFile, UnreadableError
from teamroom.server.notify.guard import to_public_addresses
from teamroom.server.refusals import Refusal
from teamroom.server.rules.letters import Letter
from teamroom.server.settings import Settings
from teamroom.server.store.engine import StorageError, Store
from teamroom.server.store.transaction import Reading, Writing

logger = logging.getLogger("teamroom.notify")

LOOK_UP_SECONDS = 30.0
"""A sleep is cut into spans of this length, because the wall clock may be set meanwhile."""

OTHERS_SECONDS = 1.0
"""How soon a server that does not send letters looks whether it must."""

AGAIN_SECONDS = 30.0
"""How long the deliverer waits after a failure of the store."""

HANGS = "the previous attempt is still running"
NO_ADDRESS = "its address is not in this data folder; add the channel again"
UNREADABLE = "the file of addresses cannot be read"
NOT_PUBLIC = "its address is not a public one"
UNMADE = "it could not be written"
SEEN = "it was read or answered in the room"

Send = Callable[[str, Letter], str]
"""Sends a letter to a URL; "" or why the service did not accept it. Blocks."""


FINAL = channels.FINAL | {NO_ADDRESS, NOT_PUBLIC}
"""Failures that a retry does not fix."""


class Deliverer:
    """Sends the letters of one room. Each channel of a person has at most one try in progress, and one thread."""

    def __init__(
        self,
        door: Door,
        store: Store,
        watch: RoomClock,
        settings: Settings,
        metrics: Metrics,
        addresses: AddressFile,
        send: Send = channels.send,
    ) -> None:
        self._door, self._store, self._watch = door, store, watch
        self._settings, self._metrics, self._send = settings, metrics, send
        self._addresses = addresses
        self._steps = self._steps_seen = watch.steps
        self._nudged = asyncio.Event()
        self._at_work: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._hanging: set[tuple[int, int]] = set()
        self._fault = ""
        self.alive: Callable[..., None] = lambda **fault: None
        """Notes a sign of life; `fault` says why sending fails."""
        self.is_mine: Callable[[], bool] = lambda: True
        """Whether this server sends the letters, where several have the room open."""
        self.fenced: Callable[[Callable[[Writing], Any]], Callable[[Writing], Any]] = lambda work: work
        """A write that changes nothing once another server sends the letters."""

    def nudge(self) -> None:
        """Note that a letter was written."""
        self._nudged.set()

    async def run(self) -> None:
        """Send for as long as the room runs."""
        try:
            await self.begin()
            while True:
                self._nudged.clear()
                self.alive(fault=self._fault)
                await self._sleep(await self._tick_or_later())
        finally:
            for task in self._at_work.values():
                task.cancel()
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    async def tick(self) -> float:
        """Start each delivery that is due and not in progress; returns when the next one is due."""
        now = self._watch()
        self._steps_seen = self._watch.steps  # also where nothing follows from them, or the sleep would never begin
        if not self.is_mine():
            return now + OTHERS_SECONDS
        if not self._store.is_writing:  # the outcome could not be recorded, so the letter would be sent again
            return now + AGAIN_SECONDS
        if self._steps != self._watch.steps:
            self._steps = self._watch.steps
            await self._note(schedule_digests)
        at_work = set(self._at_work)  # before the look-up, which may not see what ends during it
        due, later = await self._store.look_up(lambda tx: (due_deliveries(tx), next_delivery(tx)))
        for found in due:
            key = (found.member, found.channel)
            if key not in at_work:
                at_work.add(key)
                task = self._at_work[key] = asyncio.create_task(self._deliver(found))
                task.add_done_callback(partial(self._done, key))
        return math.inf if later is None else later

    async def settled(self) -> None:
        """Wait until no delivery is in progress."""
        while self._at_work:
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    def _done(self, key: tuple[int, int], task: asyncio.Task[None]) -> None:
        del self._at_work[key]
        self._nudged.set()

    async def begin(self) -> None:
        """Log what prevents letters, and schedule the digests that people's settings ask for."""
        if not self._settings.notify and not await self._store.look_up(people_with_channels):
            return
        if not channels.is_installed():
            logger.warning("people have channels, but %s: %s", channels.NOT_INSTALLED, channels.INSTALL)
        await self._note(schedule_digests)

    async def _tick_or_later(self) -> float:
        try:
            then = await self.tick()
            self._fault = ""
            return then
        except StorageError as error:
            logger.warning("letters wait, because the store cannot be read (%s)", error)
        except Exception as error:
            self._fault = f"letters are not sent ({type(error).__name__})"
            logger.exception("sending letters failed; it will be retried")
        return self._watch() + AGAIN_SECONDS

    async def _sleep(self, until: float) -> None:
        """Sleep until a time, a nudge, or a step of the wall clock, which the quiet hours follow."""
        while (left := until - self._watch()) > 0 and not self._nudged.is_set() and not self._is_stepped():
            self.alive(fault=self._fault)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), min(left, LOOK_UP_SECONDS))

    def _is_stepped(self) -> bool:
        return self._steps_seen != self._watch.steps

    async def _deliver(self, found: Delivery) -> None:
        """Try one letter on one channel. An error makes only this delivery fail."""
        try:
            await self._send_or_leave_out(found)
        except StorageError as error:
            logger.warning("a letter waits, because the store cannot be read (%s)", error)
            await asyncio.sleep(AGAIN_SECONDS)
        except Exception:
            logger.exception("a letter could not be written")
            await self._fail(found, UNMADE)

    async def _send_or_leave_out(self, found: Delivery) -> None:
        channel = await self._store.read(partial(_channel_of, found=found), is_small=True)
        letter = await self._store.read(partial(read_letter, found=found), is_small=False)
        if channel is None:
            await self._note(partial(note_left_out, found=found, reason=GONE))
        elif letter is None:
            await self._note(partial(note_left_out, found=found, reason=SEEN))
        elif isinstance(letter, float):
            await self._note(partial(note_postponed, found=found, at=letter))
        else:
            reason = await self._try_channel(found, channel, letter)
            if not reason:
                await self._note(partial(note_delivered, found=found))
                self._metrics.delivery("delivered")
            else:
                await self._fail(found, reason)

    async def _fail(self, found: Delivery, reason: str) -> None:
        is_final = reason in FINAL
        given_up = await self._note(partial(note_failed, found=found, reason=reason, is_final=is_final))
        self._metrics.delivery("failed" if given_up else "retried")

    async def _try_channel(self, found: Delivery, channel: Channel, letter: Letter) -> str:
        """Send a letter to the address of a channel; return "" or why it was not accepted."""
        if not channel.mark:
            urls = await self._store.read(lambda tx: configured_channels(tx, found.member, found.name), is_small=True)
            return await self._try(found, partial(self._send, urls[channel.slot].get_secret_value()), letter)
        try:
            address = await self._addresses.find(channel.mark)
        except UnreadableError as error:
            logger.error("a letter waits: %s", error)
            return UNREADABLE
        if address is None:
            return NO_ADDRESS
        send = partial(self._send, address.get_secret_value())
        if not self._settings.notify_private:
            send = partial(_send_to_public, send)
        return await self._try(found, send, letter)

    async def _try(self, found: Delivery, send: Callable[[Letter], str], letter: Letter) -> str:
        """Send a letter; return "" or why it was not accepted. A try that hangs keeps its thread."""
        key = (found.member, found.channel)
        if key in self._hanging:
            return HANGS
        clean = Letter(without_secrets(letter.title), without_secrets(letter.body))
        seconds = self._settings.notify_seconds
        self._hanging.add(key)
        try:
            sending = channels.in_thread(partial(send, clean), partial(self._hanging.discard, key))
            return await asyncio.wait_for(sending, seconds)
        except TimeoutError:
            return f"no answer within {seconds:g} s"

    async def _note(self, work: Callable[[Writing], Any]) -> Any:
        """Record the outcome of a delivery; retries for as long as the room cannot."""
        while True:
            try:
                return await self._door.act_as_room(self.fenced(work))
            except Refusal as refusal:
                logger.warning("a letter's outcome cannot be recorded (%s); retrying", refusal.code)
            await asyncio.sleep(AGAIN_SECONDS)


def _channel_of(tx: Reading, found: Delivery) -> Channel | None:
    """The channel of a delivery; None if it was removed."""
    there = find_channels(tx, found.member, found.name)
    return next((channel for channel in there if channel.slot == found.channel), None)


def _send_to_public(send: Callable[[Letter], str], letter: Letter) -> str:
    """Send a letter in this thread, if every address that it leads to is public."""
    return to_public_addresses(partial(send, letter), NOT_PUBLIC)
