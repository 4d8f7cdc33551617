"""A harness whose model freezes is found by the room, restarted by a real watchdog, and its task goes on to done.

The room, `teamroom watch`, `teamroom listen` and the harness are real processes; only the model is a script.
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from tests.harness.harnesses import PROMPT, Harness, Seat, surroundings
from tests.harness.install import lacking
from tests.harness.room import TEAMROOM, RoomOfProcesses, room_of_processes
from tests.harness.script import Seen, Step, Turn, UseTool, read, use
from tests.harness.scripted_model import ScriptedModel
from tests.harness.vendors import CLAUDE_CODE, CODEX
from tests.support.promises import promise
from tests.support.watching import Dog, dog_at_work

LACKING = lacking("claude", "codex")

pytestmark = [
    promise("PRS4"),
    pytest.mark.harness,
    pytest.mark.skipif(bool(LACKING), reason=f"make test-harnesses installs them: {'; '.join(LACKING)}"),
]

REPAIR_SECONDS = 180.0
"""How long it may take until a frozen model is found and its runtime restarted."""

TASK, FENCE = r"\b(T-\d+)\b", r"\bfence\W{1,3}(\d+)"
ASSIGNED = r"assigned (T-\d+) to you"


@dataclass(frozen=True)
class FrozenOnce:
    """A model that claims what it is assigned, and then says nothing more until its harness is started again."""

    _frozen: Event = field(default_factory=Event)
    _thawed: Event = field(default_factory=Event)

    @property
    def steps(self) -> list[Step]:
        """Its script, which is another one once it was frozen."""
        return [use("check_in"), self._claim_or_complete, self._freeze]

    def wait(self) -> None:
        """Wait until it is frozen."""
        assert self._frozen.wait(REPAIR_SECONDS), "the model was never asked what it does with its task"

    def end(self) -> None:
        """Let the call end that hangs."""
        self._thawed.set()

    def _claim_or_complete(self, seen: Seen) -> Turn:
        if not self._frozen.is_set():
            return UseTool("claim_task", {"task": read(ASSIGNED, seen[0])})
        arguments = {"task": read(TASK, seen[0]), "fence": int(read(FENCE, seen[0]))}
        evidence = [{"kind": "test", "ref": "pytest -q: 12 passed"}]
        return UseTool("complete_task", {**arguments, "summary": "The plan is written.", "evidence": evidence})

    def _freeze(self, seen: Seen) -> Turn:
        if not self._frozen.is_set():
            self._frozen.set()
            self._thawed.wait(REPAIR_SECONDS)
        return UseTool("who", {"name": "rex"})


@pytest.fixture
def room(tmp_path: Path) -> Iterator[RoomOfProcesses]:
    """A room that judges soon: the interval of a live member is 10 s, and so long may a run stand still."""
    pace = {"live_interval_seconds": 10, "suspect_intervals": 1, "challenge_intervals": 1}
    pace |= {"run_still_seconds": 10, "run_still_times": 0}
    with room_of_processes(tmp_path / "room", **pace) as running:
        yield running


@pytest.mark.parametrize("harness", [CLAUDE_CODE, CODEX], ids=lambda harness: harness.command)
def test_an_agent_with_a_frozen_model_is_found_and_restarted_and_finishes_its_task(
    room: RoomOfProcesses, tmp_path: Path, harness: Harness
) -> None:
    builder = room.enroll("builder", "--mode", "live")
    rex = room.enroll("rex", "--role", "watchdog")
    seat = Seat(builder["token"], builder["url"], tmp_path / "home", tmp_path)
    seat.home.mkdir()
    (member,) = room.owner("who", name="builder")["members"]
    model = FrozenOnce()
    with ScriptedModel(harness.api, model.steps) as served, watching(seat, harness, served.url, rex["token"]) as dog:
        task = room.owner("create_task", title="Write the plan", assign="builder", review=member["owner"])["task"]
        dog.until("repaired")  # it was started for the first time
        model.wait()
        frozen = started(tmp_path)
        asked = room.owner("post_message", text="how far is it?", to=["builder"], kind="ask", task=task)
        dog.until("restarts", REPAIR_SECONDS, why="the room says zombie")
        repair = dog.until("repaired", REPAIR_SECONDS)["task"]
        model.end()
        assert served.failure is None

        assert started(tmp_path) != frozen
        assert group(frozen) == [], "what hung was ended, with all that it had started"
        receipts = room.owner("read_receipts", after=asked["receipt"], limit=100)["receipts"]
        trail = [(r["actor"], r["act"], r["subject"]) for r in receipts if r["outcome"] == "ok"]
        others = [step for step in trail if step[0] != "builder" and step[1] != "unanswered_wakes"]
        assert others == [
            ("room", "presence", "@builder"),
            ("room", "presence", "@builder"),
            ("room", "presence", "@builder"),
            ("room", "repair", "@builder"),
            ("rex", "claim_task", repair),
            ("rex", "update_task", repair),
            ("room", "presence", "@builder"),
            ("rex", "complete_task", repair),
        ]
        verdicts = [r["detail"]["verdict"] for r in receipts if r["act"] == "presence"]
        assert verdicts == ["suspect", "suspect", "zombie", "recovered"]
        assert ("builder", "complete_task", task) in trail
        alerts = [w for w in room.owner("check_in")["wakes"] if w["reason"] == "alert"]
        assert [(w["from"], w["subject"]) for w in alerts] == [("room", "@builder")]
        done = room.owner("read_board", task=repair)["task"]
        assert (done["state"], done["completed_by"]) == ("done", "rex")
        room.owner("review_task", task=task, verdict="accept", note="12 pass here too")
        assert room.owner("read_board", task=task)["task"]["state"] == "done"


# ------------------------------------------------------------------ the watchdog and its runtime


@contextlib.contextmanager
def watching(seat: Seat, harness: Harness, model_url: str, token: str) -> Iterator[Dog]:
    """The real `teamroom watch`, whose one runtime is `teamroom listen` with a harness, until the block ends."""
    launch = harness.launch(seat, model_url)
    words = ["{wake}" if word == PROMPT else word for word in launch.command]
    start = [TEAMROOM, "listen", "--as", "builder", "--stay", "--", *words]
    config = seat.folder / "runtimes.toml"
    config.write_text(
        f"every = 1\nacts_within = 60\n[runtime.builder]\nstart = {json.dumps(start)}\n"
        'environment = { TEAMROOM_TOKEN = "TOKEN_OF_BUILDER" }\n'
        "listener = 'teamroom listen --as builder( |$)'\n"
    )
    own = {"TEAMROOM_TOKEN": token, "TOKEN_OF_BUILDER": seat.token, "TEAMROOM_URL": seat.room_url}
    try:
        with dog_at_work(config, {**surroundings(seat), **launch.environment, **own}) as dog:
            yield dog
    finally:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.killpg(started(seat.folder), signal.SIGKILL)


def started(folder: Path) -> int:
    """The process that the watchdog started last, and the group that it leads."""
    return int(json.loads((folder / "runtimes.state" / "builder.json").read_text())["id"])


def group(leader: int) -> list[str]:
    """What runs in a process group."""
    done = subprocess.run(
        ["ps", "-A", "-o", "pgid=", "-o", "stat=", "-o", "args="], capture_output=True, text=True, check=True
    )
    rows = (line.split(None, 2) for line in done.stdout.splitlines())
    return [words[-1] for words in rows if words[0] == str(leader) and not words[1].startswith("Z")]
