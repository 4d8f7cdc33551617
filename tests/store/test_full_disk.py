"""A full disk: agents can still be read and stopped, everything else waits, and it goes on when there is room."""

import signal
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.local.verify import verified
from teamroom.server.record import journal
from teamroom.server.store.engine import DiskFullError
from teamroom.server.store.sqlite.reserve import RESERVE
from tests.support.disks import pretend_full, pretend_room, small_disk
from tests.support.promises import promise
from tests.support.room_in_thread import logged
from tests.support.rooms import Member, Refused, RunningRoom, running_room
from tests.support.shells import Shell, up
from tests.support.stores import open_store, reraise

pytestmark = promise("SAF4")

RESERVE_BYTES = 2_097_152
TRIES = 2000
"""More posts of 16,000 characters than the small disk can hold."""

CYCLES = 100
"""Pauses and resumes on one reserve: more than a night of trouble needs."""


async def until_refused(member: Member) -> dict[str, Any]:
    """Post until the room refuses; returns the refusal."""
    for number in range(TRIES):
        try:
            await member("post_message", text=f"{number} " + "y" * 15_000)
        except Refused as refused:
            return refused.body
    raise AssertionError("the disk never became full")


async def refused_on(room: RunningRoom, disk: Any) -> list[dict[str, Any]]:
    """What becomes of a post, and then of a pause, on a disk that is full."""
    (builder,) = await room.enroll("builder")
    owner = await room.owner()
    disk.fill()
    answers = [await until_refused(builder)]
    for number in range(CYCLES):
        try:
            await owner("pause", target="builder", reason=f"the disk is full {number}")
            await owner("resume", target="builder", reason="it is enough")
        except Refused as refused:
            answers.append(refused.body)
            break
    return answers


# ------------------------------------------------------------------ a real disk


async def test_pause_resume_kill_and_revoke_work_on_a_full_disk_and_leave_receipts(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        async with running_room(disk.folder / "room", reserve_bytes=RESERVE_BYTES) as room:
            with logged() as complaints:
                refusals = await refused_on(room, disk)
            owner = await room.owner()
            assert [refusal["code"] for refusal in refusals] == ["storage"]
            assert "Only reads, pause, resume, kill and revoke work" in refusals[0]["fix"]
            acts = [(entry["act"], entry["outcome"]) for entry in room.entries()]
            assert acts.count(("pause", "ok")) == acts.count(("resume", "ok")) == CYCLES
            assert (await owner("revoke", name="builder"))["receipt"] == len(acts) + 1
            assert (await owner("kill", target="builder", reason="it filled the disk"))["receipt"] == len(acts) + 2
            assert (await owner("read_board"))["tasks"] == []
            assert (await owner.refused("post_message", text="still full"))["code"] == "storage"
            assert len([line for line in complaints.lines if "the disk is full" in line]) == 1
        assert verified(room.folder).good
        stops = journal.read(room.folder)
        assert stops is not None
        assert stops.stops["member", "builder"].state == "killed"


async def test_without_a_reserve_the_same_disk_stops_nobody(tmp_path: Path) -> None:
    """The twin: the disk is really full, and what goes on above goes on because of the reserve."""
    with small_disk(tmp_path / "disk", 16) as disk:
        async with running_room(disk.folder / "room", reserve_bytes=0) as room:
            with logged():
                refusals = await refused_on(room, disk)
            assert [refusal["code"] for refusal in refusals] == ["storage", "storage"]


async def test_when_there_is_room_again_everything_goes_on_and_the_reserve_is_kept_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        async with running_room(disk.folder / "room", reserve_bytes=RESERVE_BYTES) as room:
            with logged():
                await refused_on(room, disk)
                assert (room.folder / RESERVE).stat().st_size == 0
                disk.make_room()
                builder = await room.connect("builder")
                posted = await builder("post_message", text="room again")
            assert (room.folder / RESERVE).stat().st_blocks * 512 == RESERVE_BYTES
            shown = await builder("read_messages", ids=[posted["message"]])
            assert shown["messages"][0]["text"] == "room again"
        assert verified(room.folder).good


def test_a_room_that_starts_on_a_full_disk_can_still_be_stopped(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        folder = disk.folder / "room"
        with up(folder) as running:
            assert Shell(tmp_path).now("enroll", "builder", "--data", str(folder)).code == 0
            running.stop(signal.SIGKILL)
        disk.fill()
        with up(folder):
            shell = Shell(tmp_path)
            refused = shell.now("enroll", "tester", "--data", str(folder))
            assert refused.code != 0
            assert "disk is full" in refused.err
            paused = shell.now("pause", "builder", "--reason", "the disk is full", "--data", str(folder))
            assert paused.code == 0, paused.err
            assert "builder" in shell.now("roster", "--data", str(folder)).out


async def test_a_disk_that_is_too_small_for_the_reserve_is_refused_with_the_size_that_it_needs(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk, logged() as complaints:
        async with running_room(disk.folder / "room") as room:
            owner = await room.owner()
            refusal = await owner.refused("enroll", name="builder")
            assert refusal["code"] == "storage"
            assert "16.8 MB must be" in refusal["why"]
            assert (await owner("pause", target="room", reason="no room"))["receipt"]
        assert any("16.8 MB must be" in line for line in complaints.lines)


# ------------------------------------------------------------------ a pretended disk, where none can be mounted


async def test_acts_that_share_a_batch_with_a_pause_are_refused_and_the_pause_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(tmp_path / "room", reserve_bytes=RESERVE_BYTES) as bench:
        await pretend_full(bench.store, monkeypatch)
        with logged() as complaints:
            large = bench.write(bench.held(bench.entry("large", "x" * 200_000)))
            await bench.until_reached()
            stop = bench.loop.create_task(bench.store.write(bench.entry("stop"), reraise, when_full=True))
            small = bench.write(bench.entry("small"))
            await bench.let_go()
            answers = [await _outcome(task) for task in (large, stop, small)]
        assert [type(answer) for answer in answers] == [DiskFullError, tuple, DiskFullError]
        assert bench.logged() == bench.woken() == ["stop"]
        assert len(complaints.lines) == 1
        await pretend_room(bench.store, monkeypatch)
        assert await bench.write(bench.entry("room again")) == 4


async def test_a_writer_whose_file_is_gone_keeps_answering(tmp_path: Path) -> None:
    async with open_store(tmp_path / "room", reserve_bytes=RESERVE_BYTES) as bench:
        (bench.folder / "room.db").unlink()
        assert [await bench.write(bench.entry(f"{number}")) for number in range(3)] == [3, 4, 5]


async def _outcome(task: Any) -> Any:
    try:
        return await task
    except DiskFullError as error:
        return error
