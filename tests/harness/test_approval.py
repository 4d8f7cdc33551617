"""A call of a real harness's own shell waits for a person, passes once when she allows it, and then waits again."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness.gates import GATED, Gated
from tests.harness.harnesses import Agent, Seat
from tests.harness.room import RoomOfProcesses, free_port, served_room
from tests.harness.script import RunCommand, Seen, Step, Thought, Turn
from tests.harness.test_gate import unless_missing, with_options
from tests.support.promises import promise

pytestmark = [promise("DEC4"), pytest.mark.harness]

COMMANDS = {
    "free": "touch free",
    "asked": "touch asked",
    "allowed": "touch asked",
    "again": "touch asked",
    "other": "touch asked ",
}
"""The command at each moment. The room's rule is for what begins with `touch asked`."""


@pytest.mark.parametrize("gated", [unless_missing(gated) for gated in GATED])
def test_a_call_waits_for_a_person_passes_once_and_then_waits_again(tmp_path: Path, gated: Gated) -> None:
    gated = with_options(gated)
    folder = tmp_path / "work"
    folder.mkdir()
    with served_room(tmp_path / "room", free_port(), {}) as served:
        room = served.room
        enrolled = room.enroll("builder")
        room.owner("require_approval", to="builder", match="Bash(touch asked*)")
        seat = Seat(enrolled["token"], enrolled["url"], tmp_path / "home", folder)
        seat.home.mkdir()
        gated.write(seat, str(room.data))
        thoughts = {name: Thought() for name in COMMANDS}
        steps: list[Step] = [thought.before(run(name)) for name, thought in thoughts.items()]
        there: dict[str, list[str]] = {}
        with Agent("builder", gated.harness, seat).at_work(*steps) as at_work:
            for name, thought in thoughts.items():
                thought.wait()
                there[name] = files(folder)
                if name == "allowed":
                    shown = decision(room, "D-1")
                    room.owner("decide", decision="D-1", option="allow")
                if name == "again":
                    (folder / "asked").unlink()
                thought.end()
            seen = at_work.finish()
    assert there["asked"] == ["free"], "what no rule matches passes"
    assert there["allowed"] == ["free"], "what nobody has allowed does not"
    assert there["again"] == ["asked", "free"], "what a person allowed passes"
    assert files(folder) == ["free"], "and it passes once"
    assert "waits for D-1" in seen[1], "the model reads which decision it waits for"
    assert "@olga can decide" in seen[1]
    assert "D-1 let this call pass once" in seen[3]
    assert "waits for D-2" in seen[3]
    assert "waits for D-3" in seen[4], "one byte more is another call"
    assert "touch asked" in shown["question"]
    whole = json.loads(shown["detail"].split("The whole input:\n")[1])
    given = json.loads(whole) if isinstance(whole, str) else whole
    assert "touch asked" in (given.get("command"), given.get("cmd"))
    assert str(folder) in shown["detail"], "the person reads in which folder"


def run(name: str) -> Step:
    """A use of the harness's own shell at a moment."""

    def step(seen: Seen) -> Turn:
        return RunCommand(COMMANDS[name])

    return step


def files(folder: Path) -> list[str]:
    """The files that the harness's commands made."""
    return sorted(file.name for file in folder.iterdir() if file.name in ("free", "asked"))


def decision(room: RoomOfProcesses, name: str) -> dict[str, Any]:
    """A decision as its person sees it."""
    return next(dict(one) for one in room.owner("check_in")["decisions"] if one["decision"] == name)
