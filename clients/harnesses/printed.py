"""Clients that join only prints an entry for: their configs are elsewhere, or are programs."""

import json
from collections.abc import Callable

from teamroom.clients.harnesses.description import ENTRY, Harness, Seat
from teamroom.clients.harnesses.editors import DOCUMENTED, NOT_STOPPED, NOT_WOKEN, in_window
from teamroom.clients.harnesses.hooked import servers
from teamroom.server.rules.joining import CHAT_TOKEN, entries_of_chat_clients

READ_IN_PACKAGE = "read in the shipped package, not tried"
OVER_HTTP = "It takes an address and a header. The program gets the token from a variable, or reads the token's file."


def _printed(key: str, name: str, snippet: Callable[[Seat], str], tried: str, why: str, **more: str | bool) -> Harness:
    return Harness(key, name, snippet, why, NOT_STOPPED, NOT_WOKEN, tried, **more)  # type: ignore[arg-type]


def _chat(title: str) -> Callable[[Seat], str]:
    """Return the snippet of a chat client, which is a person's and has a token of its own."""

    def snippet(seat: Seat) -> str:
        program = in_window(seat).program[0]
        entries = entries_of_chat_clients(f"{seat.url}/mcp", "YOU", program)
        return next(entry for client, entry in entries.items() if client.startswith(title))

    return snippet


CHAT = f"A chat client is a person's. Put a token for that client in place of {CHAT_TOKEN}."


def _windsurf(seat: Seat) -> str:
    return servers(in_window(seat))


def _openclaw(seat: Seat) -> str:
    return json.dumps({"mcp": {"servers": {ENTRY: seat.stdio()}}}, indent=2)


def _hermes(seat: Seat) -> str:
    return f"mcp_servers:\n  {ENTRY}: {json.dumps(seat.stdio())}"


def _n8n(seat: Seat) -> str:
    return (
        f"node:        MCP Client Tool\nendpoint:    {seat.url}/mcp\ntransport:   HTTP Streamable\n"
        "credentials: Bearer Auth, with the token from the member's file"
    )


READ = 'headers = {{"Authorization": "Bearer " + open({file!r}).read().strip()}}\n'


def _program(text: str) -> Callable[[Seat], str]:
    def snippet(seat: Seat) -> str:
        file = str(seat.data / "members" / f"{seat.name}.token")
        return (READ + text).format(file=file, url=f"{seat.url}/mcp")

    return snippet


_agents_sdk = _program(
    "server = MCPServerStreamableHttp(\n"
    '    params={{"url": "{url}", "headers": headers}}, client_session_timeout_seconds=60\n)'
)
_langchain = _program(
    'client = MultiServerMCPClient({{"teamroom": {{"transport": "streamable_http", "url": "{url}", '
    '"headers": headers}}}})'
)
_pydantic = _program(
    'toolset = MCPToolset(\n    "{url}", headers=headers, tool_error_behavior="failed", include_instructions=True\n)'
)

PRINTED = (
    _printed("windsurf", "Windsurf", _windsurf, DOCUMENTED, "It goes into ~/.codeium/windsurf/mcp_config.json."),
    _printed("goose", "Goose", _chat("Goose"), DOCUMENTED, CHAT, is_chat=True),
    _printed("claude-desktop", "Claude Desktop", _chat("Claude Desktop"), DOCUMENTED, CHAT, is_chat=True),
    _printed("librechat", "LibreChat", _chat("LibreChat"), DOCUMENTED, CHAT, is_chat=True),
    _printed("open-webui", "Open WebUI", _chat("Open WebUI"), DOCUMENTED, CHAT, is_chat=True),
    _printed("fast-agent", "fast-agent", _chat("fast-agent"), "run with the real program", CHAT, is_chat=True),
    _printed("openclaw", "OpenClaw", _openclaw, "not at all, and its key for servers is a guess. Not tried",
             "It goes into ~/.openclaw/openclaw.json."),
    _printed("hermes", "Hermes", _hermes, DOCUMENTED, "It goes into ~/.hermes/config.yaml."),
    _printed("n8n", "n8n", _n8n, DOCUMENTED, OVER_HTTP),
    _printed("langchain", "LangChain", _langchain, READ_IN_PACKAGE, OVER_HTTP),
    _printed("openai-agents", "OpenAI Agents SDK", _agents_sdk, READ_IN_PACKAGE, OVER_HTTP),
    _printed("pydantic-ai", "pydantic-ai", _pydantic, READ_IN_PACKAGE, OVER_HTTP),
)  # fmt: skip
"""Each of them. A chat client joins with a person's own token."""
