"""Codex."""

import shlex
from typing import Any

from teamroom.clients.harnesses.description import ENTRY, ConfigFile, Harness, Seat
from teamroom.clients.harnesses.entries import Put
from teamroom.clients.harnesses.hooks import (
    STAYS,
    WAIT_SECONDS,
    command_hook,
    gate_command,
    report_hooks,
    wake_command,
    wake_hooks,
)

TRUSTED = "trusted"

CALL_SECONDS = 60
"""How long a call may take: a wait for a wake takes up to 50 seconds."""


REPORTED = ("PermissionRequest", "PostToolUse", "PreCompact", "Stop", "SessionEnd")
"""The events that tell the room what Codex is doing."""


def _files(seat: Seat) -> list[ConfigFile]:
    machine = seat.machine
    trust = Put(("projects", str(machine.project), "trust_level"), TRUSTED)
    return [
        ConfigFile(
            machine.folder / ".codex" / "config.toml",
            "toml",
            (seat.server("mcp_servers", tool_timeout_sec=CALL_SECONDS, **_waits_for_room(seat)),),
        ),
        ConfigFile(
            machine.folder / ".codex" / "hooks.json",
            entries=(
                *wake_hooks(seat, command_hook("Stop", wake_command(seat, "codex"), WAIT_SECONDS)),
                command_hook("PreToolUse", gate_command(seat, "codex"), matcher="*"),
                *report_hooks(seat, "codex", REPORTED),
            ),
        ),
        ConfigFile(machine.config(".codex", "config.toml", variable="CODEX_HOME"), "toml", (trust,)),
    ]


def _waits_for_room(seat: Seat) -> dict[str, Any]:
    """Return what has an unattended run wait for the room's tools, and fail without them.

    Otherwise Codex asks its model before a server has started on a busy machine, and the model has no tool to answer.
    """
    return {"required": True} if seat.is_unattended else {}


CODEX = Harness(
    key="codex",
    name="Codex",
    programs=("codex",),
    homes=(".codex",),
    marks=(".codex",),
    variables=("CODEX_THREAD_ID", "CODEX_SANDBOX", "CODEX_CI"),
    wakes_open_session=True,
    run=("codex", "exec", "--skip-git-repo-check", "{wake}"),
    files=_files,
    snippet=lambda seat: f"codex mcp add {ENTRY} -- {shlex.join(seat.bridge)}",
    stops="Its own hook asks the room before every local tool, once you have trusted the hooks. Others report when it "
    "waits for a permission.",
    wakes=f"A hook at the end of a turn waits for wakes, and continues the session. {STAYS.format('codex')}",
    notes=(
        "Codex reads a folder's config only if the folder is trusted, so join marks it as trusted in your own config.",
        "Codex was not seen to read the config of a folder without a git repository: run `git init` there first.",
        "Codex asks you once whether it may run the hooks: accept them.",
        "While the hook waits for a wake, Codex shows the turn as busy.",
        "The files are in this folder. They hold no secret, but paths of this machine: do not commit them.",
    ),
    why=(
        "`codex mcp add` writes for all folders at once, and each folder has its own identity, so join writes the "
        "folder's own config. The stdio bridge needs no variable, so two harnesses in one terminal share no token."
    ),
)
