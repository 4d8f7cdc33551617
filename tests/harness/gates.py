"""The gate in the config of each harness that has a hook before its own tools."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.harnesses import Harness, Seat
from tests.harness.joiners import QWEN_CODE, VIBE
from tests.harness.room import TEAMROOM
from tests.harness.vendors import CLAUDE_CODE, CODEX, COPILOT_CLI, GEMINI_CLI, OPENCODE

HOOK_SECONDS = 5


@dataclass(frozen=True)
class Gated:
    """A harness, and what writes the gate into its config. `options`: words that its command line needs for hooks."""

    name: str
    harness: Harness
    write: Callable[[Seat, str], None]
    options: tuple[str, ...] = ()


def command(format_: str, data: str) -> str:
    """The command of a hook, whose token comes from the environment."""
    return f"{TEAMROOM} gate --format {format_} --data {data}"


def _claude(hook: Callable[[Seat, str], dict[str, Any]]) -> Callable[[Seat, str], None]:
    def write(seat: Seat, data: str) -> None:
        entry = {"matcher": "*", "hooks": [hook(seat, data)]}
        _write(seat.folder / ".claude" / "settings.local.json", {"hooks": {"PreToolUse": [entry]}})

    return write


def _claude_http(seat: Seat, data: str) -> dict[str, Any]:
    return {
        "type": "http",
        "url": f"{seat.room_url.removesuffix('/mcp')}/hooks/claude",
        "timeout": HOOK_SECONDS,
        "headers": {"Authorization": "Bearer $TEAMROOM_TOKEN"},
        "allowedEnvVars": ["TEAMROOM_TOKEN"],
    }


def _claude_command(seat: Seat, data: str) -> dict[str, Any]:
    return {"type": "command", "command": command("claude", data), "timeout": HOOK_SECONDS}


def _codex(seat: Seat, data: str) -> None:
    entry = {"matcher": "*", "hooks": [{"type": "command", "command": command("codex", data), "timeout": HOOK_SECONDS}]}
    _write(seat.home / ".codex" / "hooks.json", {"hooks": {"PreToolUse": [entry]}})


def _gemini(seat: Seat, data: str) -> None:
    hook = {"type": "command", "command": command("gemini", data), "timeout": HOOK_SECONDS * 1000}
    settings = {"hooks": {"BeforeTool": [{"matcher": ".*", "hooks": [hook]}]}}
    _write(seat.folder / ".gemini" / "settings.json", settings)


def _copilot(seat: Seat, data: str) -> None:
    hook = {"type": "command", "bash": command("copilot", data), "timeoutSec": HOOK_SECONDS}
    _write(seat.home / ".copilot" / "hooks" / "teamroom.json", {"version": 1, "hooks": {"preToolUse": [hook]}})


PLUGIN = """\
import { execFileSync } from "node:child_process"

export const Teamroom = async ({ directory }) => ({
  "tool.execute.before": async (input, output) => {
    const call = { tool: input.tool, tool_input: output.args, session_id: input.sessionID, cwd: directory }
    const said = JSON.stringify({ hook_event_name: "PreToolUse", ...call })
    const words = ["gate", "--format", "opencode", "--data", "DATA"]
    const answer = JSON.parse(execFileSync("PROGRAM", words, { input: said, encoding: "utf8" }))
    if (answer.decision === "deny") throw new Error(answer.reason)
  },
})
"""


def _opencode(seat: Seat, data: str) -> None:
    file = seat.home / ".config" / "opencode" / "plugin" / "teamroom.js"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PLUGIN.replace("PROGRAM", TEAMROOM).replace("DATA", data))


def _qwen(seat: Seat, data: str) -> None:
    hook = {"type": "command", "command": command("qwen", data), "timeout": HOOK_SECONDS}
    _write(seat.home / ".qwen" / "settings.json", {"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [hook]}]}})


VIBE_HOOK = """\
[[hooks]]
name = "gate"
type = "pre_tool"
match = "*"
strict = true
command = {command}
timeout = {seconds}
"""


def _vibe(seat: Seat, data: str) -> None:
    file = seat.home / ".vibe" / "hooks.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(VIBE_HOOK.format(command=json.dumps(command("vibe", data)), seconds=HOOK_SECONDS))


def _write(file: Path, config: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(config))


GATED = (
    Gated("Claude Code over HTTP", CLAUDE_CODE, _claude(_claude_http)),
    Gated("Claude Code by a command", CLAUDE_CODE, _claude(_claude_command)),
    Gated("Codex", CODEX, _codex, ("--dangerously-bypass-hook-trust",)),
    Gated("Gemini CLI", GEMINI_CLI, _gemini),
    Gated("OpenCode", OPENCODE, _opencode),
    Gated("Copilot CLI", COPILOT_CLI, _copilot),
    Gated("Qwen Code", QWEN_CODE, _qwen),
    Gated("Mistral Vibe", VIBE, _vibe),
)
