"""The hooks that join writes tell the room what each real harness is doing: at work, at a prompt, at rest."""

from dataclasses import replace
from pathlib import Path

import pytest

from teamroom.clients.harnesses.catalogue import HARNESSES
from teamroom.clients.harnesses.description import Machine
from teamroom.clients.harnesses.description import Seat as JoinedSeat
from teamroom.clients.harnesses.entries import SYNTAXES, merge
from tests.harness.harnesses import Agent, Harness, Launch, Seat
from tests.harness.install import lacking
from tests.harness.room import TEAMROOM, RoomOfProcesses, free_port, served_room
from tests.harness.script import RunCommand, Step, Thought
from tests.harness.vendors import CLAUDE_CODE, CODEX, COPILOT_CLI, GEMINI_CLI, OPENCODE
from tests.support.promises import promise
from tests.support.watching import until

pytestmark = [pytest.mark.harness, promise("WAK4")]

NAME = "builder"

REPORTING = {
    CLAUDE_CODE: (),
    CODEX: ("--dangerously-bypass-hook-trust",),
    GEMINI_CLI: (),
    OPENCODE: (),
    COPILOT_CLI: (),
}
"""The harnesses whose hooks report, and the options that they need for hooks."""


def unless_missing(harness: Harness) -> object:
    missing = lacking(harness.command)
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(harness, id=harness.name, marks=skip)


def with_hooks(harness: Harness, room: RoomOfProcesses) -> Harness:
    """The harness with the hooks that join writes for an unattended one, next to its own entry of the room."""

    def launch(seat: Seat, model_url: str) -> Launch:
        found = harness.launch(seat, model_url)
        machine = Machine(seat.folder, seat.home, {"HOME": str(seat.home)})
        joined = JoinedSeat(NAME, machine, room.data, room.url, False, True, (TEAMROOM,), seat.token)
        files = HARNESSES[harness.command].files
        assert files is not None
        for config in files(joined):
            entries = [entry for entry in config.entries if not entry.path[0].startswith("mcp")]
            config.path.parent.mkdir(parents=True, exist_ok=True)
            text = config.path.read_text() if config.path.exists() else ""
            if config.syntax:
                text = merge(SYNTAXES[config.syntax], text, entries).text
            config.path.write_text(text if config.syntax else config.text)
        return replace(found, command=[*found.command, *REPORTING[harness]])

    return replace(harness, launch=launch)


def doing(room: RoomOfProcesses) -> tuple[str, str]:
    """What the room knows of the harness: what it is doing, and with which tool."""
    (member,) = room.owner("who", name=NAME)["members"]
    found = member["harness"] or {"doing": "", "tool": ""}
    return str(found["doing"]), str(found["tool"])


@pytest.mark.parametrize("harness", [unless_missing(harness) for harness in REPORTING])
def test_the_room_knows_what_a_joined_harness_is_doing(tmp_path: Path, harness: Harness) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with served_room(tmp_path / "room", free_port(), {"TEAMROOM_PRESENCE_WRITE_SECONDS": "0"}) as served:
        room = served.room
        enrolled = room.enroll(NAME, "--save")
        token = (room.data / "members" / f"{NAME}.token").read_text().strip()
        seat = Seat(token, f"{room.url}/mcp", tmp_path / "home", folder)
        assert enrolled["name"] == NAME
        seat.home.mkdir()
        thought = Thought()
        steps: list[Step] = [
            lambda seen: RunCommand("touch used"),
            thought.before(lambda seen: RunCommand("touch more")),
        ]
        with Agent(NAME, with_hooks(harness, room), seat).at_work(*steps) as run:
            thought.wait()
            until(lambda: doing(room)[0] == "working" and doing(room)[1] != "", "the room heard of its tool")
            thought.end()
            run.finish()
            until(lambda: doing(room)[0] in ("idle", "ended"), "the room heard that its turn is over")
    assert (folder / "used").exists()
