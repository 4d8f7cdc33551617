"""Real harnesses after `teamroom join` alone: a call arrives as the member, and a leave takes out what join wrote."""

import contextlib
import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.harnesses import RUN_SECONDS, Agent, Harness, Seat, surroundings
from tests.harness.install import binary, lacking
from tests.harness.joiners import GATED, JOINERS
from tests.harness.room import OWNER, RoomOfProcesses, ServedRoom, free_port, served_room
from tests.harness.script import RunCommand, Say, Seen, Step, Thought, Turn, use
from tests.harness.scripted_model import ScriptedModel
from tests.harness.told import SITUATIONS, shown_as
from tests.harness.verifying import verifying
from tests.harness.walking import walk
from tests.support.promises import promise
from tests.support.shells import TEAMROOM, Shell
from tests.support.terminals import LACKING, terminal
from tests.support.watching import until

pytestmark = [pytest.mark.harness, promise("WAK5", "ID2")]

NAME, TEXT = "builder", "I am here"

STATE = "teamroom"
"""The folder of the shell's own record in a home."""


def unless_missing(harness: Harness, *more: str) -> object:
    """A harness as a parameter; it is skipped with a reason where it, or something more, is not installed."""
    missing = [*lacking(harness.command), *more]
    skip = pytest.mark.skipif(bool(missing), reason=f"make test-harnesses installs it: {'; '.join(missing)}")
    return pytest.param(harness, id=harness.command, marks=skip)


@dataclass(frozen=True)
class Joined:
    """A harness that joined a room from a home of its own."""

    served: ServedRoom
    agent: Agent
    shell: Shell

    @property
    def room(self) -> RoomOfProcesses:
        """The room."""
        return self.served.room

    @property
    def home(self) -> Path:
        """The home of its person."""
        return self.agent.seat.home

    def leave(self) -> None:
        """Take it out of the room."""
        done = self.shell.run("leave", self.agent.harness.command)
        assert done.code == 0, done.err


@contextmanager
def joined(folder: Path, monkeypatch: pytest.MonkeyPatch, harness: Harness, *options: str) -> Iterator[Joined]:
    """A harness that joined a new room, in an empty home."""
    home, work = folder / "home", folder / "home" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    with served_room(folder / "room", free_port(), {}) as served:
        shell = Shell(home, {"TEAMROOM_DATA": str(served.room.data), "PATH": f"{Path(TEAMROOM).parent}:/usr/bin:/bin"})
        done = shell.run("join", harness.command, "--as", NAME, "--yes", *options)
        assert done.code == 0, done.err
        seat = Seat("", f"{served.room.url}/mcp", home, work)
        yield Joined(served, Agent(NAME, harness, seat), shell)


@pytest.mark.parametrize("harness", [unless_missing(harness) for harness in JOINERS])
def test_after_a_join_alone_it_calls_as_its_member_and_a_leave_removes_only_the_entries_of_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness: Harness
) -> None:
    with joined(tmp_path, monkeypatch, harness, "--unattended") as it:
        written = configs(it.home)
        decided = Thought()
        with verifying(harness.command, "joins", "calls", "decision"):
            steps = [use("check_in"), use("post_message", text=TEXT), ask, decided.before(use("check_in"))]
            with it.agent.at_work(*steps) as run:
                decided.wait()
                posted = it.room.owner("read_messages")["messages"]
                it.room.owner("decide", decision="D-1", option="yes", note=NOTE)
                decided.end()
                seen = run.finish()
            assert (NAME, TEXT) in [(message["author"], message["text"]) for message in posted]
            assert "You share this room with agents and people" in seen[0]
            assert NOTE in seen[3]
        with verifying(harness.command, "leaves"):
            expected = {path: without(now, written[path]) for path, now in configs(it.home, written).items()}
            it.leave()
            left = {path: without_empty(value) for path, value in configs(it.home, written).items()}
            assert left == {path: value for path, value in without_empty(expected).items() if value}
            assert "teamroom" not in "".join(path.read_text() for path in left)


ask = use("request_decision", question="Deploy on a Friday?", to=[OWNER])
NOTE = "but only before noon"

MOMENTS = ("before", "paused", "resumed", "killed")
"""The moments at which the model uses the harness's own shell, each for a file of that name."""

PAUSE_REASON, KILL_REASON = "the disk of the build machine is full", "it ran wild"


@pytest.mark.parametrize("harness", [unless_missing(harness) for harness in GATED])
def test_after_a_join_alone_a_stop_refuses_its_own_tools_and_its_model_reads_who_stopped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness: Harness
) -> None:
    with joined(tmp_path, monkeypatch, harness, "--unattended") as it, verifying(harness.command, "tools"):
        thoughts = {name: Thought() for name in MOMENTS}
        steps: list[Step] = [thought.before(touch(name)) for name, thought in thoughts.items()]
        happens = {
            "before": lambda: None,
            "paused": lambda: it.room.owner("pause", target=NAME, reason=PAUSE_REASON),
            "resumed": lambda: it.room.owner("resume", target=NAME),
            "killed": lambda: it.room.owner("kill", target=NAME, reason=KILL_REASON),
        }
        said = {}
        with it.agent.at_work(*steps) as run:
            for name, thought in thoughts.items():
                thought.wait()
                said[name] = happens[name]()
                thought.end()
            seen = run.finish()
        work = it.agent.seat.folder
        assert sorted(file.name for file in work.iterdir() if file.name in MOMENTS) == ["before", "resumed"]
        assert "paused by @olga since" in seen[1], "the model reads who stopped it"
        assert PAUSE_REASON in seen[1]
        assert len(seen) < len(MOMENTS) or KILL_REASON in seen[3]
        assert "its own tools" in said["paused"]["reaches"], "the room has seen the gate"


@pytest.mark.parametrize("harness", [unless_missing(harness) for harness in JOINERS])
def test_after_a_join_alone_its_model_reads_who_stopped_it_also_if_the_room_restarts_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness: Harness
) -> None:
    with joined(tmp_path, monkeypatch, harness, "--unattended") as it:
        told = dict(zip(SITUATIONS, walk(it.served, it.agent), strict=False))
    shown = {name: shown_as(name, text) for name, text in told.items()}
    shown.setdefault("killed", ["its run ended"])
    failed = set[str]()
    for step, situations in READ.items():
        with contextlib.suppress(AssertionError), verifying(harness.command, step):
            failed.add(step)
            assert all(shown.get(name) for name in situations)
            failed.remove(step)
    assert not failed, told


@pytest.mark.parametrize("harness", [unless_missing(harness, *LACKING) for harness in JOINERS[:1]])
def test_an_open_session_that_joined_is_woken_and_the_room_sees_that_it_waits_for_a_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness: Harness
) -> None:
    steps: list[Step] = [touch("x")]
    with (
        joined(tmp_path, monkeypatch, harness, "--attended") as it,
        verifying(harness.command, "prompt"),
        ScriptedModel(harness.api, steps) as model,
    ):
        seat = it.agent.seat
        launch = harness.launch(seat, model.url)
        accept_first_questions(seat)
        environment = {**surroundings(seat), **launch.environment}
        with terminal([str(binary(harness.command)), *ASKING], environment, seat.folder) as shown:
            until(lambda: member(it.room)["listening"], f"it listens: {shown.text[-1500:]}", RUN_SECONDS)
            it.room.owner("post_message", text=f"@{NAME} touch a file")
            until(lambda: doing(it.room) == "permission", f"it waits: {shown.text[-1500:]}", RUN_SECONDS)


ASKING = ("--permission-mode", "default")
"""What has Claude Code ask its person; a model of its own decides otherwise, and there is none here."""


def accept_first_questions(seat: Seat) -> None:
    """Answer in Claude Code's own file what it asks its person at the first start."""
    file = seat.home / ".claude.json"
    config = json.loads(file.read_text())
    keys = {"approved": ["sk-ant-test"], "rejected": []}
    config |= {"hasCompletedOnboarding": True, "theme": "dark", "customApiKeyResponses": keys}
    config["projects"][str(seat.folder)] |= {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    file.write_text(json.dumps(config))


def member(room: RoomOfProcesses) -> dict[str, Any]:
    """What the room says of the member."""
    (found,) = room.owner("who", name=NAME)["members"]
    return dict(found)


def doing(room: RoomOfProcesses) -> str:
    """What the room knows of what the harness is doing."""
    return str((member(room)["harness"] or {}).get("doing"))


READ = {"room": ["paused"], "restart": ["restarted", "resumed"], "kill": ["killed"]}
"""The steps that are verified by what a model reads, each with the moments at which it reads it.

A hook may end the run of a killed member: then its model reads nothing more.
"""


def touch(name: str) -> Step:
    """A use of the harness's own shell that leaves a file."""

    def step(seen: Seen) -> Turn:
        return RunCommand(f"touch {name}") if len(seen) < len(MOMENTS) else Say("That is all.")

    return step


def configs(home: Path, paths: Any = None) -> dict[Path, Any]:
    """The configs in a home that are there now, or those of some paths."""
    readers = {".json": json.loads, ".toml": tomllib.loads, ".yaml": yaml.safe_load}
    found = [path for path in home.rglob("*") if STATE not in path.parts] if paths is None else paths
    return {path: readers[path.suffix](path.read_text()) for path in found if path.suffix in readers and path.exists()}


def without(value: Any, ours: Any) -> Any:
    """What is in a config but not in another one: what a harness or its person wrote beside us."""
    if isinstance(value, dict) and isinstance(ours, dict):
        return {key: without(one, ours.get(key)) for key, one in value.items() if one != ours.get(key)}
    if isinstance(value, list) and isinstance(ours, list):
        return [one for one in value if one not in ours]
    return value


def without_empty(value: Any) -> Any:
    """A value without empty objects and lists in it."""
    if isinstance(value, dict):
        kept = {key: without_empty(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one not in ({}, [])}
    if isinstance(value, list):
        return [one for one in map(without_empty, value) if one not in ({}, [])]
    return value
