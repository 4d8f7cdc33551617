"""The protocol's own conformance suite against the real room, its scenarios that need no fixtures; and the Inspector.

A fixture is a tool, a prompt or a resource of a fixed name that a test server has and a room has not. Those
scenarios are left out by name, so that a new release of the suite cannot leave any out unseen.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.harness.room import STEP_SECONDS, RoomOfProcesses, room_of_processes
from tests.outside.install import CONFORMANCE, INSPECTOR, lacking, node, script
from tests.outside.proxy import proxy
from tests.support.plain_http import WITHOUT_TLS
from tests.support.promises import house

pytestmark = [
    house,
    pytest.mark.outside,
    pytest.mark.skipif(bool(lacking()), reason=f"make test-outside installs them: {'; '.join(lacking())}"),
]

SUITE_SECONDS = 120

OLDER = ("server-initialize", "server-session-lifecycle", "ping", "tools-list", "resources-list", "prompts-list")
SCENARIOS: dict[str, tuple[str, ...]] = {
    "2025-06-18": OLDER,
    "2025-11-25": (*OLDER, "server-sse-multiple-streams", "dns-rebinding-protection"),
    "2026-07-28": (
        *("server-stateless", "tools-list", "resources-list", "prompts-list", "caching", "server-sse-multiple-streams"),
        *("sep-2164-resource-not-found", "dns-rebinding-protection", "http-header-validation"),
        "input-required-result-unsupported-methods",
    ),
}

FIXTURE = frozenset(
    {
        "completion-complete",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "http-custom-header-server-validation",
        "input-required-result-basic-elicitation",
        "input-required-result-basic-list-roots",
        "input-required-result-basic-sampling",
        "input-required-result-capability-check",
        "input-required-result-ignore-extra-params",
        "input-required-result-missing-input-response",
        "input-required-result-multi-round",
        "input-required-result-multiple-input-requests",
        "input-required-result-non-tool-request",
        "input-required-result-request-state",
        "input-required-result-result-type",
        "input-required-result-tampered-state",
        "input-required-result-validate-input",
        "json-schema-2020-12",
        "logging-set-level",
        "prompts-get-embedded-resource",
        "prompts-get-simple",
        "prompts-get-with-args",
        "prompts-get-with-image",
        "resources-read-binary",
        "resources-read-text",
        "resources-subscribe",
        "resources-templates-read",
        "resources-unsubscribe",
        "server-sse-polling",
        "tools-call-audio",
        "tools-call-elicitation",
        "tools-call-embedded-resource",
        "tools-call-error",
        "tools-call-image",
        "tools-call-mixed-content",
        "tools-call-sampling",
        "tools-call-simple-text",
        "tools-call-with-logging",
        "tools-call-with-progress",
    }
)
"""The scenarios that call a fixture."""

FIXTURE_CHECKS = {"sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400"}
"""Checks inside a scenario that call a tool of a fixed name."""


@dataclass(frozen=True)
class Proxied:
    """A room, and a proxy to it that brings its owner's token."""

    room: RoomOfProcesses
    url: str


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    data = tmp_path_factory.mktemp("outside") / "room"
    data.mkdir(mode=0o700)
    with room_of_processes(data, allow_itself=True) as room:
        token = (data / "owner.token").read_text().strip()
        with proxy(room.port, token) as url:
            yield Proxied(room, f"{url}/mcp")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the suite."""
    command = [node() or "node", str(script(CONFORMANCE)), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=SUITE_SECONDS, check=False)


@pytest.mark.parametrize(
    ("version", "scenario"), [(version, scenario) for version, names in SCENARIOS.items() for scenario in names]
)
def test_the_room_keeps_to_the_protocol(proxied: Proxied, version: str, scenario: str, tmp_path: Path) -> None:
    found_in = ("--output-dir", str(tmp_path))  # what it prints may be cut off at its end
    done = run("server", "--url", proxied.url, "--scenario", scenario, "--spec-version", version, *found_in)
    (checks,) = tmp_path.rglob("checks.json")
    found: list[dict[str, Any]] = json.loads(checks.read_text())
    failed = [check for check in found if check["status"] == "FAILURE" and check["id"] not in FIXTURE_CHECKS]
    assert failed == []
    assert [check for check in found if check["status"] == "SUCCESS"], done.stdout + done.stderr


def test_every_scenario_of_the_suite_is_run_or_calls_a_fixture() -> None:
    servers = run("list").stdout.partition("Server scenarios")[2].partition("Client scenarios")[0]
    listed = [line.split() for line in servers.splitlines() if line.startswith("  - ")]
    scenarios = {name: versions for _, name, versions in (words for words in listed if len(words) == 3)}
    assert set(scenarios) >= FIXTURE, "a scenario that is left out is no scenario any more"
    for name in set(scenarios) - FIXTURE:
        for version in SCENARIOS:
            if version in scenarios[name]:
                assert name in SCENARIOS[version], f"{name} is new in {version}"


def inspect(proxied: Proxied, *words: str) -> dict[str, Any]:
    """What the Inspector's command line answers."""
    token = (proxied.room.data / "owner.token").read_text().strip()
    command = [node() or "node", str(script(INSPECTOR)), "--cli", f"{proxied.room.url}/mcp", "--transport", "http"]
    done = subprocess.run(
        [*command, "--header", f"Authorization: Bearer {token}", *words],
        env={"PATH": os.environ["PATH"], "HOME": str(proxied.room.data.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_inspector_lists_calls_and_reads(proxied: Proxied) -> None:
    assert "check_in" in {tool["name"] for tool in inspect(proxied, "--method", "tools/list")["tools"]}
    assert "catch-up" in {prompt["name"] for prompt in inspect(proxied, "--method", "prompts/list")["prompts"]}
    posted = inspect(
        proxied, "--method", "tools/call", "--tool-name", "post_message", "--tool-arg", "text=hello from outside"
    )
    assert posted["structuredContent"]["message"] == "M-1"
    read = inspect(proxied, "--method", "resources/read", "--uri", "teamroom://messages/M-1")
    assert "hello from outside" in read["contents"][0]["text"]


def test_the_proxy_changes_nothing_but_token_and_address(proxied: Proxied) -> None:
    foreign = httpx2.post(proxied.url, verify=WITHOUT_TLS, headers={"Host": "evil.example"}, content=b"{}")
    assert foreign.status_code == 421, "a foreign Host goes on as it came"
