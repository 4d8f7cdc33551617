"""`teamroom listen --once`: it waits in a hook of a harness, and wakes the harness by how it ends (WAK2, PRS5)."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from teamroom.clients.listener.hooked import TRIES, WAYS
from tests.support.promises import promise
from tests.support.shells import TEAMROOM, Shell
from tests.support.watching import EVENT_SECONDS, WatchedRoom, until, watched_room

pytestmark = promise("WAK2", "PRS5")

IS_HARNESS = """\
import subprocess, sys
with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL) as hook:
    print(hook.pid, flush=True)
    hook.wait()
"""
IS_HARNESS_WITH_A_SHELL = """\
import subprocess, sys, shlex
with subprocess.Popen(["/bin/sh", "-c", shlex.join(sys.argv[1:]) + "; true"], stdin=subprocess.DEVNULL) as hook:
    print(hook.pid, flush=True)
    hook.wait()
"""
"""Programs that run a hook as harnesses do, and print its process."""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[WatchedRoom]:
    """A room with an agent and somebody who wakes it."""
    with watched_room(tmp_path) as running:
        running.enroll("builder")
        running.enroll("asker")
        yield running


def environment(room: WatchedRoom) -> dict[str, str]:
    data = room.folder / "hooks"
    data.mkdir(mode=0o700, exist_ok=True)
    variables = {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.tokens["builder"], "TEAMROOM_DATA": str(data)}
    return Shell(room.folder, variables).environment


@contextlib.contextmanager
def hook(room: WatchedRoom, format_: str = "claude", said: str = "") -> Iterator[subprocess.Popen[str]]:
    """A hook that listens, until the block ends; `said`: what its harness says."""
    with subprocess.Popen(
        [TEAMROOM, "listen", "--as", "builder", "--once", "--format", format_],
        env=environment(room),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(said)
        process.stdin.close()
        process.stdin = None
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def ends(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """How a hook ended: its exit code, its output and its error output."""
    output, error = process.communicate(timeout=EVENT_SECONDS)
    return process.returncode, output, error


def hears(room: WatchedRoom) -> None:
    until(lambda: room.who("builder")["listening"], "it listens")


def wake(room: WatchedRoom, text: str = "look") -> str:
    return str(room.act("asker", "post_message", text=text, to=["builder"])["message"])


@pytest.mark.parametrize("format_", WAYS)
def test_a_wake_ends_the_hook_in_the_form_that_wakes_its_harness(room: WatchedRoom, format_: str) -> None:
    with hook(room, format_) as process:
        hears(room)
        assert room.who("builder")["mode"] == "live"
        message = wake(room, "look at\nthe red tests")
        code, output, error = ends(process)
    line = f"You are @builder in the room. You were woken: mention {message} from @asker: “look at"
    if format_ == "claude":
        assert (code, output) == (2, "")
        assert error.startswith(line)
        assert "\n" not in error
    else:
        assert (code, error) == (0, "")
        answer = json.loads(output)
        assert answer["reason"].startswith(line)
        assert answer["decision"] in ("block", "deny")


def test_a_newer_hook_takes_over_and_the_older_one_ends_without_a_word(room: WatchedRoom) -> None:
    with hook(room) as older:
        hears(room)
        with hook(room) as newer:
            assert ends(older) == (0, "", "")
            hears(room)
            wake(room)
            assert ends(newer)[0] == 2


def test_a_harness_that_makes_no_call_gets_the_same_wake_a_few_times_and_then_only_newer_ones(
    room: WatchedRoom,
) -> None:
    first = wake(room)
    for _ in range(TRIES):
        with hook(room) as process:
            code, _, error = ends(process)
        assert code == 2
        assert first in error
    with hook(room) as process:
        hears(room)
        second = wake(room, "look again")
        code, _, error = ends(process)
    assert code == 2
    assert second in error


def test_what_a_harness_answered_by_a_call_is_acknowledged_and_not_given_again(room: WatchedRoom) -> None:
    first = wake(room)
    with hook(room) as process:
        assert first in ends(process)[2]
    room.act("builder", "check_in")
    with hook(room) as process:
        hears(room)
        second = wake(room, "look again")
        code, _, error = ends(process)
    assert code == 2
    assert second in error
    assert "more" not in error, "only the newer one"


@promise("WAK1")
def test_a_harness_that_ended_a_turn_and_called_has_a_verified_wake(room: WatchedRoom) -> None:
    assert room.who("builder")["wake_verified"] is not True
    for number in range(2):
        message = wake(room, f"look at part {number}")
        with hook(room) as process:
            assert message in ends(process)[2]
        room.act("builder", "check_in")
        room.act("builder", "post_message", text=f"on {message}", to=["asker"])
        with hook(room, said='{"hook_event_name": "Stop"}') as process:
            hears(room)
            until(lambda: room.who("builder")["wake_verified"], "all three steps were seen")


@promise("WAK1")
def test_a_harness_that_starts_again_had_no_turn(room: WatchedRoom) -> None:
    """The twin of the test before this one: nobody saw that the harness went on with the wake."""
    message = wake(room)
    with hook(room) as process:
        assert message in ends(process)[2]
    room.act("builder", "check_in")
    room.act("builder", "post_message", text="on it", to=["asker"])
    with hook(room, said='{"hook_event_name": "SessionStart"}') as process:
        hears(room)
        assert room.who("builder")["wake_verified"] is False


def test_without_a_place_for_what_it_gave_it_gives_each_wake_once(room: WatchedRoom) -> None:
    """Otherwise a hook at the end of each turn would begin the next turn for ever."""
    environment(room)
    (room.folder / "hooks" / "members").write_text("not a folder")
    first = wake(room)
    with hook(room) as process:
        assert first in ends(process)[2]
    with hook(room) as process:
        hears(room)
        second = wake(room, "look again")
        error = ends(process)[2]
    assert second in error
    assert "more" not in error


def test_a_paused_member_is_not_woken_until_it_is_resumed(room: WatchedRoom) -> None:
    with hook(room) as process:
        hears(room)
        room.owner("pause", target="builder", reason="the disk is full")
        message = wake(room)
        assert process.poll() is None
        room.owner("resume", target="builder")
        code, _, error = ends(process)
    assert code == 2
    assert message in error or "1 wake" in error or "resumed" in error


def test_a_kill_ends_the_hook_and_wakes_nobody(room: WatchedRoom) -> None:
    with hook(room) as process:
        hears(room)
        room.owner("kill", target="builder", reason="it ran wild")
        code, output, error = ends(process)
    assert (code not in (0, 2), output) == (True, "")
    assert "it ran wild" in error


@pytest.mark.parametrize("harness", [IS_HARNESS, IS_HARNESS_WITH_A_SHELL], ids=["directly", "through a shell"])
def test_the_hook_ends_with_its_harness_even_if_that_is_killed(room: WatchedRoom, harness: str) -> None:
    words = [TEAMROOM, "listen", "--as", "builder", "--once", "--format", "claude"]
    with subprocess.Popen(
        [sys.executable, "-c", harness, *words],
        env=environment(room),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        hears(room)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: not room.who("builder")["listening"], "it no longer listens")


@pytest.mark.parametrize("started", ["by a listener", "by an SDK", "for one turn", "for one turn by a shell"])
def test_a_session_that_ends_with_its_turn_is_not_kept_open(room: WatchedRoom, started: str) -> None:
    wake(room)
    format_ = "codex" if "turn" in started else "claude"
    words = [TEAMROOM, "listen", "--as", "builder", "--once", "--format", format_]
    runs = IS_HARNESS_WITH_A_SHELL if "shell" in started else IS_HARNESS
    more = {"by a listener": {"TEAMROOM_AGENT": "builder"}, "by an SDK": {"CLAUDE_CODE_ENTRYPOINT": "sdk-cli"}}
    command = [sys.executable, "-c", f"import sys; sys.argv.remove('exec')\n{runs}", "exec", *words]
    done = subprocess.run(
        command if "turn" in started else words,
        env={**environment(room), **more.get(started, {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=EVENT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "mention" not in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--once"],
        ["--format", "claude"],
        ["--once", "--format", "emacs"],
        ["--once", "--format", "claude", "--of-a-later-release"],
        ["--once", "--format", "claude", "--", "true"],
    ],
)
def test_a_wrong_command_line_never_wakes_a_harness(tmp_path: Path, words: list[str]) -> None:
    """Claude Code takes 2 for a wake; a hook that always ended with 2 would begin turn after turn."""
    done = Shell(tmp_path).run("listen", "--as", "builder", *words)
    assert done.code in (1, 2)
    assert done.code == 1 or "--once" not in words
    assert done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_file_of_another_user_is_not_read(room: WatchedRoom) -> None:
    environment(room)
    members = room.folder / "hooks" / "members"
    members.mkdir(mode=0o700)
    (members / "builder.given").write_text('{"cursor": 999999, "times": 99, "calls": null}')
    os.chown(members / "builder.given", 12345, 12345)
    message = wake(room)
    with hook(room) as process:
        assert message in ends(process)[2]
