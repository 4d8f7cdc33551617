"""The writer: one thread, one connection, and many acts to a commit.

Each act is one function that runs from its first statement to its last on this thread, in a savepoint
of its own, so a caller that goes away in the middle cannot leave half of it behind. Acts that wait
share a transaction and its one sync; nobody is answered before that commit. If the engine itself ends
the batch (a full disk rolls released savepoints back too), each act runs again alone. On a full disk,
the reserve is given up, and only acts that it was kept for run until there is room again.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from teamroom.server.store.engine import QueueFullError, Recover, Work
from teamroom.server.store.reserve import Reserve
from teamroom.server.store.sqlite.connect import connect_writer
from teamroom.server.store.sqlite.faults import as_storage_error, is_damage, is_full
from teamroom.server.store.transaction import Context, DamagedError, DiskFullError, Effects, Head, Writing

log = logging.getLogger("teamroom.store")

CHECKPOINT_COMMITS = 512
"""Commits between two checkpoints under load."""

IDLE_SECONDS = 1.0
"""A writer with nothing to do for this long checkpoints what it has written."""


@dataclass(slots=True)
class Job:
    """An act on its way: what to run, and what to run in its place when it raises."""

    work: Work
    recover: Recover
    answer: asyncio.Future[tuple[Any, int]]
    loop: asyncio.AbstractEventLoop
    when_full: bool = False
    result: Any = None
    error: Exception | None = None
    effects: Effects | None = None
    seq: int = 0

    def forget(self) -> None:
        """Take back what an attempt left that did not last."""
        self.result, self.error, self.effects = None, None, None

    def fail(self, error: Exception) -> None:
        """The engine did not carry the act out."""
        self.forget()
        self.error = as_storage_error(error)
        if not isinstance(self.error, DiskFullError):  # a full disk is said once, where the reserve is given up
            log.error("the store failed", exc_info=error)


class Writer:
    """Runs acts in the order they come; see the module for how."""

    def __init__(self, path: Path, context: Context, effects: Callable[[Effects], None], reserve: Reserve) -> None:
        self._effects = effects
        self._reserve = reserve
        self._path = path
        self._context = context
        self._statements = context.statements
        self._batch_acts = context.settings.batch_acts
        self._batch_seconds = context.settings.batch_seconds
        self._queue_acts = context.settings.queue_acts
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="teamroom-writer", daemon=True)
        self._opened: queue.Queue[Exception | None] = queue.Queue(1)
        self._connection: sqlite3.Connection
        self._gathered: list[Job] = []
        self.waiting = 0
        self._taken: deque[Job] = deque()
        self._stopping = self._told_to_stop = self._is_to_be_scrubbed = False
        self.damage: str | None = None
        """What is wrong with the database: nothing is written to it any more."""
        self.commits = 0
        self.committed: Head | None = None

    def start(self) -> None:
        """Open the connection on its thread; raises what opening it raised."""
        self._thread.start()
        if (error := self._opened.get()) is not None:
            raise error

    async def run(self, work: Work, recover: Recover, when_full: bool) -> tuple[Any, int]:
        """Run one act; returns its result and the number the log then ended at, once both are durable.

        Raises QueueFullError at once when too many wait, StorageError when the engine failed, and
        whatever `recover` raises.
        """
        if self.damage is not None:
            raise DamagedError(self.damage)
        if self._stopping or self.waiting >= self._queue_acts:
            raise QueueFullError
        self.waiting += 1
        loop = asyncio.get_running_loop()
        job = Job(work, recover, loop.create_future(), loop, when_full)
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(job)
        return await job.answer

    def _hand_over(self) -> None:
        """Give the writer what came in one turn of the event loop: waking a thread costs more than an act."""
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs that carries acts out."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Finish what waits, checkpoint, close. Blocks until done."""
        self._stopping = True
        if self._thread.is_alive():
            self._hand_over()
            self._queue.put(None)
            self._thread.join()

    # on the writer's thread from here on

    def _serve(self) -> None:
        try:
            self._connection = connect_writer(self._path)
            self._page_bytes = self._connection.execute(self._statements["page_size"]).fetchone()[0]
        except Exception as error:
            self._opened.put(error)
            return
        self._opened.put(None)
        commits = 0
        while not self._told_to_stop:
            if self._taken or self._take(IDLE_SECONDS):
                self._commit_batch()
                commits += 1
            elif commits:
                commits = self._checkpoint("checkpoint")
            if commits >= CHECKPOINT_COMMITS or (commits and self._reserve.calls_for_a_checkpoint(self._growth())):
                commits = self._checkpoint("checkpoint")
            if self._is_to_be_scrubbed:
                self._scrub()
        self._checkpoint("checkpoint_and_cut")
        self._connection.close()

    def _take(self, seconds: float) -> bool:
        """Take what was handed over; whether there was something within some seconds."""
        try:
            jobs = self._queue.get(timeout=seconds)
        except queue.Empty:
            return False
        if jobs is None:
            self._told_to_stop = True
            return False
        self._taken.extend(jobs)
        return True

    def _scrub(self) -> None:
        """Write the index of words anew and cut the write-ahead log: both still hold what was taken away.

        A reader in the log means that this is tried again.
        """
        try:
            self._connection.execute(self._statements["tidy_index"])
            busy, _, _ = self._connection.execute(self._statements["checkpoint_and_cut"]).fetchone()
            self._is_to_be_scrubbed = bool(busy)
        except sqlite3.Error:
            log.exception("what was taken away stays in the write-ahead log until the next checkpoint")

    def _growth(self) -> int:
        """The bytes by which the next checkpoint makes the database file longer; 0 where they cannot be told."""
        try:
            pages = self._connection.execute(self._statements["page_count"]).fetchone()[0]
            return int(pages * self._page_bytes - self._path.stat().st_size)
        except (sqlite3.Error, OSError):
            return 0

    def _checkpoint(self, how: str) -> int:
        if not self._reserve.has_room_for(self._growth()):
            return 0
        try:
            self._connection.execute(self._statements[how]).fetchall()
        except sqlite3.Error as error:
            if not is_full(error) or not self._reserve.give_up(str(error)):
                log.exception("the checkpoint failed; the next one tries again")
        return 0

    def _commit_batch(self) -> None:
        """Run acts in one transaction until none waits or a bound is reached."""
        batch: list[Job] = []
        end = time.monotonic() + self._batch_seconds
        try:
            opened = self._begin()
            head = opened.copy()
            while self._taken or self._take(0):
                batch.append(self._taken.popleft())
                self._run_act(batch[-1], head)
                if len(batch) >= self._batch_acts or time.monotonic() >= end:
                    break
            self._commit(batch, opened, head)
        except Exception as error:
            self._abandon()
            if not batch:
                batch.append(self._taken.popleft())
            self._note_damage(error)
            if len(batch) == 1 and not self._may_run_again(batch[0], error):
                batch[0].fail(error)
            else:
                for job in batch:
                    self._commit_alone(job)
        self._answer(batch)

    def _commit_alone(self, job: Job) -> None:
        job.forget()
        try:
            opened = self._begin()
            head = opened.copy()
            self._run_act(job, head)
            self._commit([job], opened, head)
        except Exception as error:
            self._abandon()
            self._note_damage(error)
            if self._may_run_again(job, error):
                self._commit_alone(job)
            else:
                job.fail(error)

    def _may_run_again(self, job: Job, error: Exception) -> bool:
        """Whether an act that met a full disk has room now: the reserve was just given up, and was kept for it."""
        return is_full(error) and self._reserve.give_up(str(error)) and job.when_full

    def _note_damage(self, error: Exception) -> None:
        if is_damage(error) and self.damage is None:
            self.damage = str(error)

    def _begin(self) -> Head:
        if self.damage is not None:
            raise DamagedError(self.damage)
        self._connection.execute(self._statements["begin_write"])
        return Head(*self._connection.execute(self._statements["lock_head"]).fetchone())

    def _run_act(self, job: Job, head: Head) -> None:
        """Run one act in its savepoint. `head` is changed in place, or put back when the act is undone."""
        if job.answer.cancelled():
            return
        if not job.when_full and not self._reserve.take():
            job.error = DiskFullError(self._reserve.wanted())
            return
        try:
            self._attempt(job, head, job.work)
        except sqlite3.Error:
            raise
        except Exception as error:
            self._recover(job, head, error)

    def _recover(self, job: Job, head: Head, first: Exception) -> None:
        try:
            self._attempt(job, head, lambda tx: job.recover(tx, first))
        except sqlite3.Error:
            raise
        except Exception as error:
            job.error = error

    def _attempt(self, job: Job, head: Head, work: Work) -> None:
        before = head.copy()
        execute, statements = self._connection.execute, self._statements
        execute(statements["savepoint"])
        tx = Writing(self._connection, self._context, head)
        try:
            job.result = work(tx)
        except sqlite3.IntegrityError as error:
            self._undo(head, before)
            raise RuntimeError(f"an act broke a rule of the schema: {error}") from error
        except sqlite3.Error:
            raise
        except Exception:
            self._undo(head, before)
            raise
        except BaseException as error:  # a panic of compiled code must not end the thread
            self._undo(head, before)
            raise RuntimeError(f"an act broke off: {error!r}") from error
        execute(statements["release"])
        job.effects, job.seq = tx.effects, head.seq

    def _undo(self, head: Head, before: Head) -> None:
        self._connection.execute(self._statements["undo"])
        self._connection.execute(self._statements["release"])
        head.restore(before)

    def _commit(self, batch: list[Job], opened: Head, head: Head) -> None:
        if head.messages != opened.messages:  # once a batch: the index of words writes a segment at each savepoint
            self._connection.execute(self._statements["index_messages"], {"after": opened.messages})
        if head != opened:
            self._connection.execute(self._statements["save_head"], asdict(head))
        self._connection.execute(self._statements["commit"])
        self.commits += 1
        self._is_to_be_scrubbed |= any(job.effects is not None and job.effects.scrub for job in batch)
        if head != opened:
            self.committed = head.copy()

    def _abandon(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute(self._statements["rollback"])
            except sqlite3.Error:
                log.exception("the rollback failed")

    def _answer(self, batch: list[Job]) -> None:
        """Give every caller its result, with one call into the event loop."""
        try:
            batch[0].loop.call_soon_threadsafe(self._settle, batch)
        except RuntimeError:
            log.warning("the event loop closed before %d acts were answered", len(batch))

    # on the event loop again

    def _settle(self, batch: list[Job]) -> None:
        """Carry out what the acts caused, whether or not their callers are still there; then answer them."""
        self.waiting -= len(batch)
        for job in batch:
            if job.effects is not None:
                try:
                    self._effects(job.effects)
                except Exception:
                    log.exception("what an act caused could not be carried out; the act stands")
        for job in batch:
            if job.answer.done():
                continue
            if job.error is not None:
                job.answer.set_exception(job.error)
            else:
                job.answer.set_result((job.result, job.seq))
