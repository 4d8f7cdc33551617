"""A room whose wall clock a file shifts: a command on which programs outside this repository rely."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.room import RoomOfProcesses, stop
from tests.support.clocked_up import READ_EVERY_SECONDS, ShiftedClock
from tests.support.promises import house
from tests.support.repository import ROOT

pytestmark = house

A_DAY = 86_400
CALLS = 100
"""How many calls the room may answer before it has read the file again."""

NOW = 1_795_000_000.0


def test_the_clock_of_the_room_is_shifted_by_the_seconds_in_a_file(tmp_path: Path) -> None:
    shift = tmp_path / "shift"
    shift.write_text("0")
    command = [sys.executable, "-m", "tests.support.clocked_up", str(tmp_path / "room"), "0", "olga"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "ATK_CLOCK": str(shift)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            opened, url = process.stdout.readline().decode().split()
            room = RoomOfProcesses(tmp_path / "room", int(url.rpartition(":")[2]))
            assert opened == "open"
            began = time_of(room, 1)
            for days in (1, -1):
                draft = shift.with_suffix(".new")
                draft.write_text(str(days * A_DAY))
                draft.replace(shift)
                assert any(is_near(began + days * A_DAY, room, call) for call in range(CALLS))
        finally:
            stop(process)
    assert process.returncode == 0


def is_near(at: float, room: RoomOfProcesses, call: int) -> bool:
    """Whether the room writes down an act within half a day of a time."""
    posted = room.owner("post_message", text=f"near {at}, call {call}")["receipt"]
    return abs(time_of(room, posted) - at) < A_DAY / 2


def time_of(room: RoomOfProcesses, seq: int) -> float:
    """When an entry of the log was written, in seconds."""
    (entry,) = room.owner("read_receipts", after=seq - 1, limit=1)["receipts"]
    return datetime.fromisoformat(entry["at"]).astimezone(UTC).timestamp()


def test_a_shift_stays_while_its_file_cannot_be_read(tmp_path: Path) -> None:
    shift, steady = tmp_path / "shift", [0.0]
    clock = ShiftedClock(shift, wall=lambda: NOW, steady=lambda: steady[0])
    times = []
    for text in ("60", "no number", None, "-60", ""):
        shift.unlink(missing_ok=True) if text is None else shift.write_text(text)
        steady[0] += 2 * READ_EVERY_SECONDS
        times.append(clock() - NOW)
    assert times == [60, 60, 60, -60, 0]
