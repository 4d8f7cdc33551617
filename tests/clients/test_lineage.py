"""What `teamroom listen` and `teamroom watch` start is marked, so that the shell in it is never its owner.

The attempts of an agent run as real processes below a real listener or watchdog. Their twin runs outside of both.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.session import lineage
from teamroom.clients.session.failure import NOT_AUTHORISED
from teamroom.clients.session.lineage import ANCESTORS, MARK, Ancestor, marked, starts_agents
from tests.support.promises import promise
from tests.support.shells import TEAMROOM, Shell
from tests.support.watching import EVENT_SECONDS, WatchedRoom, until, watched_room

pytestmark = promise("SAF7")

UNMARK = "env -u TEAMROOM_TOKEN -u TEAMROOM_AGENT -u TEAMROOM_WAKE"
FORGET = 'env -i PATH="$PATH" TEAMROOM_URL="$TEAMROOM_URL"'
PAUSE = "$SHELL_OF_ROOM pause asker --reason 'I am the owner now' --data $ROOM"

ATTEMPTS = {
    "with its own token": f"{PAUSE}",
    "without its token": f"env -u TEAMROOM_TOKEN {PAUSE}",
    "without the mark": f"{UNMARK} {PAUSE}",
    "with an empty environment": f"{FORGET} {PAUSE}",
    "as an orphan": f"({FORGET} {PAUSE} >orphan 2>&1 </dev/null; echo $? >>orphan) & exit 3",
    "with the owner's token file": f"{PAUSE} --token-file $ROOM/owner.token",
    "with the owner's token": f"TEAMROOM_TOKEN=$(cat $ROOM/owner.token) {PAUSE}",
    "with the owner's token at the address": (
        f"env -u TEAMROOM_DATA TEAMROOM_TOKEN=$(cat $ROOM/owner.token) {PAUSE.removesuffix(' --data $ROOM')}"
    ),
    "over the bridge": (
        "TEAMROOM_TOKEN=$(cat $ROOM/owner.token) $SHELL_OF_ROOM connect --as $OWNER --data $ROOM <frame >carried;"
        "cat carried >&2; exit 3"
    ),
    "with a restore": f"{FORGET} $SHELL_OF_ROOM restore $ROOM/backup.db --data $ROOM",
    "with a seal": f"{FORGET} $SHELL_OF_ROOM seal --accept --data $ROOM",
}
"""What an agent may try, as lines of a shell script. Each ends with 3, not authorised."""

TRIES = """\
import json, subprocess, sys
sys.stdin.read()
found = {}
for name, line in json.load(open(sys.argv[1])).items():
    done = subprocess.run(["/bin/sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    found[name] = [done.returncode, done.stdout + done.stderr]
open(sys.argv[2] + ".part", "w").write(json.dumps(found))
import os
os.replace(sys.argv[2] + ".part", sys.argv[2])
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[WatchedRoom]:
    with watched_room(tmp_path) as running:
        running.enroll("builder")
        running.enroll("asker")
        running.enroll("rex", "watchdog")
        yield running


def surroundings(room: WatchedRoom, member: str) -> dict[str, str]:
    """The environment of a program that a person starts for a member, next to the owner's folder."""
    variables = {"TEAMROOM_URL": room.url, "TEAMROOM_TOKEN": room.tokens[member]}
    own = {"SHELL_OF_ROOM": TEAMROOM, "ROOM": str(room.running.folder), "OWNER": room.who("builder")["owner"]}
    return Shell(room.folder, {**variables, **own}).environment


def prepare(room: WatchedRoom, attempts: dict[str, str]) -> list[str]:
    """The command that tries them, and notes what came of it."""
    pause = {"name": "pause", "arguments": {"target": "asker", "reason": "I am the owner now"}}
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    frame = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**pause, "_meta": meta}}
    (room.folder / "frame").write_text(json.dumps(frame) + "\n")
    (room.folder / "attempts").write_text(json.dumps(attempts))
    return [sys.executable, "-c", TRIES, str(room.folder / "attempts"), str(room.folder / "found")]


def tried(room: WatchedRoom) -> dict[str, Any]:
    until((room.folder / "found").exists, "the agent has tried everything")
    found: dict[str, Any] = json.loads((room.folder / "found").read_text())
    return found


def pauses(room: WatchedRoom) -> list[tuple[str, str]]:
    """Who paused whom, or tried to."""
    return [(one["actor"], one["outcome"]) for one in room.receipts(act="pause")]


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(EVENT_SECONDS)


def test_an_agent_below_a_listener_never_acts_as_its_owner_whatever_it_does_to_its_environment(
    room: WatchedRoom,
) -> None:
    command = [TEAMROOM, "listen", "--as", "builder", "--", *prepare(room, ATTEMPTS)]
    room.act("asker", "post_message", text="look", to=["builder"])
    with ended(
        subprocess.Popen(
            command, env=surroundings(room, "builder"), cwd=room.folder, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    ):  # fmt: skip
        found = tried(room)
        until(lambda: _ended_orphan(room), "the orphan has ended")
    assert {name: code for name, (code, _) in found.items()} == dict.fromkeys(ATTEMPTS, NOT_AUTHORISED)
    orphan = (room.folder / "orphan").read_text()
    assert orphan.split()[-1] == str(NOT_AUTHORISED)
    own = found.pop("with its own token")
    assert "Refused (not_allowed)" in own[1], "it acts as itself"
    assert set(pauses(room)) == {("builder", "refused")}
    shown = {**{name: text for name, (_, text) in found.items()}, "as an orphan": orphan}
    for name, text in shown.items():
        assert "This is an agent's session" in text, name
        assert "Fix: " in text or "over the bridge" in name, name


def test_what_a_watchdog_starts_never_acts_as_its_owner(room: WatchedRoom) -> None:
    attempts = {name: ATTEMPTS[name] for name in ("without its token", "without the mark", "with an empty environment")}
    command = prepare(room, attempts)
    config = room.config(f"[runtime.builder]\nstart = {json.dumps(command)}\n")
    with ended(
        subprocess.Popen(
            [TEAMROOM, "watch", "--config", str(config)], env=surroundings(room, "rex"), cwd=room.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )
    ):  # fmt: skip
        found = tried(room)
    assert {name: code for name, (code, _) in found.items()} == dict.fromkeys(attempts, NOT_AUTHORISED)
    assert pauses(room) == []
    for _, text in found.values():
        assert "so the owner's token is not used" in text


def test_the_twin_outside_of_a_listener_acts_as_the_owner(room: WatchedRoom) -> None:
    """Otherwise the tests above would pass where nobody can pause anyone."""
    name = "with an empty environment"
    subprocess.run(
        prepare(room, {name: ATTEMPTS[name]}),
        env=surroundings(room, "builder"), cwd=room.folder, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    assert tried(room)[name][0] == 0
    assert [outcome for _, outcome in pauses(room)] == ["ok"]


def _ended_orphan(room: WatchedRoom) -> bool:
    path = room.folder / "orphan"
    return path.exists() and path.read_text().endswith((f"{NOT_AUTHORISED}\n", "0\n", "1\n"))


# ------------------------------------------------------------------ how a process is recognised


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("/venv/bin/python /venv/bin/teamroom listen --as builder -- claude -p", "listen"),
        ("python3.12 -m teamroom watch --as rex", "watch"),
        ("teamroom watch", "watch"),
        ("teamroom board", None),
        ("/venv/bin/python /venv/bin/teamroom up", None),
        ("tmux new teamroom listen --as builder", None),
        ("vi teamroom listen", None),
        ("teamroom", None),
        ("", None),
    ],
)
def test_a_listener_and_a_watchdog_are_recognised_by_their_command(command: str, found: str | None) -> None:
    assert starts_agents(command.split()) == found


def test_a_process_without_a_listener_above_it_is_not_marked() -> None:
    assert marked({}, lambda number: Ancestor(1, ["bash"], frozenset({"HOME", "TEAMROOM_TOKEN"}))) is None
    assert marked({}, lambda number: None) is None
    assert marked({MARK: ""}, lambda number: None) == f"{MARK} is set"


def test_the_mark_of_a_process_above_counts_although_its_listener_is_gone() -> None:
    parent = Ancestor(1, ["bash"], frozenset({MARK}))
    found = marked({}, lambda number: parent if number == os.getppid() else None)
    assert found == f"process {os.getppid()} above it was started with {MARK}"


def test_a_ring_of_parents_and_an_endless_row_of_them_are_left() -> None:
    assert marked({}, lambda number: Ancestor(number, ["bash"])) is None
    looked: list[int] = []

    def look(number: int) -> Ancestor:
        looked.append(number)
        return Ancestor(number + 1_000_000, ["bash"])

    assert marked({}, look) is None
    assert len(looked) <= 3 * ANCESTORS


def test_a_listener_is_found_with_ps_where_there_is_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "PROC", tmp_path / "nowhere")
    assert marked({}) is None
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    fake = bin_folder / "ps"
    fake.write_text(f"#!/bin/sh\necho ' {os.getppid()} 77 sh'\necho '77 1 python /bin/teamroom listen --as b'\necho\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    assert marked({}) == "process 77 above it is teamroom listen"
    fake.write_text("#!/bin/sh\nexit 1\n")
    assert marked({}) is None
