"""Codex."""

import shlex

from teamroom.clients.harnesses.description import ENTRY, ConfigFile, Harness, Seat
from teamroom.clients.harnesses.entries import Put
from teamroom.clients.harnesses.hooks import (
    STAYS,
    WAIT_SECONDS,
    command_hook,
    gate_command,
    wake_command,
    wake_hooks,
)

TRUSTED = "trusted"

CALL_SECONDS = 60
"""How long a call may take: a wait for a wake takes up to 50 seconds."""


def _files(seat: Seat) -> list[ConfigFile]:
    machine = seat.machine
    trust = Put(("projects", str(machine.project), "trust_level"), TRUSTED)
    return [
        ConfigFile(
            machine.folder / ".codex" / "config.toml",
            "toml",
            (seat.server("mcp_servers", tool_timeout_sec=CALL_SECONDS),),
        ),
        ConfigFile(
            machine.folder / ".codex" / "hooks.json",
            entries=(
                *wake_hooks(seat, command_hook("Stop", wake_command(seat, "codex"), WAIT_SECONDS)),
                command_hook("PreToolUse", gate_command(seat, "codex"), matcher="*"),
            ),
        ),
        ConfigFile(machine.config(".codex", "config.toml", variable="CODEX_HOME"), "toml", (trust,)),
    ]


CODEX = Harness(
    key="codex",
    name="Codex",
    programs=("codex",),
    homes=(".codex",),
    marks=(".codex",),
    variables=("CODEX_THREAD_ID", "CODEX_SANDBOX", "CODEX_CI"),
    files=_files,
    snippet=lambda seat: f"codex mcp add {ENTRY} -- {shlex.join(seat.bridge)}",
    stops="Its own hook asks the room before every local tool, once you have trusted the hooks.",
    wakes=f"A hook at the end of a turn waits for wakes, and continues the session. {STAYS.format('codex')}",
    notes=(
        "Codex reads a folder's config only if the folder is trusted, so join marks it as trusted in your own config.",
        "Codex asks you once whether it may run the hooks: accept them.",
        "While the hook waits for a wake, Codex shows the turn as busy.",
        "The files are in this folder. They hold no secret, but paths of this machine: do not commit them.",
    ),
    why=(
        "`codex mcp add` writes for all folders at once, and each folder has its own identity, so join writes the "
        "folder's own config. The stdio bridge needs no variable, so two harnesses in one terminal share no token."
    ),
)
