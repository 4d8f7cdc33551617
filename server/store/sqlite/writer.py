"""The writer: one thread that commits acts in the order they come, and answers their callers.

An act runs from its first statement to its last on this thread, so no caller can leave half of an act behind. Callers
get their answers after the commit.
"""

import asyncio
import logging
import queue
import threading
from collections import deque
from typing import Any

from teamroom.server.settings import Settings
from teamroom.server.store.engine import CarryOut, DamagedError, QueueFullError, Recover, Work
from teamroom.server.store.sqlite.commit import Committer, Job

log = logging.getLogger("teamroom.store")

CHECKPOINT_COMMITS = 512
"""Commits between two checkpoints under load."""

IDLE_SECONDS = 1.0
"""A writer with nothing to do for this long checkpoints what it has written."""


class Writer:
    """Runs acts on its thread."""

    def __init__(self, committer: Committer, settings: Settings, carry_out: CarryOut) -> None:
        self.committer = committer
        self.waiting = 0
        """How many acts wait to be committed."""
        self.is_stopping = False
        self._carry_out = carry_out
        self._queue_acts = settings.queue_acts
        self._gathered: list[Job] = []
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._taken: deque[Job] = deque()
        self._is_told_to_stop = False
        self._thread = threading.Thread(target=self._serve, name="teamroom-writer", daemon=True)
        self._opened: queue.Queue[Exception | None] = queue.Queue(1)

    def start(self) -> None:
        """Open the connection on its thread; raises what opening it raised."""
        self._thread.start()
        if (error := self._opened.get()) is not None:
            raise error

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    async def run(self, work: Work, recover: Recover, when_full: bool) -> tuple[Any, int]:
        """Run one act, as `write` of the contract says. Raises QueueFullError, DamagedError, StorageError."""
        if self.committer.damage is not None:
            raise DamagedError(self.committer.damage)
        if self.is_stopping or self.waiting >= self._queue_acts:
            raise QueueFullError
        self.waiting += 1
        loop = asyncio.get_running_loop()
        job = Job(work, recover, loop.create_future(), when_full)
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(job)
        return await job.answer

    def _hand_over(self) -> None:
        """Give the writer what came in one turn of the event loop: waking a thread costs more than an act."""
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def stop(self) -> None:
        """Finish what waits, checkpoint, close. Blocks until done."""
        self.is_stopping = True
        if self._thread.is_alive():
            self._hand_over()
            self._queue.put(None)
            self._thread.join()

    # on the writer's thread from here on

    def _serve(self) -> None:
        committer = self.committer
        try:
            committer.open()
        except Exception as error:
            self._opened.put(error)
            return
        self._opened.put(None)
        commits = 0
        while not self._is_told_to_stop:
            if (first := self._next_job(IDLE_SECONDS)) is not None:
                self.answer(committer.commit_batch(first, self._next_job))
                commits += 1
            elif commits:
                committer.checkpoint("checkpoint")
                commits = 0
            if commits >= CHECKPOINT_COMMITS or (commits and committer.is_checkpoint_due()):
                committer.checkpoint("checkpoint")
                commits = 0
            if committer.is_to_be_scrubbed:
                committer.scrub()
        committer.close()

    def _next_job(self, seconds: float = 0) -> Job | None:
        """The next act, if one comes within some seconds."""
        if not self._taken:
            try:
                jobs = self._queue.get(timeout=seconds)
            except queue.Empty:
                return None
            if jobs is None:
                self._is_told_to_stop = True
                return None
            self._taken.extend(jobs)
        return self._taken.popleft()

    def answer(self, batch: list[Job]) -> None:
        """Let the event loop answer these acts, with one call into it."""
        try:
            batch[0].answer.get_loop().call_soon_threadsafe(self.answer_now, batch)
        except RuntimeError:
            log.warning("the event loop closed before %d acts were answered", len(batch))

    # on the event loop again

    def answer_now(self, batch: list[Job]) -> None:
        """Carry out what the acts caused, whether or not their callers are still there; then answer them."""
        self.waiting -= len(batch)
        for job in batch:
            if job.effects is not None:
                try:
                    self._carry_out(job.effects)
                except Exception:
                    log.exception("what an act caused could not be carried out; the act remains")
        for job in batch:
            if job.answer.done():
                continue
            if job.error is not None:
                job.answer.set_exception(job.error)
            else:
                job.answer.set_result((job.result, job.seq))
