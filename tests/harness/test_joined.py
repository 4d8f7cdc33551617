"""Real Claude Code after `teamroom join` alone: it is the member, may call the room, and a stop reaches its tools."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.harnesses import Agent, Harness, Launch, Seat
from tests.harness.install import lacking
from tests.harness.room import free_port, served_room
from tests.harness.script import RunCommand, Step, Thought, use
from tests.harness.vendors import CLAUDE_CODE
from tests.support.promises import promise
from tests.support.shells import TEAMROOM, Shell

pytestmark = [pytest.mark.harness, promise("WAK3", "ID2")]

MISSING = lacking("claude")
NAME = "builder"


def joined(environment: Mapping[str, str]) -> Harness:
    """Claude Code with nothing but what join wrote."""

    def launch(seat: Seat, model_url: str) -> Launch:
        found = CLAUDE_CODE.launch(seat, model_url)
        command = ["env", "-u", "TEAMROOM_TOKEN", found.command[0], "-p", "Do it.", "--allowedTools", "Bash"]
        return replace(found, command=command, environment={**found.environment, **environment})

    return replace(CLAUDE_CODE, launch=launch)


@pytest.mark.skipif(bool(MISSING), reason=f"make test-harnesses installs it: {'; '.join(MISSING)}")
def test_after_a_join_alone_it_is_the_member_and_a_pause_stops_its_own_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder = tmp_path / "home", tmp_path / "home" / "work"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    with served_room(tmp_path / "room", free_port(), {}) as served:
        room = served.room
        path = f"{Path(TEAMROOM).parent}:{Shell(home).environment['PATH']}"
        shell = Shell(home, {"TEAMROOM_DATA": str(room.data), "PATH": path})
        done = shell.run("join", "claude", "--as", NAME, "--yes", "--unattended")
        assert done.code == 0, done.err
        pause = Thought()

        def use_shell(name: str) -> Step:
            return lambda seen: RunCommand(f"touch {name}")

        steps = [
            use("check_in"),
            use_shell("before"),
            pause.before(use_shell("paused")),
        ]
        seat = Seat("none", f"{room.url}/mcp", home, folder)
        with Agent(NAME, joined({"PATH": path}), seat).at_work(*steps) as run:
            pause.wait()
            said = room.owner("pause", target=NAME, reason="the disk is full")
            pause.end()
            seen = run.finish()
    assert '"standing":"active"' in seen[0].replace(" ", ""), "it may call the room, and has its token"
    assert (folder / "before").exists()
    assert not (folder / "paused").exists()
    assert "paused by @olga since" in seen[2]
    assert "its own tools" in said["reaches"]
