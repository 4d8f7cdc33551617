"""The five harnesses, each with the config that docs/join.md shows and a scripted model as its only provider."""

import json
from pathlib import Path
from typing import Any

from tests.harness.anthropic_messages import AnthropicMessages
from tests.harness.gemini_content import GeminiContent
from tests.harness.harnesses import PROMPT, Harness, Launch, Seat
from tests.harness.install import binary
from tests.harness.openai_chat import OpenAIChat
from tests.harness.openai_responses import OpenAIResponses


def _launch_claude_code(seat: Seat, model_url: str) -> Launch:
    headers = {"Authorization": "Bearer ${TEAMROOM_TOKEN}"}
    servers = {"teamroom": {"type": "http", "url": seat.room_url, "headers": headers}}
    config = seat.home / "mcp.json"
    config.write_text(json.dumps({"mcpServers": servers}))
    temporary = seat.home / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    options = ["--mcp-config", str(config), "--strict-mcp-config", "--output-format", "json"]
    return Launch(
        [str(binary("claude")), "-p", PROMPT, *options, "--allowedTools", "Bash", "mcp__teamroom"],
        {
            "ANTHROPIC_BASE_URL": model_url,
            "ANTHROPIC_API_KEY": "sk-ant-test",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_TMPDIR": str(temporary),
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
        },
    )


CODEX_CONFIG = """\
model = "scripted"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
web_search = "disabled"
analytics.enabled = false
otel.metrics_exporter = "none"
features.plugins = false

[model_providers.scripted]
name = "scripted"
base_url = "{model_url}/v1"
wire_api = "responses"
env_key = "SCRIPTED_KEY"

[mcp_servers.teamroom]
url = "{room_url}"
bearer_token_env_var = "TEAMROOM_TOKEN"
"""
"""Codex's config.toml; without `features.plugins = false` it asks GitHub and chatgpt.com for plugins."""


def _launch_codex(seat: Seat, model_url: str) -> Launch:
    folder = seat.home / ".codex"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(CODEX_CONFIG.format(model_url=model_url, room_url=seat.room_url))
    return Launch([str(binary("codex")), "exec", "--json", "--skip-git-repo-check", PROMPT], {"SCRIPTED_KEY": "none"})


def _launch_gemini_cli(seat: Seat, model_url: str) -> Launch:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
        "mcpServers": {"teamroom": _server(seat, "http", "${TEAMROOM_TOKEN}")},
    }
    _write(seat.home / ".gemini" / "settings.json", settings)
    return Launch(
        [str(binary("gemini")), "--yolo", "-m", "gemini-2.5-pro", "-p", PROMPT],
        {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": model_url, "GEMINI_CLI_TRUST_WORKSPACE": "true"},
    )


def _launch_opencode(seat: Seat, model_url: str) -> Launch:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{model_url}/v1", "apiKey": "none"},
        "models": {"scripted": {}},
    }
    config = {
        "autoupdate": False,
        "share": "disabled",
        "provider": {"scripted": provider},
        "model": "scripted/scripted",
        "mcp": {"teamroom": {**_server(seat, "remote", "{env:TEAMROOM_TOKEN}"), "enabled": True}},
    }
    _write(seat.home / ".config" / "opencode" / "opencode.json", config)
    return Launch([str(binary("opencode")), "run", PROMPT], {"OPENCODE_DISABLE_MODELS_FETCH": "1"})


def _launch_copilot_cli(seat: Seat, model_url: str) -> Launch:
    server = {**_server(seat, "http", "${TEAMROOM_TOKEN}"), "tools": ["*"]}
    _write(seat.home / ".copilot" / "mcp-config.json", {"mcpServers": {"teamroom": server}})
    return Launch(
        [str(binary("copilot")), "-p", PROMPT, "--allow-all-tools"],
        {
            "COPILOT_OFFLINE": "true",
            "COPILOT_AUTO_UPDATE": "false",
            "COPILOT_PROVIDER_BASE_URL": f"{model_url}/v1",
            "COPILOT_MODEL": "scripted",
        },
    )


def _server(seat: Seat, kind: str, token: str) -> dict[str, Any]:
    """The room as an entry of a config; `token`: how that config reads it from the environment."""
    return {"type": kind, "url": seat.room_url, "headers": {"Authorization": f"Bearer {token}"}}


def _write(file: Path, config: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(config))


CLAUDE_CODE = Harness("Claude Code", "claude", AnthropicMessages(), _launch_claude_code)
CODEX = Harness("Codex", "codex", OpenAIResponses(), _launch_codex)
GEMINI_CLI = Harness("Gemini CLI", "gemini", GeminiContent(), _launch_gemini_cli)
OPENCODE = Harness("OpenCode", "opencode", OpenAIChat(prefix="teamroom_"), _launch_opencode)
COPILOT_CLI = Harness("Copilot CLI", "copilot", OpenAIChat(prefix="teamroom-"), _launch_copilot_cli)

HARNESSES = (CLAUDE_CODE, CODEX, GEMINI_CLI, OPENCODE, COPILOT_CLI)
