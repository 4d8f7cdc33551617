"""Every harness and client that join knows."""

from teamroom.clients.harnesses.claude import CLAUDE
from teamroom.clients.harnesses.codex import CODEX
from teamroom.clients.harnesses.description import Harness, Machine
from teamroom.clients.harnesses.editors import CRUSH, CURSOR, VSCODE, ZED
from teamroom.clients.harnesses.hooked import COPILOT, GEMINI, OPENCODE, QWEN, VIBE
from teamroom.clients.harnesses.hookless import CLINE, CONTINUE, GPTME, NANOCODER
from teamroom.clients.harnesses.printed import PRINTED

WRITTEN = (
    CLAUDE, CODEX, GEMINI, OPENCODE, COPILOT, QWEN, VIBE, CLINE, CONTINUE, NANOCODER, GPTME, VSCODE, CURSOR, ZED, CRUSH
)  # fmt: skip
"""Those whose configs join writes."""

HARNESSES: dict[str, Harness] = {harness.key: harness for harness in (*WRITTEN, *PRINTED)}


def found_on(machine: Machine) -> list[Harness]:
    """Return the harnesses that a machine has."""
    return [harness for harness in WRITTEN if harness.is_on(machine) or harness.is_here(machine)]


def found_here(machine: Machine) -> list[Harness]:
    """Return the harnesses that run this process, or else work in this folder."""
    running = [one for one in WRITTEN if any(machine.environment.get(name) for name in one.variables)]
    return running or [harness for harness in found_on(machine) if harness.is_here(machine)]
