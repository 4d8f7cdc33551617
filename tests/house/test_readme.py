"""A reader who follows the README opens a room with `make up`, and sees in it what the README says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.room import RoomOfProcesses, free_port, stop, wait_until_ready
from tests.support.pages import blocks, read
from tests.support.promises import house
from tests.support.repository import ROOT

pytestmark = house

README = read(ROOT / "README.md")

COMMAND_SECONDS = 30.0
"""How long a command of the README may take on a machine that does much else."""


@contextmanager
def made_up(data: Path) -> Iterator[RoomOfProcesses]:
    """`make up` on a free port, in the environment that runs this test."""
    room = RoomOfProcesses(data, free_port())
    log = data.with_suffix(".log")
    venv = Path(sys.prefix)
    variables = [f"DATA={data}", f"PORT={room.port}", f"VENV={venv}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "--no-print-directory", "-o", str(venv / ".runs"), "up", *variables],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(data.parent), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_ready(room, process, log)
        yield room
    finally:
        stop(process)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the commands of the README print, run as they are written."""
    home = tmp_path_factory.mktemp("reader")
    with made_up(home / "room") as room:
        script = "\n".join(blocks(README, "sh"))
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=ROOT,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(home),
                "LANG": "C.UTF-8",
                "TEAMROOM_DATA": str(room.data),
                "TEAMROOM_URL": room.url,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS * script.count("\n"),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield done.stdout


def test_the_first_steps_end_with_something_to_see(printed: str) -> None:
    board = re.search(r"^T-1 +claimed +@builder", printed, flags=re.MULTILINE)
    refused = printed.find("Refused (paused)")
    assert board is not None
    assert 0 < board.start() < refused, "the board comes before the refusal"
    resumed = printed.rfind("builder is active")
    assert refused < resumed < printed.rfind("T-1"), "the same call succeeds after the resume, and overnight shows it"


def test_the_refusal_that_the_readme_shows_is_the_one_that_its_reader_gets(printed: str) -> None:
    (shown,) = (block for block in blocks(README, "text") if block.startswith("Refused"))
    (got,) = re.findall(r"^Refused.*$", printed, flags=re.MULTILINE)
    assert normal(got) == normal(shown)


def normal(refusal: str) -> str:
    """A refusal without who, when and line breaks."""
    return re.sub(r"@[\w.-]+|\d{4}-\d\d-\d\dT[\d:]+Z", "…", " ".join(refusal.split()))
