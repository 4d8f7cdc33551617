"""A runtime tells the room where it runs: the bridge, a listener and a hook, and never a whole path or a user."""

import asyncio
import getpass
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.session import whereabouts
from teamroom.clients.session.room import Room
from teamroom.clients.session.whereabouts import HOME, Whereabouts, find_checkout, find_runtime
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
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
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
    ("words", "harness"),
    [
        (("--done", "exit", "--", "/bin/true"), "true"),
        (("--once", "--format", "codex"), "codex"),
    ],
    ids=["a listener", "a hook"],
)
def test_what_listens_tells_where_it_does(room: WatchedRoom, words: tuple[str, ...], harness: str) -> None:
    folder = room.folder / "work" / "api"
    folder.mkdir(parents=True)
    data = room.folder / "hooks"
    data.mkdir(mode=0o700)
    variables = {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.tokens["builder"], "TEAMROOM_DATA": str(data)}
    with subprocess.Popen(
        [TEAMROOM, "listen", "--as", "builder", *words],
        cwd=folder,
        env=Shell(room.folder, variables).environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            until(lambda: bool(room.who("builder")["runtimes"]), "it is known where it runs")
        finally:
            process.terminate()
    (found,) = room.who("builder")["runtimes"]
    assert (found["host"], found["folder"], found["harness"]) == (HOST, "api", harness)
    assert str(room.folder) not in str(found)
