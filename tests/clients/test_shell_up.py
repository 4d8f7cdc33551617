"""`teamroom up`: the first run, what keeps it from opening, and how it stops."""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from teamroom.clients.local.up import NAMELESS_OWNER, owner_name
from teamroom.server.announcement import announced
from teamroom.server.settings import load, load_with_origins
from teamroom.server.store.folder import locked, make_private
from tests.support.plain_http import WITHOUT_TLS
from tests.support.promises import house
from tests.support.rooms import BOUND_SECONDS, running_room
from tests.support.shells import TOKEN, Shell, answers, free_port, up

pytestmark = house


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, {"TEAMROOM_DATA": str(tmp_path / "room")})


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which something listens that is no room."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_the_first_run_makes_a_private_room_and_says_how_to_join_without_the_token(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "room"
    with up(folder, "--owner", "olga") as room:
        assert answers(room.url), "it said that it was open before it answered"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        token = (folder / "owner.token").read_text().strip()
        assert stat.S_IMODE((folder / "owner.token").stat().st_mode) == 0o600
        assert announced(folder) == room.url
        found = room.shell.run("roster", "--json").json
        assert [(m["name"], m["kind"], m["role"]) for m in found["members"]] == [("olga", "human", "owner")]
        assert room.stop()[0] == 0
        assert room.process.stdout is not None
        said = room.said[0] + room.process.stdout.read()
    for words in (
        "Its owner is @olga",
        f"The owner's token is in {folder}/owner.token",
        f"teamroom enroll builder --data {folder}",
        f"claude mcp add -s user -t http teamroom {room.url}/mcp",
        f"codex mcp add teamroom --url {room.url}/mcp --bearer-token-env-var TEAMROOM_TOKEN",
        f"teamroom connect --as builder --data {folder}",
        f"teamroom board --data {folder}",
    ):
        assert words in said
    assert token not in said
    assert TOKEN.search(said) is None
    assert announced(folder) is None, "a room that closed still announces itself"


def test_a_second_run_opens_the_same_room_and_names_no_owner(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    with up(folder, "--json") as room:
        first = json.loads(room.said[0])
    assert first["new_owner"]
    assert first["mcp"] == f"{first['url']}/mcp"
    with up(folder, "--json", "--owner", "somebody") as room:
        again = json.loads(room.said[0])
        assert again["new_owner"] is None
        assert again["owner_token_file"] == first["owner_token_file"]


SIGNALLED = """
import importlib, os, signal, sys
from teamroom.clients.shell.main import main
module = importlib.import_module(sys.argv[1])
function = getattr(module, sys.argv[2])
def signalled(*arguments, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    return function(*arguments, **options)
setattr(module, sys.argv[2], signalled)
sys.argv[1:] = ["up", "--port", "0", "--data", sys.argv[3]]
main()
"""


@pytest.mark.parametrize(
    "step",
    [
        ("teamroom.server.store.sqlite.store", "migrate"),
        ("teamroom.server.store.sqlite.store", "connect_reader"),
        ("teamroom.server.web", "WebRoom"),
        ("teamroom.server.http.serving", "WebServer"),
    ],
    ids=lambda step: step[1],
)
def test_a_signal_ends_it_at_each_step_of_opening(tmp_path: Path, step: tuple[str, str]) -> None:
    command = [sys.executable, "-c", SIGNALLED, *step, str(tmp_path / "room")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with up(tmp_path / "room") as room:
        assert answers(room.url)


CALLED = """
import os, signal, socket, sys, threading
from teamroom.clients.shell.main import main
from teamroom.server.store.sqlite import store
migrate, port = store.migrate, int(sys.argv[1])
def called(*arguments, **options):
    wire = socket.create_connection(("127.0.0.1", port))
    wire.sendall(b"GET /livez HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n" % port)
    threading.Thread(target=read, args=[wire]).start()
    return migrate(*arguments, **options)
def read(wire):
    print("answered", wire.recv(1000).partition(b"\\r")[0].decode(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
store.migrate = called
sys.argv[1:] = ["up", "--port", str(port), "--data", sys.argv[2]]
main()
"""


def test_a_client_that_calls_while_the_room_still_opens_waits_and_is_answered(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CALLED, str(free_port()), str(tmp_path / "room")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "answered HTTP/1.1 200" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_two_seconds_with_streams_and_calls_open(tmp_path: Path, number: int) -> None:
    with up(tmp_path / "room") as room:
        token = (room.folder / "owner.token").read_text().strip()
        opened, ended = threading.Event(), threading.Event()
        with httpx2.Client(
            verify=WITHOUT_TLS,
            base_url=room.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
            trust_env=False,
        ) as http:
            session = open_session(http)

            def listen() -> None:
                accept = {"Accept": "text/event-stream", **session}
                with http.stream("GET", "/mcp", headers=accept) as response:
                    assert response.status_code == 200
                    opened.set()
                    try:
                        for _ in response.iter_raw():
                            pass
                    except httpx2.TransportError:
                        pass
                ended.set()

            thread = threading.Thread(target=listen)
            thread.start()
            assert opened.wait(BOUND_SECONDS)
            code, took = room.stop(number)
            thread.join(BOUND_SECONDS)
        assert code == 0
        assert took < 2
        assert ended.is_set()
        assert room.process.stdout is not None
        assert "Traceback" not in room.process.stdout.read()


def open_session(http: httpx2.Client) -> dict[str, str]:
    """A session as older clients open it; returns its headers."""
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
    answer = http.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params},
        headers={"Accept": "application/json, text/event-stream"},
    )
    assert answer.status_code == 200
    return {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}


def test_a_second_server_on_the_folder_is_refused_with_the_address_of_the_first(shell: Shell, tmp_path: Path) -> None:
    make_private(tmp_path / "room")
    with locked(tmp_path / "room", "http://127.0.0.1:8765"):
        for port in ("0", str(free_port())):
            done = shell.now("up", "--port", port)
            assert done.code == 1
            assert f"process {os.getpid()}, http://127.0.0.1:8765" in done.err
            assert "Fix: " in done.err


async def test_a_port_taken_by_the_folders_own_server_names_that_server(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder)})
        done = await shell.process("up", "--port", str(room.room.settings.port))
        assert done.code == 1
        assert f"Another server has the room in {room.folder}: process {os.getpid()}, {room.url}" in done.err

        other = await shell.process("up", "--data", str(tmp_path / "other"), "--port", str(room.room.settings.port))
        assert other.code == 1
        assert "is in use by a room with another data folder" in other.err


def test_a_taken_port_is_named_with_the_way_to_choose_another(shell: Shell, taken_port: int) -> None:
    done = shell.now("up", "--port", str(taken_port))
    assert done.code == 1
    assert f"Port {taken_port} is in use by another program." in done.err
    assert "teamroom up --port N" in done.err


# ------------------------------------------------------------------ its port


def test_a_port_that_was_found_once_is_kept_until_another_is_asked_for(tmp_path: Path) -> None:
    folder, other = tmp_path / "room", free_port()
    with up(folder, "--json") as room:
        first = json.loads(room.said[0])
        assert first["former_url"] is None
    stopped = Shell(tmp_path, {"TEAMROOM_DATA": str(folder)}).now("board")
    assert stopped.err.startswith(f"teamroom: No room answers at {first['mcp']}.")
    with up(folder, "--json", port=None) as room:
        assert json.loads(room.said[0]) == {**first, "new_owner": None}
    with up(folder, port=other) as room:
        room.stop()
        assert room.process.stdout is not None
        moved = room.process.stdout.read()
    assert f"It was at {first['url']} before. Change the address in the config of every harness" in moved
    assert load(folder, {}).port == other


def test_what_a_person_set_wins_over_the_port_of_the_last_start(tmp_path: Path) -> None:
    assert load(tmp_path, {}).port == 8765
    (tmp_path / "room.port").write_text("9000\n")
    assert load_with_origins(tmp_path, {})[1]["port"] == "last start"
    assert load(tmp_path, {"TEAMROOM_PORT": "0"}).port == 9000, "0 finds a free one only once"
    assert load(tmp_path, {"TEAMROOM_PORT": "9001"}).port == 9001
    (tmp_path / "room.toml").write_text("port = 8765\n")
    assert load(tmp_path, {}).port == 8765


def test_a_room_does_not_leave_its_port_to_another_program_without_a_word(
    shell: Shell, tmp_path: Path, taken_port: int
) -> None:
    make_private(tmp_path / "room")
    (tmp_path / "room" / "room.port").write_text(f"{taken_port}\n")
    done = shell.now("up")
    assert done.code == 1
    assert f"Port {taken_port} is in use by another program." in done.err
    assert "end that program, then start again" in done.err
    assert "teamroom enroll NAME --rotate" in done.err
    assert "teamroom up --port N" in done.err


@pytest.mark.parametrize("text", ["", "0", "65536", "many", "\xff"])
def test_a_kept_port_that_is_none_is_refused_with_the_file(shell: Shell, tmp_path: Path, text: str) -> None:
    make_private(tmp_path / "room")
    (tmp_path / "room" / "room.port").write_text(text, encoding="latin-1")
    done = shell.now("up")
    assert done.code == 1
    assert "room.port contains no port" in done.err


def test_a_folder_that_others_can_use_and_that_holds_other_things_is_refused_with_the_fix(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "room").mkdir(mode=0o755)
    (tmp_path / "room" / "letter.txt").touch()
    (tmp_path / "room").chmod(0o755)
    done = shell.now("up", "--port", "0")
    assert done.code == 1
    assert f"chmod 700 {tmp_path / 'room'}" in done.err


@pytest.mark.parametrize(
    ("toml", "variables", "words"),
    [
        ("wip_cap = 0", {}, "room.toml: wip_cap"),
        ("= what", {}, "cannot be read"),
        ("", {"TEAMROOM_LEASE_SECONDS": "soon"}, "TEAMROOM_LEASE_SECONDS: lease_seconds"),
        ("no_such_setting = 1", {}, "no_such_setting"),
    ],
)
def test_an_impossible_setting_is_named_with_its_source(
    shell: Shell, tmp_path: Path, toml: str, variables: dict[str, str], words: str
) -> None:
    make_private(tmp_path / "room")
    (tmp_path / "room" / "room.toml").write_text(toml)
    done = shell.with_(**variables).now("up", "--port", "0")
    assert done.code == 1
    assert words in done.err
    assert "Traceback" not in done.err


async def test_a_database_from_a_newer_release_is_refused(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room") as room:
        path = room.room.store.path
    with sqlite3.connect(path) as outside:
        outside.execute("insert into migration (number, name, applied_at) values (999, 'from_the_future', 0)")
    outside.close()
    done = await Shell(tmp_path).process("up", "--data", str(tmp_path / "room"), "--port", "0")
    assert done.code == 1
    assert "written by a newer Teamroom" in done.err
    assert "Traceback" not in done.err


async def test_a_damaged_file_is_named_without_a_traceback(tmp_path: Path) -> None:
    damaged = "room.db"
    async with running_room(tmp_path / "room") as room:
        path = room.folder / damaged
    path.write_bytes(b"this was a database once" * 100)
    done = await Shell(tmp_path).process("up", "--data", str(tmp_path / "room"), "--port", "0")
    assert done.code == 1
    assert damaged in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("owner", ["", "two words", "-x", "room", "OWNER", "x" * 33, "ol\x1bga", "olga-"])
def test_an_invalid_name_of_the_owner_is_refused_as_a_usage_error(shell: Shell, owner: str) -> None:
    done = shell.now("up", "--port", "0", "--owner", owner)
    assert done.code == 2
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    ("user", "name"),
    [("olga", "olga"), ("Olga Maier", "Olga-Maier"), ("DOMAIN\\olga", "DOMAIN-olga"), ("Ольга", NAMELESS_OWNER),
     ("room", NAMELESS_OWNER), ("", NAMELESS_OWNER), ("_x_", "x"), ("o" * 40, "o" * 32),
     ("olga..m", "olga.m"), ("o" * 31 + "-m", "o" * 31)],
)  # fmt: skip
def test_the_first_owner_has_the_users_name_made_valid(user: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: user)
    assert owner_name(None) == name


def test_the_owner_of_an_older_room_may_have_a_name_that_ends_in_a_separator() -> None:
    assert owner_name("olga-", is_new=False) == "olga-"


@pytest.mark.parametrize("port", ["65536", "-1", "many"])
def test_an_impossible_port_is_refused_as_a_usage_error(shell: Shell, port: str) -> None:
    assert shell.now("up", f"--port={port}").code == 2
