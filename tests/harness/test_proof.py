"""A join proves the wake of a real Codex and a real Claude Code: with what join wrote alone, and its own command."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.harnesses import NOWHERE, RUN_SECONDS, Harness, Seat
from tests.harness.install import binary, lacking
from tests.harness.room import TEAMROOM, free_port, served_room
from tests.harness.script import Say, Seen, Step, Turn, UseTool, read, use
from tests.harness.scripted_model import ScriptedModel
from tests.harness.vendors import CLAUDE_CODE, CODEX, CODEX_CONFIG
from tests.support.promises import promise
from tests.support.shells import Shell

pytestmark = [pytest.mark.harness, promise("WAK1")]

NAME = "builder"


def answer(seen: Seen) -> Turn:
    """The model answers what it was asked."""
    return UseTool("post_message", {"text": "here", "reply_to": read(r"\b(M-\d+)\b", seen[0])})


STEPS: list[Step] = [use("check_in"), answer, lambda seen: Say("Done.")]


def unless_missing(harness: Harness) -> object:
    missing = lacking(harness.command)
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(harness, id=harness.name, marks=skip)


def model_of(harness: Harness, seat: Seat, url: str) -> dict[str, str]:
    """Give a harness its scripted model, and nothing of the room; returns its variables."""
    if harness is CODEX:
        config = seat.home / ".codex" / "config.toml"
        config.parent.mkdir()
        text = CODEX_CONFIG.format(model_url=url, room_url="")
        config.write_text(text.partition("[mcp_servers.teamroom]")[0])
        return {"SCRIPTED_KEY": "none"}
    return dict(harness.launch(seat, url).environment)


@pytest.mark.parametrize("harness", [unless_missing(harness) for harness in (CODEX, CLAUDE_CODE)])
def test_a_join_alone_wakes_the_harness_once_and_prints_the_times_of_the_three_steps(
    tmp_path: Path, harness: Harness
) -> None:
    home, folder = tmp_path / "home", tmp_path / "home" / "work"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    with served_room(tmp_path / "room", free_port(), {}) as served, ScriptedModel(harness.api, STEPS) as model:
        seat = Seat("none", f"{served.room.url}/mcp", home, folder)
        variables = model_of(harness, seat, model.url)
        path = f"{Path(TEAMROOM).parent}:{binary(harness.command).parent}:{Shell(home).environment['PATH']}"
        proxies = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
        shell = Shell(home, {"TEAMROOM_DATA": str(served.room.data), "PATH": path, **proxies, **variables})
        words = [TEAMROOM, "join", harness.command, "--as", NAME, "--unattended", "--yes", "--prove"]
        done = subprocess.run(
            words, cwd=folder, env=shell.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=2 * RUN_SECONDS, check=False,
        )  # fmt: skip
        assert model.failure is None
    assert done.returncode == 0, done.stderr
    steps = re.findall(r"^  (\w+) ([0-9.]+) s after M-1", done.stdout, re.MULTILINE)
    assert [step for step, _ in steps] == ["notified", "woken", "acted"], f"{done.stdout}\n{done.stderr}"
    assert f"@{NAME} wakes." in done.stdout
