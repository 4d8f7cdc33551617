"""Every harness and client that join knows."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from teamroom.clients.harnesses.claude import CLAUDE
from teamroom.clients.harnesses.codex import CODEX
from teamroom.clients.harnesses.description import ENTRY, Harness, Machine, Seat
from teamroom.clients.harnesses.editors import CRUSH, CURSOR, VSCODE, ZED
from teamroom.clients.harnesses.files import decode, find_config
from teamroom.clients.harnesses.hooked import COPILOT, GEMINI, OPENCODE, QWEN, VIBE
from teamroom.clients.harnesses.hookless import CLINE, CONTINUE, GPTME, NANOCODER
from teamroom.clients.harnesses.printed import PRINTED
from teamroom.clients.session.failure import Failure

WRITTEN = (
    CLAUDE, CODEX, GEMINI, OPENCODE, COPILOT, QWEN, VIBE, CLINE, CONTINUE, NANOCODER, GPTME, VSCODE, CURSOR, ZED, CRUSH
)  # fmt: skip
"""Those whose configs join writes."""

HARNESSES: dict[str, Harness] = {harness.key: harness for harness in (*WRITTEN, *PRINTED)}

MARKS = ("connect", "gate --format", "listen --as", "/hooks/")
"""What the entries of a room run or ask: one of these is in each file that leads to it."""


def found_on(machine: Machine) -> list[Harness]:
    """Return the harnesses that a machine has."""
    return [harness for harness in WRITTEN if harness.is_on(machine) or harness.is_here(machine)]


def found_here(machine: Machine) -> list[Harness]:
    """Return the harnesses that run this process, or else work in this folder."""
    running = [one for one in WRITTEN if any(machine.environment.get(name) for name in one.variables)]
    return running or [harness for harness in found_on(machine) if harness.is_here(machine)]


def configs_with_room(harnesses: Iterable[Harness], machine: Machine) -> list[Path]:
    """Return the configs of harnesses that name the room, whoever wrote that. What cannot be read is left out."""
    seat = Seat(ENTRY, machine, Path(), "", False, False, (ENTRY,))
    found = list[Path]()
    for harness in harnesses:
        for config in harness.files(seat) if harness.files is not None else ():
            with contextlib.suppress(Failure):
                text = decode(find_config(config.path))
                if ENTRY in text and any(mark in text for mark in MARKS) and config.path not in found:
                    found.append(config.path)
    return found
