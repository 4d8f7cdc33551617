"""`teamroom demo`: the real command in a process, what it prints first and last, and which folders it refuses."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from teamroom.clients.local.demo.mark import MARK
from teamroom.clients.local.demo.story import SCENES, TASKS
from teamroom.clients.session.blocking import BlockingRoom
from teamroom.server.store.folder import DATABASE
from tests.support.bounds import BOUND_SECONDS
from tests.support.plain_http import WITHOUT_TLS
from tests.support.promises import house
from tests.support.repository import ROOT
from tests.support.shells import STEP_SECONDS, TEAMROOM, TOKEN, Done, Shell, Up, answers, up
from tests.support.visitors import Visitor

pytestmark = house

REMOVED = "The demo's room has stopped, and its folder is removed."
STOPPED = "The demo's room has stopped. It is kept in"


@dataclass
class Running:
    """A demo in a process."""

    process: subprocess.Popen[str]
    shell: Shell
    opened: dict[str, Any]

    def until(self, event: str) -> dict[str, Any]:
        """The next event of a kind."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found: dict[str, Any] = json.loads(line)
            if found["event"] == event:
                return found
        raise AssertionError(f"the demo ended without {event}")

    def stop(self, number: int = signal.SIGINT) -> Done:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=STEP_SECONDS)
        return Done(self.process.returncode, out, err)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a short path, because the demo's folder with the room's own socket is below it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextlib.contextmanager
def demo(home: Path, *words: str) -> Iterator[Running]:
    """`teamroom demo --json` until the block ends. Its temporary folder is below `home`."""
    shell = Shell(home, {"TMPDIR": str(home)})
    with subprocess.Popen(
        [TEAMROOM, "demo", "--json", *words],
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            running = Running(process, shell, {})
            running.opened = running.until("opened")
            yield running
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A demo that ran without waiting in a named folder, and what it printed for programs."""
    home = tmp_path_factory.mktemp("kept")
    done = Shell(home).run("demo", "--speed", "0", "--json", "--data", str(home / "room"))
    assert done.code == 0, done.err
    assert STOPPED in done.err
    return home / "room", [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture(scope="module")
def real() -> Iterator[Up]:
    """A real room that is served, which no demo may touch."""
    with tempfile.TemporaryDirectory() as folder, up(Path(folder) / "room") as room:
        yield room


def test_it_prints_the_way_in_first_and_last_how_an_agent_joins(home: Path) -> None:
    shell = Shell(home, {"TMPDIR": str(home)})
    done = shell.run("demo", "--speed", "0")
    assert done.code == 0, done.err
    first, *told, last = done.out.splitlines()
    assert re.search(r" http://127\.0\.0\.1:\d+/sign-in#[A-Z0-9-]+$", first)
    assert last.startswith('export TEAMROOM_TOKEN="$(cat ')
    assert " && claude mcp add -t http teamroom-demo http://127.0.0.1:" in last
    headings = [next(line for line in told if line.endswith(scene.title)) for scene in SCENES]
    assert sorted(headings, key=told.index) == headings
    assert TOKEN.search(done.out + done.err) is None
    assert done.err.strip() == REMOVED
    assert list(home.iterdir()) == [], "something was left behind"


def test_a_program_reads_each_scene_with_its_facts(kept: tuple[Path, list[dict[str, Any]]]) -> None:
    _, events = kept
    assert [event["event"] for event in (events[0], events[-1])] == ["opened", "over"]
    scenes = {event["scene"]: event["facts"] for event in events if event["event"] == "scene"}
    assert list(scenes) == [scene.name for scene in SCENES]
    assert scenes["race"]["refused"]
    assert scenes["hand-off"]["refused"]["missing"] == ["repo:acme/api"]
    assert scenes["flood"]["folded"] == 28
    assert scenes["heartbeats"]["presence"] == "zombie"
    assert scenes["review"]["states"] == ["in_review", "claimed", "done"]
    assert scenes["pause"]["code"] == "paused"
    assert [one["subject"] for one in scenes["overnight"]["overnight"]["waits"]["shown"]] == ["D-1"]


def test_the_log_that_it_leaves_verifies_and_an_hour_passed_in_it(kept: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, events = kept
    done = Shell(folder.parent).run("verify", "--data", str(folder), "--json")
    assert done.code == 0, done.out + done.err
    times = [event["at"] for event in events if event["event"] == "scene"]
    assert times == sorted(times)
    report = next(event["facts"]["overnight"] for event in events if event.get("scene") == "overnight")
    assert report["pace"]["step_seconds"] >= 60, "the report covers more than the seconds that really passed"


def test_the_joining_line_lets_an_agent_in(home: Path) -> None:
    """A stand-in for `claude` writes down what it is given, and its header is used as Claude Code uses it."""
    harness = home / "bin" / "claude"
    harness.parent.mkdir()
    harness.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; printf "%s" "$TEAMROOM_TOKEN" > "$HOME/token"\n')
    harness.chmod(0o755)
    with demo(home, "--speed", "0", "--stay") as running:
        line = running.until("over")["line"]
        environment = {**running.shell.environment, "PATH": f"{harness.parent}:{os.environ['PATH']}"}
        words = subprocess.run(
            ["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=STEP_SECONDS, check=True
        ).stdout.splitlines()
        assert words[:5] == ["mcp", "add", "-t", "http", "teamroom-demo"]
        url, option, header = words[5:]
        assert (option, header) == ("-H", "Authorization: Bearer ${TEAMROOM_TOKEN}"), "the token is no argument"
        with BlockingRoom(url, (home / "token").read_text()) as agent:
            assert agent.call("check_in", mode="live")["standing"] == "active"
            assert agent.call("claim_task")["task"] == TASKS[-1]
            assert agent.read("teamroom://me")["name"] == "guest"


async def test_the_link_signs_in_after_the_story_too_and_pause_on_the_page_refuses_the_next_act(home: Path) -> None:
    with demo(home, "--speed", "0", "--stay") as running:
        running.until("over")
        page, _, code = running.opened["sign_in"].partition("#")
        assert page == f"{running.opened['url']}/sign-in"
        async with httpx2.AsyncClient(
            verify=WITHOUT_TLS, base_url=running.opened["url"], timeout=BOUND_SECONDS
        ) as http:
            browser = Visitor(http)
            at_home = await browser.sign_in(code)
            assert at_home.status == 200, "the hour of the story does not count"
            form = at_home.form("pause", target="scribe")
            assert (await browser.send(form, reason="stop")).status == 200
        line = running.until("line")
    assert line["member"] == "scribe"
    assert line["line"].startswith("refused (paused): You are paused by @you")


def test_the_commands_that_it_prints_work_as_they_are_pasted(home: Path) -> None:
    with demo(home, "--speed", "0", "--stay") as running:
        decide, pause = (running.until("invite")["command"] for _ in range(2))
        running.until("over")
        for command in (decide, pause):
            done = subprocess.run(
                ["bash", "-c", command],
                env=running.shell.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=STEP_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        said = [running.until("line") for _ in range(2)]
    assert {line["member"] for line in said} == {"builder", "scribe"}
    (refusal,) = (line["line"] for line in said if line["member"] == "scribe")
    assert refusal.startswith("refused (paused): You are paused by @you")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["opened", "scene", "over"])
def test_a_signal_ends_it_at_any_moment_and_nothing_stays(home: Path, number: int, moment: str) -> None:
    words = ("--speed", "0", "--stay") if moment == "over" else ()
    with demo(home, *words) as running:
        if moment != "opened":
            running.until(moment)
        done = running.stop(number)
    assert (done.code, done.err.strip()) == (0, REMOVED)
    assert list(home.iterdir()) == []
    assert not answers(running.opened["url"])


def test_at_another_speed_the_story_waits_for_the_visitor(home: Path) -> None:
    with demo(home, "--speed", "20") as running:
        events = []
        while not events or events[-1]["scene"] != "overnight":
            events.append(running.until("scene"))
        running.until("over")
        with BlockingRoom(running.opened["mcp"], Path(running.opened["owner_token_file"]).read_text().strip()) as owner:
            roster = owner.call("who")["members"]
        assert running.stop().code == 0
    assert [event["scene"] for event in events] == [scene.name for scene in SCENES]
    assert events[-2]["facts"]["code"] is None, "nobody pressed Pause"
    assert {member["name"]: member["presence"] for member in roster}["drifter"] == "zombie"


# ------------------------------------------------------------------ the browser


def test_on_a_terminal_with_a_display_the_page_opens_in_the_default_browser(home: Path) -> None:
    browser = home / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{home}/opened"\n')
    browser.chmod(0o755)
    shell = Shell(home, {"TMPDIR": str(home), "DISPLAY": ":7", "BROWSER": f"{browser} %s"})
    done = shell.on_terminal("demo", "--speed", "0", "--open", columns=200)
    assert done.code == 0, done.out
    assert (home / "opened").read_text().strip() in done.out
    assert "/sign-in#" in (home / "opened").read_text()
    assert "No browser" not in done.out


def test_without_a_terminal_or_a_display_it_says_why_no_browser_opens(home: Path) -> None:
    shell = Shell(home, {"TMPDIR": str(home)})
    done = shell.run("demo", "--speed", "0", "--open")
    assert (done.code, "No browser is opened: this is no terminal." in done.err) == (0, True)
    shown = Shell(home, {"TMPDIR": str(home), "DISPLAY": "", "WAYLAND_DISPLAY": ""}).on_terminal(
        "demo", "--speed", "0", "--open", columns=200
    )
    assert (shown.code, "No browser is opened: this terminal has no display." in shown.out) == (0, True), shown.out


# ------------------------------------------------------------------ its folder


def test_the_next_demo_removes_what_a_killed_one_left_and_nothing_else(home: Path) -> None:
    with demo(home, "--speed", "0", "--stay") as killed:
        killed.until("over")
        killed.stop(signal.SIGKILL)
    (left,) = home.glob("teamroom-demo-*")
    unmarked, open_to_others, link = (home / f"teamroom-demo-{name}" for name in ("mine", "open", "link"))
    (unmarked / "room").mkdir(mode=0o700, parents=True)
    unmarked.chmod(0o700)
    shutil.copytree(left, open_to_others, ignore=shutil.ignore_patterns("*.sock"))
    open_to_others.chmod(0o755)
    link.symlink_to(left)
    with demo(home, "--speed", "0", "--stay") as running:
        running.until("over")
        others = set(home.glob("teamroom-demo-*")) - {Path(running.opened["data"]).parent}
        assert others == {unmarked, open_to_others, link}, "the killed one's is gone"
        with demo(home, "--speed", "0", "--stay") as second:
            second.until("over")
            assert Path(running.opened["data"]).is_dir(), "a demo that lives keeps its folder"
            second.stop()
        running.stop()


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, without the lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"}


def refusal(done: Done) -> dict[str, Any]:
    """The refusal of a demo, which has a code, a reason and a fix."""
    assert done.code == 2, done.out + done.err
    body: dict[str, Any] = done.json
    assert (body["code"], bool(body["why"]), bool(body["fix"])) == ("conflict", True, True)
    assert f"Refused (conflict): {body['why']}\nFix: {body['fix']}" in done.err
    return body


def test_a_folder_with_a_real_room_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    with up(folder) as room:
        room.stop()
    before = contents(folder)
    body = refusal(room.shell.run("demo", "--speed", "0", "--json", "--data", str(folder)))
    assert f"{folder} holds a room that is not a demo" in body["why"]
    assert contents(folder) == before


def test_a_folder_with_what_is_left_of_a_real_room_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    folder.mkdir(mode=0o700)
    (folder / "room.key").write_bytes(b"the key of a room whose database is elsewhere")
    (folder / "room.key").chmod(0o600)
    refusal(Shell(tmp_path).run("demo", "--speed", "0", "--json", "--data", str(folder)))
    assert [path.name for path in folder.iterdir()] == ["room.key"]


def test_a_folder_whose_room_runs_is_refused_also_if_that_is_a_demo(home: Path, real: Up) -> None:
    body = refusal(real.shell.run("demo", "--speed", "0", "--json", "--data", str(real.folder)))
    assert f"A room is running in {real.folder}: {real.url}" in body["why"]
    assert answers(real.url)
    folder = home / "demo"
    with demo(home, "--speed", "0", "--stay", "--data", str(folder)) as running:
        refusal(running.shell.run("demo", "--speed", "0", "--json", "--data", str(folder)))
        assert answers(running.opened["url"])


def test_an_earlier_demo_in_a_folder_is_replaced_until_up_makes_it_a_real_room(
    kept: tuple[Path, list[dict[str, Any]]],
) -> None:
    folder, _ = kept
    shell, first = Shell(folder.parent), contents(folder)
    assert shell.run("demo", "--speed", "0", "--data", str(folder)).code == 0
    second = contents(folder)
    assert second["room.key"] != first["room.key"], "the room is another one"
    assert (folder / MARK).exists()
    with up(folder) as room:
        assert not (folder / MARK).exists()
        assert room.shell.run("roster", "--json").json["members"]
        room.stop()
    refusal(shell.run("demo", "--speed", "0", "--json", "--data", str(folder)))
    assert (folder / DATABASE).exists()


def test_variables_that_name_a_real_room_do_not_lead_the_demo_there(home: Path, real: Up) -> None:
    before = real.shell.run("receipts", "--json").json["receipts"]
    shell = real.shell.with_(TEAMROOM_URL=real.url, TEAMROOM_NOTES_PER_HOUR="1000", TMPDIR=str(home))
    done = shell.run("demo", "--speed", "0")
    assert done.code == 0, done.err
    pause = next(line for line in done.out.splitlines() if " pause scribe " in line)
    assert "--data " in pause, "the command names the demo's room"
    assert "--url http://127.0.0.1:" in pause, "although a variable names another one"
    assert real.shell.run("receipts", "--json").json["receipts"] == before


def test_a_port_that_is_taken_is_refused_in_words(tmp_path: Path, real: Up) -> None:
    port = real.url.rpartition(":")[2]
    done = Shell(tmp_path).run("demo", "--speed", "0", "--port", port)
    assert done.code == 1
    assert f"Port {port} is in use by a room with another data folder." in done.err


# ------------------------------------------------------------------ make


def test_make_demo_runs_it(home: Path) -> None:
    venv = Path(TEAMROOM).parents[1]
    done = subprocess.run(
        ["make", "--no-print-directory", "-o", str(venv / ".runs"), "demo", "SPEED=0", f"VENV={venv}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "claude mcp add" in done.stdout.splitlines()[-1]
