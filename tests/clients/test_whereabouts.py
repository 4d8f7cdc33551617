"""A runtime tells the room where it runs: bridge, listener, hook, gate and watchdog; never a whole path or a user."""

import asyncio
import getpass
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teamroom import __version__
from teamroom.clients.session import whereabouts
from teamroom.clients.session.here import HOME, find_checkout, find_runtime
from teamroom.clients.session.room import Room
from teamroom.clients.session.whereabouts import Whereabouts
from teamroom.server.rules.runtimes import COMMIT_CHARACTERS
from tests.harness.room import room_of_processes
from tests.support.bounds import BOUND_SECONDS
from tests.support.pipes import pipe
from tests.support.promises import promise
from tests.support.rooms import Member, RunningRoom, running_room
from tests.support.shells import TEAMROOM, Shell, token_file
from tests.support.watching import WatchedRoom, until, watched_room

pytestmark = promise("PRS1")

HOST = socket.gethostname().partition(".")[0]


def git(folder: Path, *words: str) -> str:
    """What git does, or says, in a folder."""
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *identity, *words], cwd=folder, env=environment, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_a_folder_below_one_of_another_user_is_told_without_its_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    assert find_checkout(tmp_path) == ("", "")
    assert find_runtime("codex", folder=tmp_path)["folder"] == tmp_path.name


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "api"
    folder.mkdir()
    git(folder, "init")
    git(folder, "commit", "--allow-empty", "-m", "first")
    return folder


# ------------------------------------------------------------------ what is found


def test_the_branch_and_the_commit_are_those_that_git_names(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    below = checkout / "a" / "b"
    below.mkdir(parents=True)
    assert find_checkout(below) == ("main", commit)
    git(checkout, "switch", "-c", "fix/the-build")
    assert find_checkout(checkout) == ("fix/the-build", commit)
    git(checkout, "pack-refs", "--all")
    assert find_checkout(checkout) == ("fix/the-build", commit)
    git(checkout, "worktree", "add", "-b", "next", "../next")
    git(checkout.parent / "next", "commit", "--allow-empty", "-m", "second")
    assert find_checkout(checkout.parent / "next") == ("next", git(checkout.parent / "next", "rev-parse", "HEAD"))
    git(checkout, "switch", "--detach")
    assert find_checkout(checkout) == ("", commit)


@pytest.mark.parametrize(
    "head", ["", "ref: refs/heads/../../secret", "ref: /etc/passwd", "x" * 9000, "ref: refs/heads/none", "\0\xff"]
)
def test_what_is_no_checkout_names_no_commit(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "secret").write_text("a" * 40)
    (tmp_path / ".git" / "HEAD").write_text(head)
    assert find_checkout(tmp_path)[1] == ""


def test_neither_a_whole_path_nor_the_user_is_told(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_runtime("codex", "0.171.0", checkout)
    commit = git(checkout, "rev-parse", "HEAD")
    assert found == {
        "host": HOST,
        "folder": "api",
        "harness": "codex",
        "version": "0.171.0",
        "branch": "main",
        "commit": commit,
    }
    monkeypatch.setenv("HOME", str(checkout))
    assert find_runtime(folder=checkout)["folder"] == HOME
    assert find_runtime(folder=checkout.parent / getpass.getuser())["folder"] == HOME


def test_it_is_told_now_and_then() -> None:
    now = 100.0
    where = Whereabouts("codex", clock=lambda: now)
    assert where.due() is not None
    assert where.due() is None
    now += whereabouts.SAY_SECONDS
    assert where.due() is not None


# ------------------------------------------------------------------ who tells it


async def place_of(room: RunningRoom, member: Member) -> dict[str, Any]:
    """The one runtime of @builder, once the room has written it."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            await room.later(1)
            (shown,) = (await member("who", name="builder"))["members"]
            if shown["runtimes"]:
                (one,) = shown["runtimes"]
                return dict(one)


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_bridge_tells_what_its_client_is_and_leaves_the_frames_as_they_are(tmp_path: Path, era: str) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        await room.enroll("builder")
        (room.folder / "members").mkdir(mode=0o700, exist_ok=True)
        token_file(room.folder / "members" / "builder.token", room.tokens["builder"])
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
        async with pipe(shell, "--as", "builder") as bridge:
            if era == "legacy":
                await bridge.initialize()
                assert (await bridge.old("check_in"))["result"]["isError"] is False
            else:
                assert (await bridge.call("check_in"))["result"]["isError"] is False
            found = await place_of(room, owner)
        assert (found["host"], found["folder"]) == (HOST, Path.cwd().name)
        assert (found["harness"], found["version"]) == (("old", "1") if era == "legacy" else ("", ""))


async def test_a_program_that_listens_with_the_python_client_tells_it_too(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        owner = await room.owner()
        await room.enroll("builder")

        async def listen() -> None:
            async with Room(room.url, room.tokens["builder"]) as client:
                async for _ in client.listen():
                    pass

        listening = asyncio.create_task(listen())
        try:
            found = await place_of(room, owner)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        assert (found["host"], found["harness"]) == (HOST, Path(sys.argv[0]).name)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[WatchedRoom]:
    """A room with an agent."""
    with watched_room(tmp_path) as running:
        running.enroll("builder")
        yield running


@pytest.mark.parametrize(
    ("name", "words", "harness"),
    [
        ("builder", ("listen", "--as", "builder", "--done", "exit", "--", "/bin/true"), "true"),
        ("builder", ("listen", "--as", "builder", "--once", "--format", "codex"), "codex"),
        ("rex", ("watch", "--config", "runtimes.toml"), f"teamroom watch {__version__}"),
        ("rex", ("watch", "--config", "runtimes.toml", "--once"), f"teamroom watch {__version__}"),
    ],
    ids=["a listener", "a hook", "a watchdog", "one round of a watchdog"],
)
def test_what_listens_tells_where_it_does(
    room: WatchedRoom, checkout: Path, name: str, words: tuple[str, ...], harness: str
) -> None:
    room.enroll("rex", "watchdog")
    runtime = '[runtime.builder]\ncheck = ["/bin/true"]\nrestart = ["/bin/true"]\n'
    (checkout / "runtimes.toml").write_text(runtime)
    data = room.folder / "hooks"
    data.mkdir(mode=0o700)
    variables = {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.tokens[name], "TEAMROOM_DATA": str(data)}
    with subprocess.Popen(
        [TEAMROOM, *words],
        cwd=checkout,
        env=Shell(room.folder, variables).environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            until(lambda: bool(room.who(name)["runtimes"]), "it is known where it runs")
        finally:
            process.terminate()
    (found,) = room.who(name)["runtimes"]
    assert f"{found['harness']} {found['version']}".strip() == harness
    assert_is_checkout(found, checkout)


def assert_is_checkout(found: dict[str, Any], checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")[:COMMIT_CHARACTERS]
    assert (found["host"], found["folder"], found["branch"], found["commit"]) == (HOST, "api", "main", commit)
    assert str(checkout.parent) not in str(found)


@promise("WAK3")
@pytest.mark.parametrize("how", ["on its socket", "at its address"])
def test_the_gate_tells_where_it_runs(tmp_path: Path, checkout: Path, how: str) -> None:
    git(checkout, "switch", "-c", "fix/straße&more=%41")
    with room_of_processes(tmp_path / "room", presence_write_seconds=0.0) as room:
        room.enroll("builder", "--save")
        words = ["--url", room.url] if how == "at its address" else []
        asks = json.dumps({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}})
        done = subprocess.run(
            [TEAMROOM, "gate", "--format", "claude", "--as", "builder", "--data", str(room.data), *words],
            cwd=checkout,
            env=Shell(tmp_path).environment,
            input=asks.encode(),
            capture_output=True,
            check=True,
        )
        assert done.stdout == b"{}"

        def runtimes() -> list[dict[str, Any]]:
            return list(room.owner("who", name="builder")["members"][0]["runtimes"])

        until(lambda: bool(runtimes()), "it is known where it runs")
        (found,) = runtimes()
    assert (found["harness"], found["branch"]) == ("claude", "fix/straße&more=%41")
    assert_is_checkout({**found, "branch": "main"}, checkout)
