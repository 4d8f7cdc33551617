"""The campaigns in short: what must not happen did not, and each twin, with the fault built in, is found.

The full forms: `python -m tests.campaigns.claims 200`, `pauses 500`, `kills 200`, `cancels 10000`,
`switch 550`, `reconnects 1000`. This short form leaves to them all but the first rounds, and loads that have a
process each.
"""

from pathlib import Path

import pytest

from tests.campaigns import cancels, claims, kills, pauses, reconnects, switch
from tests.support.promises import promise

SEED = 20_261_123
SLOW_MACHINE_SECONDS = 20.0

TWIN_ATTEMPTS = 8
"""A twin in which a hundred cancelled calls left no half act tries so often."""


@promise("TSK1")
async def test_sixteen_claimers_on_forty_tasks_are_one_winner_each(tmp_path: Path) -> None:
    outcome = await claims.campaign(tmp_path / "room", 40, seed=SEED, claimers=16)
    assert outcome.faults == []
    assert outcome.figures["claims that won"] == 2 * 40
    assert outcome.figures["refusals by code"] == {"taken": 40 * 15}


@promise("TSK1")
async def test_a_claim_in_two_transactions_would_have_two_winners(tmp_path: Path) -> None:
    outcome = await claims.campaign(tmp_path / "room", 10, seed=SEED, claimers=16, twin=True)
    assert any("winners" in fault for fault in outcome.faults)


@promise("CTL2", "CTL6")
async def test_no_act_passes_a_pause_and_no_first_call_after_a_resume_is_refused(tmp_path: Path) -> None:
    outcome = await pauses.campaign(tmp_path / "room", 15, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["calls that started under an acknowledged pause"] > 15
    assert outcome.figures["calls in flight when a pause was acknowledged"] > 15
    assert outcome.figures["first calls after a resume that succeeded"] == "15 of 15"


@promise("CTL2")
async def test_a_cached_standing_would_let_acts_pass(tmp_path: Path) -> None:
    outcome = await pauses.campaign(tmp_path / "room", 9, seed=SEED, twin=True)
    assert outcome.figures["acts of bound agents in the log between a pause and its resume"] > 0
    assert any("first call after the resume" in fault for fault in outcome.faults)


@promise("LOG4")
async def test_a_server_that_is_killed_loses_no_acknowledged_act(tmp_path: Path) -> None:
    outcome = await kills.campaign(tmp_path / "room", 2, seed=SEED, ready_seconds=SLOW_MACHINE_SECONDS)
    assert outcome.faults == []
    assert outcome.figures["acknowledged acts"] > 4
    assert outcome.figures["acts in doubt at a kill, called again"] > 4


@promise("LOG4")
async def test_an_answer_before_the_commit_would_be_lost_in_a_kill(tmp_path: Path) -> None:
    for attempt in range(TWIN_ATTEMPTS):  # a kill can come when nothing is between its answer and its commit
        folder, seed = tmp_path / f"room-{attempt}", SEED + attempt
        outcome = await kills.campaign(folder, 1, seed=seed, twin=True, ready_seconds=SLOW_MACHINE_SECONDS)
        if outcome.figures["of these lost"] > 0:
            return
    raise AssertionError("no acknowledged act was lost by a room that answers before its commit")


@promise("LOG4")
async def test_calls_cancelled_at_random_points_leave_no_half_act(tmp_path: Path) -> None:
    outcome = await cancels.campaign(tmp_path / "room", 150, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["how they ended"]["cut off"] > 15
    assert outcome.figures["cut off, and committed whole"] > 5


@promise("LOG4")
async def test_a_shared_connection_would_leave_half_acts(tmp_path: Path) -> None:
    for attempt in range(TWIN_ATTEMPTS):
        outcome = await cancels.campaign(tmp_path / f"room-{attempt}", 100, seed=SEED + attempt, twin=True)
        if outcome.figures["half acts"]:
            return
    pytest.fail("no half act was found")


@promise("LOG1")
async def test_a_listener_that_loses_its_connections_reads_each_wake_once_and_in_order(tmp_path: Path) -> None:
    outcome = await reconnects.campaign(tmp_path / "room", 60, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["wakes"] > 60
    assert len(outcome.figures["how they ended"]) == len(reconnects.WAYS)


@promise("LOG1")
async def test_a_listener_that_begins_with_what_is_new_would_lose_wakes(tmp_path: Path) -> None:
    outcome = await reconnects.campaign(tmp_path / "room", 40, seed=SEED, twin=True)
    assert any("lost" in fault for fault in outcome.faults)


@promise("CTL9", "SAF9")
async def test_pauses_and_kills_overtake_every_kind_of_load(tmp_path: Path) -> None:
    outcome = await switch.campaign(
        tmp_path / "room",
        11,
        seed=SEED,
        members=4,
        callers=2,
        files=256,
        warm_seconds=0.2,
        longest_seconds=SLOW_MACHINE_SECONDS,
        loads_share_a_process=True,
    )
    assert [fault for fault in outcome.faults if "p99" not in fault] == []
    assert outcome.figures["uses over the socket"] == 1
