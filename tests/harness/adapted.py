"""Real harnesses that stay under `teamroom listen --adapter`, each with a scripted model as its only provider."""

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.harnesses import RUN_SECONDS, Harness, Seat, surroundings
from tests.harness.idle import WITHOUT_SUGGESTIONS, is_listening
from tests.harness.install import binary
from tests.harness.joiners import QWEN_CODE, VIBE
from tests.harness.room import TEAMROOM, RoomOfProcesses
from tests.harness.script import Step
from tests.harness.scripted_model import ScriptedModel
from tests.harness.vendors import CLAUDE_CODE, CODEX, COPILOT_CLI, GEMINI_CLI, OPENCODE
from tests.support.watching import until


@dataclass(frozen=True)
class Adapted:
    """A harness, the adapter that drives it, and the words of its command after the program.

    `resumes`: whether it still knows a session whose process was killed. `program`: another program beside its command
    that speaks the protocol.
    """

    harness: Harness
    adapter: str
    words: Callable[[Seat], Sequence[str]]
    resumes: bool = True
    program: str = ""

    @property
    def name(self) -> str:
        """What it is called in a table."""
        return f"{self.harness.name}, --adapter {self.adapter}"

    def command(self, seat: Seat) -> list[str]:
        """The command that a listener starts."""
        found = binary(self.harness.command)
        return [str(found.with_name(self.program) if self.program else found), *self.words(seat)]


def _qwen(seat: Seat) -> list[str]:
    """Qwen Code with a person's settings, without questions to its model that no turn asks for."""
    settings = seat.home / ".qwen" / "settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({**WITHOUT_SUGGESTIONS, "memory": {"enableManagedAutoMemory": False}}))
    return ["--acp", "--auth-type", "openai", "--approval-mode", "default"]


ADAPTED = (
    Adapted(CLAUDE_CODE, "claude", lambda seat: ["--mcp-config", str(seat.home / "mcp.json"), "--strict-mcp-config"]),
    Adapted(CODEX, "codex", lambda seat: []),
    Adapted(OPENCODE, "opencode", lambda seat: []),
    Adapted(OPENCODE, "acp", lambda seat: ["acp"]),
    Adapted(GEMINI_CLI, "acp", lambda seat: ["--acp", "-m", "gemini-2.5-pro"], resumes=False),
    Adapted(COPILOT_CLI, "acp", lambda seat: ["--acp", "--allow-tool", "teamroom"]),
    Adapted(QWEN_CODE, "acp", _qwen),
    Adapted(VIBE, "acp", lambda seat: [], program="vibe-acp"),
)


@dataclass(frozen=True)
class Listened:
    """A listener at work: its process and its log, the model of its harness, and the seat."""

    process: subprocess.Popen[bytes]
    log: Path
    model: ScriptedModel
    seat: Seat

    @property
    def said(self) -> str:
        """What the listener and its harness said on standard error."""
        return self.log.read_text()

    def says(self, words: str, times: int = 1) -> None:
        """Wait until it has said something so often."""

        def has_said() -> bool:
            assert self.process.poll() is None, f"it ended with {self.process.poll()}: {self.said[-3000:]}"
            return self.said.count(words) >= times

        until(has_said, f"it said {words!r}: {self.said[-3000:]}", RUN_SECONDS)


@contextmanager
def listened(
    adapted: Adapted, room: RoomOfProcesses, base: Path, *steps: Step, options: Sequence[str] = ("--allow-room",)
) -> Iterator[Listened]:
    """A listener of the member builder, whose harness is ready, until the block ends."""
    seat = Seat(room.enroll("builder")["token"], f"{room.url}/mcp", base / "home", base / "work")
    seat.home.mkdir()
    seat.folder.mkdir()
    log = base / "listener.log"
    with ScriptedModel(adapted.harness.api, steps) as model:
        launch = adapted.harness.launch(seat, model.url)
        listens = [TEAMROOM, "listen", "--as", "builder", "--adapter", adapted.adapter, *options]
        command = [*listens, "--", *adapted.command(seat)]
        environment = {**surroundings(seat), **launch.environment, "TEAMROOM_URL": room.url}
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command,
                cwd=seat.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            ) as process,
        ):
            found = Listened(process, log, model, seat)
            try:
                found.says("is ready (process ")
                until(lambda: is_listening(room), "it listens", RUN_SECONDS)
                yield found
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait(RUN_SECONDS)
