"""A person's first join of a real harness: from an empty home to a wake that is proven, and the same run by hand."""

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from teamroom.clients.harnesses.catalogue import HARNESSES
from tests.harness.harnesses import NOWHERE, RUN_SECONDS, Harness, Seat
from tests.harness.install import binary
from tests.harness.room import RoomOfProcesses
from tests.harness.script import Say, Seen, Step, Turn, UseTool, read, use
from tests.harness.verifying import key_of
from tests.support.shells import TEAMROOM, Done, Shell

NAME = "builder"

JOIN_SECONDS = 2 * RUN_SECONDS

SETTINGS: Mapping[str, str] = {"GEMINI_MODEL": "gemini-2.5-pro", "MODEL": "local/scripted"}
"""The model of those harnesses that its config here does not name."""


def answer(seen: Seen) -> Turn:
    """The model answers what it was asked."""
    return UseTool("post_message", {"text": "here", "reply_to": read(r"\b(M-\d+)\b", seen[0])})


def steps() -> list[Step]:
    """What the model does in a run: it looks, answers and ends. A run without a wake only looks."""
    return [use("check_in"), lambda seen: answer(seen) if re.search(r"\bM-\d+\b", seen[0]) else Say("Done.")]


@dataclass(frozen=True)
class Desk:
    """A person's folder in an empty home, in which a harness has its model and nothing of the room."""

    harness: Harness
    room: RoomOfProcesses
    folder: Path
    shell: Shell

    @classmethod
    def empty(cls, harness: Harness, room: RoomOfProcesses, base: Path, model_url: str) -> "Desk":
        """A desk in a new folder."""
        home, folder = base / "home", base / "home" / "work"
        folder.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        variables = harness.launch(Seat("", f"{room.url}/mcp", home, folder), model_url).environment
        path = f"{Path(TEAMROOM).parent}:{binary(harness.command).parent}:{variables['PATH']}"
        proxies = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
        environment = {**variables, **SETTINGS, **proxies, "TEAMROOM_DATA": str(room.data), "PATH": path}
        return cls(harness, room, folder, Shell(home, environment))

    def join(self, prove: str = "--prove") -> Done:
        """Join it as a script does, and prove the wake unless the option says otherwise."""
        words = ["join", self.harness.command, "--as", NAME, "--unattended", "--yes", prove]
        done = self._run([TEAMROOM, *words])
        return Done(done.returncode, done.stdout, done.stderr)

    def join_on_terminal(self) -> Done:
        """Join it as a person does: `teamroom join` alone, and the answers to what that asks."""
        answers = f"{self.harness.command}\nn\ny"
        return self.shell.on_terminal(
            "join", answer=answers, asked="Which join the room?", columns=200, folder=self.folder, seconds=JOIN_SECONDS
        )

    def run(self, words: Sequence[str] = ()) -> float:
        """Run the harness as its listener does, or with other words; returns the seconds that this takes."""
        words = words or HARNESSES[key_of(self.harness.command)].run
        begun = time.monotonic()
        self._run(["call check_in" if word == "{wake}" else word for word in words])
        return time.monotonic() - begun

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.shell.environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=2 * RUN_SECONDS, check=False,
        )  # fmt: skip


def steps_of(done: Done) -> dict[str, float]:
    """The seconds after the mention at which a join saw each step of the wake."""
    found = re.findall(r"\b(\w+) ([0-9.]+) s after M-\d+", done.out)
    return {step: float(seconds) for step, seconds in found}
