"""Runs acts in batches: many in one transaction, each of which is undone alone if it fails. Engines build on it.

If the engine itself ends a batch, each act runs again alone. The writer has the thread and answers the callers.
"""

import asyncio
import bisect
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from teamroom.server.refusals import Refusal
from teamroom.server.store.engine import (
    ROOMS_TURN,
    DiskFullError,
    OutcomeUnknownError,
    Recover,
    StorageError,
    Turn,
    Work,
)
from teamroom.server.store.transaction import Connection, Context, Effects, Head, Writing

log = logging.getLogger("teamroom.store")


BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
"""The sizes by which batches are counted."""

TIMES_OVERTAKEN = 8
"""How often one act is undone at most to let another one overtake it."""


class OvertakenError(StorageError):
    """An act was ended because another one overtakes it. It is undone, and runs again later; no caller sees this."""


@dataclass(slots=True)
class Job:
    """An act in the queue: what to run, what to run instead if that raises, and the outcome."""

    work: Work
    recover: Recover
    answer: asyncio.Future[tuple[Any, int]]
    """What the caller waits for. If it was cancelled, the caller has left, and its act does not begin."""
    when_full: bool = False
    turn: Turn = ROOMS_TURN
    came_at: float = field(default_factory=time.monotonic)
    times_overtaken: int = 0
    result: Any = None
    error: Exception | None = None
    effects: Effects | None = None
    seq: int = 0

    def clear(self) -> None:
        """Drop what an attempt left that was not committed."""
        self.result, self.error, self.effects = None, None, None


class ActConnection(Connection, Protocol):
    """A connection as an act uses it."""

    def lift_limit(self) -> None:
        """Let the rest of the act read as much as it needs."""
        ...

    def end(self) -> None:
        """The act is over; nothing that follows counts."""
        ...


class BatchCommitter(ABC):
    """The connection that writes, and the steps of a commit. One thread uses it."""

    engine_errors: ClassVar[tuple[type[Exception], ...]]
    """The errors with which the engine ends a transaction."""
    broken_rules: ClassVar[tuple[type[Exception], ...]]
    """Those of one act that breaks a rule of the schema: a fault of ours."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._batch_acts = context.settings.batch_acts
        self._batch_seconds = context.settings.batch_seconds
        self.is_overtaking: Callable[[], bool] = lambda: False
        """Whether an act waits that overtakes the others. The writer says so."""
        self.put_back: Callable[[Job], None] = lambda job: None
        """Lets an act that was overtaken wait again. The writer does so."""
        self._may_be_overtaken = False
        """Whether the act that runs is undone if another one overtakes it."""
        self._found: dict[Hashable, Any] = {}
        """What acts of the batch under way found, and others of it may use."""
        self.damage: str | None = None
        """What is wrong with the database. Nothing is written to a damaged one."""
        self.commits = 0
        self.acts = 0
        """How many acts these commits held."""
        self.sizes = [0] * (len(BATCH_SIZES) + 1)
        """How many of these commits held up to so many acts, by `BATCH_SIZES`, and how many held more."""
        self.lock_seconds = 0.0
        """How long transactions took to begin, which is the wait for the room's one lock."""
        self.committed: Head | None = None
        self.last: Head | None = None
        """The head as this server last read or wrote it; None while there is none."""
        self.is_to_be_scrubbed = False
        """Whether redacted content is still where the engine keeps what it has not copied yet."""

    # -------------------------------------------------------------- what each engine does in its own way

    @abstractmethod
    def open(self) -> None:
        """Connect. Raises an error of the engine."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect."""

    @abstractmethod
    def commit(self, batch: list[Job], opened: Head, head: Head) -> None:
        """Save the head, and commit; `opened` is the head as the transaction found it."""

    @abstractmethod
    def _begin(self) -> Head:
        """Begin a transaction, and lock the head. Raises DamagedError, or an error of the engine."""

    @abstractmethod
    def _abandon(self) -> None:
        """Undo the transaction, if there is one."""

    @abstractmethod
    def _as_storage_error(self, error: Exception) -> StorageError:
        """The error of the contract for a failure of the engine."""

    @abstractmethod
    def is_damage(self, error: Exception) -> bool:
        """Whether an error shows that the database is not what the engine wrote."""

    @abstractmethod
    def _begin_act(self) -> "ActConnection":
        """Begin an act that can be undone alone; returns the connection as it uses it."""

    @abstractmethod
    def _undo(self, head: Head, before: Head) -> None:
        """Undo an act, and restore the head as it was before."""

    @abstractmethod
    def _end_act(self) -> None:
        """An act is over that was not undone."""

    def _refused_by(self, error: Exception) -> StorageError | None:
        """What an act is refused with that an error of the engine ended alone; None if it ended the transaction."""
        return None

    def _refuse(self, job: Job) -> bool:
        """Refuse an act that cannot be carried out now, before it begins; returns whether it was refused."""
        return False

    def _may_run_again(self, job: Job, error: Exception) -> bool:
        """Whether an act that failed for this reason can run again at once."""
        return False

    def _settle_act(self) -> None:
        """Raise what a statement of the act that ends failed with, if the engine does not know it yet."""
        return

    def is_overtaken(self) -> bool:
        """Whether the act that runs must end, as another one overtakes it. An engine whose acts take long asks this.

        The act then ends with OvertakenError.
        """
        return self._may_be_overtaken and self.is_overtaking()

    # -------------------------------------------------------------- between commits

    def is_checkpoint_due(self) -> bool:
        """Whether the engine must tidy up now, under load too."""
        return False

    @abstractmethod
    def checkpoint(self, how: str) -> None:
        """Tidy up what commits leave behind; `how` names a statement."""

    def rest(self) -> bool:
        """Use the time in which nothing waits; returns whether all is done."""
        return True

    def scrub(self) -> None:
        """Take one step to remove what still holds redacted content."""
        self.is_to_be_scrubbed = False

    # -------------------------------------------------------------- one act

    def attempt(self, job: Job, head: Head, work: Work) -> None:
        """Run a function so that it can be undone alone, and undo it if it raises.

        A broken rule of the schema is a RuntimeError. Raises TooLargeError if the SELECTs of the function take more
        than an act may; the batch goes on.
        """
        before = head.copy()
        connection = self._begin_act()
        try:
            tx = Writing(connection, self.context, head, connection.lift_limit, self._found)
            job.result = work(tx)
            tx.end()
            self._settle_act()
        except self.broken_rules as error:
            self._undo(head, before)
            raise RuntimeError(f"an act broke a rule of the schema: {error}") from error
        except self.engine_errors as error:
            if (refused := self._refused_by(error)) is None:
                raise
            self._undo(head, before)
            raise refused from None
        except Exception:
            self._undo(head, before)
            raise
        except BaseException as error:  # a panic of compiled code must not end the thread
            self._undo(head, before)
            raise RuntimeError(f"an act broke off: {error!r}") from error
        finally:
            connection.end()
        self._end_act()
        job.effects, job.seq = tx.effects, head.seq

    def note_damage(self, error: Exception) -> None:
        """Nothing is written any more once an error shows damage. Any thread may call this."""
        if self.damage is None and self.is_damage(error):
            self.damage = str(error)

    # -------------------------------------------------------------- batches

    def commit_batch(self, first: Job, next_job: Callable[[], Job | None]) -> list[Job]:
        """Run acts in one transaction until none waits or a bound is reached; returns them, each with its outcome.

        An act that overtakes joins a batch whose time is over, rather than wait for its commit.
        """
        batch: list[Job] = []
        job: Job | None = first
        end = time.monotonic() + self._batch_seconds
        try:
            opened = self._timed_begin()
            head = opened.copy()
            while job is not None:
                batch.append(job)
                if not self._is_run_whole(job, head):
                    self.put_back(batch.pop())
                is_over = time.monotonic() >= end and (job.turn.overtakes or not self.is_overtaking())
                job = None if is_over or len(batch) >= self._batch_acts else next_job()
            self.commit(batch, opened, head)
        except OutcomeUnknownError as error:
            self._abandon()
            for job in batch:
                self._leave_unknown(job, error)
        except Exception as error:
            self._abandon()
            batch = batch or [first]
            self.note_damage(error)
            if len(batch) == 1 and not self._may_run_again(first, error):
                self._fail(first, error)
            else:
                for job in batch:
                    self.commit_alone(job)
        return batch

    def _is_run_whole(self, job: Job, head: Head) -> bool:
        """Run one act of a batch; returns whether it was not undone because another one overtakes it."""
        self._may_be_overtaken = not job.turn.overtakes and job.times_overtaken < TIMES_OVERTAKEN
        try:
            self.run_act(job, head)
        except OvertakenError:
            job.times_overtaken += 1
            return False
        finally:
            self._may_be_overtaken = False
        return True

    def commit_alone(self, job: Job) -> None:
        """Run an act again, in a transaction without others."""
        job.clear()
        try:
            opened = self._timed_begin()
            head = opened.copy()
            self.run_act(job, head)
            self.commit([job], opened, head)
        except OutcomeUnknownError as error:
            self._abandon()
            self._leave_unknown(job, error)
        except Exception as error:
            self._abandon()
            self.note_damage(error)
            if self._may_run_again(job, error):
                self.commit_alone(job)
            else:
                self._fail(job, error)

    def _timed_begin(self) -> Head:
        """Begin a transaction, and count how long that takes."""
        began = time.monotonic()
        self._found.clear()
        try:
            return self._begin()
        finally:
            self.lock_seconds += time.monotonic() - began

    def run_act(self, job: Job, head: Head) -> None:
        """Run one act. `head` is changed in place, or restored if the act is undone."""
        if job.answer.cancelled() or self._refuse(job):
            return
        try:
            self.attempt(job, head, job.work)
        except OvertakenError:
            raise
        except self.engine_errors:
            raise
        except Exception as error:
            self._recover(job, head, error)

    def _recover(self, job: Job, head: Head, first: Exception) -> None:
        try:
            self.attempt(job, head, lambda tx: job.recover(tx, first))
        except OvertakenError:
            raise
        except self.engine_errors:
            raise
        except Exception as error:
            job.error = error

    def _leave_unknown(self, job: Job, error: OutcomeUnknownError) -> None:
        """Nobody knows whether the commit of an act took place. What it causes is carried out: all look again then.

        An act that was refused gets its refusal without a receipt, unless the refusal leaves more than that.
        """
        if job.error is not None:
            return
        if isinstance(job.result, Refusal) and job.result.also is None:
            job.result.receipt = None
            return
        effects = job.effects
        self._fail(job, error)
        job.effects = effects

    def _fail(self, job: Job, error: Exception) -> None:
        """The engine did not carry an act out."""
        job.clear()
        job.error = self._as_storage_error(error)
        if not isinstance(job.error, DiskFullError):  # a full disk is logged once, where the reserve is released
            log.error("the store failed", exc_info=error)

    def _count(self, batch: list[Job]) -> None:
        """Count a commit."""
        self.commits += 1
        self.acts += len(batch)
        self.sizes[bisect.bisect_left(BATCH_SIZES, len(batch))] += 1

    def _write_down(self, batch: list[Job]) -> None:
        """Write outside the database what must be there before anybody is answered."""
        for job in batch:
            if job.effects is not None and job.effects.journal:
                self.context.write_down(job.effects)
