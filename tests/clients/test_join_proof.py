"""A join ends by proving the wake, and one that is resident is kept running by a watchdog (WAK1, WAK5)."""

import contextlib
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from teamroom.clients.harnesses.record import load_record
from teamroom.clients.session.blocking import ask
from teamroom.clients.session.place import Place
from teamroom.clients.shell import join_proof
from teamroom.clients.watchdog.runtimes import load
from tests.support.promises import promise
from tests.support.shells import TEAMROOM, Shell, Up, up
from tests.support.watching import EVENT_SECONDS, until

pytestmark = promise("WAK1")

NUMBERS = count(1)

ACTS = """\
#!{python}
from pathlib import Path
from teamroom.clients.session.place import Place
from teamroom.clients.session.blocking import ask
token = Path({data!r}, "members", {name!r} + ".token").read_text().strip()
place = Place(Path({data!r}), environment={{"TEAMROOM_TOKEN": token}})
waits = [wake for wake in ask(place, "check_in")["wakes"] if wake["subject"].startswith("M-")]
ask(place, "post_message", text="here", reply_to=waits[-1]["subject"])
"""
"""A harness whose model answers what it is asked."""

SAYS_NOTHING = """\
#!{python}
print("no permission to use the room")
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("opened") / "room", "--owner", "olga") as room:
        yield room


class Desk:
    """A person's folder, with a harness in it that is a script."""

    def __init__(self, room: Up, folder: Path) -> None:
        self.room, self.folder = room, folder
        self.name = f"codex-{folder.name}"
        self.programs = folder / "bin"
        self.programs.mkdir()
        path = f"{self.programs}:{Path(TEAMROOM).parent}:{os.environ['PATH']}"
        self.shell = Shell(folder.parent, {"TEAMROOM_DATA": str(room.folder), "PATH": path})

    def has(self, program: str, script: str) -> None:
        """Have a program that runs this script."""
        file = self.programs / program
        file.write_text(script.format(python=sys.executable, data=str(self.room.folder), name=self.name))
        file.chmod(0o700)

    @property
    def config(self) -> Path:
        """The config of the room's watchdog."""
        return self.room.folder / "runtimes.toml"

    def answers(self) -> list[str]:
        """What the member wrote."""
        found = ask(Place(self.room.folder, environment={}), "read_messages", limit=50)["messages"]
        return [message["text"] for message in found if message["author"] == self.name]


@pytest.fixture
def desk(opened: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    folder = tmp_path / "home" / f"work{next(NUMBERS)}"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / ".local" / "state"))
    return Desk(opened, folder)


def test_a_join_proves_the_wake_of_a_harness_that_its_listener_starts(desk: Desk) -> None:
    desk.has("codex", ACTS)
    done = desk.shell.run("join", "codex", "--unattended", "--yes", "--prove")
    assert done.code == 0, done.err
    steps = [line.split()[0] for line in done.out.splitlines() if " s after M-" in line]
    assert steps == ["notified", "woken", "acted"]
    assert f"@{desk.name} wakes." in done.out
    assert desk.answers() == ["here"]
    assert not ask(Place(desk.room.folder, environment={}), "who", name=desk.name)["members"][0]["run"]


def test_a_harness_that_does_not_act_is_said_to_be_so_with_what_it_printed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.has("codex", SAYS_NOTHING)
    monkeypatch.setattr(join_proof, "PROOF_SECONDS", 4)
    done = desk.shell.now("join", "codex", "--unattended", "--yes", "--prove")
    assert done.code == 0, "the join itself was made"
    assert f"@{desk.name} was not seen to wake." in done.out
    assert "started, and did not act" in done.out
    assert "no permission to use the room" in done.err
    assert f"doctor --wake {desk.name}" in done.out


def test_without_a_terminal_nothing_is_waited_for_and_nothing_is_woken(desk: Desk) -> None:
    desk.has("codex", ACTS)
    for words in (("codex", "--unattended"), ("claude", "--attended")):
        done = desk.shell.now("join", *words, "--yes")
        assert done.code == 0, done.err
        assert "(Ctrl-C skips)" not in done.err
        assert "doctor --wake" in done.out
    assert desk.answers() == []


def test_what_cannot_be_proven_is_said_with_the_reason(desk: Desk) -> None:
    nothing = desk.shell.now("join", "vscode", "--yes", "--prove").out
    assert "is not proven: nothing wakes VS Code, and it sees what waits when its person opens it." in nothing
    assert "doctor --wake" not in nothing, "there is no way to see what does not happen"
    missing = desk.shell.now("join", "qwen", "--unattended", "--yes", "--prove").out
    assert "is not proven: there is no qwen on your PATH." in missing
    desk.has("claude", SAYS_NOTHING)
    attended = desk.shell.now("join", "claude", "--attended", "--yes", "--prove").out
    assert "a person must open the session, and this is no terminal" in attended
    assert "is not proven" not in desk.shell.now("join", "zed", "--yes").out, "nobody asked for it"


@contextlib.contextmanager
def opened_session(desk: Desk, name: str) -> Iterator[None]:
    """A session that its person opens once the member is there: its hook is woken, and its model acts."""
    token = desk.room.folder / "members" / f"{name}.token"
    data = ("--data", str(desk.room.folder))

    def hook(said: str) -> subprocess.Popen[bytes]:
        words = [TEAMROOM, "listen", "--as", name, "--once", "--format", "claude", *data]
        process = subprocess.Popen(
            words, env=desk.shell.environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=desk.folder
        )
        assert process.stdin is not None
        process.stdin.write(said.encode())
        process.stdin.close()
        return process

    def work() -> None:
        until(token.exists, "it joined")
        first = hook('{"hook_event_name": "SessionStart"}')
        if first.wait(EVENT_SECONDS) == 2:
            subprocess.run([str(desk.programs / "model")], env=desk.shell.environment, check=True)
            second = hook('{"hook_event_name": "Stop"}')
            ended.wait(EVENT_SECONDS)
            second.kill()
            second.wait()

    ended, thread = threading.Event(), threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(EVENT_SECONDS)


def test_on_a_terminal_a_join_waits_for_the_session_that_its_person_opens(desk: Desk) -> None:
    desk.name = f"claude-{desk.folder.name}"
    desk.has("claude", SAYS_NOTHING)
    desk.has("model", ACTS)
    with opened_session(desk, desk.name):
        words = ("join", "claude", "--attended")
        done = desk.shell.on_terminal(*words, answer="y", asked="Write this?", columns=200)
    assert done.code == 0, done.out
    assert f"Open Claude Code in {desk.folder} now. I wait up to 60 s (Ctrl-C skips)." in done.out
    assert f"@{desk.name} wakes." in done.out
    assert "Questions asked: 1." in done.out


# ------------------------------------------------------------------ residents


@promise("WAK5")
def test_a_resident_is_in_the_watchdogs_config_and_a_leave_removes_exactly_that(desk: Desk) -> None:
    desk.has("codex", ACTS)
    mine = '# mine\nevery = "10s" # often\n\n[runtime.other] # one of mine\nrestart = ["true"]\n'
    desk.config.write_text(mine)
    desk.config.chmod(0o600)
    done = desk.shell.now("join", "codex", "--resident", "--yes")
    assert done.code == 0, done.err
    text = desk.config.read_text()
    assert text.startswith(mine), "comments stay"
    entry = tomllib.loads(text)["runtime"][desk.name]
    assert entry["folder"] == str(desk.folder)
    assert entry["start"][1:4] == ["listen", "--as", desk.name]
    assert entry["start"][-4:] == ["codex", "exec", "--skip-git-repo-check", "{wake}"]
    assert sorted(load(desk.config, {}).runtime) == sorted([desk.name, "other"])
    (watchdog,) = [one.name for one in load_record().joined if one.harness == "watchdog"]
    (member,) = ask(Place(desk.room.folder, environment={}), "who", name=watchdog)["members"]
    assert member["role"] == "watchdog"
    assert f"watch --config {desk.config} --as {watchdog}" in done.out
    hooks = (desk.folder / ".codex" / "hooks.json").read_text()
    assert "--unattended" in hooks
    assert "--once" not in hooks, "a run that its listener starts has no hook that waits"
    again = desk.shell.now("join", "codex", "--yes")
    assert "Nothing changes." in again.out, "it stays a resident"
    assert desk.shell.now("leave", "codex").code == 0
    assert desk.config.read_text() == mine
    desk.config.unlink()


@promise("WAK5")
def test_one_that_is_no_longer_resident_leaves_the_config_and_stays_joined(desk: Desk) -> None:
    for words in (("--resident",), ("--no-resident", "--attended")):
        done = desk.shell.now("join", "codex", *words, "--yes")
        assert done.code == 0, done.err
    assert not desk.config.exists(), "nobody else had anything in it"
    assert "--once" in (desk.folder / ".codex" / "hooks.json").read_text()
    assert desk.shell.now("leave", "codex").code == 0


def test_what_join_cannot_start_is_no_resident(desk: Desk) -> None:
    done = desk.shell.now("join", "zed", "--resident", "--yes")
    assert (done.code, "knows no command that starts Zed" in done.err) == (2, True)
    done = desk.shell.now("join", "codex", "--resident", "--attended", "--yes")
    assert (done.code, "no person at it" in done.err) == (2, True)


def test_the_watchdog_of_a_resident_starts_its_listener_and_a_wake_is_answered(desk: Desk) -> None:
    desk.has("codex", ACTS)
    done = desk.shell.now("join", "codex", "--resident", "--yes")
    assert done.code == 0, done.err
    (watchdog,) = [one.name for one in load_record().joined if one.harness == "watchdog"]
    words = [TEAMROOM, "watch", "--config", str(desk.config), "--as", watchdog, "--data", str(desk.room.folder)]
    owner = Place(desk.room.folder, environment={})
    with subprocess.Popen(
        words, env=desk.shell.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    ) as dog:
        try:
            until(lambda: ask(owner, "who", name=desk.name)["members"][0]["listening"], "its listener is there")
            ask(owner, "post_message", text="are you there?", to=[desk.name], kind="ask")
            until(lambda: "here" in desk.answers(), "it answered")
        finally:
            dog.terminate()
            dog.wait(EVENT_SECONDS)
    assert desk.shell.now("leave", "codex").code == 0
