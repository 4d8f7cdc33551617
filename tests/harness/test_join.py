"""Real harnesses after `teamroom join` and after `teamroom leave`: each lists the room, and then does not."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.harnesses import NOWHERE, RUN_SECONDS
from tests.harness.install import binary, lacking
from tests.support.promises import promise
from tests.support.shells import TEAMROOM, Shell, Up, up

pytestmark = [pytest.mark.harness, promise("WAK5")]


@dataclass(frozen=True)
class Lists:
    """How a harness lists its servers, and what shows there that it reached the room."""

    command: str
    reached: str
    words: tuple[str, ...] = ("mcp", "list")


LISTING = (
    Lists("claude", "✔ Connected"),
    Lists("codex", "enabled"),
    Lists("gemini", "Connected"),
    Lists("opencode", "connected"),
    Lists("copilot", "teamroom (local)"),
)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("joins") / "room", "--owner", "olga") as room:
        yield room


@pytest.mark.parametrize("lists", LISTING, ids=lambda lists: lists.command)
def test_the_harness_lists_the_room_after_a_join_and_not_after_a_leave(
    lists: Lists, room: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing := lacking(lists.command):
        pytest.skip(f"make test-harnesses installs it: {missing[0]}")
    folder = tmp_path / "home" / "work"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    monkeypatch.chdir(folder)
    shell = Shell(folder.parent, {"TEAMROOM_DATA": str(room.folder)})
    paths = f"{Path(TEAMROOM).parent}:{binary(lists.command).parent}:{shell.environment['PATH']}"
    shell = shell.with_(PATH=paths, HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE, NO_PROXY="127.0.0.1")
    joined = shell.run("join", lists.command, "--yes")
    assert joined.code == 0, joined.err
    shown = listed(lists, shell)
    assert "teamroom" in shown
    assert lists.reached in shown
    left = shell.run("leave", lists.command)
    assert left.code == 0, left.err
    assert "teamroom" not in listed(lists, shell)


def listed(lists: Lists, shell: Shell) -> str:
    """What a harness shows of its servers; it may write configs of its own meanwhile."""
    done = subprocess.run(
        [binary(lists.command), *lists.words], env=shell.environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=RUN_SECONDS, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr
