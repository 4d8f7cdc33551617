"""`teamroom gate`, as harnesses run it: with a room, without one, and with something else in its place (WAK3)."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teamroom.clients.gate.gate import FORMATS
from teamroom.server.rules.hooks import HARNESSES
from tests.harness.room import RoomOfProcesses
from tests.support.gates import denies, gated_room, in_place_of_room
from tests.support.impostors import taking
from tests.support.promises import promise
from tests.support.shells import Done, Shell

pytestmark = promise("WAK3")

ASKS = json.dumps({"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}})
RESTS = json.dumps({"hook_event_name": "Stop"})
SECONDS = 4.0
"""A gate has answered by then, whatever the room does; harnesses wait five seconds."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomOfProcesses]:
    with gated_room(tmp_path_factory.mktemp("gate")) as room:
        yield room


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def gate(shell: Shell, folder: Path, *words: str, said: str = ASKS, format_: str = "claude") -> Done:
    begun = time.monotonic()
    done = shell.run("gate", "--format", format_, "--as", "builder", "--data", str(folder), *words, stdin=said)
    assert time.monotonic() - begun < SECONDS
    return done


def token_of(room: RoomOfProcesses) -> str:
    """The builder's token, as it was saved."""
    return (room.data / "members" / "builder.token").read_text().strip()


@pytest.mark.parametrize("how", ["its socket", "its address", "a token in the environment", "a file"])
def test_the_gate_passes_the_rooms_answer_on(served: RoomOfProcesses, shell: Shell, how: str) -> None:
    words = ["--url", served.url] if how == "its address" else []
    if how == "a file":
        words = ["--token-file", str(served.data / "members" / "builder.token")]
    if how == "a token in the environment":
        shell = shell.with_(TEAMROOM_TOKEN=token_of(served))

    def asked() -> Done:
        if how == "a token in the environment":
            return shell.run("gate", "--format=claude", f"--data={served.data}", stdin=ASKS)
        return gate(shell, served.data, *words)

    assert (asked().code, asked().out) == (0, "{}")
    served.owner("pause", target="builder", reason="the disk is full")
    try:
        assert "paused by @olga" in denies(asked())
        assert "the disk is full" in denies(asked())
    finally:
        served.owner("resume", target="builder")
    assert asked().out == "{}"


@pytest.mark.parametrize("format_", HARNESSES)
def test_without_a_room_an_attended_session_goes_on_with_a_warning_and_an_unattended_one_is_denied(
    tmp_path: Path, shell: Shell, format_: str
) -> None:
    folder = tmp_path / "none"
    attended = gate(shell, folder, format_=format_)
    assert denies(attended) == ""
    if format_ in ("claude", "codex", "gemini", "qwen"):
        assert "does not stop this session's own tools" in json.loads(attended.out)["systemMessage"]
    denied = denies(gate(shell, folder, "--unattended", format_=format_))
    assert "nobody attends this session" in denied
    assert "teamroom status" in denied


def test_an_unattended_session_may_still_end_without_a_room(tmp_path: Path, shell: Shell) -> None:
    assert denies(gate(shell, tmp_path / "none", "--unattended", said=RESTS)) == ""


ANSWERS: dict[str, bytes | None] = {
    "nothing, for ever": None,
    "garbage": b"\x00\xff" * 100,
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "nothing": b"",
    "an error": b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}",
    "an unknown token": b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}",
    "no text": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_answer_of_a_room_counts_as_none(tmp_path: Path, shell: Shell, name: str) -> None:
    with in_place_of_room(tmp_path / "room", ANSWERS[name]) as folder:
        assert "nobody attends" in denies(gate(shell, folder, "--unattended"))
        assert denies(gate(shell, folder)) == ""


def test_a_program_that_took_the_rooms_port_gets_no_token(served: RoomOfProcesses, shell: Shell) -> None:
    with taking() as taken:
        done = gate(shell, served.data, "--url", taken.url, "--unattended")
        assert "did not prove" in denies(done) or "cannot prove" in denies(done)
        assert taken.challenges == 1
        assert not taken.has_got(token_of(served))


@pytest.mark.parametrize("kind", ["readable by others", "a link", "missing"])
def test_a_token_that_others_can_read_is_not_sent(
    served: RoomOfProcesses, tmp_path: Path, shell: Shell, kind: str
) -> None:
    folder = tmp_path / "room"
    folder.mkdir(mode=0o700)
    for name in ("room.sock", "server.json"):
        (folder / name).symlink_to(served.data / name)
    (folder / "members").mkdir(mode=0o700)
    file = folder / "members" / "builder.token"
    if kind == "a link":
        file.symlink_to(served.data / "members" / "builder.token")
    elif kind == "readable by others":
        file.write_text(token_of(served))
        file.chmod(0o644)
    assert "cannot be asked" in denies(gate(shell, folder, "--unattended"))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--format"],
        ["--format", "../x"],
        ["--format", "claude", "--what"],
        ["--format", "claude", "x"],
        ["--format", "cluade"],
    ],
)
def test_a_wrong_command_line_is_refused_with_the_right_one(shell: Shell, words: list[str]) -> None:
    done = shell.run("gate", *words, stdin=ASKS)
    assert (done.code, done.out) == (2, "")
    assert "teamroom gate --format HARNESS" in done.err
    assert "HARNESS is one of claude, codex, copilot, gemini, opencode, qwen, vibe." in done.err


def test_the_gate_knows_the_harnesses_that_the_room_answers() -> None:
    assert set(FORMATS) == set(HARNESSES)


def test_the_gate_loads_neither_the_shell_nor_a_library(served: RoomOfProcesses) -> None:
    """Every module costs each tool of each agent its time."""
    code = (
        "import sys; from teamroom.clients.gate.gate import main; "
        f"main(['--format', 'claude', '--as', 'builder', '--data', {str(served.data)!r}]); "
        "print(sorted(name for name in sys.modules if name.startswith('teamroom')), 'json' in sys.modules)"
    )
    done = Shell(served.data.parent, teamroom=sys.executable).run("-I", "-c", code, stdin=ASKS)
    own = ["teamroom", "teamroom.clients", "teamroom.clients.gate", "teamroom.clients.gate.gate"]
    loaded = [*own, "teamroom.clients.session", "teamroom.clients.session.here"]
    assert done.out.strip().endswith(f"{loaded} False"), done.out + done.err
