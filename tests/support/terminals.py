"""A program on a terminal that nobody sees, in tmux: what it shows, and keys for it."""

import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.watching import until

ANSWER_SECONDS = 30.0
COLUMNS, LINES, HISTORY = 150, 50, 2000

LACKING = [] if shutil.which("tmux") else ["tmux shows its screen"]
"""What is missing here for these tests."""


@dataclass(frozen=True)
class Terminal:
    """A terminal in tmux, by the name of its server."""

    server: str

    def tmux(self, *words: str) -> str:
        """Run a command of tmux; returns what it prints."""
        command = ["tmux", "-L", self.server, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS).stdout

    @property
    def text(self) -> str:
        """All lines that the terminal shows and has shown."""
        return self.tmux("capture-pane", "-p", "-S", f"-{HISTORY}")

    def keys(self, *names: str) -> None:
        """Press keys by name."""
        self.tmux("send-keys", *names)

    def shows(self, pattern: str, seconds: float = ANSWER_SECONDS) -> None:
        """Wait until the terminal shows something."""
        until(lambda: re.search(pattern, self.text), f"{pattern!r} on the screen: {self.text[-1500:]}", seconds)


@contextmanager
def terminal(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Terminal]:
    """A program on a terminal, with nothing in its environment but what is given, until the block ends."""
    found = Terminal(f"teamroom-{secrets.token_hex(4)}")
    variables = [f"{name}={value}" for name, value in {**environment, "TERM": "xterm-256color"}.items()]
    line = shlex.join(["env", "-i", *variables, *command])
    size = ["-x", str(COLUMNS), "-y", str(LINES)]
    found.tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), line)
    try:
        yield found
    finally:
        found.tmux("kill-server")
