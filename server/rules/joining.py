"""The lines with which a member joins from its harness, and a person from a chat client.

The shell prints them, and the page shows them. None of them holds a token.
"""

import json

READ_TOKEN = "read -rs TEAMROOM_TOKEN && export TEAMROOM_TOKEN"
"""Reads a token that is pasted next, in bash and zsh. It is neither shown nor kept in the shell's history."""

HEADER = "'Authorization: Bearer ${TEAMROOM_TOKEN}'"
"""The header with the token, which Claude Code reads from its environment."""

CHAT_TOKEN = "TOKEN"
"""Stands for the token in the entries of chat clients, which have no variable for it."""


def lines_of_harnesses(mcp: str) -> dict[str, str]:
    """A line for each kind of harness. All read the token from TEAMROOM_TOKEN."""
    return {
        "Claude Code": f"claude mcp add -s user -t http teamroom {mcp} -H {HEADER}",
        "Codex": f"codex mcp add teamroom --url {mcp} --bearer-token-env-var TEAMROOM_TOKEN",
        "any other": f"{mcp} with the header Authorization: Bearer $TEAMROOM_TOKEN",
    }


def entries_of_chat_clients(mcp: str, name: str, program: str) -> dict[str, str]:
    """The entry for each kind of chat client. `program`: the command of the shell on the client's machine."""
    url = mcp.removesuffix("/mcp")
    bearer = f"Bearer {CHAT_TOKEN}"
    bridge = {
        "command": program,
        "args": ["connect", "--as", name, "--url", url],
        "env": {"TEAMROOM_TOKEN": CHAT_TOKEN},
    }
    ask = {"type": "promptString", "id": "teamroom", "description": "Teamroom token", "password": True}
    asked = {"type": "http", "url": mcp, "headers": {"Authorization": "Bearer ${input:teamroom}"}}
    return {
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
