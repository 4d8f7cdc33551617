"""A stop refuses the own tools of each real harness that has a hook for it, and a resume lets them run again."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.gates import GATED, Gated
from tests.harness.harnesses import Agent, Launch, Seat
from tests.harness.install import lacking
from tests.harness.room import free_port, served_room
from tests.harness.script import RunCommand, Say, Seen, Step, Thought, Turn
from tests.support.promises import promise

pytestmark = [promise("WAK3"), pytest.mark.harness]

PAUSE_REASON = "the disk of the build machine is full"
KILL_REASON = "it ran wild"

MOMENTS = ("before", "paused", "resumed", "killed")
"""The moments at which the model uses the harness's own shell, each for a file of that name."""

EXTRA_TURNS = 4
"""A harness that ends a run at the kill asks for no more turns."""


def unless_missing(gated: Gated) -> object:
    """A harness with its gate as a parameter; it is skipped with a reason where it is not installed."""
    missing = lacking(gated.harness.command)
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(gated, id=gated.name, marks=skip)


def with_options(gated: Gated) -> Gated:
    """The harness, started with the options that its hooks need."""
    harness = gated.harness

    def launch(seat: Seat, model_url: str) -> Launch:
        found = harness.launch(seat, model_url)
        return replace(found, command=[*found.command, *gated.options])

    return replace(gated, harness=replace(harness, launch=launch))


@pytest.mark.parametrize("gated", [unless_missing(gated) for gated in GATED])
def test_a_stopped_agent_can_use_none_of_its_own_tools_until_it_is_resumed(tmp_path: Path, gated: Gated) -> None:
    gated = with_options(gated)
    folder = tmp_path / "work"
    folder.mkdir()
    with served_room(tmp_path / "room", free_port(), {}) as served:
        room = served.room
        enrolled = room.enroll("builder")
        seat = Seat(enrolled["token"], enrolled["url"], tmp_path / "home", folder)
        seat.home.mkdir()
        gated.write(seat, str(room.data))
        thoughts = {name: Thought() for name in MOMENTS}
        steps: list[Step] = [thought.before(touch(name)) for name, thought in thoughts.items()]
        happens = {
            "before": lambda: None,
            "paused": lambda: room.owner("pause", target="builder", reason=PAUSE_REASON),
            "resumed": lambda: room.owner("resume", target="builder"),
            "killed": lambda: room.owner("kill", target="builder", reason=KILL_REASON),
        }
        said = {}
        with Agent("builder", gated.harness, seat).at_work(*steps) as run:
            for name, thought in thoughts.items():
                thought.wait()
                said[name] = happens[name]()
                thought.end()
            seen = run.finish()
    assert sorted(file.name for file in folder.iterdir() if file.name in MOMENTS) == ["before", "resumed"]
    assert "paused by @olga since" in seen[1], "the model reads who stopped it"
    assert PAUSE_REASON in seen[1]
    assert len(seen) < len(MOMENTS) or KILL_REASON in seen[3]
    assert "its own tools" in said["paused"]["reaches"], "the room has seen the gate"


def touch(name: str) -> Step:
    """A use of the harness's own shell that leaves a file."""

    def step(seen: Seen) -> Turn:
        return RunCommand(f"touch {name}") if len(seen) < len(MOMENTS) else Say("That is all.")

    return step
