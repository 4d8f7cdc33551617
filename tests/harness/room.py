"""A room as its owner starts it, with the shell, and the owner's own calls."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.plain_http import WITHOUT_TLS
from tests.support.rates import LIMITLESS

TEAMROOM = str(Path(sys.executable).with_name("teamroom"))

STEP_SECONDS = 60.0
"""How long anything that the shell does may take."""

PACE_SECONDS = 0.05

OWNER = "olga"
"""The user who opens the room, and so its owner's name."""


@dataclass(frozen=True)
class RoomOfProcesses:
    """A room in a process of its own."""

    data: Path
    port: int

    @property
    def url(self) -> str:
        """Where the room answers."""
        return f"http://127.0.0.1:{self.port}"

    def enroll(self, name: str, *words: str) -> dict[str, str]:
        """Bring in an agent with the shell; returns its name, token and url."""
        return dict(json.loads(_shell(self, "enroll", name, *words, "--json")))

    def owner(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool as the room's owner; returns its structured reply."""
        return asyncio.run(self._call(tool, arguments))

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        token = (self.data / "owner.token").read_text().strip()
        async with (
            httpx2.AsyncClient(
                verify=WITHOUT_TLS, headers={"Authorization": f"Bearer {token}"}, timeout=STEP_SECONDS
            ) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http)) as client,
        ):
            result = await client.call_tool(tool, arguments)
        assert not result.is_error, f"{tool} was refused: {result.content}"
        return dict(result.structured_content or {})


@dataclass
class ServedRoom:
    """A room, and the process that `teamroom up` serves it with."""

    room: RoomOfProcesses
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Serve it, and wait until it answers."""
        log = self.room.data.with_suffix(".log")
        command = [TEAMROOM, "up", "--data", str(self.room.data), "--port", str(self.room.port)]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env={**_environment(self.room), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until_ready(self.room, self.process, log)

    def restart(self) -> None:
        """End the process in order, and serve the room with another one at the same address."""
        stop(self.process)
        self.start()


@contextlib.contextmanager
def served_room(data: Path, port: int, environment: Mapping[str, str]) -> Iterator[ServedRoom]:
    """A room that `teamroom up` serves until the block ends, with its settings in the environment."""
    served = ServedRoom(RoomOfProcesses(data, port), environment)
    try:
        served.start()
        yield served
    finally:
        stop(served.process)


@contextlib.contextmanager
def room_of_processes(data: Path, allow_itself: bool = False, **settings: float) -> Iterator[RoomOfProcesses]:
    """A room that `teamroom up` serves on a free port. `allow_itself`: it answers web pages of its own address.

    Its members' rates are out of reach unless the settings name them.
    """
    port = free_port()
    environment = {f"TEAMROOM_{name.upper()}": str(value) for name, value in {**LIMITLESS, **settings}.items()}
    if allow_itself:
        environment["TEAMROOM_ALLOWED_ORIGINS"] = f"http://127.0.0.1:{port}"
    with served_room(data, port, environment) as served:
        yield served.room


def _environment(room: RoomOfProcesses) -> dict[str, str]:
    """The shell's whole environment: no harness around it, so that it may be the owner's."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(room.data.parent),
        "LANG": "C.UTF-8",
        "LOGNAME": OWNER,
        "TEAMROOM_DATA": str(room.data),
        "TEAMROOM_URL": room.url,
    }


def _shell(room: RoomOfProcesses, *words: str) -> str:
    done = subprocess.run(
        [TEAMROOM, *words],
        env=_environment(room),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"teamroom {' '.join(words)} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def wait_until_ready(room: RoomOfProcesses, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a room answers; fails with its log when it ends or takes too long."""
    for _ in range(round(STEP_SECONDS / PACE_SECONDS)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the room ended with {process.wait(PACE_SECONDS)}:\n{log.read_text()}")
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{room.url}/readyz", verify=WITHOUT_TLS, timeout=STEP_SECONDS).is_success:
                return
    raise AssertionError(f"the room was not ready within {STEP_SECONDS:.0f} s:\n{log.read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a room in order, or by force when it does not."""
    process.terminate()
    try:
        process.wait(STEP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
