"""Every harness with a scripted model as its only provider, and only `teamroom join` leads it to the room."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

from tests.harness.harnesses import PROMPT, RUN_SECONDS, Harness, Launch, Seat, surroundings
from tests.harness.install import binary, path_with
from tests.harness.openai_chat import CodeMode, OpenAIChat, SearchedTools
from tests.harness.vendors import CLAUDE_CODE, CODEX, CODEX_CONFIG, COPILOT_CLI, GEMINI_CLI, OPENCODE
from tests.support.shells import TEAMROOM

QUIET = {"NO_COLOR": "1", "PATH": path_with(Path(TEAMROOM).parent)}
"""What each of them gets: the pinned Node, the shell of the room, and no colours."""


def _launch_qwen(seat: Seat, model_url: str) -> Launch:
    key = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{model_url}/v1", "OPENAI_MODEL": "scripted"}
    return Launch([str(binary("qwen")), "--auth-type", "openai", "-y", "-p", PROMPT], {**QUIET, **key})


VIBE_CONFIG = """\
active_model = "scripted"
enable_telemetry = false
enable_update_checks = false

[[providers]]
name = "scripted"
api_base = "{model_url}/v1"
api_key_env_var = "SCRIPTED_KEY"
backend = "generic"

[[models]]
name = "scripted"
provider = "scripted"
alias = "scripted"
"""


def _launch_vibe(seat: Seat, model_url: str) -> Launch:
    _put_before(seat.home / ".vibe" / "config.toml", VIBE_CONFIG.format(model_url=model_url))
    return Launch([str(binary("vibe")), "--auto-approve", "--trust", "-p", PROMPT], {**QUIET, "SCRIPTED_KEY": "none"})


def _launch_cline(seat: Seat, model_url: str) -> Launch:
    words = ["auth", "openai-compatible", "-k", "none", "-m", "scripted", "-b", f"{model_url}/v1"]
    environment = {**surroundings(seat), **QUIET}
    subprocess.run([binary("cline"), *words], env=environment, capture_output=True, timeout=RUN_SECONDS, check=True)
    return Launch([str(binary("cline")), PROMPT], QUIET)


CONTINUE_CONFIG = """\
models:
  - {{name: scripted, provider: openai, model: scripted, apiKey: none, apiBase: "{model_url}/v1"}}
"""


def _launch_continue(seat: Seat, model_url: str) -> Launch:
    _put_before(seat.home / ".continue" / "config.yaml", CONTINUE_CONFIG.format(model_url=model_url))
    return Launch([str(binary("cn")), "-p", PROMPT], {**QUIET, "CONTINUE_TELEMETRY_ENABLED": "0"})


def _launch_nanocoder(seat: Seat, model_url: str) -> Launch:
    provider = {"name": "scripted", "baseUrl": f"{model_url}/v1", "apiKey": "none", "models": ["scripted"]}
    words = ["--plain", "--trust-directory", "--provider", "scripted", "--model", "scripted", "run", PROMPT]
    return Launch([str(binary("nanocoder")), *words], {**QUIET, "NANOCODER_PROVIDERS": json.dumps([provider])})


def _launch_gptme(seat: Seat, model_url: str) -> Launch:
    key = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{model_url}/v1"}
    words = ["-n", "--tool-format", "tool", "-m", "local/scripted", PROMPT]
    return Launch([str(binary("gptme")), *words], {**QUIET, **key})


def _put_before(file: Path, text: str) -> None:
    """Add a provider to a config, as a person does who joined before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + (file.read_text() if file.exists() else ""))


QWEN_CODE = Harness(
    "Qwen Code", "qwen",
    SearchedTools("mcp__teamroom__", "run_shell_command", {"description": "Run a command", "is_background": False}),
    _launch_qwen,
)  # fmt: skip
VIBE = Harness("Mistral Vibe", "vibe", CodeMode("mcp_teamroom.", "bash", {}), _launch_vibe)
CLINE = Harness("Cline", "cline", OpenAIChat("teamroom__"), _launch_cline)
CONTINUE = Harness("Continue", "cn", OpenAIChat(""), _launch_continue)
NANOCODER = Harness("nanocoder", "nanocoder", OpenAIChat(""), _launch_nanocoder)
GPTME = Harness("gptme", "gptme", OpenAIChat("teamroom_", hashes=True), _launch_gptme)


# ------------------------------------------------------------------ those that also join by hand


def _launch_claude(seat: Seat, model_url: str) -> Launch:
    found = CLAUDE_CODE.launch(seat, model_url)
    words = [found.command[0], "-p", PROMPT, "--allowedTools", "Bash"]
    return Launch(words, {**found.environment, "PATH": QUIET["PATH"]})


def _launch_codex(seat: Seat, model_url: str) -> Launch:
    config = CODEX_CONFIG.partition("[mcp_servers.teamroom]")[0].format(model_url=model_url)
    _put_before(seat.home / ".codex" / "config.toml", config)
    words = ["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-hook-trust", PROMPT]
    return Launch([str(binary("codex")), *words], {**QUIET, "SCRIPTED_KEY": "none"})


def _without_server(harness: Harness, file: str, key: str) -> Harness:
    """A harness whose own file of a person has no entry of the room."""

    def launch(seat: Seat, model_url: str) -> Launch:
        path = seat.home / file
        before = path.read_text() if path.exists() else None
        found = harness.launch(seat, model_url)
        config = json.loads(path.read_text())
        del config[key]
        if before is not None:
            path.write_text(before)
        elif config:
            path.write_text(json.dumps(config))
        else:
            path.unlink()
        return Launch(found.command, {**found.environment, "PATH": QUIET["PATH"]})

    return replace(harness, launch=launch)


JOINERS = (
    replace(CLAUDE_CODE, launch=_launch_claude),
    replace(CODEX, launch=_launch_codex),
    _without_server(GEMINI_CLI, ".gemini/settings.json", "mcpServers"),
    _without_server(OPENCODE, ".config/opencode/opencode.json", "mcp"),
    _without_server(COPILOT_CLI, ".copilot/mcp-config.json", "mcpServers"),
    QWEN_CODE,
    VIBE,
    CLINE,
    CONTINUE,
    NANOCODER,
    GPTME,
)
"""Every harness that tests run, with what only `teamroom join` wrote."""

HOOKLESS = (CLINE, CONTINUE, NANOCODER, GPTME)

GATED = tuple(harness for harness in JOINERS if harness not in HOOKLESS)
"""Those with a hook before their own tools."""
