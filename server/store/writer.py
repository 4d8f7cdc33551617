"""The writer: one thread that commits the acts of all members in turn, and answers their callers.

An act runs from its first statement to its last on this thread, so no caller can leave half of an act behind. Callers
get their answers after the commit. `server/store/line.py` decides which act is next.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from teamroom.server.settings import Settings
from teamroom.server.store.batches import BatchCommitter, Job
from teamroom.server.store.engine import CarryOut, DamagedError, QueueFullError, Recover, Turn, Work
from teamroom.server.store.line import Line
from teamroom.server.store.transaction import Effects

log = logging.getLogger("teamroom.store")

CHECKPOINT_COMMITS = 512
"""Commits between two checkpoints under load."""

QUIET_TURNS, GATHERED_TURNS = 3, 24
"""Turns of an event loop without a new act after which those that it gathered are run, and the most turns in all."""

IDLE_SECONDS = 1.0
"""A writer with nothing to do for this long checkpoints what it has written, and cuts the write-ahead log."""

GIVEN_UP_SECONDS = 1.0
"""How long a writer that stops has to end after what waits was given up."""


class Writer:
    """Runs acts on its thread."""

    def __init__(self, committer: BatchCommitter, settings: Settings, carry_out: CarryOut) -> None:
        self.committer = committer
        self.is_stopping = False
        self._carry_out = carry_out
        self._queue_acts = settings.queue_acts
        self.loop: asyncio.AbstractEventLoop
        self._waiting: Counter[asyncio.AbstractEventLoop] = Counter()
        self._gathered: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._line: Line[Job] = Line(settings.batch_member_acts)
        committer.is_overtaking, committer.put_back = self._is_overtaking, self._line.put_back
        self._is_told_to_stop = False
        self._thread = threading.Thread(target=self._serve, name="teamroom-writer", daemon=True)
        self._opened: queue.Queue[Exception | None] = queue.Queue(1)

    def start(self) -> None:
        """Open the connection on its thread; raises what opening it raised. Effects are carried out on this loop."""
        self._begin()
        if (error := self._opened.get()) is not None:
            raise error

    async def start_remote(self) -> None:
        """The same for an engine across a network: the event loop runs meanwhile."""
        self._begin()
        if (error := await asyncio.to_thread(self._opened.get)) is not None:
            raise error

    def _begin(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many acts wait to be committed."""
        return sum(list(self._waiting.values()))

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    async def run(self, work: Work, recover: Recover, when_full: bool, turn: Turn) -> tuple[Any, int]:
        """Run one act, as `write` of the contract says. Raises QueueFullError, DamagedError, StorageError."""
        job = self.take_in(asyncio.get_running_loop(), work, recover, when_full, turn)
        if turn.overtakes:
            self._queue.put([job])
        else:
            self._gather(job)
        return await job.answer

    def take_in(
        self, loop: asyncio.AbstractEventLoop, work: Work, recover: Recover, when_full: bool, turn: Turn
    ) -> Job:
        """Count one more act that waits, and whose caller is on this loop. Raises QueueFullError, DamagedError."""
        if self.committer.damage is not None:
            raise DamagedError(self.committer.damage)
        if self.is_stopping or (self.waiting >= self._queue_acts and not turn.overtakes):
            raise QueueFullError
        self._waiting[loop] += 1
        return Job(work, recover, loop.create_future(), when_full, turn)

    def _gather(self, job: Job) -> None:
        """Keep an act until its event loop has no more of them for now: waking a thread costs more than an act.

        The interpreter runs one thread at a time, so an act that is run meanwhile would only slow the loop down.
        """
        loop = job.answer.get_loop()
        gathered = self._gathered.setdefault(loop, [])
        gathered.append(job)
        if len(gathered) == 1:
            loop.call_soon(self._look_for_more, loop, 1, 0, 0)

    def _look_for_more(self, loop: asyncio.AbstractEventLoop, known: int, turns: int, quiet_turns: int) -> None:
        """Hand the acts over once none has come for some turns of the loop, or after a bound."""
        gathered = len(self._gathered.get(loop, ()))
        quiet_turns = 0 if gathered > known else quiet_turns + 1
        if quiet_turns < QUIET_TURNS and turns < GATHERED_TURNS:
            loop.call_soon(self._look_for_more, loop, gathered, turns + 1, quiet_turns)
        else:
            self._hand_over(loop)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        if jobs := self._gathered.pop(loop, None):
            self._queue.put(jobs)

    def stop(self) -> None:
        """Finish what waits, checkpoint, close. Blocks until done."""
        self._end()
        if self._thread.is_alive():
            self._thread.join()

    async def stop_remote(self, seconds: float, give_up: Callable[[], None]) -> None:
        """The same for an engine across a network: the event loop runs meanwhile.

        After `seconds`, `give_up` lets what waits fail; then the thread has `GIVEN_UP_SECONDS` to end.
        """
        self._end()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, seconds)
        if self._thread.is_alive():
            log.error("the database has not carried out what waits after %g s: it is given up", seconds)
            give_up()
            await asyncio.to_thread(self._thread.join, GIVEN_UP_SECONDS)

    def _end(self) -> None:
        self.is_stopping = True
        if self._thread.is_alive():
            for loop in list(self._gathered):
                self._hand_over(loop)
            self._queue.put(None)

    # on the writer's thread from here on

    def _serve(self) -> None:
        committer = self.committer
        try:
            committer.open()
        except Exception as error:
            self._opened.put(error)
            return
        self._opened.put(None)
        commits, is_tidy = 0, False
        while self._line or not self._is_told_to_stop:
            if (first := self._first_job()) is not None:
                self.answer(committer.commit_batch(first, self._next_job))
                commits, is_tidy = commits + 1, False
            elif not is_tidy:
                is_tidy = committer.rest()
                commits = 0
            if commits >= CHECKPOINT_COMMITS or (commits and committer.is_checkpoint_due()):
                committer.checkpoint("checkpoint")
                commits = 0
            if committer.is_to_be_scrubbed:
                committer.scrub()
        committer.close()

    def _first_job(self) -> Job | None:
        """The act that begins a batch, if one comes within `IDLE_SECONDS`."""
        self._let_in(0 if self._line else IDLE_SECONDS)
        return self._line.first()

    def _next_job(self) -> Job | None:
        """The next act of a batch, if one waits."""
        self._let_in(0)
        return self._line.next()

    def _is_overtaking(self) -> bool:
        """Whether an act waits that overtakes the one that runs."""
        if not self._queue.empty():
            self._let_in(0)
        return self._line.is_overtaken

    def _let_in(self, seconds: float) -> None:
        """Let those that came stand in line, after waiting for the first of them."""
        if seconds:
            with contextlib.suppress(queue.Empty):
                self._admit(self._queue.get(timeout=seconds))
        while not self._queue.empty():  # nobody else takes from it
            self._admit(self._queue.get_nowait())

    def _admit(self, jobs: list[Job] | None) -> None:
        """Let acts stand in line; None ends the thread once they are done."""
        if jobs is None:
            self._is_told_to_stop = True
        else:
            self._line.add(jobs)

    def answer(self, batch: list[Job]) -> None:
        """Let the event loops answer these acts, with one call into each."""
        self._call(self.loop, self.answer_now, batch)
        for loop in {job.answer.get_loop() for job in batch} - {self.loop}:
            self._call(loop, self._settle, loop, batch)

    def _call(self, loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
        try:
            loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            log.warning("an event loop closed before its acts were answered")

    # on the event loops again

    def answer_now(self, batch: list[Job]) -> None:
        """Carry out what the acts caused, even if their callers have left; then answer those of this loop."""
        for job in batch:
            if job.effects is not None:
                self.carry_out(job.effects)
        self._settle(self.loop, batch)

    def carry_out(self, effects: Effects) -> None:
        """Carry out what an act caused. On the event loop of the store."""
        try:
            self._carry_out(effects)
        except Exception:
            log.exception("what an act caused could not be carried out; the act remains")

    def _settle(self, loop: asyncio.AbstractEventLoop, batch: Iterable[Job]) -> None:
        jobs = [job for job in batch if job.answer.get_loop() is loop]
        self._waiting[loop] -= len(jobs)
        for job in jobs:
            if job.answer.done():
                continue
            if job.error is not None:
                job.answer.set_exception(job.error)
            else:
                job.answer.set_result((job.result, job.seq))
