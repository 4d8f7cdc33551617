"""Commits acts: many in one transaction, each in a savepoint, on the one connection that writes.

Acts that wait share a transaction and its one sync. An act that writes nothing takes no savepoint. The writer has the
thread and answers the callers. The SELECTs of an act share a budget of steps; an act that needs more is undone alone,
and refused. If SQLite itself ends a batch (a full disk rolls back released savepoints too), each act runs again alone.
On a full disk, the reserve is released, and only the acts that it is kept for run until there is space again.
"""

import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from teamroom.server.store.batches import BatchCommitter, Job
from teamroom.server.store.engine import CHANGED, DamagedError, DiskFullError, StorageError, TooLargeError
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.sqlite.connect import INCREMENTALLY, connect_writer
from teamroom.server.store.sqlite.faults import as_storage_error, is_damage, is_full
from teamroom.server.store.sqlite.reserve import Reserve
from teamroom.server.store.sqlite.steps import SteppedConnection
from teamroom.server.store.transaction import Context, Head
from teamroom.server.topics import BOARD

log = logging.getLogger("teamroom.store")

MERGED_PAGES, MERGED_CHANGES = 250, 2
"""Pages of the index that one step merges, and the fewest changes of a step after which there is more to merge."""

LARGE_LOG_BYTES = 8_388_608
"""A write-ahead log that grew beyond this, while a reader held it, is cut as soon as the reader lets go of it."""

LARGEST_LOG_BYTES = 4 * LARGE_LOG_BYTES
"""A log of this size is checkpointed under load too, and used again from its beginning: that costs less than a new one.

If it has grown by a quarter meanwhile, it is cut.
"""

SCRUB_AGAIN_SECONDS = 1.0
"""After this long a log that a reader used is cut again."""

INDEXES = ("tidy_messages", "tidy_tasks")
"""The statements that merge the indexes of words."""

INDEXED_TASKS = 16
"""How many tasks one commit indexes besides those that it made."""

RETURNED_PAGES, KEPT_SHARE = 1024, 16
"""Pages that one step gives back to the disk. Of its pages, a file keeps one in so many free, for what comes."""


class Committer(BatchCommitter):
    """The connection that writes, and the steps of a commit. One thread uses it."""

    engine_errors = (sqlite3.Error,)
    broken_rules = (sqlite3.IntegrityError,)

    connection: sqlite3.Connection
    stepped: SteppedConnection
    """The same connection, as acts use it."""

    def __init__(self, path: Path, context: Context, reserve: Reserve) -> None:
        super().__init__(context)
        self._path = path
        self._log = f"{path}-wal"
        self._statements = context.statements
        self._reserve = reserve
        self.changes = 0
        """How many commits have changed the database."""
        self.identity_changes = 0
        """How many of these may have changed whom a token identifies."""
        self.vouched: ReadHead | None = None
        """The head that was vouched for before the database was opened to write."""
        self._changes_before = 0
        """How many rows this connection had changed when its transaction began."""
        self._has_unindexed = True
        """Whether there may be tasks that the index does not have."""
        self._untidy: dict[str, bool] = {}
        """The statements that still merge an index of words, and whether each has begun."""
        self._scrub_from = self._cut_from = 0.0
        self._growth: int | None = None
        """What `growth` found, until something changes it."""
        self._file_bytes: int | None = None
        """The size of the database file, which only a checkpoint changes; None: not known."""
        self._was_log_held = False
        """Whether a reader kept a checkpoint from copying all of the log, which then grows."""
        self._kept_log_bytes = 0
        """The size of a log that is used again; 0 for one that grows from nothing."""
        self._log_began = 0
        """After how many commits the log was last begun or used again."""
        self._log_lasts = 0
        """How many commits filled it; 0 while it grows from nothing."""

    def open(self) -> None:
        """Connect. Raises sqlite3.Error."""
        self.connection = connect_writer(self._path)
        row = self.run_named("lock_head").fetchone()
        self.last = None if row is None else Head(**row)
        if self.vouched is not None and (self.last is None or not _is_at(self.last, self.vouched)):
            self.damage = CHANGED
        self.stepped = SteppedConnection(self.connection, self.context.settings.act_steps)
        self._page_bytes = self.run_named("page_size").fetchone()["page_size"]
        self._gives_space_back = self.run_named("how_space_is_given_back").fetchone()[0] == INCREMENTALLY

    def close(self) -> None:
        """Checkpoint, and disconnect."""
        self.checkpoint("checkpoint_and_cut")
        self.connection.close()

    def commit(self, batch: list[Job], opened: Head, head: Head) -> None:
        """Save the head, and commit; `opened` is the head as the transaction found it."""
        if head.messages != opened.messages:  # once a batch: the search index writes a segment at each savepoint
            self.run_named("index_messages", {"after": opened.messages})
        if self._has_unindexed or any(job.effects is not None and BOARD in job.effects.changed for job in batch):
            self._index_tasks(head.tasks - opened.tasks)
        if head != opened:
            self.run_named("save_head", head.values())
        has_written = self.connection.total_changes != self._changes_before
        if has_written:
            self._growth = self._measure_growth()  # here, because after the commit it takes a transaction of its own
        self.run_named("commit")
        self.last = head.copy()
        self._count(batch)
        self.changes += has_written
        self.identity_changes += any(job.effects is not None and job.effects.identity for job in batch)
        self._write_down(batch)
        if any(job.effects is not None and job.effects.scrub for job in batch):
            self.is_to_be_scrubbed, self._untidy, self._scrub_from = True, dict.fromkeys(INDEXES, False), 0.0
        if head != opened:
            self.committed = head.copy()

    def _index_tasks(self, new: int) -> None:
        """Index the tasks whose words are new: those that this batch made, and some more. Later commits go on."""
        self._has_unindexed = new > 0 or self.run_named("has_unindexed_task").fetchone() is not None
        if self._has_unindexed:
            bound = {"limit": new + INDEXED_TASKS}
            self.run_named("index_tasks", bound)
            self.run_named("note_indexed_tasks", bound)

    def is_checkpoint_due(self) -> bool:
        """Whether the size of the write-ahead log, or the space of the disk, calls for a checkpoint now."""
        is_used_up = 0 < self._log_lasts <= self.commits - self._log_began
        return is_used_up or self._is_log_too_large() or self._reserve.calls_for_a_checkpoint(self.growth())

    def checkpoint(self, how: str) -> None:
        """Copy what was committed into the database file, if the disk has space for it."""
        if not self._reserve.has_room_for(self.growth()):
            return
        self._growth = self._file_bytes = None
        try:
            found = self.run_named(how).fetchone()
            if found["checkpointed"] < found["log"]:
                self._was_log_held = True
                self._cut_from = time.monotonic() + SCRUB_AGAIN_SECONDS
            elif not self._use_log_again() and self._log_bytes() > self._log_bound():
                self._was_log_held = not self._cut_log()
                self._cut_from = time.monotonic() + SCRUB_AGAIN_SECONDS if self._was_log_held else 0.0
        except sqlite3.Error as error:
            self._note_full(error)

    def _use_log_again(self) -> bool:
        """Let what follows overwrite a log that was copied as a whole; False if it must be cut instead."""
        size = self._log_bytes()
        if not self._reserve.is_held or self._was_log_held or size > LARGEST_LOG_BYTES * 5 // 4:
            return False
        if size > LARGEST_LOG_BYTES:
            if not self._kept_log_bytes:
                self._log_lasts = self.commits - self._log_began
            self._kept_log_bytes = size
        self._log_began = self.commits
        return True

    def rest(self) -> bool:
        """Use the time in which nothing waits: index what is left, cut the log, then give free space back.

        Returns whether all is done.
        """
        try:
            return not self._index_left() and self._rest_log() and not self._return_pages()
        except sqlite3.Error as error:
            self._abandon()
            self._note_full(error)
            return False

    def _index_left(self) -> bool:
        """Index some tasks that earlier commits left; returns whether there were any."""
        if self.damage is not None or self.run_named("has_unindexed_task").fetchone() is None:
            return False
        self.run_named("begin_write")
        self._index_tasks(0)
        self._growth = None
        self.run_named("commit")
        self.changes += 1
        return True

    def _rest_log(self) -> bool:
        """Cut the log; returns whether it is cut, which a reader can prevent. On a full disk, acts need what it has."""
        if not self._log_bytes() or (not self._reserve.is_held and self._log_bytes() <= self._reserve.size):
            return True
        if not self._reserve.has_room_for(self.growth()):
            return False
        self._was_log_held = not self._cut_log()
        return not self._was_log_held

    def _return_pages(self) -> bool:
        """Give some free pages at the end of the file back to the disk; returns whether there were any to give."""
        if not self._gives_space_back:
            return False
        free, pages = (int(self.run_named(name).fetchone()[0]) for name in ("free_pages", "page_count"))
        if free - RETURNED_PAGES < pages // KEPT_SHARE:
            return False
        self._growth = self._file_bytes = None
        self.connection.executescript(self._statements["return_pages"])  # `execute` would take one step, for one page
        return True

    def _note_full(self, error: sqlite3.Error) -> None:
        if not is_full(error) or not self._reserve.give_up(str(error)):
            log.exception("the checkpoint failed; the next one tries again")

    def _is_log_too_large(self) -> bool:
        return time.monotonic() >= self._cut_from and self._log_bytes() > self._log_bound()

    def _log_bound(self) -> int:
        """The size of the log at which it is cut: less than usual if a reader held it, or if the disk is full."""
        if not self._reserve.is_held:
            return self._reserve.size
        return LARGE_LOG_BYTES if self._was_log_held else max(LARGEST_LOG_BYTES, self._kept_log_bytes)

    def scrub(self) -> None:
        """Take one step to remove what still holds redacted content: words in the index, then the write-ahead log.

        It never waits. While a reader uses the log, it is tried again a second later.
        """
        if time.monotonic() < self._scrub_from:
            return
        try:
            self._tidy()
            if not self._untidy:
                self.is_to_be_scrubbed = not self._cut_log()
                self._scrub_from = time.monotonic() + SCRUB_AGAIN_SECONDS if self.is_to_be_scrubbed else 0.0
        except sqlite3.Error:
            log.exception("redacted content stays in the write-ahead log until the next checkpoint")
            self._scrub_from = time.monotonic() + SCRUB_AGAIN_SECONDS

    def _tidy(self) -> None:
        """Merge some pages of each index of words, which drops the words of what was redacted."""
        self._growth = None
        for name, is_merging in list(self._untidy.items()):
            before = self.connection.total_changes
            pages = MERGED_PAGES if is_merging else -MERGED_PAGES  # a negative number begins a merge of everything
            self.run_named(name, {"pages": pages})
            if self.connection.total_changes - before >= MERGED_CHANGES:
                self._untidy[name] = True
            else:
                del self._untidy[name]

    def _cut_log(self) -> bool:
        """Cut the write-ahead log to nothing, without waiting for a reader; returns whether it is cut."""
        self._growth = self._file_bytes = None
        self.run_named("wait_never")
        try:
            is_cut = not self.run_named("checkpoint_and_cut").fetchone()["busy"]
        finally:
            self.run_named("wait_for_locks")
        if is_cut:
            self._kept_log_bytes = self._log_lasts = 0
            self._log_began = self.commits
        return is_cut

    def _log_bytes(self) -> int:
        try:
            return os.stat(self._log).st_size
        except OSError:
            return 0

    def _begin(self) -> Head:
        if self.damage is not None:
            raise DamagedError(self.damage)
        self.run_named("begin_write")
        self._changes_before = self.connection.total_changes
        row = self.run_named("lock_head").fetchone()
        head = None if row is None else Head(**row)
        if head is None or (self.last is not None and head != self.last):
            self.damage = CHANGED
            raise DamagedError(CHANGED)
        return head

    def _refuse(self, job: Job) -> bool:
        """Whether the disk is full, and the act may not use the reserve."""
        if job.when_full or self._reserve.take():
            return False
        job.error = DiskFullError(self._reserve.wanted())
        return True

    def _as_storage_error(self, error: Exception) -> StorageError:
        return as_storage_error(error)

    def _begin_act(self) -> SteppedConnection:
        self.stepped.begin(lambda: self.run_named("savepoint"))
        return self.stepped

    def _end_act(self) -> None:
        if self.stepped.has_written:
            self.run_named("release")

    def _undo(self, head: Head, before: Head) -> None:
        if self.stepped.has_written:
            self.run_named("undo")
            self.run_named("release")
        head.restore(before)

    def _refused_by(self, error: Exception) -> StorageError | None:
        if not self.stepped.has_ended(error):
            return None
        return TooLargeError(f"it takes more than {self.context.settings.act_steps} steps of the database")

    def _abandon(self) -> None:
        self._growth = None
        self.identity_changes += 1  # a commit that failed may have taken place
        if self.connection.in_transaction:
            try:
                self.run_named("rollback")
            except sqlite3.Error:
                log.exception("the rollback failed")

    def _may_run_again(self, job: Job, error: Exception) -> bool:
        """Whether an act that met a full disk can run again: it may use the reserve, which was just released."""
        return is_full(error) and self._reserve.give_up(str(error)) and job.when_full

    def is_damage(self, error: Exception) -> bool:
        """Whether the file is not what SQLite wrote."""
        return is_damage(error)

    def growth(self) -> int:
        """The bytes by which the next checkpoint makes the database file longer; 0 if they are not known."""
        if self._growth is None:
            self._growth = self._measure_growth()
        return self._growth

    def _measure_growth(self) -> int:
        try:
            if self._file_bytes is None:
                self._file_bytes = os.stat(self._path).st_size
            return int(self.run_named("page_count").fetchone()["page_count"] * self._page_bytes - self._file_bytes)
        except (sqlite3.Error, OSError):
            return 0

    def run_named(self, name: str, parameters: dict[str, Any] | None = None) -> sqlite3.Cursor:
        """Run a statement of the commit itself, by its name."""
        return self.connection.execute(self._statements[name], parameters or {})


def _is_at(head: Head, vouched: ReadHead) -> bool:
    return (head.epoch, head.seq, head.hash) == (vouched.epoch, vouched.seq, vouched.hash)
