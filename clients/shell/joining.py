"""The lines with which a member joins from its harness, and a person from a chat client."""

import json
import shlex
import sys
from pathlib import Path

from teamroom.clients.session.connection import is_this_machine
from teamroom.clients.session.program import own_name

READ_TOKEN = "read -rs TEAMROOM_TOKEN && export TEAMROOM_TOKEN"
"""Reads a token that is pasted next, in bash and zsh. It is neither shown nor kept in the shell's history."""

HEADER = "'Authorization: Bearer ${TEAMROOM_TOKEN}'"
"""The header with the token, which the harness reads from its environment."""


def how_claude_joins(entry: str, url: str, token_file: Path) -> str:
    """Return the line that adds a room to Claude Code for the present folder, with a token that is in a file.

    The token is neither shown nor kept in the shell's history, and no process has it among its arguments.
    """
    read = f'TEAMROOM_TOKEN="$(cat {shlex.quote(str(token_file))})"'
    return f"export {read} && claude mcp add -t http {entry} {url}/mcp -H {HEADER}"


def how_to_join(mcp: str, name: str, here: str) -> str:
    """Return a line for each kind of client. All except the last read the token from TEAMROOM_TOKEN."""
    teamroom = own_name()
    far = "" if is_this_machine(mcp) else f" --url {mcp.removesuffix('/mcp')}"
    stdio = (
        f"{teamroom} connect --as {name}{far}   (with the token in TEAMROOM_TOKEN)"
        if far
        else (f"{teamroom} connect --as {name}{here}   (after: {teamroom} enroll {name} --save{here})")
    )
    return f"""  Claude Code  claude mcp add -s user -t http teamroom {mcp} -H {HEADER}
  Codex        codex mcp add teamroom --url {mcp} --bearer-token-env-var TEAMROOM_TOKEN
  any other    {mcp} with the header Authorization: Bearer $TEAMROOM_TOKEN
  over stdio   {stdio}"""


CHAT_TOKEN = "TOKEN"
"""Stands for the token in the entries of chat clients, which have no variable for it."""


def how_to_join_from_chat(mcp: str, name: str) -> str:
    """Return the entry for each kind of chat client. `TOKEN` stands for the token."""
    url = mcp.removesuffix("/mcp")
    program = str(Path(sys.argv[0]).resolve()) if "/" in sys.argv[0] else own_name()
    bearer = f"Bearer {CHAT_TOKEN}"
    bridge = {
        "command": program,
        "args": ["connect", "--as", name, "--url", url],
        "env": {"TEAMROOM_TOKEN": CHAT_TOKEN},
    }
    ask = {"type": "promptString", "id": "teamroom", "description": "Teamroom token", "password": True}
    asked = {"type": "http", "url": mcp, "headers": {"Authorization": "Bearer ${input:teamroom}"}}
    entries = {
        "Claude Desktop, in claude_desktop_config.json": json.dumps({"mcpServers": {"teamroom": bridge}}),
        "VS Code, in .vscode/mcp.json (it asks for the token)": json.dumps(
            {"servers": {"teamroom": asked}, "inputs": [ask]}
        ),
        "LibreChat, in librechat.yaml": (
            f"mcpServers: {{teamroom: {{type: streamable-http, url: {mcp}, serverInstructions: true, "
            f'headers: {{Authorization: "{bearer}"}}}}}}'
        ),
        "Open WebUI, under Admin Settings, External Tools, Add Server": (
            f"type MCP (Streamable HTTP), URL {mcp}, auth Bearer {CHAT_TOKEN}"
        ),
        "Goose, in ~/.config/goose/config.yaml": (
            f"extensions: {{teamroom: {{name: teamroom, enabled: true, type: streamable_http, uri: {mcp}, "
            f'timeout: 300, headers: {{Authorization: "{bearer}"}}}}}}'
        ),
        "fast-agent, in your terminal": f"fast-agent go --url {mcp} --auth {CHAT_TOKEN} --model MODEL",
        "Any client that takes an address and a header": f"{mcp} with the header Authorization: {bearer}",
    }
    return "\n".join(f"  {client}:\n    {entry}" for client, entry in entries.items())
