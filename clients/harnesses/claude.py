"""Claude Code."""

import re
import shlex
from pathlib import Path

from teamroom.clients.harnesses.description import ENTRY, ConfigFile, Harness, Machine, Seat
from teamroom.clients.harnesses.entries import Entry, Item, Put
from teamroom.clients.harnesses.files import repository_of
from teamroom.clients.harnesses.hooks import (
    STAYS,
    WAIT_SECONDS,
    command_hook,
    gate_command,
    http_gate,
    http_report,
    wake_command,
    wake_hooks,
)

HOME = "CLAUDE_CONFIG_DIR"
PERMISSION = f"mcp__{ENTRY}"

WAKE_EVENTS = ("SessionStart", "Stop")
"""When a listener begins in the background. Each one takes the place of the one before."""


REPORTED = ("PostToolUse", "PermissionRequest", "Notification", "PreCompact", "Stop", "SessionEnd")
"""The events that tell the room what Claude Code is doing. They have no text of a prompt that the room keeps."""


def _files(seat: Seat) -> list[ConfigFile]:
    machine, token, wake = seat.machine, _token_file(seat), wake_command(seat, "claude")
    hooks = (
        Item(("permissions", "allow"), PERMISSION, PERMISSION),
        *wake_hooks(seat, *(command_hook(event, wake, WAIT_SECONDS, asyncRewake=True) for event in WAKE_EVENTS)),
        _gate(seat, token is not None),
        *(_report(seat, event, token is not None) for event in REPORTED),
    )
    server = Put(("projects", str(machine.project), "mcpServers", ENTRY), seat.stdio(type="stdio"))
    return [
        ConfigFile(_own_file(machine), entries=(server,)),
        ConfigFile(machine.folder / ".claude" / "settings.local.json", entries=hooks),
        *([token] if token is not None else []),
    ]


def _own_file(machine: Machine) -> Path:
    """Return the file that Claude Code keeps itself. It has the servers of each project, seen by this user alone."""
    named = machine.environment.get(HOME)
    return Path(named, ".claude.json") if named else machine.home / ".claude.json"


def _token_file(seat: Seat) -> ConfigFile | None:
    """Return the file that gives Claude Code's own call the member's token; None if it could reach a repository."""
    path = seat.machine.config(".claude", "settings.json", variable=HOME)
    if repository_of(path) is not None:
        return None
    value = seat.token or "tr_…"
    return ConfigFile(path, entries=(Put(("env", variable(seat.name)), value),), holds_token=True)


def _gate(seat: Seat, has_variable: bool) -> Entry:
    """Return the gate. Claude Code's own call is faster, but it cannot refuse some calls alone if no room answers."""
    if has_variable and seat.is_unattended:
        return http_gate(seat, variable(seat.name))
    return command_hook("PreToolUse", gate_command(seat, "claude"), matcher="*")


def _report(seat: Seat, event: str, has_variable: bool) -> Entry:
    if has_variable:
        return http_report(seat, variable(seat.name), event)
    return command_hook(event, gate_command(seat, "claude"))


def variable(name: str) -> str:
    """Return the variable with a member's token. Each member has its own: sessions in other folders see it too."""
    return "TEAMROOM_TOKEN_" + re.sub("[^A-Z0-9]", "_", name.upper())


CLAUDE = Harness(
    key="claude",
    name="Claude Code",
    programs=("claude",),
    homes=(".claude", ".claude.json"),
    marks=(".claude", "CLAUDE.md"),
    variables=("CLAUDECODE", "CLAUDE_CODE_SESSION_ID"),
    wakes_open_session=True,
    run=("claude", "-p", "{wake}", "--allowedTools", PERMISSION),
    files=_files,
    snippet=lambda seat: f"claude mcp add {ENTRY} -- {shlex.join(seat.bridge)}",
    stops="Its own hook asks the room before every local tool, and an unattended session fails closed. Others report "
    "when it waits for a permission.",
    wakes=f"A background hook waits for wakes, and wakes an idle session. {STAYS.format('claude')}",
    notes=("Start Claude Code again in this folder: an open session has neither the server nor the hooks.",),
    why=(
        "The server is written where `claude mcp add` writes it: for this user and this project, so no approval is "
        "asked for and nothing is committed. That command also writes eight other keys, a backup and telemetry, which "
        "a leave could not undo, so join merges the entry itself. The server is the stdio bridge, which needs no "
        "variable and has the room prove itself. The hooks are Claude Code's own HTTP calls, which read a variable: "
        "its user settings give it, in a private file outside of every repository. If they are in a repository, the "
        "hooks are commands instead. So is the gate of an attended session: while no room answers, it refuses the "
        "calls that wait for a person, and no others."
    ),
)
