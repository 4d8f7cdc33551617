"""Commits acts on PostgreSQL: many in one transaction, each in a savepoint, on this server's one writing connection.

Each transaction locks the room's head row first, so acts of all servers follow one another. The entries that other
servers wrote since must chain from the last one that this server knows. If the connection is lost in a commit, the
entry's hash tells whether the commit took place, once the head is locked again.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import psycopg
from psycopg import errors

from teamroom.server.clock import Moment, RoomClock
from teamroom.server.store.batches import BatchCommitter, Job
from teamroom.server.store.engine import (
    CHANGED,
    BusyError,
    DamagedError,
    OutcomeUnknownError,
    StorageError,
    UnreachableError,
)
from teamroom.server.store.postgres.address import Address
from teamroom.server.store.postgres.connect import AGAIN_SECONDS, OPEN_SECONDS, connect_writer
from teamroom.server.store.postgres.faults import BROKEN_RULES, BUSY, as_storage_error, is_damage, is_lost
from teamroom.server.store.postgres.follow import find_break
from teamroom.server.store.postgres.news import UNKNOWN_COMMITS, News
from teamroom.server.store.postgres.session import Session
from teamroom.server.store.postgres.words import as_vector
from teamroom.server.store.rows.head import ReadHead
from teamroom.server.store.transaction import Context, Effects, Head, Spent
from teamroom.server.topics import BOARD

log = logging.getLogger("teamroom.store")

FOLLOWED_UNDER_LOCK = 512
"""How many entries of other servers are checked while the head is locked; more are checked before it is."""

RECONNECT_SECONDS = 4.0
"""For how long an act whose connection was lost runs again, and its commit tries to find out whether it took place.

Neither goes on once the database is found not to answer.
"""

INDEXED_TASKS = 16
"""How many tasks one commit indexes besides those that it made."""

BATCH_TIMES = 2
"""How many times as long as on SQLite a commit collects acts, each of which waits for several answers of the database.

A stop of this server does not wait for that: it passes the act that runs, and ends the batch.
"""

LONGEST_BATCH_SECONDS = 1.0
"""Less than other servers wait for the head."""

PAUSE_SECONDS = 0.1
"""Between two tries to connect."""


class Unsettled(NamedTuple):
    """A commit of which nobody knows whether it took place: its newest entry, and what is written down if it did."""

    seq: int
    hash: str
    effects: list[Effects]


class Committer(BatchCommitter):
    """The connection that writes, and the steps of a commit. One thread uses it."""

    engine_errors = (psycopg.Error,)
    broken_rules = BROKEN_RULES
    patience_seconds = 10.0
    """How long a statement may go unanswered, a commit included, before its connection counts as lost."""
    session: Session

    def __init__(self, address: Address, context: Context, news: News) -> None:
        super().__init__(context)
        self._batch_seconds = min(self._batch_seconds * BATCH_TIMES, LONGEST_BATCH_SECONDS)
        self._address, self._news = address, news
        self._statements = context.statements
        self.vouched: ReadHead | None = None
        """The head that was vouched for before the database was opened to write."""
        self.is_cut_off: Callable[[], bool] = lambda: False
        """Whether the database was found not to answer; then no act waits for it."""
        self._held_up: Exception | None = None
        """Why a transaction could not begin the last time, if that was because others held the head."""
        self._held_up_at = 0.0
        self._again_until = 0.0
        self._has_unindexed = True
        """Whether there may be tasks whose words are not written."""
        self._is_given_up = False
        self._spent: dict[int, Spent] = {}
        """What members sent to this server, and other servers were not told yet."""
        self._unsettled: deque[Unsettled] = deque(maxlen=UNKNOWN_COMMITS)

    def open(self) -> None:
        """Connect. Raises psycopg.Error."""
        self._connect(OPEN_SECONDS)
        row = self.session.execute(self._statements["lock_head"], {}).fetchone()
        self.last = None if row is None else Head(*row)
        if self.vouched is not None and (self.last is None or self.last.seq < self.vouched.seq):
            self.damage = CHANGED

    def close(self) -> None:
        """Disconnect."""
        self.session.close()

    def cut_off(self) -> None:
        """Give up the connection, because the database does not answer; a later act connects again. Any thread."""
        if hasattr(self, "session"):  # it connects for the first time
            self.session.is_given_up = True

    def give_up(self) -> None:
        """Wait for the database no longer, and do not connect again. Any thread may call this."""
        self._is_given_up = True
        self.cut_off()

    def _waits_in_vain(self) -> bool:
        """Whether no act waits for the database any longer: this server stops, or the database does not answer."""
        return self._is_given_up or self.is_cut_off()

    def _connect(self, seconds: int = AGAIN_SECONDS) -> None:
        if not self._is_given_up:
            budget = self.context.settings.act_read_seconds
            self.session = connect_writer(self._address, budget, seconds, self._waits_in_vain)
        if self._is_given_up:  # perhaps meanwhile: nothing is committed for a server that has ended
            self.cut_off()
            raise psycopg.OperationalError("this server stops, and does not wait for the database")
        self.session.patience = self.patience_seconds
        self.session.script(self._statements["hold_briefly"])
        self._news.find_channel(self.session)

    # -------------------------------------------------------------- the transaction

    def commit_batch(self, first: Job, next_job: Callable[[], Job | None]) -> list[Job]:
        """Run acts in one transaction; those whose connection is lost before the commit run again, for a while.

        What came before somebody else was found to hold the head has waited for as long as an act may.
        """
        if self._held_up is not None and first.came_at <= self._held_up_at:
            self._fail(first, self._held_up)
            return [first]
        self._again_until = time.monotonic() + RECONNECT_SECONDS
        return super().commit_batch(first, next_job)

    def _may_run_again(self, job: Job, error: Exception) -> bool:
        was_ended = is_lost(error) or isinstance(error, errors.IdleInTransactionSessionTimeout)
        if not was_ended or time.monotonic() >= self._again_until or self._waits_in_vain():
            return False
        time.sleep(PAUSE_SECONDS)
        return True

    def _begin(self) -> Head:
        try:
            return self._begin_now()
        except BUSY as error:
            self._held_up, self._held_up_at = error, time.monotonic()
            raise

    def _begin_now(self) -> Head:
        if self.damage is not None:
            raise DamagedError(self.damage)
        if not self.session.is_alive():
            self.session.close()
            self._connect()
        head = self._lock_head()
        while head.seq - (self.last or head).seq > FOLLOWED_UNDER_LOCK:
            self._abandon()
            self._follow(head)
            head = self._lock_head()
        self._follow(head)
        self._settle()
        return head

    def _settle(self) -> None:
        """Write down what commits caused that took place after all; the head is locked, so they have ended."""
        while self._unsettled:
            seq, hash_, effects = self._unsettled[0]
            if self._has_entry(seq, hash_):
                for one in effects:
                    self.context.write_down(one)
            self._unsettled.popleft()

    def _has_entry(self, seq: int, hash_: str) -> bool:
        row = self.session.execute(self._statements["hash_of"], {"seq": seq}).fetchone()
        return row is not None and bool(row[0] == hash_)

    def _lock_head(self) -> Head:
        """Begin a transaction, and lock the head row. Raises DamagedError if there is none."""
        row = self.session.script(self._statements["begin_write"]).fetchone()
        if row is None:
            self.damage = CHANGED
            raise DamagedError(CHANGED)
        *columns, wall = row
        head = Head(*columns)
        if isinstance(self.context.clock, RoomClock):
            self.context.clock.agree(Moment(head.room_at, head.ahead), wall)
        return head

    def _follow(self, head: Head) -> None:
        """Check what other servers wrote since this one wrote or read the head. Raises DamagedError."""
        if self.last is None or head == self.last:
            self.last = head.copy()
            return
        found = find_break(self.session, self.last, head, self._statements)
        if found is not None:
            self.damage = CHANGED
            log.error("what other servers wrote does not follow entry %s: %s", self.last.seq, found)
            raise DamagedError(CHANGED)
        moved = head.seq != self.last.seq
        self.last = head.copy()
        if moved:
            self.committed = head.copy()

    def _begin_act(self) -> Session:
        self.session.defer(self._statements["release"], {})
        self.session.defer(self._statements["savepoint"], {})
        self.session.begin(self.is_overtaken)
        return self.session

    def _settle_act(self) -> None:
        self.session.settle()

    def _end_act(self) -> None:
        """The savepoint of the next act, or the commit, ends it."""

    def _undo(self, head: Head, before: Head) -> None:
        if self._statements["savepoint"] not in self.session.drop_deferred():  # else it has done nothing yet
            self.session.script(self._statements["undo"])
        head.restore(before)

    def commit(self, batch: list[Job], opened: Head, head: Head) -> None:
        """Save the head, tell other servers, and commit; `opened` is the head as the transaction found it."""
        if head.messages != opened.messages:
            self._index("new_messages", "index_messages", after=opened.messages, limit=head.messages - opened.messages)
        if self._has_unindexed or any(job.effects is not None and BOARD in job.effects.changed for job in batch):
            self._index_tasks(head.tasks - opened.tasks)
        if head != opened:
            self.session.defer(self._statements["save_head"], head.values())
        effects = [job.effects for job in batch if job.effects is not None]
        for member, spent in self.context.take_spent().items():
            self._spent[member] = self._spent.get(member, Spent(spent.share)).with_more(spent)
        if (message := self._news.message(opened.seq, head.seq, effects, self._spent)) is not None:
            self.session.defer(self._statements["notify"], message)
        try:
            self.session.execute(self._statements["commit"], {})
        except psycopg.OperationalError as error:
            if self.session.is_open and self.session.is_in_transaction:
                raise  # what was deferred failed
            if not self._was_committed(opened, head, effects):
                raise
            log.warning("the connection was lost in a commit, which took place: %s", error)
        self._spent = {}
        self.last = head.copy()
        self._count(batch)
        self._write_down(batch)
        if head != opened:
            self.committed = head.copy()

    def _index_tasks(self, new: int) -> None:
        """Write the words of the tasks that have new ones: those that this batch made, and some more."""
        bound = new + INDEXED_TASKS
        self._has_unindexed = self._index("unindexed_tasks", "index_tasks", limit=bound) == bound
        self.session.defer(self._statements["note_indexed_tasks"], {"limit": bound})

    def _index(self, found: str, index: str, **bound: int) -> int:
        """Write the words of some texts, as one statement finds them and another stores them; returns how many."""
        rows = self.session.execute(self._statements[found], bound).fetchall()
        if rows:
            words = [(id_, as_vector(texts)) for id_, *texts in rows]
            self.session.defer(self._statements[index], {"rows": json.dumps(words)})
        return len(rows)

    def _was_committed(self, opened: Head, head: Head, effects: list[Effects]) -> bool:
        """Whether a commit took place whose connection was lost. Its transaction ends before the head can be locked.

        A commit without an entry leaves no trace, so its acts run again. Raises OutcomeUnknownError if nothing can be
        found out.
        """
        end = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                self.session.close()
                self._connect()
                self._lock_head()
                has_entry = self._has_entry(head.seq, head.hash)
                self._abandon()
                return head.seq != opened.seq and has_entry
            except psycopg.Error as error:
                if time.monotonic() >= end or self._waits_in_vain():
                    self._news.note_unknown(opened.seq, head.seq)
                    if written := [one for one in effects if one.journal]:
                        self._unsettled.append(Unsettled(head.seq, head.hash, written))
                    self._spent = {}  # what other servers may have been told is not told twice
                    raise OutcomeUnknownError("the connection was lost in a commit") from error
            time.sleep(PAUSE_SECONDS)

    def _abandon(self) -> None:
        if self.session.is_open and self.session.is_in_transaction:
            try:
                self.session.drop_deferred()
                self.session.script(self._statements["rollback"])
            except psycopg.Error:
                log.exception("the rollback failed")

    def checkpoint(self, how: str) -> None:
        """PostgreSQL does that itself."""

    def _fail(self, job: Job, error: Exception) -> None:
        """The database did not carry an act out. That it is busy, or does not answer, is no fault of the room's."""
        job.clear()
        job.error = self._as_storage_error(error)
        if isinstance(job.error, BusyError | UnreachableError):
            log.warning("an act was not carried out: %s", job.error)
        else:
            log.error("the store failed", exc_info=error)

    def _as_storage_error(self, error: Exception) -> StorageError:
        return as_storage_error(error)

    def is_damage(self, error: Exception) -> bool:
        """Whether the database is not what PostgreSQL wrote."""
        return is_damage(error)
