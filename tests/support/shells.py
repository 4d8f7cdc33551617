"""The shell for tests: the real console script in a process, on a pipe or a terminal, or in this process for speed."""

import contextlib
import io
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from teamroom.clients.session import times
from teamroom.clients.session.place import HARNESS_PREFIX, HARNESS_VARIABLES
from teamroom.clients.shell.main import run as run_shell
from tests.support.plain_http import WITHOUT_TLS
from tests.support.stopwatch import Stopwatch

TEAMROOM = str(Path(sys.executable).with_name("teamroom"))
STEP_SECONDS = 60.0
PACE_SECONDS = 0.01
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TOKEN = re.compile(r"tr_[0-9a-f]{64}")

WITHOUT_PLUGINS = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""Pydantic otherwise looks for plugins in every package that the tests have installed: a tenth of a command's CPU."""


class Screen(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str = ""

    @property
    def json(self) -> Any:
        """What it printed, which must be one JSON value."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """The shell with an environment of its own: none of this process's, so no harness is around it."""

    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    teamroom: str = TEAMROOM

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a command."""
        fixed = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", **WITHOUT_PLUGINS}
        return {**fixed, **self.variables}

    def with_(self, **variables: str) -> "Shell":
        """The same with more variables."""
        return replace(self, variables={**self.variables, **variables})

    def run(self, *words: str, stdin: str = "") -> Done:
        """The console script in a process, its input and output pipes."""
        done = subprocess.run(
            [self.teamroom, *words],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    async def process(self, *words: str) -> Done:
        """The same while the room runs in this process."""
        return await anyio.to_thread.run_sync(lambda: self.run(*words))

    async def here(self, *words: str) -> Done:
        """The command in this process, in a thread: as the console script does it, without a second to start."""
        return await anyio.to_thread.run_sync(lambda: self.now(*words))

    def now(self, *words: str) -> Done:
        """The command in this process and thread."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name in HARNESS_VARIABLES or name.startswith((HARNESS_PREFIX, "TEAMROOM_")):
                    patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = run_shell(list(words))
                except SystemExit as end:
                    code = int(end.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    async def screen(self, *words: str, columns: int = 80, zone: str = "UTC") -> list[str]:
        """The lines that a terminal of this width shows in a zone, without colours: in this process, so it is cheap."""

        def run() -> list[str]:
            out = Screen()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(times, "ZONE", times.Zone())
                terminal = {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1", "TZ": zone}
                for name in os.environ:
                    if name in HARNESS_VARIABLES or name.startswith((HARNESS_PREFIX, "TEAMROOM_")):
                        patch.delenv(name)
                for name, value in {**self.environment, **terminal}.items():
                    patch.setenv(name, value)
                time.tzset()
                streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(out)
                with streams[0], streams[1], contextlib.suppress(SystemExit):
                    run_shell(list(words))
            time.tzset()
            return ESCAPE.sub("", out.getvalue()).splitlines()

        return await anyio.to_thread.run_sync(run)

    def on_terminal(
        self,
        *words: str,
        answer: str = "",
        asked: str = "",
        columns: int = 80,
        folder: Path | None = None,
        seconds: float = STEP_SECONDS,
    ) -> Done:
        """The console script on a terminal; `answer` is typed once `asked` stands there. Both outputs are one.

        `folder`: where it runs; `seconds`: how long it may take.
        """
        parent, child = pty.openpty()
        environment = {"TERM": "xterm-256color", "COLUMNS": str(columns), **self.environment}
        process = subprocess.Popen(
            [self.teamroom, *words], env=environment, stdin=child, stdout=child, stderr=child, cwd=folder,
            start_new_session=True,
        )  # fmt: skip
        os.close(child)
        shown, typed = b"", False
        give_up_at = time.monotonic() + seconds
        with contextlib.closing(os.fdopen(parent, "rb+", buffering=0)) as terminal:
            while time.monotonic() < give_up_at and (chunk := _chunk(parent, give_up_at)):
                shown += chunk
                if answer and not typed and asked.encode() in shown:
                    terminal.write(answer.encode() + b"\n")
                    typed = True
        return Done(process.wait(STEP_SECONDS), shown.decode().replace("\r\n", "\n"))


def _chunk(descriptor: int, give_up_at: float) -> bytes:
    """What the terminal shows next; nothing once the command has ended."""
    ready, _, _ = select.select([descriptor], [], [], max(give_up_at - time.monotonic(), 0))
    if not ready:
        return b""
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says so when the other side of a terminal is closed
        return b""


@dataclass
class Up:
    """A room that `teamroom up` serves."""

    process: subprocess.Popen[str]
    shell: Shell
    folder: Path
    url: str
    said: list[str]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """End it by a signal; returns its exit code and how long it took, without its waits for a processor."""
        stopwatch = Stopwatch(self.process.pid)
        self.process.send_signal(number)
        give_up_at, took = time.monotonic() + STEP_SECONDS, 0.0
        while self.process.poll() is None and time.monotonic() < give_up_at:
            took = stopwatch.seconds
            time.sleep(PACE_SECONDS)
        return self.process.wait(0), took


@contextlib.contextmanager
def up(folder: Path, *words: str, shell: Shell | None = None, port: int | None = 0, **variables: str) -> Iterator[Up]:
    """A room served by the real console script, or by that of another shell, until the block ends.

    It is at a free port, unless another is named; with None, `up` is told nothing.
    """
    shell = (shell or Shell(folder.parent)).with_(TEAMROOM_DATA=str(folder), **variables)
    command = [shell.teamroom, "up", *(() if port is None else ("--port", str(port))), *words]
    with subprocess.Popen(
        command, env=shell.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith(("The room is open at ", "{")):
                    break
            else:
                raise AssertionError("".join(said))
            url = json.loads(said[-1])["url"] if said[-1].startswith("{") else said[-1].split()[-1]
            yield Up(process, shell, folder, url, said)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STEP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()


def leaves(group: Any) -> Iterator[str]:
    """Every command of the shell, and each subcommand with its group's name."""
    for name, command in group.commands.items():
        yield from (f"{name} {inner}" for inner in leaves(command)) if hasattr(command, "commands") else (name,)


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def token_file(path: Path, token: str) -> Path:
    """A private file with a token."""
    path.write_text(token + "\n")
    path.chmod(0o600)
    return path


def answers(url: str) -> bool:
    """Whether a room answers there."""
    with contextlib.suppress(httpx2.TransportError):
        return bool(httpx2.get(f"{url}/readyz", verify=WITHOUT_TLS, timeout=STEP_SECONDS, trust_env=False).is_success)
    return False
