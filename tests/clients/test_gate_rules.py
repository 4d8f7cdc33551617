"""The gate of a member with approval rules: what waits for a person does not pass while no room can be asked (DEC4)."""

import io
import json
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.gate import gate
from teamroom.server.rules.hooks import HARNESSES
from tests.approvals.test_approvals import FORMS
from tests.harness.room import RoomOfProcesses, free_port, served_room
from tests.support.gates import denies, gated_room, in_place_of_room
from tests.support.promises import promise
from tests.support.shells import Done, Shell

pytestmark = promise("DEC4")

PUSH = json.dumps({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "git push"}})
LIST = json.dumps({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}})

WAYS = ("its socket", "its address", "a file", "a file at an address", "a token in the environment")


@pytest.fixture(scope="module")
def room_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomOfProcesses]:
    with gated_room(tmp_path_factory.mktemp("rules")) as room:
        yield room


@pytest.fixture
def served(room_of_all: RoomOfProcesses) -> Iterator[RoomOfProcesses]:
    """The room, without rules before and after the test."""
    yield room_of_all
    for one in room_of_all.owner("who", name="builder")["members"][0]["rules"]:
        room_of_all.owner("require_approval", remove=one["rule"])
    kept(room_of_all).unlink(missing_ok=True)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def rule(room: RoomOfProcesses) -> int:
    """Have pushes of the builder wait for a person; returns the rule's number."""
    return int(room.owner("require_approval", to="builder", match="Bash(git push*)")["rule"])


def ask(
    shell: Shell,
    folder: Path,
    said: str = PUSH,
    way: str = "its socket",
    url: str = "",
    *words: str,
    name: str = "builder",
) -> Done:
    """What the gate prints, when it finds the token and the room in one of several ways."""
    file = folder / "members" / f"{name}.token"
    who = ["--as", name]
    if way in ("a file", "a file at an address"):
        who = ["--token-file", str(file)]
    if way == "a token in the environment":
        shell, who = shell.with_(TEAMROOM_TOKEN=file.read_text().strip()), []
    there = ["--url", url] if "address" in way else []
    return shell.run("gate", "--format", "claude", *who, "--data", str(folder), *there, *words, stdin=said)


def test_a_call_that_waits_does_not_pass_once_the_room_is_gone_and_others_do(tmp_path: Path, shell: Shell) -> None:
    """Each way has its own member, so no gate finds the rules that another one kept."""
    members = {way: f"builder{number}" for number, way in enumerate(WAYS, 1)}

    def gate_of(way: str, said: str = PUSH) -> Done:
        return ask(shell, room.data, said, way, room.url, name=members[way])

    with served_room(tmp_path / "room", free_port(), {}) as served:
        room = served.room
        for number, (way, name) in enumerate(members.items(), 1):
            room.enroll(name, "--save")
            room.owner("require_approval", to=name, match="Bash(git push*)")
            assert f"waits for D-{number}" in denies(gate_of(way)), way
        served.process.send_signal(signal.SIGKILL)
        served.process.wait()
        for way in WAYS:
            denied = denies(gate_of(way))
            assert "cannot be asked" in denied, way
            assert "(Bash(git push*)), which has such calls wait for a person" in denied, way
            passed = gate_of(way, LIST)
            assert denies(passed) == "", way
            assert "does not stop this session's own tools" in json.loads(passed.out)["systemMessage"], way
        served.start()
        for number, way in enumerate(WAYS, 1):
            assert f"waits for D-{number}" in denies(gate_of(way)), way


def kept(room: RoomOfProcesses) -> Path:
    """The file in which the builder's gate keeps its rules."""
    return room.data / "members" / "builder.rules"


def test_the_gate_keeps_the_rules_as_they_are_in_a_private_file(served: RoomOfProcesses, shell: Shell) -> None:
    assert ask(shell, served.data).out == "{}"
    assert not kept(served).exists(), "there are none"
    number = rule(served)
    assert "D-" in denies(ask(shell, served.data))
    assert stat.S_IMODE(kept(served).stat().st_mode) == 0o600
    before = kept(served).stat()
    assert denies(ask(shell, served.data, LIST)) == ""
    assert kept(served).stat().st_ino == before.st_ino, "it is written only when the rules change"
    second = served.owner("require_approval", to="owner:olga", match="Write")
    assert denies(ask(shell, served.data, LIST)) == ""
    assert '"Write"' in kept(served).read_text()
    for one in (number, second["rule"]):
        served.owner("require_approval", remove=one)
    assert ask(shell, served.data).out == "{}"
    assert not kept(served).exists()


def test_nothing_is_kept_of_a_token_that_was_revoked_and_of_a_paused_member_the_rules_stay(
    tmp_path: Path, shell: Shell
) -> None:
    with gated_room(tmp_path) as room:
        rule(room)
        assert "D-1" in denies(ask(shell, room.data))
        room.owner("pause", target="builder", reason="lunch")
        assert "paused" in denies(ask(shell, room.data))
        assert kept(room).exists(), "a pause ends"
        room.owner("revoke", name="builder")
        assert "was revoked" in denies(ask(shell, room.data))
        assert not kept(room).exists()


def alone(room: RoomOfProcesses, tmp_path: Path) -> Path:
    """A folder with the builder's token and kept rules, and without a room."""
    folder = tmp_path / "alone"
    folder.mkdir(mode=0o700)
    shutil.copytree(room.data / "members", folder / "members")
    (folder / "members").chmod(0o700)
    return folder


@pytest.mark.parametrize("format_", HARNESSES)
def test_every_harness_is_denied_in_its_own_form(
    served: RoomOfProcesses, tmp_path: Path, shell: Shell, format_: str
) -> None:
    rule(served)
    ask(shell, served.data)
    folder = alone(served, tmp_path)
    words = ("gate", "--format", format_, "--as", "builder", "--data", str(folder))
    assert "wait for a person" in denies(shell.run(*words, stdin=json.dumps(FORMS[format_])))


SPOILED = {
    "nothing": "",
    "garbage": "x\n{",
    "another form": 'x\n[["Bash"]]',
    "a part": 'x\n[[1, "Bash(git pu',
}


@pytest.mark.parametrize("what", [*SPOILED, "a link"])
def test_rules_that_cannot_be_read_let_nothing_pass(
    served: RoomOfProcesses, tmp_path: Path, shell: Shell, what: str
) -> None:
    rule(served)
    ask(shell, served.data)
    folder = alone(served, tmp_path)
    file = folder / "members" / "builder.rules"
    if what in SPOILED:
        file.write_text(SPOILED[what])
    else:
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    denied = denies(ask(shell, folder, LIST))
    assert "cannot be read" in denied


@pytest.mark.parametrize("said", ["", "{", "[]", json.dumps({"hook_event_name": "PreToolUse"})])
def test_a_call_that_cannot_be_read_does_not_pass_without_a_room(
    served: RoomOfProcesses, tmp_path: Path, shell: Shell, said: str
) -> None:
    rule(served)
    ask(shell, served.data)
    assert "wait for a person" in denies(ask(shell, alone(served, tmp_path), said))


def test_the_rooms_own_tools_and_what_comes_after_a_tool_pass_without_a_room(
    served: RoomOfProcesses, tmp_path: Path, shell: Shell
) -> None:
    served.owner("require_approval", to="builder", match="*")
    ask(shell, served.data)
    folder = alone(served, tmp_path)
    for said in ({"tool_name": "mcp__teamroom__check_in", "tool_input": {}}, {"hook_event_name": "Stop"}):
        assert denies(ask(shell, folder, json.dumps({"hook_event_name": "PreToolUse", **said}))) == ""
    assert "wait for a person" in denies(ask(shell, folder, LIST))


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 500 Internal Server Error\r\n\r\n{}", b"HTTP/1.1 401 No\r\n\r\n"])
def test_a_room_that_answers_nothing_useful_counts_as_none(
    served: RoomOfProcesses, tmp_path: Path, shell: Shell, answer: bytes | None
) -> None:
    rule(served)
    ask(shell, served.data)
    with in_place_of_room(tmp_path / "other", answer) as folder:
        shutil.copy(kept(served), folder / "members" / "builder.rules")
        assert "wait for a person" in denies(ask(shell, folder))


def test_a_gate_that_was_never_told_of_rules_lets_an_attended_session_go_on(
    served: RoomOfProcesses, tmp_path: Path, shell: Shell
) -> None:
    """The twin: what passes without the rules that a gate keeps."""
    rule(served)
    folder = alone(served, tmp_path)
    assert denies(ask(shell, folder)) == ""
    assert "nobody attends" in denies(ask(shell, folder, PUSH, "its socket", "", "--unattended"))


@pytest.mark.parametrize("depth", [990, 5_000, 200_000])
def test_a_call_that_is_nested_too_deeply_does_not_pass_without_a_room(
    served: RoomOfProcesses, tmp_path: Path, shell: Shell, depth: int
) -> None:
    rule(served)
    ask(shell, served.data)
    folder, nested = alone(served, tmp_path), "[" * depth + "]" * depth
    said = PUSH.replace('"git push"', f'"git push", "more": {nested}')
    assert "wait for a person" in denies(ask(shell, folder, said))
    assert "nobody attends" in denies(ask(shell, folder, said, "its socket", "", "--unattended"))


FAULTS = {
    "to ask": "teamroom.clients.gate.gate.ask_on_socket",
    "to compare": "teamroom.clients.gate.unreachable.why_it_waits",
    "to read": "teamroom.clients.gate.unreachable.read_hook",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("format_", HARNESSES)
def test_a_gate_that_fails_denies_what_would_run_a_tool(
    served: RoomOfProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, fault: str, format_: str
) -> None:
    rule(served)
    folder = served.data if fault == "to ask" else tmp_path

    def fail(*arguments: Any) -> Any:
        raise RuntimeError("a fault")

    if fault != "to ask":
        shutil.copytree(served.data / "members", folder / "members")
        (folder / "members" / "builder.rules").write_text("")
    monkeypatch.setattr(FAULTS[fault], fail)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(FORMS[format_]).encode())))
    code = gate.main(["--format", format_, "--as", "builder", "--data", str(folder)])
    assert "fail" in denies(Done(code, capsys.readouterr().out, ""))


def test_a_gate_that_fails_lets_a_session_end(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The twin: nothing would run, so nothing is denied."""

    def fail(*arguments: Any) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setattr("teamroom.clients.gate.gate.ask", fail)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"hook_event_name": "Stop"}')))
    code = gate.main(["--format", "claude", "--as", "builder"])
    assert denies(Done(code, capsys.readouterr().out, "")) == ""


def test_the_folder_of_a_token_file_that_was_named_stays_as_it_is(tmp_path: Path, shell: Shell) -> None:
    """Of the two gates, one finds the room in its folder and one at its address."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    with served_room(tmp_path / "room", free_port(), {}) as served:
        room = served.room
        gates = []
        for name, there in (("builder", []), ("tester", ["--url", room.url])):
            room.enroll(name, "--save")
            room.owner("require_approval", to=name, match="Bash(git push*)")
            token = shutil.copy2(room.data / "members" / f"{name}.token", shared / f"{name}.token")
            gates.append(["gate", "--format", "claude", "--token-file", str(token), "--data", str(room.data), *there])
            assert f"waits for D-{len(gates)}" in denies(shell.run(*gates[-1], stdin=PUSH))
        served.process.send_signal(signal.SIGKILL)
        served.process.wait()
        for words in gates:
            assert "(Bash(git push*)), which has" in denies(shell.run(*words, stdin=PUSH)), words
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    for name in ("builder", "tester"):
        assert stat.S_IMODE((shared / f"{name}.rules").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_gate_that_cannot_keep_rules_still_asks(served: RoomOfProcesses, shell: Shell) -> None:
    rule(served)
    (served.data / "members").chmod(0o500)
    try:
        assert "D-" in denies(ask(shell, served.data))
    finally:
        (served.data / "members").chmod(0o700)
