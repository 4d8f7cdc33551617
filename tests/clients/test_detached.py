"""A room that outlives its terminal: `up --detach`, `status` and `down`, and what they never do."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from teamroom.clients.local.running import end_server, find_server
from teamroom.clients.session.failure import Failure
from teamroom.clients.shell.opening import NOT_RUNNING
from teamroom.server.announcement import SERVER, announce
from teamroom.server.health import DISK
from teamroom.server.logs import FORMER_LOG, LOG
from teamroom.server.own_socket import SOCKET
from teamroom.server.store.folder import LOCK, find_holder, locked, make_private
from tests.support.promises import house
from tests.support.rooms import running_room
from tests.support.shells import STEP_SECONDS, TOKEN, Shell, answers, free_port, up

pytestmark = house

LONGER_BYTES = 4096


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell whose folder's room is ended after the test."""
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(tmp_path / "new" / "room")})
    yield shell
    shell.now("down", "--force")


def folder_of(shell: Shell) -> Path:
    return Path(shell.variables["TEAMROOM_DATA"])


def running_in(folder: Path) -> list[psutil.Process]:
    """The processes that serve a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "up" in process.cmdline() and str(folder) in process.cmdline():
                found.append(process)
    return found


def test_a_detached_room_outlives_its_terminal_until_it_is_stopped(shell: Shell) -> None:
    folder = folder_of(shell)
    started = shell.on_terminal("up", "--detach", "--port", "0", "--owner", "olga")
    assert started.code == 0, started.out
    assert TOKEN.search(started.out) is None
    status = shell.now("status", "--json")
    found = status.json
    assert (status.code, found["state"]) == (0, "ready")
    assert set(found["parts"].values()) <= {"ok", "not running"}, "some parts give their first sign of life later"
    for words in (
        "Its owner is @olga",
        found["url"],
        str(folder / LOG),
        "teamroom down",
        f"process {found['process']}",
    ):
        assert words in started.out
    assert "Press Ctrl-C" not in started.out
    [process] = running_in(folder)
    assert process.pid == found["process"]
    assert os.getsid(process.pid) == process.pid, "its terminal is not its own"
    files = {number: os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)}
    assert files == {0: os.devnull, 1: str(folder / LOG), 2: str(folder / LOG)}
    process.send_signal(signal.SIGHUP)
    assert answers(found["url"]), "a terminal that closes ends it"
    assert (folder / LOG).stat().st_mode & 0o777 == 0o600

    again = shell.now("up", "--detach")
    assert (again.code, f"runs already, at {found['url']}" in again.out) == (0, True)
    assert shell.now("up", "--detach", "--json").json["already_running"] is True
    moved = shell.now("up", "--detach", "--port", str(free_port()))
    assert (moved.code, "teamroom down" in moved.err) == (1, True)

    stopped = shell.now("down")
    assert (stopped.code, f"{found['url']} has stopped" in stopped.out) == (0, True)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert not [name for name in (SERVER, SOCKET) if (folder / name).exists()]
    nothing = shell.now("down")
    assert (nothing.code, "No room runs" in nothing.out) == (0, True)
    assert (shell.now("status").code, shell.now("status", "--json").json["state"]) == (NOT_RUNNING, "stopped")


def test_a_detached_room_has_nothing_else_open_of_who_started_it(shell: Shell) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    words = [shell.teamroom, "up", "--detach", "--port", "0"]
    done = subprocess.run(words, env=shell.environment, pass_fds=(write,), capture_output=True, timeout=STEP_SECONDS)
    os.close(write)
    assert done.returncode == 0, done.stderr
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"", "the room does not keep the pipe open"
    assert find_server(folder_of(shell)) is not None


@contextlib.contextmanager
def taken(folder: Path, port: int) -> Iterator[tuple[str, str]]:
    import socket

    with socket.create_server(("127.0.0.1", port)):
        yield f"Port {port} is in use by another program.", str(port)


@contextlib.contextmanager
def held(folder: Path, port: int) -> Iterator[tuple[str, str]]:
    make_private(folder)
    with locked(folder, "restoring a backup"):
        yield "restoring a backup", "0"


@contextlib.contextmanager
def wrong_settings(folder: Path, port: int) -> Iterator[tuple[str, str]]:
    make_private(folder)
    (folder / "room.toml").write_text("wip_cap = 0\n")
    yield "room.toml: wip_cap", "0"


@contextlib.contextmanager
def no_database(folder: Path, port: int) -> Iterator[tuple[str, str]]:
    make_private(folder)
    (folder / "room.db").write_bytes(b"this was a database once" * 100)
    (folder / "room.db").chmod(0o600)
    yield "is damaged", "0"


@contextlib.contextmanager
def read_only(folder: Path, port: int) -> Iterator[tuple[str, str]]:
    """A room whose seal is gone opens, but is not ready."""
    with up(folder):
        pass
    for seal in folder.glob("seal.*"):
        seal.unlink()
    yield "the room is read-only", "0"


@pytest.mark.parametrize(
    "fault", [taken, held, wrong_settings, no_database, read_only], ids=lambda fault: fault.__name__
)
def test_a_room_that_does_not_start_says_why_and_leaves_nothing_behind(fault: object, tmp_path: Path) -> None:
    folder, port = tmp_path / "new" / "room", free_port()
    with fault(folder, port) as (why, given):  # type: ignore[operator]
        was_there = folder.exists()
        done = Shell(tmp_path, {"TEAMROOM_DATA": str(folder)}).now("up", "--detach", "--port", given)
        assert done.code == 1
        assert why in done.err
        assert "Fix: " in done.err
        assert "Traceback" not in done.err
        assert done.out == ""
    assert running_in(folder) == []
    assert not (folder / SERVER).exists()
    if not was_there:
        assert not folder.parent.exists(), "the folders that it made are gone too"
    else:
        assert find_holder(folder) is None


# ------------------------------------------------------------------ down ends what holds the lock, and nothing else


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    """A program that has the process id of an earlier server."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_down_ends_no_program_that_got_the_process_id_of_a_server(
    tmp_path: Path, innocent: subprocess.Popen[bytes]
) -> None:
    folder, record = tmp_path / "room", f"process {innocent.pid}, http://127.0.0.1:9\n"
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(folder)})
    make_private(folder)
    (folder / LOCK).write_text(record)
    with announce(folder, "http://127.0.0.1:9"):
        (folder / SERVER).write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": innocent.pid, "since": "x"}))
        assert "No room runs" in shell.now("down", "--force").out, "a server that crashed holds no lock"
        assert shell.now("status").code == NOT_RUNNING
    with locked(folder, "http://127.0.0.1:9"):
        (folder / LOCK).write_text(record)
        refused = shell.now("down", "--force")
        assert (refused.code, "does not hold it" in refused.err) == (1, True)
    with locked(folder, "teamroom doctor"):
        assert "No room runs" in shell.now("down", "--force").out, "what locks the folder is no server"
    assert innocent.poll() is None


DEAF = """
import signal, sys
from pathlib import Path
from teamroom.server.store.folder import locked
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with locked(Path(sys.argv[1]), "http://127.0.0.1:9"):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_server_that_does_not_end_is_reported_after_a_while_and_killed_only_if_asked(tmp_path: Path) -> None:
    make_private(tmp_path)
    command = [sys.executable, "-c", DEAF, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        server = find_server(tmp_path)
        assert server is not None
        with pytest.raises(Failure, match="has not ended") as late:
            end_server(server, seconds=0.3)
        assert "teamroom down --force" in late.value.fix
        assert deaf.poll() is None
        assert end_server(server, is_forced=True, seconds=0.3) is True
        assert deaf.wait(STEP_SECONDS) == -signal.SIGKILL
    assert find_server(tmp_path) is None


def test_an_agents_session_does_not_stop_the_room(tmp_path: Path) -> None:
    done = Shell(tmp_path, {"TEAMROOM_DATA": str(tmp_path / "room"), "TEAMROOM_AGENT": "builder"}).now("down")
    assert (done.code, "only a person may stop the room" in done.err) == (3, True)


# ------------------------------------------------------------------ status


async def test_status_needs_no_token_and_its_exit_code_says_how_the_room_is(tmp_path: Path) -> None:
    async with running_room(tmp_path / "room", on_own_socket=True) as room:
        (room.folder / "owner.token").unlink()
        shell = Shell(tmp_path, {"TEAMROOM_DATA": str(room.folder)})
        with announce(room.folder, room.url, "2026-11-23T11:24:13Z", None):
            ready = await shell.here("status")
            assert (ready.code, "2026-11-23T11:24:13Z (" in ready.out, "store ok" in ready.out) == (0, True, True)
            far = await shell.here("status", "--url", room.url)
            assert (far.code, far.out.splitlines()[0]) == (0, "The room runs and is ready.")
            room.room.health.alive(DISK, fault="it is full")
            for words in ((), ("--url", room.url)):
                bad = await shell.here("status", *words, "--json")
                assert (bad.code, bad.json["state"], bad.json["parts"][DISK]) == (1, "not ready", "failed")
        away = f"http://127.0.0.1:{free_port()}"
        with announce(room.folder, away, "2026-11-23T11:24:13Z", None):
            assert (await shell.here("status", "--json")).json["state"] == "silent"
        gone = await shell.here("status", "--url", away)
        assert (gone.code, "No room answers" in gone.out) == (NOT_RUNNING, True)
    with locked(tmp_path / "room", away):
        starting = Shell(tmp_path).now("status", "--data", str(tmp_path / "room"))
        assert (starting.code, "is starting" in starting.out) == (1, True)
    assert Shell(tmp_path).now("status", "--data", str(tmp_path / "none")).code == NOT_RUNNING


# ------------------------------------------------------------------ its log


LOGS = """
import logging, sys
from pathlib import Path
from teamroom.server import logs
folder = Path(sys.argv[1])
logs.LOG_BYTES, logs.LINES, logs.LINES_OF_KIND = int(sys.argv[2]), 10**6, 10**6
assert logs.own_file(folder) == folder / logs.LOG
logs.configure("plain", "info", logs.own_file(folder))
for number in range(500):
    logging.getLogger("teamroom").info("line %d", number)
print("printed at the end", flush=True)
"""


def test_its_log_has_a_largest_size_and_what_is_printed_follows_it(tmp_path: Path) -> None:
    make_private(tmp_path)
    with open(tmp_path / LOG, "ab") as log:
        os.chmod(tmp_path / LOG, 0o600)
        words = [sys.executable, "-c", LOGS, str(tmp_path), str(LONGER_BYTES)]
        subprocess.run(words, stdout=log, stderr=log, check=True, timeout=STEP_SECONDS)
    now, former = (tmp_path / LOG).read_text(), (tmp_path / FORMER_LOG).read_text()
    assert len(now) < len(former) < LONGER_BYTES + 200
    assert now.endswith("printed at the end\n")
    numbers = list(map(int, re.findall(r"line (\d+)", former + now)))
    assert numbers == list(range(numbers[0], 500)), "no line is lost on the way from one file to the next"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{LOG}*")} == {0o600}
