"""The README does what it says: its commands run as they stand, and each client's config joins."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.harness.install import binary, lacking
from tests.harness.room import STEP_SECONDS, RoomOfProcesses, free_port, stop, wait_until_ready
from tests.support.raw import ENVELOPE, message, modern_headers
from tests.support.repository import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8765"

COMMAND_SECONDS = 10.0
"""How long a command of the README may take on a machine that does much else."""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@dataclass
class Reader:
    """Somebody who follows the README: a room from `make up`, and what the commands printed."""

    room: RoomOfProcesses
    environment: dict[str, str]
    printed: str
    tokens: list[str]


@contextmanager
def made_up(data: Path) -> Iterator[RoomOfProcesses]:
    """`make up` on a free port, as the README says; what the environment lacks is not installed again."""
    room = RoomOfProcesses(data, free_port())
    log = data.with_suffix(".log")
    venv = Path(sys.prefix)
    variables = [f"DATA={data}", f"PORT={room.port}", f"VENV={venv}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "--no-print-directory", "-o", str(venv / ".runs"), "up", *variables],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(data.parent), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_ready(room, process, log)
        yield room
    finally:
        stop(process)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    home = tmp_path_factory.mktemp("reader")
    with made_up(home / "room") as room:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "TEAMROOM_DATA": str(room.data)}
        done = subprocess.run(
            ["bash", "-eu", "-c", "\n".join(blocks("sh"))],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS * sum(block.count("\n") for block in blocks("sh")),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield Reader(room, environment, done.stdout, re.findall(r"tr_[0-9a-f]{64}", done.stdout))


def test_every_command_of_the_readme_runs_as_it_stands(reader: Reader) -> None:
    commands = "\n".join(blocks("sh"))
    for name in ("doctor", "enroll", "roster", "board", "stream", "receipts", "pause", "resume", "revoke", "verify"):
        assert f"teamroom {name}" in commands, f"the README does not show {name}"
    assert "@builder can join" in reader.printed
    assert "room is paused" in reader.printed
    assert "entries verify" in reader.printed


def test_the_commands_that_install_and_test_are_targets_of_make() -> None:
    named = re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE)
    assert {"up", "test"} <= set(named)
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in sorted(set(named)) if f"\n{name}:" not in makefile] == []


@pytest.mark.parametrize("language", ["json", "toml"])
def test_each_config_of_the_readme_joins_the_room(reader: Reader, language: str) -> None:
    token = reader.tokens[-2]  # of the builder, after its rotation; the last one was revoked
    configs = [(json.loads if language == "json" else tomllib.loads)(block) for block in blocks(language)]
    servers = [server for config in configs for server in servers_of(config) if "url" in server]
    assert len(servers) == (3 if language == "json" else 1)
    for server in servers:
        assert server["url"].startswith(ADDRESS)
        header = server.get("headers", {}).get("Authorization", "Bearer ${TEAMROOM_TOKEN}")
        assert (server.get("bearer_token_env_var") or header).count("TOKEN") + header.count("input:") >= 1
        authorization = re.sub(r"\$?\{[^}]*\}", token, header)
        url = server["url"].replace(ADDRESS, reader.room.url)
        assert call(url, authorization)["structuredContent"]["standing"] == "active"


def test_the_stdio_config_of_the_readme_joins_the_room(reader: Reader) -> None:
    configs = [json.loads(block) for block in blocks("json")]
    (bridge,) = [server for config in configs for server in servers_of(config) if "command" in server]
    words = [word.replace("/path/to/.teamroom", str(reader.room.data)) for word in bridge["args"]]
    frame = message("tools/call", {"name": "check_in", "arguments": {}, "_meta": ENVELOPE})
    done = subprocess.run(
        [bridge["command"], *words],
        env=reader.environment,
        input=frame + b"\n",
        capture_output=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    assert json.loads(done.stdout)["result"]["structuredContent"]["standing"] == "active", done.stderr


@pytest.mark.harness
@pytest.mark.skipif(bool(lacking()), reason=f"make test-harnesses installs them: {'; '.join(lacking())}")
@pytest.mark.parametrize(("harness", "written"), [("claude", ".claude.json"), ("codex", ".codex/config.toml")])
def test_the_line_that_joins_a_harness_writes_its_config(tmp_path: Path, harness: str, written: str) -> None:
    (line,) = re.findall(rf"^{harness} mcp add .*$", README, flags=re.MULTILINE)
    (tmp_path / ".codex").mkdir()
    done = subprocess.run(
        ["bash", "-c", f"{binary(harness)} {line.removeprefix(harness)}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    config = (tmp_path / written).read_text()
    assert f"{ADDRESS}/mcp" in config
    assert "TEAMROOM_TOKEN" in config


def servers_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The servers in a config, whatever its harness calls them."""
    found: dict[str, Any] = {}
    for key in ("mcpServers", "mcp", "servers", "mcp_servers"):
        found |= config.get(key, {})
    return list(found.values())


def call(url: str, authorization: str) -> dict[str, Any]:
    """Check in over HTTP with what a config says."""
    answer = httpx2.post(
        url,
        content=message("tools/call", {"name": "check_in", "arguments": {}, "_meta": ENVELOPE}),
        headers={
            "Authorization": authorization,
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **dict(modern_headers("tools/call", "check_in")),
        },
        timeout=STEP_SECONDS,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["result"])
