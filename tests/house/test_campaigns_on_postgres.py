"""The campaigns on PostgreSQL in short: what must not happen did not, and each twin, with the fault built in, is found.

`make faults-postgres` runs the full forms. A room is kept there because its data folder names a database.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns import cancels, claims, kills, pauses, reconnects
from tests.support import postgres
from tests.support.promises import promise

pytestmark = pytest.mark.postgres

SEED = 20_261_130
SLOW_MACHINE_SECONDS = 20.0

TWIN_ATTEMPTS = 8
"""A kill may come when nothing is between its answer and its commit, and a call may be cut off between two acts."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The data folder of a room that is kept in a database."""
    postgres.require_server()
    postgres.keep_in_database(tmp_path / "room")
    with postgres.patience():
        yield tmp_path / "room"
    postgres.drop_databases()


def another(folder: Path, number: int) -> Path:
    """The data folder of one more such room."""
    made = folder.with_name(f"room-{number}")
    postgres.keep_in_database(made)
    return made


@promise("TSK1")
async def test_claimers_on_postgres_are_one_winner_for_each_task(folder: Path) -> None:
    outcome = await claims.campaign(folder, 10, seed=SEED, claimers=16)
    assert outcome.faults == []
    assert outcome.figures["claims that won"] == 2 * 10


@promise("TSK1")
async def test_a_claim_in_two_transactions_of_postgres_would_have_two_winners(folder: Path) -> None:
    outcome = await claims.campaign(folder, 5, seed=SEED, claimers=16, twin=True)
    assert any("winners" in fault for fault in outcome.faults)


@promise("CTL2", "CTL6")
async def test_no_act_passes_a_pause_on_postgres_and_a_resume_binds_at_once(folder: Path) -> None:
    outcome = await pauses.campaign(folder, 6, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["calls that started under an acknowledged pause"] > 6
    assert outcome.figures["first calls after a resume that succeeded"] == "6 of 6"


@promise("CTL2")
async def test_a_cached_standing_would_let_acts_pass_on_postgres(folder: Path) -> None:
    outcome = await pauses.campaign(folder, 9, seed=SEED, twin=True)
    assert outcome.figures["acts of bound agents in the log between a pause and its resume"] > 0


@promise("LOG4")
async def test_a_server_on_postgres_that_is_killed_loses_no_acknowledged_act(folder: Path) -> None:
    outcome = await kills.campaign(folder, 2, seed=SEED, ready_seconds=SLOW_MACHINE_SECONDS)
    assert outcome.faults == []
    assert outcome.figures["acknowledged acts"] > 0


@promise("LOG4")
async def test_an_answer_before_the_commit_on_postgres_would_be_lost_in_a_kill(folder: Path) -> None:
    for attempt in range(TWIN_ATTEMPTS):
        room, seed = another(folder, attempt), SEED + attempt
        outcome = await kills.campaign(room, 1, seed=seed, twin=True, ready_seconds=SLOW_MACHINE_SECONDS)
        if outcome.figures["of these lost"] > 0:
            return
    raise AssertionError("no acknowledged act was lost by a room that answers before its commit")


@promise("LOG4")
async def test_calls_cancelled_at_random_points_leave_no_half_act_on_postgres(folder: Path) -> None:
    outcome = await cancels.campaign(folder, 100, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["how they ended"]["cut off"] > 10
    assert outcome.figures["cut off, and committed whole"] > 3


@promise("LOG4")
async def test_a_shared_connection_to_postgres_would_leave_half_acts(folder: Path) -> None:
    for attempt in range(TWIN_ATTEMPTS):
        outcome = await cancels.campaign(another(folder, attempt), 100, seed=SEED + attempt, twin=True)
        if outcome.figures["half acts"]:
            return
    pytest.fail("no half act was found")


@promise("LOG1")
async def test_a_listener_on_postgres_reads_each_wake_once_and_in_order(folder: Path) -> None:
    outcome = await reconnects.campaign(folder, 40, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["wakes"] > 20


@promise("LOG1")
async def test_a_listener_on_postgres_that_begins_with_what_is_new_would_lose_wakes(folder: Path) -> None:
    outcome = await reconnects.campaign(folder, 40, seed=SEED, twin=True)
    assert any("lost" in fault for fault in outcome.faults)
