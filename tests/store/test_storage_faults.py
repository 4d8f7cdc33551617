"""The campaigns against the store in short: what it acknowledged survives, and each twin, with a fault, is found.

The full forms: `make faults`. This short form leaves to them all but the first rounds.
"""

from pathlib import Path

import pytest

from tests.campaigns import bit_flips, full_disks, power_cuts, store_kills, supervisor_kills
from tests.support.promises import promise

SEED = 20_261_123

TWIN_ATTEMPTS = 10
"""A twin whose kills all came at harmless moments tries so often."""


@promise("LOG4")
async def test_a_store_killed_inside_commits_and_checkpoints_loses_no_acknowledged_act(tmp_path: Path) -> None:
    outcome = await store_kills.campaign(tmp_path / "room", 32, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["acknowledged acts"] > 80
    assert all(outcome.figures["kills"][place] > 3 for place in ("in a commit", "in a checkpoint"))


@promise("LOG4")
async def test_a_store_that_answers_before_its_commit_would_lose_acts_in_a_kill(tmp_path: Path) -> None:
    for attempt in range(TWIN_ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        outcome = await store_kills.campaign(folder / "room", 30, seed=SEED + attempt, twin=True)
        if outcome.figures["of these lost"]:
            return
    pytest.fail("no acknowledged act was lost")


@promise("LOG4")
async def test_a_power_cut_loses_no_acknowledged_act(tmp_path: Path) -> None:
    outcome = await power_cuts.campaign(tmp_path / "room", 50, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["acknowledged acts"] > 50
    assert len(outcome.figures["power went in"]) >= 4


@promise("LOG4")
async def test_commits_that_are_not_synced_would_be_lost_in_a_power_cut(tmp_path: Path) -> None:
    outcome = await power_cuts.campaign(tmp_path / "room", 15, seed=SEED, twin=True)
    assert outcome.figures["of these lost"] > 0
    assert outcome.figures["cuts that lost some"] > 1


@promise("LOG3", "SAF6")
async def test_every_flipped_bit_in_the_log_is_found_and_named_without_a_traceback(
    tmp_path: Path,
) -> None:
    outcome = await bit_flips.campaign(tmp_path / "room", 12, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["of these found and named"] > 3


@promise("LOG3")
async def test_a_verification_of_numbers_alone_would_pass_flips(tmp_path: Path) -> None:
    outcome = await bit_flips.campaign(tmp_path / "room", 8, seed=SEED, twin=True)
    assert any("verified, and entry" in fault for fault in outcome.faults)


@promise("SAF4")
async def test_a_full_disk_at_every_kind_of_act_loses_nothing_and_reads_go_on(tmp_path: Path) -> None:
    outcome = await full_disks.campaign(tmp_path / "room", 2, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["kinds of acts tried"] == len(full_disks.every_act())
    assert outcome.figures["acknowledged acts"] > 2 * 10


@promise("SAF4")
async def test_an_answer_before_the_commit_would_be_lost_on_a_full_disk(tmp_path: Path) -> None:
    outcome = await full_disks.campaign(tmp_path / "room", 1, seed=SEED, twin=True)
    assert outcome.figures["of these lost"] > 0


@promise("REM1")
async def test_a_supervisor_killed_between_a_decision_and_its_commit_loses_no_reminder_and_sends_none_twice(
    tmp_path: Path,
) -> None:
    outcome = await supervisor_kills.campaign(tmp_path / "room", 14, seed=SEED)
    assert outcome.faults == []
    assert outcome.figures["of these reminders sent"] > 180
    assert outcome.figures["kills"][supervisor_kills.BETWEEN] > 2


@promise("REM1")
async def test_a_supervisor_that_marks_a_slot_before_sending_would_lose_reminders(tmp_path: Path) -> None:
    outcome = await supervisor_kills.campaign(tmp_path / "room", 4, seed=SEED, twin=True)
    assert outcome.figures["lost lines, entries and wakes"] > 0
