"""Harnesses with hooks that join can write: Gemini CLI, OpenCode, Copilot CLI, Qwen Code and Mistral Vibe."""

import json
import shlex
from typing import Any

from teamroom.clients.harnesses.description import ENTRY, ConfigFile, Harness, Seat
from teamroom.clients.harnesses.entries import Item, Put
from teamroom.clients.harnesses.hooks import (
    GATE_SECONDS,
    MILLISECONDS,
    STAYS,
    WAIT_SECONDS,
    command_hook,
    gate_command,
    report_hooks,
    wake_command,
    wake_hooks,
)

IN_FOLDER = "The files are in this folder. They hold no secret, but paths of this machine: do not commit them."
NEEDS_NO_VARIABLE = "The stdio bridge needs no variable, so two harnesses in one terminal share no token."


def servers(seat: Seat, key: str = "mcpServers", **more: Any) -> str:
    """Return the room's entry in a list of servers, as JSON."""
    return json.dumps({key: {ENTRY: seat.stdio(**more)}}, indent=2)


# ------------------------------------------------------------------ Gemini CLI


GEMINI_REPORTS = ("AfterTool", "Notification", "AfterAgent", "SessionEnd")
"""The events that tell the room what Gemini CLI is doing. Its one notification is that it waits for a permission.

`PreCompress` comes before each turn, also if nothing is compressed.
"""


def _gemini(seat: Seat) -> list[ConfigFile]:
    machine, wake = seat.machine, wake_command(seat, "gemini")
    return [
        ConfigFile(
            machine.folder / ".gemini" / "settings.json",
            entries=(
                seat.server(trust=True),
                *wake_hooks(seat, command_hook("AfterAgent", wake, WAIT_SECONDS * MILLISECONDS)),
                command_hook("BeforeTool", gate_command(seat, "gemini"), GATE_SECONDS * MILLISECONDS, ".*"),
                *report_hooks(seat, "gemini", GEMINI_REPORTS, GATE_SECONDS * MILLISECONDS),
            ),
        ),
        ConfigFile(
            machine.home / ".gemini" / "trustedFolders.json", entries=(Put((str(machine.folder),), "TRUST_FOLDER"),)
        ),
    ]


GEMINI = Harness(
    key="gemini",
    name="Gemini CLI",
    programs=("gemini",),
    homes=(".gemini",),
    marks=(".gemini", "GEMINI.md"),
    variables=("GEMINI_CLI",),
    wakes_open_session=True,
    run=("gemini", "--yolo", "-p", "{wake}"),
    files=_gemini,
    snippet=lambda seat: servers(seat, trust=True),
    stops="Its own hook asks the room before every local tool. Others report when it waits for a permission.",
    wakes=f"A hook at the end of a turn waits for wakes, and continues the session. {STAYS.format('acp')}",
    notes=(
        "Gemini CLI ignores every server in a folder that it does not trust, so join adds the folder to its list.",
        IN_FOLDER,
    ),
    why=(
        "`gemini mcp add` also writes a history of projects, which a leave could not undo, and it drops comments, so "
        f"join merges the entry itself. {NEEDS_NO_VARIABLE}"
    ),
)


# ------------------------------------------------------------------ OpenCode

PLUGIN = """\
// Written by teamroom join. It asks the room before every local tool, and tells it when a permission is asked for.
// To remove it: teamroom leave opencode
import {{ execFile, execFileSync }} from "node:child_process";

const GATE = {gate};

const SAYS = {{
  "permission.asked": "PermissionRequest",
  "permission.replied": "PostToolUse",
  "session.compacted": "PostToolUse",
  "session.idle": "Stop",
}};

const report = (said) => {{
  const told = execFile(GATE[0], GATE.slice(1), {{ timeout: {timeout} }}, () => {{}});
  told.stdin.on("error", () => {{}});
  told.stdin.end(JSON.stringify(said));
}};

export const Teamroom = async ({{ directory }}) => ({{
  event: async ({{ event }}) => {{
    if (event.type in SAYS) {{
      report({{ hook_event_name: SAYS[event.type], tool: event.properties?.permission }});
    }}
  }},
  "tool.execute.after": async (input) => {{
    report({{ hook_event_name: "PostToolUse", tool: input.tool }});
  }},
  "tool.execute.before": async (input, output) => {{
    const call = {{ tool: input.tool, tool_input: output.args, session_id: input.sessionID, cwd: directory }};
    const asked = JSON.stringify({{ hook_event_name: "PreToolUse", ...call }});
    let answer = {{}};
    try {{
      const options = {{ input: asked, encoding: "utf8", timeout: {timeout} }};
      answer = JSON.parse(execFileSync(GATE[0], GATE.slice(1), options));
    }} catch (error) {{
      if ({fails_closed}) throw new Error(`The gate of the room failed: ${{error.message}}`);
    }}
    if (answer.decision === "deny") throw new Error(answer.reason);
  }},
}});
"""


def _opencode(seat: Seat) -> list[ConfigFile]:
    folder = seat.machine.folder
    config = next((path for path in (folder / "opencode.jsonc",) if path.exists()), folder / "opencode.json")
    gate = json.dumps(shlex.split(gate_command(seat, "opencode")))
    plugin = PLUGIN.format(
        gate=gate, timeout=GATE_SECONDS * MILLISECONDS, fails_closed="true" if seat.is_unattended else "false"
    )
    return [
        ConfigFile(config, entries=(Put(("mcp", ENTRY), _opencode_entry(seat)),)),
        ConfigFile(folder / ".opencode" / "plugin" / "teamroom.js", "", text=plugin),
    ]


def _opencode_entry(seat: Seat) -> dict[str, Any]:
    return {"type": "local", "command": seat.bridge, "enabled": True}


OPENCODE = Harness(
    key="opencode",
    name="OpenCode",
    programs=("opencode",),
    homes=(".config/opencode", ".opencode"),
    marks=("opencode.json", "opencode.jsonc", ".opencode"),
    variables=("OPENCODE", "OPENCODE_CLIENT"),
    run=("opencode", "run", "{wake}"),
    files=_opencode,
    snippet=lambda seat: json.dumps({"mcp": {ENTRY: _opencode_entry(seat)}}, indent=2),
    stops="A plugin asks the room before every local tool, and reports when it waits for a permission.",
    wakes="Its listener keeps it running with `--adapter opencode`, or starts a run for each wake; no hook can.",
    notes=(IN_FOLDER, "OpenCode loads a library for plugins when it starts. Without a network, that takes a minute."),
    why=f"OpenCode has no command that adds a server without asking. {NEEDS_NO_VARIABLE}",
)


# ------------------------------------------------------------------ Copilot CLI


COPILOT_REPORTS = ("PostToolUse", "Notification", "Stop", "SessionEnd")
"""The events that tell the room what Copilot CLI is doing. Under such names, it says which event it is."""


def _copilot(seat: Seat) -> list[ConfigFile]:
    home = seat.machine.home / ".copilot"
    gate = {"type": "command", "bash": gate_command(seat, "copilot"), "timeoutSec": GATE_SECONDS}
    return [
        ConfigFile(home / "mcp-config.json", entries=(seat.server(type="local", tools=["*"]),)),
        ConfigFile(
            home / "hooks" / "teamroom.json",
            entries=(
                Put(("version",), 1),
                Item(("hooks", "preToolUse"), gate, str(gate["bash"])),
                *(Item(("hooks", event), gate, str(gate["bash"])) for event in COPILOT_REPORTS),
            ),
        ),
    ]


COPILOT = Harness(
    key="copilot",
    name="Copilot CLI",
    programs=("copilot",),
    homes=(".copilot",),
    marks=(".github/copilot-instructions.md",),
    variables=("COPILOT_CLI", "COPILOT_AGENT_SESSION_ID"),
    run=("copilot", "--allow-tool", ENTRY, "-p", "{wake}"),
    files=_copilot,
    is_users=True,
    snippet=lambda seat: f"copilot mcp add {ENTRY} -- {shlex.join(seat.bridge)}",
    stops="Its own hook asks the room before every local tool. Others report when it waits for a permission.",
    wakes="Its listener keeps it running with `--adapter acp`, or starts a run for each wake; no hook can.",
    notes=(
        "With `-p` or `--acp`, Copilot CLI needs `--allow-all-tools` or `--allow-tool teamroom` to call the room.",
        "After a pause or a restart of the room, Copilot CLI can drop the room's tools. Then start it again.",
    ),
    why=(
        "A folder's `.mcp.json` is also read by Claude Code and nanocoder, which would then act as this member. So "
        "join writes the user's own file, and the identity is the same in each folder. `copilot mcp add` leaves two "
        f"lock files that a leave could not tell from others, so join merges the entry itself. {NEEDS_NO_VARIABLE}"
    ),
)


# ------------------------------------------------------------------ Qwen Code


QWEN_REPORTS = ("PostToolUse", "Notification", "PreCompact", "Stop", "SessionEnd")
"""The events that tell the room what Qwen Code is doing. A kind of notification says that it waits for a permission."""


def _qwen(seat: Seat) -> list[ConfigFile]:
    return [
        ConfigFile(
            seat.machine.config(".qwen", "settings.json", variable="QWEN_HOME"),
            entries=(
                seat.server(trust=True),
                *wake_hooks(seat, command_hook("Stop", wake_command(seat, "qwen"), WAIT_SECONDS)),
                command_hook("PreToolUse", gate_command(seat, "qwen"), matcher="*"),
                *report_hooks(seat, "qwen", QWEN_REPORTS),
            ),
        )
    ]


QWEN = Harness(
    key="qwen",
    name="Qwen Code",
    programs=("qwen",),
    homes=(".qwen",),
    marks=(".qwen", "QWEN.md"),
    variables=("QWEN_CODE", "QWEN_CODE_SESSION_ID"),
    wakes_open_session=True,
    run=("qwen", "--allowed-tools", f"mcp__{ENTRY}", "-p", "{wake}"),
    files=_qwen,
    is_users=True,
    snippet=lambda seat: f"qwen mcp add -s user {ENTRY} {shlex.join(seat.bridge[:1])} -- {shlex.join(seat.bridge[1:])}",
    stops=(
        "Its own hook asks the room before every local tool. Qwen Code fails open: if the hook itself fails, the tool "
        "runs, also unattended. Other hooks report when it waits for a permission."
    ),
    wakes=(
        f"A hook at the end of a turn waits for wakes, and continues the session. {STAYS.format('acp')} Or leave out "
        "the hook: `teamroom listen --adapter qwen` wakes an open session that rests."
    ),
    notes=(
        "For `--adapter qwen`, join with `--unattended`: a session has one listener.",
        "For `--adapter acp`, start `qwen --acp --approval-mode default`: else it asks another model about each call.",
    ),
    why=(
        "Qwen Code holds back the servers of a folder until they are approved. So join writes the user's own file, and "
        "the identity is the same in each folder. `qwen mcp add` drops comments, so join merges the entry itself. "
        f"{NEEDS_NO_VARIABLE}"
    ),
)


# ------------------------------------------------------------------ Mistral Vibe


def _vibe(seat: Seat) -> list[ConfigFile]:
    home = seat.machine.config(".vibe", variable="VIBE_HOME")
    gate, wake = gate_command(seat, "vibe"), wake_command(seat, "vibe")
    hooks = (
        _vibe_hook("teamroom-gate", "pre_tool", gate, GATE_SECONDS, match="*", strict=seat.is_unattended),
        _vibe_hook("teamroom-tool", "post_tool", gate, GATE_SECONDS, match="*"),
        _vibe_hook("teamroom-turn", "post_agent", gate, GATE_SECONDS),
        *wake_hooks(seat, _vibe_hook("teamroom-wake", "post_agent", wake, WAIT_SECONDS)),
    )
    return [
        ConfigFile(home / "config.toml", "toml", (Item(("mcp_servers",), _vibe_entry(seat), ENTRY),)),
        ConfigFile(home / "hooks.toml", "toml", hooks),
    ]


def _vibe_entry(seat: Seat) -> dict[str, Any]:
    return {"name": ENTRY, "transport": "stdio", **seat.stdio()}


def _vibe_hook(name: str, type_: str, command: str, timeout: int, **more: Any) -> Item:
    return Item(("hooks",), {"name": name, "type": type_, **more, "command": command, "timeout": timeout}, name)


VIBE = Harness(
    key="vibe",
    name="Mistral Vibe",
    programs=("vibe",),
    homes=(".vibe",),
    marks=(".vibe",),
    variables=("VIBE_APP_SERVER_BIN",),
    wakes_open_session=True,
    run=("vibe", "--auto-approve", "-p", "{wake}"),
    files=_vibe,
    is_users=True,
    snippet=lambda seat: (
        f"vibe mcp add {ENTRY} --transport stdio --command {shlex.quote(seat.bridge[0])} "
        + " ".join(f"--arg {shlex.quote(word)}" for word in seat.bridge[1:])
    ),
    stops="Its own hook asks the room before every local tool, and unattended it fails closed.",
    wakes=f"A hook after a turn waits for wakes, and continues the session up to three times. {STAYS.format('acp')}",
    notes=(
        "With `-p`, Vibe needs `--auto-approve` to call the room.",
        "Its program for `--adapter acp` is `vibe-acp`.",
    ),
    why=(
        "Vibe keeps one list of servers for its user, so the identity is the same in each folder. Join merges the "
        f"entry itself, so that a leave can restore the file. {NEEDS_NO_VARIABLE}"
    ),
)
