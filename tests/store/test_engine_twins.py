"""Engines that break one rule of the contract each: the suite finds every one of them."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from teamroom.server.settings import Settings
from teamroom.server.store.batches import Job
from teamroom.server.store.engine import CarryOut, TooLargeError, Work
from teamroom.server.store.sqlite.commit import Committer
from teamroom.server.store.sqlite.connect import connect_reader
from teamroom.server.store.sqlite.reserve import Reserve
from teamroom.server.store.sqlite.steps import SteppedConnection
from teamroom.server.store.sqlite.store import SqliteStore
from teamroom.server.store.transaction import Context, Head, Reading, Writing
from teamroom.server.store.writer import Writer
from tests.campaigns.forgeries import TRUSTING
from tests.campaigns.one_queue import ServesAsTheyCome
from tests.campaigns.write_behind import AnswersFirst
from tests.store import test_engine_contract as contract
from tests.support.engines import Engine, altered, sqlite_with
from tests.support.promises import house
from tests.support.room_in_thread import logged
from tests.support.stores import open_store

pytestmark = house


class UndoesNothing(Committer):
    """An act that raised keeps what it wrote before."""

    def attempt(self, job: Job, head: Head, work: Work) -> None:
        tx = Writing(self.connection, self.context, head)
        job.result = work(tx)
        tx.end()
        job.effects, job.seq = tx.effects, head.seq


class ForgetsTheHead(Committer):
    """What an act wrote is undone, and the numbers that it took are not."""

    def attempt(self, job: Job, head: Head, work: Work) -> None:
        before = head.seq

        def counted(tx: Writing) -> Any:
            nonlocal before
            try:
                return work(tx)
            finally:
                before = head.seq

        try:
            super().attempt(job, head, counted)
        except Exception:
            head.seq = before
            raise


class ForgetsToScrub(Committer):
    """Redacted content stays where the engine keeps what it has not copied yet."""

    def scrub(self) -> None:
        self.is_to_be_scrubbed = False


class ReadsWithoutEnd(Committer):
    """An act reads as much as it likes."""

    def open(self) -> None:
        super().open()
        self.stepped = SteppedConnection(self.connection, 2**62)


class EndsWhatWrites(Committer):
    """The budget of an act counts its statements that write, too, and ends them."""

    def open(self) -> None:
        super().open()
        self.stepped = _EndsAnything(self.connection, self.context.settings.act_steps)


class _EndsAnything(SteppedConnection):
    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> sqlite3.Cursor:
        return self.connection.execute(sql, parameters)


class BreaksTheBatch(Committer):
    """An act that reads too much ends the batch, so that all of it runs again."""

    def attempt(self, job: Job, head: Head, work: Work) -> None:
        try:
            super().attempt(job, head, work)
        except TooLargeError as error:
            raise sqlite3.OperationalError("interrupted") from error


class AnswersBeforeEffects(Writer):
    """The caller goes on before anybody was told of its act."""

    def answer_now(self, batch: list[Job]) -> None:
        for job in batch:
            if not job.answer.done() and job.error is None:
                job.answer.set_result((job.result, job.seq))
        job.answer.get_loop().call_later(0.01, super().answer_now, batch)


class DropsEffectsOfWhoLeft(Writer):
    """Nobody is told of an act whose caller has left."""

    def answer_now(self, batch: list[Job]) -> None:
        for job in batch:
            if job.answer.cancelled():
                job.effects = None
        super().answer_now(batch)


class BeginsForWhoLeft(Committer):
    """An act is run although its caller left before its turn."""

    def run_act(self, job: Job, head: Head) -> None:
        self.attempt(job, head, job.work)


class WritesDownLater(Committer):
    """What goes outside the database is written some time later."""

    def __init__(self, path: Path, context: Context, reserve: Reserve) -> None:
        super().__init__(path, replace(context, write_down=lambda effects: None), reserve)


def queues_without_end(committer: Committer, settings: Settings, carry_out: CarryOut) -> Writer:
    """As many acts wait as come."""
    return Writer(committer, settings.model_copy(update={"queue_acts": 65_536}), carry_out)


class ReadsWithoutSnapshot(SqliteStore):
    """Each statement of a read sees what was committed by then, and may write."""

    async def read(self, work: Callable[[Reading], Any], is_small: bool, member: int | None = None, **more: Any) -> Any:
        return await asyncio.to_thread(self._loose, work)

    def _loose(self, work: Callable[[Reading], Any]) -> Any:
        with closing(connect_reader(self.path)) as connection:
            return work(Reading(connection, self.context))


class LetsReadersCrowd(SqliteStore):
    """A member's reads take every reader."""

    async def read(self, work: Callable[[Reading], Any], is_small: bool, member: int | None = None, **more: Any) -> Any:
        return await super().read(work, is_small, **more)


class ReadsWhatWas(SqliteStore):
    """A look-up shows the room as it was when it was opened, as a replica that lags behind does."""

    async def open(self, *asked: Any, **named: Any) -> None:
        await super().open(*asked, **named)
        self._old = connect_reader(self.path)
        self._old.execute("begin")
        self._old.execute("select count(*) from sqlite_schema").fetchall()

    async def look_up(self, work: Callable[[Reading], Any]) -> Any:
        return work(Reading(self._old, self.context))

    async def close(self) -> None:
        await super().close()
        self._old.close()


class IgnoresTheSeal(SqliteStore):
    """A room that lost entries is written on."""

    async def open(self, vouch: Any = None, before_migrating: Any = lambda: None) -> None:
        await super().open(before_migrating=before_migrating)


class KeepsWhatItCouldNotCreate(SqliteStore):
    """A room whose creation failed is there in part."""

    async def create(self, work: Callable[[Writing], Any], first_hash: str) -> Any:
        def keeps(tx: Writing) -> Any:
            try:
                return work(tx)
            except ZeroDivisionError as error:
                failed.append(error)

        failed: list[Exception] = []
        made = await super().create(keeps, first_hash)
        if failed:
            raise failed[0]
        return made


@dataclass(frozen=True)
class Twin:
    """An engine with a fault, and the test of the contract that finds it."""

    fault: str
    engine: Engine
    found_by: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.fault.replace(" ", "_")


TWINS = (
    Twin("answers first", sqlite_with(AnswersFirst), contract.test_an_act_that_was_answered_is_durable_and_whole),
    Twin(
        "undoes nothing",
        sqlite_with(UndoesNothing),
        contract.test_an_act_that_raises_in_a_batch_does_not_affect_other_acts,
    ),
    Twin(
        "undoes nothing before recover",
        sqlite_with(UndoesNothing),
        contract.test_recover_runs_in_place_of_an_act_that_raised_and_sees_nothing_of_it,
    ),
    Twin(
        "forgets the head",
        sqlite_with(ForgetsTheHead),
        contract.test_numbers_are_dense_and_end_at_the_head_despite_rollbacks,
    ),
    Twin(
        "forgets to scrub",
        sqlite_with(ForgetsToScrub),
        contract.test_redacted_content_is_nowhere_once_a_later_act_is_answered,
    ),
    Twin(
        "answers before effects",
        sqlite_with(make_writer=AnswersBeforeEffects),
        contract.test_effects_are_carried_out_on_the_event_loop_after_the_commit_and_before_the_answer,
    ),
    Twin(
        "drops effects of who left",
        sqlite_with(make_writer=DropsEffectsOfWhoLeft),
        contract.test_a_caller_that_leaves_while_its_act_runs_leaves_a_whole_act,
    ),
    Twin(
        "begins for who left",
        sqlite_with(BeginsForWhoLeft),
        contract.test_a_caller_that_leaves_before_its_turn_leaves_nothing,
    ),
    Twin(
        "queues without end",
        sqlite_with(make_writer=queues_without_end),
        contract.test_a_full_queue_refuses_new_acts_at_once_and_carries_out_those_that_wait,
    ),
    Twin(
        "serves acts as they come",
        sqlite_with(make_writer=ServesAsTheyCome),
        contract.test_members_are_served_in_turn_however_much_one_of_them_sent,
    ),
    Twin(
        "lets nothing overtake",
        sqlite_with(make_writer=ServesAsTheyCome),
        contract.test_an_act_that_overtakes_is_next_however_many_acts_wait,
    ),
    Twin(
        "writes down later",
        sqlite_with(WritesDownLater),
        contract.test_what_goes_outside_the_database_is_written_before_the_answer,
    ),
    Twin(
        "reads without end",
        sqlite_with(ReadsWithoutEnd),
        contract.test_an_act_that_reads_too_much_is_undone_alone_and_recovered_from,
    ),
    Twin(
        "breaks the batch",
        sqlite_with(BreaksTheBatch),
        contract.test_an_act_that_reads_too_much_is_undone_alone_and_recovered_from,
    ),
    Twin("ends what writes", sqlite_with(EndsWhatWrites), contract.test_a_statement_that_writes_is_never_ended),
    Twin(
        "lets readers crowd",
        altered(LetsReadersCrowd),
        contract.test_a_member_has_one_reader_and_the_reads_of_others_pass_those_that_wait,
    ),
    Twin(
        "reads without a snapshot",
        altered(ReadsWithoutSnapshot),
        contract.test_a_read_is_one_snapshot_with_the_standing_in_it,
    ),
    Twin(
        "reads what was",
        altered(ReadsWhatWas),
        contract.test_every_read_sees_all_acts_acknowledged_before_it,
        {"how": "look up"},
    ),
    Twin(
        "ignores the seal",
        altered(IgnoresTheSeal),
        contract.test_a_room_that_lacks_sealed_entries_is_read_only,
    ),
    Twin(
        "takes any head over",
        TRUSTING,
        contract.test_a_head_that_somebody_else_wrote_is_damage_and_nothing_follows_it,
        {"change": "hash = 'ff'"},
    ),
    Twin(
        "keeps what it could not create",
        altered(KeepsWhatItCouldNotCreate),
        contract.test_a_room_that_could_not_be_created_leaves_nothing_and_can_be_created_later,
    ),
)


@pytest.mark.parametrize("twin", TWINS, ids=str)
async def test_an_engine_that_breaks_a_rule_fails_the_suite(tmp_path: Path, twin: Twin) -> None:
    with logged(), pytest.raises((AssertionError, pytest.fail.Exception)):
        await run(tmp_path, twin)


async def run(tmp_path: Path, twin: Twin) -> None:
    """One test of the contract, on the twin."""
    if "bench" not in twin.found_by.__annotations__:
        await twin.found_by(tmp_path, twin.engine, **twin.arguments)
        return
    async with open_store(tmp_path / "room", twin.engine) as bench:
        await twin.found_by(bench, **twin.arguments)
