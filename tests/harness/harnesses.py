"""A harness as a test starts it: a home that nobody shares, and nothing to reach beyond 127.0.0.1."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.script import Step
from tests.harness.scripted_model import Api, ScriptedModel

RUN_SECONDS = 120.0
"""How long a harness may take for a whole run, or to start; OpenCode needs a minute on a busy machine."""

LOG_CHARACTERS = 4_000

NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody serves: whatever looks beyond this machine fails at once."""

PROMPT = "Do what the room needs of you."


@dataclass(frozen=True)
class Seat:
    """Where a member works: its token, a home that nobody shares and a folder that all share.

    `token`: empty if the harness finds it by what join wrote.
    """

    token: str
    room_url: str
    home: Path
    folder: Path


@dataclass(frozen=True)
class Launch:
    """How a harness is started."""

    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Harness:
    """A harness: the API it asks its model over, and how it is started in a seat with a model.

    `name`: as people know it. `command`: as `install.PACKAGES` has it.
    """

    name: str
    command: str
    api: Api
    launch: Callable[[Seat, str], Launch]


@dataclass(frozen=True)
class Run:
    """A harness at work."""

    harness: Harness
    process: subprocess.Popen[bytes]
    model: ScriptedModel
    log: Path

    def finish(self) -> list[str]:
        """Wait for the end; returns what the model saw, the results of its script's calls."""
        try:
            code = self.process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        if self.model.failure is not None:
            raise self.model.failure
        assert code == 0, f"{self.harness.name} ended with {code}:\n{self.log.read_text()[-LOG_CHARACTERS:]}"
        return self.model.seen


@dataclass(frozen=True)
class Agent:
    """A member of the room whose body is a real harness."""

    name: str
    harness: Harness
    seat: Seat

    def work(self, *steps: Step) -> list[str]:
        """Run a whole script; returns the result of each step's call as the model saw it."""
        with self.at_work(*steps) as run:
            seen = run.finish()
        assert len(seen) == len(steps), f"{self.name} made {len(seen)} of {len(steps)} calls: {seen}"
        return seen

    @contextlib.contextmanager
    def at_work(self, *steps: Step) -> Iterator[Run]:
        """A run that lasts until the block ends at the latest."""
        self.seat.home.mkdir(exist_ok=True)
        with ScriptedModel(self.harness.api, steps) as model:
            launch = self.harness.launch(self.seat, model.url)
            log = self.seat.home / "log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    launch.command,
                    cwd=self.seat.folder,
                    env={**surroundings(self.seat), **launch.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            try:
                yield Run(self.harness, process, model, log)
            finally:
                _end(process)


def surroundings(seat: Seat) -> dict[str, str]:
    """What every harness gets, and all that it inherits."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(seat.home),
        "LANG": "C.UTF-8",
        **({"TEAMROOM_TOKEN": seat.token} if seat.token else {}),
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "NO_PROXY": "127.0.0.1",
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a harness that still runs, with the processes that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
