"""The gate of a harness in the hand of a test: why it denies a tool, and a program in the place of the room."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.harness.room import RoomOfProcesses, room_of_processes
from tests.support.shells import Done


@contextlib.contextmanager
def gated_room(folder: Path) -> Iterator[RoomOfProcesses]:
    """A room with an agent, the builder, whose token is saved."""
    with room_of_processes(folder / "room") as room:
        room.enroll("builder", "--save")
        yield room


def denies(done: Done) -> str:
    """Why a tool is denied, in whichever form; "" if it is not."""
    assert done.code == 0, done.err
    said = json.loads(done.out)
    said = said.get("hookSpecificOutput", said)
    denied = "deny" in (said.get("permissionDecision"), said.get("decision"))
    return str(said.get("permissionDecisionReason") or said.get("reason")) if denied else ""


@contextlib.contextmanager
def in_place_of_room(folder: Path, answer: bytes | None) -> Iterator[Path]:
    """A folder whose socket something else serves; `answer` None: it says nothing."""
    folder.mkdir(mode=0o700)
    (folder / "members").mkdir(mode=0o700)
    (folder / "members" / "builder.token").write_text("x" * 43)
    (folder / "members" / "builder.token").chmod(0o600)
    (folder / "server.json").write_text('{"url": "http://127.0.0.1:9", "pid": 1}')
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "room.sock"))
    listener.listen()
    stop = threading.Event()

    def serve() -> None:
        while True:
            held.append(listener.accept()[0])
            if stop.is_set():
                return
            if answer is not None:
                held[-1].recv(65_536)
                held[-1].sendall(answer)
                held.pop().close()

    held: list[socket.socket] = []
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield folder
    finally:
        stop.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(folder / "room.sock"))
        thread.join()
        for one in (*held, listener):
            one.close()
