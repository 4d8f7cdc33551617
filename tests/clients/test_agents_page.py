"""The agent of `docs/agents.md`, as the page shows it: it answers, outlives a killed server, and ends with a kill."""

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
from anyio.abc import Process

from teamroom.client import Room
from teamroom.clients.session.failure import NOT_AUTHORISED
from tests.campaigns.process import serving
from tests.support.bounds import BOUND_SECONDS
from tests.support.pages import blocks, read
from tests.support.promises import promise
from tests.support.repository import ROOT

pytestmark = promise("PRS5")

PAGE = ROOT / "docs" / "agents.md"
LINES = 32
"""How long the agent may be: a person reads it at a glance."""


def the_agent() -> str:
    (shown,) = blocks(read(PAGE), "python")
    return shown


def test_the_agent_of_the_page_is_short() -> None:
    assert len(the_agent().splitlines()) <= LINES


@promise("WAK2", "CTL3", "LOG4")
async def test_the_agent_of_the_page_answers_through_a_killed_server_and_ends_with_who_killed_it(
    tmp_path: Path,
) -> None:
    script = tmp_path / "agent.py"
    script.write_text(the_agent(), encoding="utf-8")
    with serving(tmp_path / "room") as server, anyio.fail_after(4 * BOUND_SECONDS):
        await server.start()
        url = f"http://127.0.0.1:{server.port}"
        async with Room(url, server.owner_token) as owner, aclosing(owner.listen()) as answers:
            token = (await owner.enroll(name="builder"))["token"]
            environment = {"TEAMROOM_URL": url, "TEAMROOM_TOKEN": str(token), "HOME": str(tmp_path)}
            async with await anyio.open_process(
                [sys.executable, str(script)], env=environment, cwd=tmp_path, stderr=PIPE
            ) as agent:
                assert await answer_to(owner, answers, "@builder read three words") == "I read 4 words."
                server.kill()
                await server.start()
                assert await answer_to(owner, answers, "@builder are you there?") == "I read 4 words."
                await owner.kill(target="builder", reason="the work is done")
                assert await agent.wait() == NOT_AUTHORISED
                away, back, killed, fix = (await words_of(agent)).splitlines()
                assert "Waiting until it answers" in away
                assert back == "The room answers again."
                assert killed.startswith("Refused (killed): ")
                assert f"by @{(await owner.me())['name']}: " in killed
                assert "the work is done" in killed
                assert fix.startswith("Fix: Stop")


async def answer_to(owner: Room, answers: AsyncGenerator[Any], text: str) -> str:
    """Ask the agent; returns the answer, for which its asker waits as an agent does."""
    asked = (await owner.post_message(text=text, kind="ask"))["message"]
    async for wake in answers:
        (found,) = (await owner.read_messages(ids=[wake["subject"]]))["messages"]
        if found["thread"] == asked:
            return found["text"]
    raise AssertionError("unreachable: the loop does not end")


async def words_of(agent: Process) -> str:
    """What the agent said of its end."""
    assert agent.stderr is not None
    return b"".join([part async for part in agent.stderr]).decode()
