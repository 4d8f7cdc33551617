"""The room's own loop: it sleeps until something is due, acts through the door, and reports failures.

A tick reads a bounded number of due timers by an index. A pure rule decides each one, in its own transaction, which
first checks that nothing changed. When nothing is due, the loop writes nothing.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from functools import partial

from teamroom.server.clock import RoomClock
from teamroom.server.door.door import Door
from teamroom.server.door.hooks import Reports, write_reports
from teamroom.server.door.runtimes import Runtimes, write_runtimes
from teamroom.server.facts.timers import Timer
from teamroom.server.metrics import Metrics
from teamroom.server.refusals import UNRECORDED, Refusal
from teamroom.server.settings import Settings
from teamroom.server.store.engine import StorageError, Store
from teamroom.server.store.transaction import Reading, Writing
from teamroom.server.supervisor.duties import carry_out, postpone_failed
from teamroom.server.supervisor.lead import lead

logger = logging.getLogger("teamroom.supervisor")

DUE_AT_ONCE = 64
"""How many timers one round handles. They may share a commit."""

ROUNDS = 100
"""The most rounds in one tick. The next tick handles what is left."""

LOOK_UP_SECONDS = 30.0
"""A sleep is cut into spans of this length, to notice if the room itself did not run."""

FAILED_SECONDS, FAILED_LONGEST_SECONDS = 30.0, 3_600.0
"""The first and the longest wait before a failed timer is retried. The wait doubles with each failure."""


class Supervisor:
    """Does what is due in one room."""

    def __init__(
        self, door: Door, store: Store, watch: RoomClock, settings: Settings, metrics: Metrics, holder: str
    ) -> None:
        self.door, self._store, self._watch = door, store, watch
        self._settings, self._metrics = settings, metrics
        self._holder = holder
        self.lease_seconds = settings.supervisor_seconds
        """How long the lease lasts: another server waits for so long before it takes over."""
        self._next = math.inf
        self._steps = watch.steps
        self._saves_clock = False
        """Whether the wall clock was stepped, which the store does not have yet."""
        self._looks_late = True
        """Whether presence timers may be too late, because an earlier release's clock was set back."""
        self._nudged = asyncio.Event()
        self._fault = ""
        self.reports = Reports()
        """What members' harnesses reported, to be written."""
        self.runtimes = Runtimes(watch, settings.presence_write_seconds)
        """Where members' runtimes run, to be written."""
        self.alive: Callable[..., None] = lambda **fault: None
        """Notes a sign of life; `fault` says why a tick failed."""

    def nudge(self, at: float) -> None:
        """Note that something is due at a time, and wake the supervisor if that is earlier than it planned to wake."""
        if at < self._next:
            self._next = at
            self._nudged.set()

    async def run(self) -> None:
        """Tick for as long as the room runs."""
        while True:
            self.alive(fault=self._fault)
            self._next = math.inf  # a nudge during the tick counts, because the tick may have looked before it
            then = await self._tick_or_later()
            self._next = min(self._next, then)
            await self._sleep()

    async def _tick_or_later(self) -> float:
        try:
            then = await self.tick()
            self._fault = ""
            return then
        except (StorageError, Refusal) as error:
            logger.warning("the supervisor cannot work (%s); it will retry", error)
        except Exception as error:
            self._fault = f"a tick failed ({type(error).__name__})"
            logger.exception("the supervisor failed; it will retry")
        return self._watch() + FAILED_SECONDS

    async def tick(self) -> float:
        """Do everything that is due now; returns when the next thing is due."""
        if self._is_stepped():
            self._steps, self._saves_clock = self._watch.steps, True  # first, or a failing tick would repeat at once
        await self.door.settle_refused()
        await self._write_reports()
        await self.door.write_deliveries()
        if self._saves_clock:
            await self.door.act_as_room(Writing.save_clock)
            self._saves_clock = False
        if self._looks_late:
            await self._look_again()
            self._looks_late = False
        for _ in range(ROUNDS):
            self.alive(fault=self._fault)
            rows = await self._store.look_up(_due_now)
            if not rows:
                return await self._store.look_up(_next_due)
            fence = await self.door.act_as_room(lambda tx: lead(tx, self._holder, self.lease_seconds))
            if fence is None:
                return self._watch() + self.lease_seconds / 4
            await asyncio.gather(*(self.do(due, fence) for due in rows))
        return self._watch()

    async def _write_reports(self) -> None:
        """Write what harnesses and runtimes reported. What cannot be written is lost.

        A harness reports again with its next tool. A runtime does with its next call, but counts as written until
        `WRITTEN_SECONDS` have passed.
        """
        if reports := self.reports.take():
            with contextlib.suppress(Refusal):
                await self.door.act_as_room(partial(write_reports, reports=reports))
        if places := self.runtimes.take():
            with contextlib.suppress(Refusal):
                await self.door.act_as_room(partial(write_runtimes, reports=places))

    def _is_stepped(self) -> bool:
        """Whether the wall clock was stepped since the last tick: the store must follow it (see `Writing`)."""
        self._watch()
        return self._watch.steps != self._steps

    async def _look_again(self) -> None:
        """Check at once the members whose timers are later than any assessment sets them."""
        bound = {"now": self._watch(), "intervals": self._settings.gone_intervals}
        if await self._store.look_up(lambda tx: tx.value(int, "looks_too_late", **bound)) is not None:
            await self.door.act_as_room(lambda tx: tx.run("look_again", **bound))

    async def do(self, due: Timer, fence: int) -> None:
        """Do one thing that is due. A failure is counted, logged and retried later, and does not affect the others.

        Raises Refusal `busy` or `storage` if the room can carry out nothing at all.
        """
        try:
            done = await self.door.act_as_room(partial(carry_out, seen=due, fence=fence))
            self._metrics.duty(due.rule, "done" if done else "dropped")
        except Exception as error:
            if isinstance(error, Refusal) and error.code in UNRECORDED:
                raise
            self._metrics.duty(due.rule, "failed")
            logger.exception("the supervisor's duty %s for %s failed; it will be retried", due.rule, due.subject)
            later = self._watch() + min(FAILED_SECONDS * 2.0 ** min(due.failures, 10), FAILED_LONGEST_SECONDS)
            await self.door.act_as_room(lambda tx: postpone_failed(tx, due, fence, later))

    async def _sleep(self) -> None:
        """Sleep until something is due, a nudge comes, or the wall clock is stepped."""
        loop = asyncio.get_running_loop()
        self._nudged.clear()  # what was nudged during the tick is in `_next`
        while (left := self._next - self._watch()) > 0 and not self._nudged.is_set() and not self._is_stepped():
            self.alive(fault=self._fault)
            span, before = min(left, LOOK_UP_SECONDS), loop.time()
            try:
                await asyncio.wait_for(self._nudged.wait(), span)
            except TimeoutError:
                if (took := loop.time() - before) > span + self._settings.clock_step_seconds:
                    self._watch.slept(took)


def _due_now(tx: Reading) -> list[Timer]:
    return tx.all(Timer, "due_now", now=tx.now, limit=DUE_AT_ONCE)


def _next_due(tx: Reading) -> float:
    at = tx.value(float, "next_due")
    return math.inf if at is None else float(at)
