"""The driver that wakes an open session of Qwen Code, against an inbox that keeps Qwen Code's documented protocol."""

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from teamroom.clients.listener import qwen
from teamroom.clients.listener.batch import Batch
from teamroom.clients.listener.driver import TurnEnd
from teamroom.clients.listener.movement import list_proc
from teamroom.clients.listener.qwen import QwenSession, find_session, read_controller
from teamroom.clients.session.failure import USAGE, Failure
from tests.support.promises import promise

pytestmark = promise("PRS5")

TOKEN = f"qpc_{'a1' * 32}"
WAKE = {"seq": 7, "reason": "mention", "subject": "M-1", "from": "olga", "line": "@builder how far?", "count": 1}
BATCH = Batch("builder", 7, [WAKE], {})

NO_PROCESS = 4_194_305
"""An id beyond the highest that Linux gives."""


@dataclass
class Session:
    """A session that reports a status for each message that it takes; "" reports nothing."""

    address: str
    status: str = "delivered"
    got: list[dict[str, Any]] = field(default_factory=list)

    def serve(self, server: socket.socket) -> None:
        """Take messages until the server is closed."""
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                lines = [json.loads(line) for line in connection.makefile()]
            if lines[:1] == [{"msgV": 1, "type": "auth", "token": TOKEN}]:
                self.got += lines[1:]
                if self.status:
                    self._report(lines[1])

    def _report(self, message: dict[str, Any]) -> None:
        report = {"msgV": 1, "msgId": "r1", "type": "control", "action": "delivery_status", "status": self.status,
                  "origMsgId": message["msgId"], "from": self.address}  # fmt: skip
        auth = {"msgV": 1, "type": "auth", "token": message["replyToken"]}
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as back:
            back.connect(message["from"])
            back.sendall("".join(json.dumps(line) + "\n" for line in (auth, report)).encode())


@contextmanager
def open_session(home: Path, folder: Path, status: str = "delivered", **more: Any) -> Iterator[Session]:
    """A session that is open in a folder, with its record in Qwen Code's home, until the block ends."""
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
        session = Session(f"{short}/inbox.sock", status)
        server.bind(session.address)
        server.listen()
        thread = Thread(target=session.serve, args=[server])
        thread.start()
        write_record(home, os.getpid(), session.address, folder, **more)
        try:
            yield session
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def write_record(home: Path, process: int, address: str, folder: Path, **more: Any) -> None:
    """The record of a session, as Qwen Code writes it."""
    began = list_proc()[process].began if process in list_proc() else "1"
    record = {
        "schemaVersion": 1,
        "pid": process,
        "procStart": f"boot:{began}",
        "sessionId": "8e016be8-5b48-4c13-ad22-1f5326ae64ac",
        "cwd": str(folder),
        "startedAt": 1,
        "ipcPath": address,
        "ipcToken": "ff" * 32,
    }
    sessions = home / "sessions"
    sessions.mkdir(mode=0o700, exist_ok=True)
    file = sessions / f"{process}.json"
    file.write_text(json.dumps({**record, **more}))
    file.chmod(0o600)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found = tmp_path / "qwen"
    found.mkdir(mode=0o700)
    return found


async def take(home: Path, folder: Path, token: str = TOKEN) -> tuple[TurnEnd, list[str]]:
    """Take a turn; returns how it ended, and what was said of the wake."""
    said = list[str]()
    return await QwenSession(token, folder, home, lambda: 0.0).take_turn(BATCH, said.append), said


async def test_a_session_gets_the_line_of_the_wake_as_a_message_of_a_controller(home: Path, tmp_path: Path) -> None:
    with open_session(home, tmp_path) as session:
        ended, said = await take(home, tmp_path)
    (message,) = session.got
    assert message["message"] == {"role": "user", "content": BATCH.line}
    assert message["toSessionId"] == "8e016be8-5b48-4c13-ad22-1f5326ae64ac"
    assert (ended.code, len(said)) == (0, 1)
    assert ended.call_seconds > 0, "the wake is answered by a call"


@pytest.mark.parametrize("status", sorted(qwen.OUTCOMES))
async def test_a_message_that_did_not_reach_the_model_woke_nobody(home: Path, tmp_path: Path, status: str) -> None:
    with open_session(home, tmp_path, status):
        ended, said = await take(home, tmp_path)
    assert (ended.code, said) == (1, [])
    assert qwen.OUTCOMES[status] in ended.words


async def test_a_message_that_the_session_holds_for_its_person_is_sent_once_and_its_call_is_waited_for(
    home: Path, tmp_path: Path
) -> None:
    driver, said = QwenSession(TOKEN, tmp_path, home, lambda: 0.0), list[str]()
    with open_session(home, tmp_path, "held") as session:
        for _ in range(2):
            ended = await driver.take_turn(BATCH, said.append)
            assert (ended.code, said) == (0, []), "nobody is woken yet"
            assert ended.call_seconds > 0
        assert len(session.got) == 1, "its person has one message to release"
        await driver.take_turn(replace(BATCH, cursor=8), said.append)
        assert len(session.got) == 2, "a new wake is a new message"


async def test_a_message_of_which_nothing_is_reported_woke_nobody(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qwen, "REPORT_SECONDS", 0.2)
    for status, token in (("", TOKEN), ("delivered", f"qpc_{'00' * 32}")):
        with open_session(home, tmp_path, status):
            ended, said = await take(home, tmp_path, token)
        assert (ended.code, said) == (1, [])
        assert "still valid" in ended.words


async def test_a_report_with_another_token_counts_for_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qwen, "REPORT_SECONDS", 0.2)
    real = Session._report

    def forged(self: Session, message: dict[str, Any]) -> None:
        real(self, {**message, "replyToken": "guessed"})

    monkeypatch.setattr(Session, "_report", forged)
    with open_session(home, tmp_path):
        ended, said = await take(home, tmp_path)
    assert (ended.code, said) == (1, [])


async def test_without_an_open_session_the_turn_fails(home: Path, tmp_path: Path) -> None:
    assert (await take(home, tmp_path))[0].code == 1
    write_record(home, os.getpid(), str(tmp_path / "gone.sock"), tmp_path)
    ended, said = await take(home, tmp_path)
    assert (ended.code, said) == (1, [])
    assert "cannot be reached" in ended.words


@pytest.mark.parametrize(
    "more",
    [
        {"schemaVersion": 2},
        {"pid": 1},
        {"cwd": "/elsewhere"},
        {"procStart": "boot:1"},
        {"ipcPath": None},
        {"sessionId": 7},
        {"startedAt": None},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_record_of_another_session_is_left_alone(home: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    write_record(home, os.getpid(), "/inbox.sock", tmp_path)
    assert find_session(home, tmp_path) is not None
    write_record(home, os.getpid(), "/inbox.sock", tmp_path, **more)
    assert find_session(home, tmp_path) is None


def test_the_newest_session_of_the_folder_is_found_and_one_whose_process_ended_is_not(
    home: Path, tmp_path: Path
) -> None:
    write_record(home, NO_PROCESS, "/gone.sock", tmp_path, startedAt=9)
    write_record(home, os.getpid(), "/old.sock", tmp_path, startedAt=1)
    write_record(home, os.getppid(), "/new.sock", tmp_path, startedAt=2)
    found = find_session(home, tmp_path)
    assert found is not None
    assert found.address == "/new.sock"


def test_the_token_of_the_controller_comes_from_a_private_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"Token: {TOKEN}\n")
    file.chmod(0o600)
    assert read_controller(file, {}) == TOKEN
    assert read_controller(None, {qwen.TOKEN: TOKEN}) == TOKEN
    for given in ({}, {qwen.TOKEN: "qpc_short"}):
        with pytest.raises(Failure) as refused:
            read_controller(None, given)
        assert refused.value.exit_code == USAGE
        assert "controllers add" in refused.value.fix
