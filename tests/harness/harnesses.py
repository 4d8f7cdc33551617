"""Claude Code and Codex as a test starts them: a home of their own, nothing to reach beyond 127.0.0.1."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.anthropic_messages import AnthropicMessages
from tests.harness.install import binary
from tests.harness.openai_responses import OpenAIResponses
from tests.harness.script import Step
from tests.harness.scripted_model import Api, ScriptedModel

RUN_SECONDS = 60.0
"""How long a harness may take for a whole run."""

LOG_CHARACTERS = 4_000

NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody serves: whatever looks beyond this machine fails at once."""

PROMPT = "Do what the room needs of you."


@dataclass(frozen=True)
class Seat:
    """Where a member works: its token, a home that nobody shares and a folder that all share."""

    token: str
    room_url: str
    home: Path
    folder: Path


@dataclass(frozen=True)
class Launch:
    """How a harness is started."""

    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Harness:
    """A harness: the API it asks its model over, and how it is started in a seat with a model."""

    name: str
    api: Api
    launch: Callable[[Seat, str], Launch]


@dataclass(frozen=True)
class Run:
    """A harness at work."""

    harness: Harness
    process: subprocess.Popen[bytes]
    model: ScriptedModel
    log: Path

    def finish(self) -> list[str]:
        """Wait for the end; returns what the model saw, the results of its script's calls."""
        try:
            code = self.process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        if self.model.failure is not None:
            raise self.model.failure
        assert code == 0, f"{self.harness.name} ended with {code}:\n{self.log.read_text()[-LOG_CHARACTERS:]}"
        return self.model.seen


@dataclass(frozen=True)
class Agent:
    """A member of the room whose body is a real harness."""

    name: str
    harness: Harness
    seat: Seat

    def work(self, *steps: Step) -> list[str]:
        """Run a whole script; returns the result of each step's call as the model saw it."""
        with self.at_work(*steps) as run:
            seen = run.finish()
        assert len(seen) == len(steps), f"{self.name} made {len(seen)} of {len(steps)} calls: {seen}"
        return seen

    @contextlib.contextmanager
    def at_work(self, *steps: Step) -> Iterator[Run]:
        """A run that lasts until the block ends at the latest."""
        self.seat.home.mkdir(exist_ok=True)
        with ScriptedModel(self.harness.api, steps) as model:
            launch = self.harness.launch(self.seat, model.url)
            log = self.seat.home / "log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    launch.command,
                    cwd=self.seat.folder,
                    env={**surroundings(self.seat), **launch.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            try:
                yield Run(self.harness, process, model, log)
            finally:
                _end(process)


def surroundings(seat: Seat) -> dict[str, str]:
    """What every harness gets, and all that it inherits."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(seat.home),
        "LANG": "C.UTF-8",
        "TEAMROOM_TOKEN": seat.token,
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "NO_PROXY": "127.0.0.1",
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a harness that still runs, with the processes that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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


CLAUDE_CODE = Harness("Claude Code", AnthropicMessages(), _launch_claude_code)
CODEX = Harness("Codex", OpenAIResponses(), _launch_codex)
