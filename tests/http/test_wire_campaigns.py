"""The campaigns against the wire in short: nothing breaks, stays or slows, and each twin's fault is found.

The full forms: `make wire`.
"""

from pathlib import Path

from tests.campaigns import crowd, frames, strangers, stuck
from tests.campaigns.frame_maker import KINDS, FrameMaker
from tests.support.promises import promise

SEED = 20_261_127


@promise("SAF6")
async def test_two_thousand_broken_frames_are_answered_without_a_fault_and_nothing_is_half_done(tmp_path: Path) -> None:
    outcome = await frames.campaign(tmp_path / "room", 2000, seed=SEED)
    assert outcome.faults == []
    assert len([figure for figure in outcome.figures if figure.startswith("answers to")]) == len(KINDS)


@promise("SAF6")
async def test_a_room_that_trusts_its_input_would_break(tmp_path: Path) -> None:
    outcome = await frames.campaign(tmp_path / "room", 300, seed=SEED, twin=True)
    assert any("the server counts faults of its own" in fault for fault in outcome.faults)
    assert any(fault.startswith("frame ") for fault in outcome.faults)


@promise("SAF6")
async def test_a_frame_can_be_made_again_from_its_number() -> None:
    makers = [FrameMaker(1, ["a"], ["b"], SEED, "a", [("mcp-session-id", "s")]) for _ in range(2)]
    first, again = ([maker.make(number) for number in range(200)] for maker in makers)
    assert first == again


@promise("CTL4")
async def test_ten_clients_that_never_read_are_gone_two_seconds_after_their_kill(tmp_path: Path) -> None:
    outcome = await stuck.campaign(tmp_path / "room", 10, seed=SEED, turns=1, phase_seconds=0.3)
    assert [fault for fault in outcome.faults if "p99" not in fault] == []
    assert outcome.figures["clients stuck at once"] == 10


@promise("CTL4")
async def test_a_kill_that_ends_nothing_would_leave_open_connections(tmp_path: Path) -> None:
    outcome = await stuck.campaign(tmp_path / "room", 10, seed=SEED, twin=True, turns=1, phase_seconds=0.3)
    assert any("after the kill" in fault for fault in outcome.faults)


@promise("SAF3")
async def test_a_hundred_connections_at_once_leave_nothing_behind(tmp_path: Path) -> None:
    outcome = await crowd.campaign(tmp_path / "room", 99, seed=SEED, stay_seconds=2)
    assert outcome.faults == []
    assert outcome.figures["heartbeats among them"] >= 3 * 33


@promise("SAF3")
async def test_a_room_that_never_releases_connections_would_grow(tmp_path: Path) -> None:
    outcome = await crowd.campaign(tmp_path / "room", 300, seed=SEED, stay_seconds=0.3, twin=True)
    assert any("memory has grown" in fault for fault in outcome.faults)


SHORT = 470
FEW_FILES = 512
"""Not enough for so many connections and a reserve."""


@promise("SAF11")
async def test_strangers_of_every_kind_take_nothing_from_members_and_leave_nothing_behind(tmp_path: Path) -> None:
    outcome = await strangers.campaign(tmp_path / "room", SHORT, seed=SEED, files=FEW_FILES)
    assert outcome.faults == []
    assert len(outcome.figures) == len(strangers.kinds(1)) + 2


@promise("SAF11")
async def test_a_room_that_takes_in_whatever_strangers_send_would_run_out(tmp_path: Path) -> None:
    kinds = ("silent", "one header")
    outcome = await strangers.campaign(tmp_path / "room", SHORT, seed=SEED, twin=True, files=FEW_FILES, only=kinds)
    assert any("silent: " in fault and "descriptors" in fault for fault in outcome.faults)
    assert any("one header: memory rose" in fault for fault in outcome.faults)
