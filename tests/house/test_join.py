"""Each config on the page about joining joins the room, and each line that joins a harness writes its config."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from teamroom.clients.harnesses import verified
from teamroom.clients.harnesses.catalogue import HARNESSES as HARNESSES_THAT_JOIN
from teamroom.clients.harnesses.verified import in_words
from tests.harness import told
from tests.harness.install import binary, lacking, pinned
from tests.harness.room import STEP_SECONDS
from tests.harness.vendors import HARNESSES
from tests.harness.verifying import key_of
from tests.support.join_pages import how_far
from tests.support.pages import blocks, read
from tests.support.promises import house
from tests.support.raw import ENVELOPE, message, modern_headers
from tests.support.repository import ROOT
from tests.support.rooms import RunningRoom
from tests.support.shells import TEAMROOM, Shell

pytestmark = house

JOIN, README = read(ROOT / "docs" / "join.md"), read(ROOT / "README.md")
ADDRESS = "http://127.0.0.1:8765"
LACKING = lacking("claude", "codex")

CHECK_IN = message("tools/call", {"name": "check_in", "arguments": {}, "_meta": ENVELOPE})


@pytest.mark.parametrize(("language", "count"), [("json", 4), ("toml", 1)])
async def test_each_config_with_an_address_joins_the_room(room: RunningRoom, language: str, count: int) -> None:
    await room.enroll("builder")
    configs = [(json.loads if language == "json" else tomllib.loads)(block) for block in blocks(JOIN, language)]
    servers = [server for config in configs for server in servers_of(config) if "url" in server]
    assert len(servers) == count
    for server in servers:
        header = server.get("headers", {}).get("Authorization", "Bearer ${TEAMROOM_TOKEN}")
        assert (server.get("bearer_token_env_var") or header).count("TOKEN") + header.count("input:") >= 1
        assert server["url"].startswith(ADDRESS)
        answer = await room.raw(
            path=server["url"].removeprefix(ADDRESS),
            content=CHECK_IN,
            headers={
                "Authorization": re.sub(r"\$?\{[^}]*\}", room.tokens["builder"], header),
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
                **dict(modern_headers("tools/call", "check_in")),
            },
        )
        assert answer.json()["result"]["structuredContent"]["standing"] == "active", answer.text


async def test_the_config_for_stdio_joins_the_room(room: RunningRoom) -> None:
    shell = Shell(room.folder.parent, {"TEAMROOM_DATA": str(room.folder), "TEAMROOM_URL": room.url})
    configs = [json.loads(block) for block in blocks(JOIN, "json")]
    (bridge,) = [server for config in configs for server in servers_of(config) if "command" in server]
    assert bridge["command"] == Path(TEAMROOM).name
    name = bridge["args"][bridge["args"].index("--as") + 1]
    assert (await shell.here("enroll", name, "--save")).code == 0
    words = [word.replace("/path/to/.teamroom", str(room.folder)) for word in bridge["args"]]
    done = await anyio.to_thread.run_sync(lambda: shell.run(*words, stdin=CHECK_IN.decode() + "\n"))
    assert json.loads(done.out)["result"]["structuredContent"]["standing"] == "active", done.err


def test_the_readme_joins_a_harness_with_the_line_of_the_page() -> None:
    assert line_of("claude", README) == line_of("claude", JOIN)


def test_the_table_of_what_models_are_told_is_of_every_pinned_harness_and_each_was_shown_who_stopped_it() -> None:
    recorded = told.record()
    versions = {harness.command: recorded[harness.name]["version"] for harness in HARNESSES}
    assert versions == {command: pinned()[command] for command in versions}, "make test-harnesses writes the record"
    for name, found in recorded.items():
        assert list(found["situations"]) == sorted(told.SITUATIONS), name
        for situation in ("paused", "restarted", "killed", "started again"):
            assert found["situations"][situation]["shown"], f"{name}: {situation}"


def test_the_record_of_what_was_verified_is_of_the_pinned_versions_and_of_steps_that_are_known() -> None:
    recorded = verified.load()
    versions = {key_of(command): version for command, version in pinned().items()}
    assert {key: found.version for key, found in recorded.items()} == versions, "make test-harnesses writes the record"
    for key, found in recorded.items():
        assert set(found.steps) <= set(verified.STEPS), key
        assert {"joins", "calls", "leaves"} <= set(found.steps), f"{key} is not even verified to join, call and leave"


def test_what_a_page_says_was_verified_is_in_the_record_and_nothing_else_is() -> None:
    for key, found in verified.load().items():
        page = read(ROOT / "docs" / "join" / f"{key}.md")
        assert f"Tests ran the real {HARNESSES_THAT_JOIN[key].name} {found.version}:" in page
        for step, words in verified.STEPS.items():
            assert f"| {words} | {found.steps.get(step, 'no')} |" in page, f"{key}: {step}"
        assert HARNESSES_THAT_JOIN[key].how_tried == in_words(found)


def test_a_step_that_the_record_lacks_is_said_to_be_not_verified() -> None:
    harness = next(iter(HARNESSES_THAT_JOIN.values()))
    found = verified.Verified("1.0", {"joins": "2026-11-30"})
    shown = how_far(harness, found)
    assert f"| {verified.STEPS['joins']} | 2026-11-30 |" in shown
    assert f"| {verified.STEPS['kill']} | no |" in shown


def test_the_words_of_the_room_are_found_as_text_as_data_or_in_both_and_nowhere_else() -> None:
    words = told.SITUATIONS["killed"].words
    for shown, text in (
        (["text"], f"Refused (killed): {words} Fix: stop."),
        (["data"], json.dumps([{"why": words}], ensure_ascii=False)),
        (["text", "data"], f"{words}\n\n{json.dumps({'why': words}, ensure_ascii=False)}"),
        ([], 'MCP server "teamroom" is not connected {"code": -32000'),
        ([], ""),
    ):
        assert told.shown_as("killed", text) == shown, text


@pytest.mark.harness
@pytest.mark.skipif(bool(LACKING), reason=f"make test-harnesses installs them: {'; '.join(LACKING)}")
@pytest.mark.parametrize(("harness", "written"), [("claude", ".claude.json"), ("codex", ".codex/config.toml")])
def test_the_line_that_joins_a_harness_writes_its_config(tmp_path: Path, harness: str, written: str) -> None:
    (tmp_path / ".codex").mkdir()
    done = subprocess.run(
        ["bash", "-c", f"{binary(harness)} {line_of(harness, JOIN).removeprefix(harness)}"],
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


def line_of(harness: str, page: str) -> str:
    """The one line of a page that joins a harness."""
    (line,) = re.findall(rf"^{harness} mcp add .*$", page, flags=re.MULTILINE)
    return str(line)


def servers_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The servers in a config, under the key of its harness."""
    found: dict[str, Any] = {}
    for key in ("mcpServers", "mcp", "servers", "mcp_servers"):
        found |= config.get(key, {})
    return list(found.values())
