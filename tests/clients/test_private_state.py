"""Each command refuses state files of other users and symbolic links, and tightens loose modes.

Where the tests do not run as root, no file can be given to another user: then `user_id` says that all are another's.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teamroom.clients.session.failure import NOT_AUTHORISED
from teamroom.clients.session.place import MEMBERS, OWNER_TOKEN
from teamroom.server import own_socket, private
from teamroom.server.announcement import SERVER
from teamroom.server.private import NotPrivateError, make_private_folder, open_private, write_private
from teamroom.server.record import keys
from teamroom.server.record.backups import BACKUPS
from teamroom.server.record.journal import JOURNAL
from teamroom.server.record.seal import HISTORY
from teamroom.server.store.folder import DATABASE, KEY, LOCK, SEAL, FolderError, locked, make_private
from teamroom.server.store.sqlite.reserve import RESERVE
from tests.support.promises import promise
from tests.support.rooms import running_room
from tests.support.shells import Done, Shell, up

pytestmark = promise("SAF1")

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
AS_ROOT = pytest.mark.skipif(not IS_ROOT, reason="only root can give a file to another user")

TOKEN_OF_BUILDER, A_BACKUP = f"{MEMBERS}/builder.token", f"{BACKUPS}/*.db"
DESCRIPTION = f"{BACKUPS}/*.json"

COMMANDS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "verify": (["verify"], (DATABASE, KEY, SEAL, HISTORY)),
    "verify --key": (["verify", "--key"], (KEY,)),
    "backup": (["backup"], (DATABASE, KEY, SEAL, HISTORY, "room.toml", BACKUPS)),
    "backup --list": (["backup", "--list"], (BACKUPS,)),
    "restore": (
        ["restore", A_BACKUP],
        (DATABASE, KEY, SEAL, JOURNAL, LOCK, OWNER_TOKEN, "room.toml", A_BACKUP, DESCRIPTION),
    ),
    "seal": (["seal"], (DATABASE, KEY, SEAL, HISTORY, JOURNAL, "room.toml")),
    "seal --accept": (["seal", "--accept"], (LOCK,)),
    "board": (["board"], (OWNER_TOKEN, SERVER)),
    "enroll": (["enroll", "scribe", "--save"], (MEMBERS,)),
    "listen": (["listen", "--as", "builder", "--", "true"], (TOKEN_OF_BUILDER, MEMBERS)),
    "doctor": (["doctor"], (DATABASE, KEY, SEAL, HISTORY, JOURNAL, OWNER_TOKEN, LOCK, RESERVE, TOKEN_OF_BUILDER)),
}
"""Commands that open state without a server, and what each opens."""

OPENS = [(command, file) for command, (_, files) in COMMANDS.items() for file in files]
SERVES = (DATABASE, f"{DATABASE}-wal", KEY, SEAL, HISTORY, JOURNAL, LOCK, RESERVE)
"""What the server opens at its start."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stopped room that has a file of every kind."""
    folder = tmp_path_factory.mktemp("template") / "room"

    async def make() -> None:
        async with running_room(folder, reserve_bytes=65536) as room:
            await room.enroll("builder")
            token = room.tokens["builder"]
            (folder / MEMBERS).mkdir(mode=0o700)
            write_private(folder / TOKEN_OF_BUILDER, f"{token}\n")
            await (await room.owner())("pause", target="builder", reason="lunch")

    asyncio.run(make())
    write_private(folder / "room.toml", "reserve_bytes = 65536\n")
    write_private(folder / SERVER, json.dumps({"url": "http://127.0.0.1:9", "pid": os.getpid()}))
    assert run(folder, ["backup"]).code == 0
    write_private(folder / f"{DATABASE}-wal", "")
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    copy = tmp_path / "room"
    shutil.copytree(template, copy)
    return copy


def run(folder: Path, words: list[str]) -> Done:
    """A command with the folder, in this process."""
    found = [str(next(folder.glob(word))) if word == A_BACKUP else word for word in words]
    return Shell(folder.parent, {"TEAMROOM_DATA": str(folder)}).now(*found)


def in_folder(folder: Path, file: str) -> Path:
    return next(folder.glob(file))


def as_link(path: Path) -> None:
    """Put a link in place of a file or folder, to the same content elsewhere."""
    elsewhere = path.with_name(f"{path.name}.elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def as_nobodys(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


SPOILS: dict[str, tuple[Callable[[Path], None], str]] = {
    "link": (as_link, "is a symbolic link"),
    "nobody": (as_nobodys, "belongs to user"),
}
WAYS = [pytest.param("link"), pytest.param("nobody", marks=AS_ROOT)]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("command", "file"), OPENS)
def test_every_command_refuses_a_link_and_another_users_file(folder: Path, command: str, file: str, way: str) -> None:
    path, (spoil, why) = in_folder(folder, file), SPOILS[way]
    spoil(path)
    before = content(path)
    done = run(folder, COMMANDS[command][0])
    assert done.code != 0
    said = done.out + done.err
    assert f"{path} {why}" in " ".join(said.split())
    assert "Fix: " in said
    assert content(path) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_folder_that_is_a_link_or_another_users(folder: Path, command: str, way: str) -> None:
    spoil, why = SPOILS[way]
    spoil(folder)
    done = run(folder, COMMANDS[command][0])
    assert done.code != 0
    assert f"{folder} {why}" in " ".join((done.out + done.err).split())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("file", SERVES)
async def test_the_server_refuses_to_open_a_room_with_such_a_file(folder: Path, file: str, way: str) -> None:
    path, (spoil, why) = in_folder(folder, file), SPOILS[way]
    spoil(path)
    with pytest.raises((NotPrivateError, FolderError), match=f"{path} {why}"):
        async with running_room(folder, reserve_bytes=65536):
            pass


def test_up_says_what_it_refuses_and_the_fix(folder: Path, tmp_path: Path) -> None:
    as_link(folder / KEY)
    shell = Shell(tmp_path, {"TEAMROOM_DATA": str(folder)})
    done = shell.run("up", "--port", "0")
    assert done.code != 0
    assert f"teamroom: {folder / KEY} is a symbolic link." in done.err
    assert f"Fix: Name the real path: {folder / f'{KEY}.elsewhere'}" in done.err


def test_the_twin_that_opens_its_key_as_any_file_follows_the_link(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_link(folder / KEY)
    monkeypatch.setattr(keys, "read_private", lambda path: path.read_bytes())
    assert run(folder, ["verify", "--key"]).code == 0


def test_without_root_a_folder_of_another_user_is_refused_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "user_id", lambda: NOBODY)
    for words, _ in COMMANDS.values():
        done = run(folder, words)
        assert done.code != 0
        assert "belongs to user" in done.out + done.err


@pytest.mark.parametrize("way", WAYS)
def test_a_token_file_a_config_and_a_watchdogs_state_are_refused(folder: Path, tmp_path: Path, way: str) -> None:
    spoil, why = SPOILS[way]
    token, config, state = tmp_path / "mine.token", tmp_path / "runtimes.toml", tmp_path / "runtimes.state"
    write_private(token, "tr_" + "0" * 64)
    write_private(config, '[runtime.builder]\nstart = ["true"]\n')
    make_private_folder(state)
    shell = Shell(tmp_path, {"TEAMROOM_URL": "http://127.0.0.1:9", "TEAMROOM_TOKEN": "tr_" + "0" * 64})
    watch = ["watch", "--once", "--config", str(config)]
    for path, words in ((state, watch), (config, watch), (token, ["board", "--token-file", str(token)])):
        spoil(path)
        done = shell.now(*words)
        assert done.code != 0
        assert f"{path} {why}" in done.err


# ------------------------------------------------------------------ what is tightened


def test_every_loose_mode_is_tightened_and_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    done = run(folder, ["doctor", "--json"])
    found = [check["found"] for check in done.json["checks"] if check["level"] == "mended"]
    for path in (folder, folder / MEMBERS, folder / BACKUPS):
        assert mode(path) == 0o700
        assert any(f"{path} was open to other users (mode 755)" in line for line in found)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "room.toml":
            assert mode(path) == 0o600, path
            assert any(str(path) in line for line in found), path
    assert len([record for record in caplog.records if record.name == "teamroom.private"]) == len(found)


@pytest.mark.parametrize(
    ("command", "file"),
    [(command, file) for command, file in OPENS if command != "listen" and file not in ("room.toml", MEMBERS, BACKUPS)],
)
def test_every_command_tightens_the_files_that_it_opens(
    folder: Path, command: str, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = in_folder(folder, file)
    path.chmod(0o666)
    folder.chmod(0o755)
    run(folder, COMMANDS[command][0])
    assert not path.exists() or mode(path) == 0o600
    assert mode(folder) == 0o700
    words = "could be used by other users of this machine (mode {}). It is private now."
    assert f"{path} {words.format('666')}" in caplog.text
    assert f"{folder} {words.format('755')}" in caplog.text


async def test_the_server_tightens_its_files(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in [folder, *(folder / name for name in SERVES)]:
        path.chmod(0o755 if path == folder else 0o664)
    async with running_room(folder, reserve_bytes=65536) as room:
        assert (await (await room.owner())("check_in"))["standing"] == "active"
        for path in (folder / name for name in SERVES):
            assert mode(path) == 0o600, path
            assert f"{path} could be used by other users" in caplog.text
        assert mode(folder) == 0o700


def test_the_servers_log_and_the_shells_standard_error_say_what_was_tightened(folder: Path, tmp_path: Path) -> None:
    (folder / KEY).chmod(0o644)
    with up(folder) as running:
        assert any(f" warning {folder / KEY} could be used by other users" in line for line in running.said)
        (folder / OWNER_TOKEN).chmod(0o640)
        done = Shell(tmp_path, {"TEAMROOM_DATA": str(folder)}).run("board")
        assert done.code == 0
        assert f"{folder / OWNER_TOKEN} could be used by other users of this machine (mode 640)." in done.err


def test_a_folder_that_holds_other_things_is_refused_and_not_tightened(tmp_path: Path) -> None:
    """The twin of those above: `up --data ~` must not close a home, nor `backup /srv` close that."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "letter.txt").write_text("hello")
    shared.chmod(0o755)
    with pytest.raises(FolderError, match=f"run: chmod 700 {shared}"):
        make_private(shared)
    assert run(shared, ["board"]).code == NOT_AUTHORISED
    assert mode(shared) == 0o755
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o755)
    make_private(empty)
    assert mode(empty) == 0o700
    empty.chmod(0o1777)
    with pytest.raises(FolderError, match="can be used by other users"):
        make_private(empty)


def test_a_mode_that_the_disk_does_not_keep_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "room.key"
    path.write_text("00")
    path.chmod(0o666)
    monkeypatch.setattr(os, "fchmod", lambda descriptor, mode: None)
    with pytest.raises(NotPrivateError, match="its disk keeps no other mode"):
        os.close(open_private(path))


def test_a_config_may_be_readable_and_roots_and_is_only_closed_to_writers(tmp_path: Path) -> None:
    path = tmp_path / "runtimes.toml"
    path.write_text("")
    path.chmod(0o644)
    os.close(open_private(path, folders=0, is_config=True))
    assert mode(path) == 0o644
    path.chmod(0o666)
    os.close(open_private(path, folders=0, is_config=True))
    assert mode(path) == 0o644


@pytest.mark.skipif(not IS_ROOT, reason="the file must be root's")
def test_a_config_of_root_is_accepted_from_another_user_and_state_of_root_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runtimes.toml"
    path.write_text("")
    monkeypatch.setattr(private, "user_id", lambda: NOBODY)
    os.close(open_private(path, folders=0, is_config=True))
    with pytest.raises(NotPrivateError, match="belongs to user root"):
        open_private(path, folders=0)
    path.chmod(0o666)
    with pytest.raises(NotPrivateError, match="belongs to user root"):
        open_private(path, folders=0, is_config=True)


# ------------------------------------------------------------------ races and kinds


def test_a_link_that_takes_the_place_of_a_folder_between_two_files_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    write_private(tmp_path / "other" / "builder.token", "tr_" + "6" * 64)
    (folder / MEMBERS).rename(folder / "before")
    (folder / MEMBERS).symlink_to(tmp_path / "other")
    with pytest.raises(NotPrivateError, match="members is a symbolic link"):
        open_private(folder / TOKEN_OF_BUILDER, folders=2)


def test_a_write_replaces_neither_a_link_nor_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    as_link(folder / SEAL)
    before = content(folder / SEAL)
    with pytest.raises(NotPrivateError):
        write_private(folder / SEAL, "other")
    assert content(folder / SEAL) == before
    draft = folder / f".{HISTORY}.{os.getpid()}"
    draft.symlink_to(tmp_path / "victim")
    write_private(folder / HISTORY, "text")
    assert not (tmp_path / "victim").exists(), "a link in the draft's place is removed, not followed"


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
def test_what_is_no_file_is_refused_at_once(folder: Path, kind: str) -> None:
    path = folder / SEAL
    path.unlink()
    with contextlib.ExitStack() as stack:
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            stack.enter_context(own_server(path))
        done = run(folder, ["verify"])
    assert done.code != 0


def test_the_lock_of_a_room_is_refused_too(folder: Path) -> None:
    as_link(folder / LOCK)
    with pytest.raises(NotPrivateError), locked(folder, "here"):
        pass


@contextlib.contextmanager
def own_server(path: Path) -> Iterator[None]:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener, own_socket.reachable(path) as address:
        listener.bind(address)
        listener.listen()
        yield


def test_a_socket_that_is_a_link_or_a_file_gets_no_token(folder: Path, tmp_path: Path) -> None:
    with own_server(tmp_path / "other"):
        (folder / own_socket.SOCKET).symlink_to(tmp_path / "other")
        done = run(folder, ["board"])
    assert done.code == NOT_AUTHORISED
    assert f"{folder / own_socket.SOCKET} is a symbolic link" in done.err
    (folder / own_socket.SOCKET).unlink()
    write_private(folder / own_socket.SOCKET, "")
    assert "No room answers" in run(folder, ["board"]).err


SERVES_AS_NOBODY = """\
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o600)
os.setuid(int(sys.argv[2]))
listener.listen()
print("listens", flush=True)
sys.stdin.read()
"""


@AS_ROOT
@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="only Linux says who serves a socket")
def test_a_socket_that_another_user_serves_gets_no_token(tmp_path: Path) -> None:
    folder = tmp_path / "room"
    make_private(folder)
    with own_socket.reachable(folder / own_socket.SOCKET) as address:
        command = [sys.executable, "-c", SERVES_AS_NOBODY, address, str(NOBODY)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            assert server.stdin is not None
            assert server.stdout.readline() == "listens\n"
            with pytest.raises(NotPrivateError, match=f"is served by user {NOBODY}"):
                own_socket.connect(folder, 5.0)
            server.stdin.close()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def content(path: Path) -> Any:
    """What is at a path and where it leads, unchanged by a refusal."""
    found = os.lstat(path)
    inside = sorted(os.listdir(path)) if path.is_dir() else path.read_bytes()
    return found.st_ino, found.st_uid, found.st_mode, inside
