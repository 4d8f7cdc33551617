"""Harnesses without a hook that could refuse a local tool: Cline, Continue, nanocoder and gptme."""

import json
import shlex
from pathlib import Path
from typing import Any

from teamroom.clients.harnesses.description import ENTRY, ConfigFile, Harness, Seat
from teamroom.clients.harnesses.entries import Item, Put
from teamroom.clients.harnesses.hooked import NEEDS_NO_VARIABLE, servers

NOT_STOPPED = "Nothing stops its local tools: {why} A pause or kill refuses only its calls to the room."
WAKE = "{wake}"
"""What a listener replaces with the sentence that has an agent look."""

STARTED = "Its listener starts a fresh run for each wake; an open session is not woken."
EXPANDS_NOTHING = (
    "It expands no variable, so a token would lie in the file. The stdio bridge keeps the token out of it."
)


# ------------------------------------------------------------------ Cline


def _cline(seat: Seat) -> list[ConfigFile]:
    path = seat.machine.home / ".cline" / "data" / "settings" / "cline_mcp_settings.json"
    return [ConfigFile(path, entries=(Put(("mcpServers", ENTRY), _cline_entry(seat)),))]


def _cline_entry(seat: Seat) -> dict[str, Any]:
    return {"transport": seat.stdio(type="stdio")}


CLINE = Harness(
    key="cline",
    name="Cline",
    programs=("cline",),
    homes=(".cline",),
    marks=(".clinerules",),
    variables=("CLINE_ACTIVE", "CLINE_NO_INTERACTIVE"),
    run=("cline", WAKE),
    files=_cline,
    is_users=True,
    snippet=lambda seat: f"cline mcp add {ENTRY} --yes -- {shlex.join(seat.bridge)}",
    stops=NOT_STOPPED.format(why="a hook of Cline ends the whole run, and the model is told nothing."),
    wakes=STARTED,
    why=f"{EXPANDS_NOTHING} Join merges the entry itself, so that a leave can restore the file.",
)


# ------------------------------------------------------------------ Continue


ABOUT = tuple(Put((key,), value, is_default=True) for key, value in
              (("name", "Local"), ("version", "1.0.0"), ("schema", "v1")))  # fmt: skip
"""What Continue wants at the top of every config."""


def _continue(seat: Seat) -> list[ConfigFile]:
    path = seat.machine.home / ".continue" / "config.yaml"
    return [ConfigFile(path, "yaml", (*ABOUT, Item(("mcpServers",), _continue_entry(seat), ENTRY)))]


def _continue_entry(seat: Seat) -> dict[str, Any]:
    return {"name": ENTRY, "type": "stdio", **seat.stdio()}


CONTINUE = Harness(
    key="continue",
    name="Continue",
    programs=("cn",),
    homes=(".continue",),
    marks=(".continue",),
    run=("cn", "-p", WAKE),
    files=_continue,
    is_users=True,
    snippet=lambda seat: f"mcpServers:\n  - {json.dumps(_continue_entry(seat))}",
    stops=NOT_STOPPED.format(why="Continue runs no hook before a tool."),
    wakes=STARTED,
    notes=("If you start Continue with another config, add the entry there: `cn --config FILE`.",),
    why=f"Continue has no command for a server on this machine. {NEEDS_NO_VARIABLE}",
)


# ------------------------------------------------------------------ nanocoder


def _nanocoder(seat: Seat) -> list[ConfigFile]:
    named = seat.machine.environment.get("NANOCODER_CONFIG_DIR")
    folder = Path(named) if named else seat.machine.xdg / "nanocoder"
    return [ConfigFile(folder / ".mcp.json", entries=(seat.server(transport="stdio"),))]


NANOCODER = Harness(
    key="nanocoder",
    name="nanocoder",
    programs=("nanocoder",),
    homes=(".config/nanocoder",),
    marks=(".nanocoder",),
    run=("nanocoder", "--plain", "--trust-directory", "run", WAKE),
    files=_nanocoder,
    is_users=True,
    snippet=lambda seat: servers(seat, transport="stdio"),
    stops=NOT_STOPPED.format(why="nanocoder has no hook before a tool."),
    wakes=STARTED,
    why=(
        "A folder's `.mcp.json` is also read by Claude Code and Copilot CLI, which would then act as this member. So "
        f"join writes the user's own file, and the identity is the same in each folder. {NEEDS_NO_VARIABLE}"
    ),
)


# ------------------------------------------------------------------ gptme


def _gptme(seat: Seat) -> list[ConfigFile]:
    entries = (Put(("mcp", "enabled"), True), Put(("mcp", "auto_start"), True), _gptme_server(seat))
    return [ConfigFile(seat.machine.xdg / "gptme" / "config.toml", "toml", entries)]


def _gptme_server(seat: Seat) -> Item:
    return Item(("mcp", "servers"), {"name": ENTRY, **seat.stdio()}, ENTRY)


def _gptme_snippet(seat: Seat) -> str:
    command, *arguments = seat.bridge
    return (
        f"[mcp]\nenabled = true\nauto_start = true\n\n[[mcp.servers]]\nname = {json.dumps(ENTRY)}\n"
        f"command = {json.dumps(command)}\nargs = {json.dumps(arguments)}"
    )


GPTME = Harness(
    key="gptme",
    name="gptme",
    programs=("gptme",),
    homes=(".config/gptme",),
    marks=("gptme.toml",),
    run=("gptme", "-n", "--tool-format", "tool", WAKE),
    files=_gptme,
    is_users=True,
    snippet=_gptme_snippet,
    stops=NOT_STOPPED.format(why="gptme has no hook before a tool."),
    wakes=STARTED,
    why=f"{EXPANDS_NOTHING} It has no command that adds a server.",
)
