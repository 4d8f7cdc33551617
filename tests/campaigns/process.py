"""A server in a process of its own: `teamroom up`, or a module that serves a twin with a fault built in."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.load import Caller, Connect, is_ready
from tests.support.kept_alive import connect
from tests.support.postgres import address_of, is_in_database
from tests.support.rates import LIMITLESS
from tests.support.repository import ROOT

START_SECONDS = 30.0
POLL_SECONDS = 0.005


@dataclass
class Server:
    """One folder and one port, and the process that serves them now.

    `twin`: the module that serves in place of `teamroom up`. `settings`: the environment's `TEAMROOM_<NAME>`, by name.
    """

    folder: Path
    twin: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    port: int = 0
    files: int | None = None
    """How many files the process may have open; None: as many as this one."""
    inside: Sequence[str] = ()
    """The command in which it runs, such as `ip netns exec NAME`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What else its environment has."""
    connect: Connect = connect
    """How it is reached."""
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> float:
        """Start the process; returns the seconds until it was ready. Raises RuntimeError when it ends instead."""
        started = time.perf_counter()
        self.process = self._spawn()
        async with asyncio.timeout(START_SECONDS):
            while not await is_ready(self.port, self.connect):
                if self.process.poll() is not None:
                    raise RuntimeError(self.said()[-2000:])
                await asyncio.sleep(POLL_SECONDS)
        return time.perf_counter() - started

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """What it wrote of itself."""
        return self._log.read_text()

    @property
    def owner_token(self) -> str:
        """The token of the room's first owner."""
        return (self.folder / "owner.token").read_text().strip()

    @property
    def said_bytes(self) -> int:
        """How much it wrote of itself."""
        return self._log.stat().st_size

    @property
    def _log(self) -> Path:
        return self.folder.with_suffix(".log")

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*self.inside, *self._limit(), *self._command()],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _limit(self) -> list[str]:
        if self.files is None:
            return []
        return ["sh", "-c", f'ulimit -n {self.files} && exec "$0" "$@"']

    def _command(self) -> list[str]:
        folder, port = str(self.folder), str(self.port)
        if self.twin is not None:
            return [sys.executable, "-m", self.twin, folder, port]
        return [str(Path(sys.executable).with_name("teamroom")), "up", "--data", folder, "--port", port]

    def _environment(self) -> dict[str, str]:
        """No settings and no harness but the campaign's own."""
        own = {f"TEAMROOM_{name.upper()}": str(value) for name, value in self.settings.items()}
        return {"PATH": os.environ["PATH"], "HOME": str(Path.home()), "LANG": "C.UTF-8", **own, **self.environment}


@contextmanager
def serving(folder: Path, twin: str | None = None, files: int | None = None, **settings: object) -> Iterator[Server]:
    """A server on a free port, not yet started; whatever runs of it ends with the block.

    Its members' rates are out of reach unless the settings name them. A folder that names a database is one of a room
    in PostgreSQL.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {"database": address_of(folder)} if is_in_database(folder) else {}
    server = Server(folder, twin, {**LIMITLESS, **kept, **settings}, port, files)
    try:
        yield server
    finally:
        if server.process is not None:
            server.process.terminate()
            server.process.wait()


async def enroll(owner: Caller, names: list[str], **given: str) -> list[Caller]:
    """Members that the room's owner brings in, each ready to call. `given`: what else `enroll` gets."""
    tokens = [(await owner.carried_out("enroll", name=name, **given))["token"] for name in names]
    return [Caller(name, owner.port, token) for name, token in zip(names, tokens, strict=True)]
