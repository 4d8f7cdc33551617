"""Commands that resume the session before: the lines of docs/join.md, with the real harnesses that can resume one."""

from pathlib import Path

import pytest

from tests.harness.harnesses import Harness
from tests.harness.install import lacking
from tests.harness.joiners import JOINERS
from tests.harness.proving import Desk
from tests.harness.room import free_port, served_room
from tests.harness.script import Say, Seen, Turn, use
from tests.harness.scripted_model import ScriptedModel
from tests.support.pages import commands
from tests.support.promises import promise
from tests.support.repository import ROOT

pytestmark = [pytest.mark.harness, promise("PRS5")]

RESUMES = {
    "codex": ("codex", "exec", "resume", "--last", "--skip-git-repo-check", "{wake}"),
    "vibe": ("vibe", "--auto-approve", "--continue", "-p", "{wake}"),
    "cn": ("cn", "--resume", "-p", "{wake}"),
}
"""The words that go on with the newest session, by the command of the harness."""


def unless_missing(harness: Harness) -> object:
    missing = lacking(harness.command)
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(harness, id=harness.name, marks=skip)


class Model:
    """Calls once in each run, and then ends it."""

    def __init__(self) -> None:
        self._results = 0

    def step(self, seen: Seen) -> Turn:
        """A call, and after its result the end."""
        has_result, self._results = len(seen) > self._results, len(seen)
        return Say("That is all.") if has_result else use("check_in")(seen)


@pytest.mark.parametrize("harness", [unless_missing(one) for one in JOINERS if one.command in RESUMES])
def test_a_run_that_resumes_knows_what_the_run_before_it_saw(tmp_path: Path, harness: Harness) -> None:
    with (
        served_room(tmp_path / "room", free_port(), {}) as served,
        ScriptedModel(harness.api, [Model().step] * 10) as model,
    ):
        desk = Desk.empty(harness, served.room, tmp_path, model.url)
        assert desk.join("--no-prove").code == 0
        desk.run()
        assert len(model.seen) == 1
        desk.run(RESUMES[harness.command])
        assert len(model.seen) == 2, "the second result comes after the first one"


@pytest.mark.parametrize("command", RESUMES)
def test_the_documented_line_is_the_one_that_was_run(command: str) -> None:
    lines = commands((ROOT / "docs" / "join.md").read_text(), "teamroom")
    shown = " ".join(RESUMES[command]).replace("{wake}", "'{wake}'")
    assert f"teamroom listen --as builder -- {shown}" in lines
